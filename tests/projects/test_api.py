import pytest
from django.test import Client

from accounts.models import Membership, Role, Team
from experiments.models import DeletedExperiment, Experiment
from projects.models import Project, ProjectMetric

pytestmark = pytest.mark.differs_on_servers("slugs, names and order are the database's")
URL = "/api/v1/projects"
JSON = "application/json"


@pytest.fixture
def editor(api_for, erin) -> Client:
    return api_for(erin)


@pytest.fixture
def admin(api_for, alice) -> Client:
    return api_for(alice)


def post(client: Client, url: str = URL, **fields):
    return client.post(url, fields, content_type=JSON)


def faults(answer) -> dict[str, str]:
    assert answer.status_code == 422, answer.content
    return {fault["field"]: fault["message"] for fault in answer.json()["error"]["errors"]}


def test_a_project_is_made_in_the_tokens_team(editor, team):
    found = post(editor, name="Größe", description="d").json()
    assert (found["slug"], found["description"], found["team"]["slug"], found["archived"]) == ("größe", "d", "vision-team", False)
    assert found["url"] == "/projects/vision-team/gr%C3%B6%C3%9Fe/"
    assert editor.get(f"{URL}/größe").json() == editor.get(f"{URL}/{found['id']}").json()


def test_who_is_in_two_teams_names_one(browser_for, erin, team):
    other = Team.objects.create(name="Other")
    Membership.objects.create(team=other, user=erin, role=Role.EDITOR)
    browser = browser_for(erin)
    assert "other, vision-team" in faults(post(browser, name="p"))["team"]
    for reference in ("other", str(other.pk)):
        assert post(browser, name="p", team=reference).json()["team"]["slug"] == "other"


def test_a_team_that_is_not_the_callers_is_not_there(editor, carol):
    assert post(editor, name="p", team="strangers").status_code == 404


def test_name_description_and_archive_change_and_the_slug_stays(editor, project):
    answer = editor.patch(f"{URL}/digits", {"name": "New", "description": "d", "archived": True}, content_type=JSON)
    assert answer.status_code == 200
    project.refresh_from_db()
    assert (project.name, project.slug, project.description, project.archived) == ("New", "digits", "d", True)
    assert "no such field" in faults(editor.patch(f"{URL}/digits", {"slug": "x"}, content_type=JSON))["slug"]


@pytest.mark.parametrize("address", [f"{URL}/%00", f"{URL}/digits%00/metrics", f"{URL}/digits/metrics/a%00", "/api/v1/teams/%00"])
def test_a_nul_in_an_address_is_not_there(editor, project, address):
    verb = editor.delete if "metrics/" in address else editor.get
    assert verb(address).status_code == 404


def test_only_admins_delete_a_project_and_marks_stay(editor, admin, experiment):
    assert editor.delete(f"{URL}/digits").status_code == 403
    assert admin.delete(f"{URL}/digits").status_code == 204
    assert not Project.objects.exists()
    assert not Experiment.objects.exists()
    assert DeletedExperiment.objects.get().pk == experiment.pk


def test_a_viewer_reads_and_a_stranger_does_not(api_for, bob, carol, project):
    viewer, stranger = api_for(bob), api_for(carol)
    assert viewer.get(f"{URL}/digits").status_code == 200
    assert post(viewer, name="p").status_code == viewer.patch(f"{URL}/digits", {}, content_type=JSON).status_code == 403
    for answer in (stranger.get(f"{URL}/digits"), stranger.get(f"{URL}/{project.pk}/metrics"), stranger.delete(f"{URL}/{project.pk}")):
        assert answer.status_code == 404
    assert stranger.get(URL).json()["count"] == 0


def names(client: Client, **query) -> list[str]:
    return [row["name"] for row in client.get(URL, query).json()["results"]]


def test_a_list_is_narrowed_and_ordered(browser_for, erin, project):
    other = Team.objects.create(name="Other")
    Membership.objects.create(team=other, user=erin, role=Role.VIEWER)
    Project.objects.create(team=other, name="letters", description="handwriting", archived=True)
    browser = browser_for(erin)
    assert names(browser) == ["digits", "letters"]
    assert names(browser, ordering="-name") == ["letters", "digits"]
    assert (
        names(browser, team="other") == names(browser, team=str(other.pk)) == names(browser, archived="true") == names(browser, search="HANDW") == ["letters"]
    )
    assert faults(browser.get(URL, {"archived": "\x00", "search": "\x00"}))


def test_a_list_costs_the_same_queries_however_long(editor, team, django_assert_num_queries):
    editor.get(URL)
    for count in (3, 40):
        for number in range(count):
            Project.objects.create(team=team, name=f"p{number}")
        with django_assert_num_queries(4):
            editor.get(URL)


# Metrics of a project


def test_a_metric_is_defined_changed_and_forgotten(editor, project):
    url = f"{URL}/digits/metrics"
    made = post(editor, url, name="val/loss", direction="minimize", aggregation="min")
    assert made.status_code == 201
    assert made.json()["aggregation"] == "min"
    assert editor.patch(f"{url}/val/loss", {"direction": "maximize"}, content_type=JSON).json()["direction"] == "maximize"
    assert [row["name"] for row in editor.get(url).json()["results"]] == ["val/loss"]
    assert editor.delete(f"{url}/val/loss").status_code == 204
    assert editor.delete(f"{url}/val/loss").status_code == 404


def test_a_metric_that_is_there_is_a_conflict_with_the_way_out(editor, project):
    ProjectMetric.objects.create(project=project, name="loss")
    answer = post(editor, f"{URL}/digits/metrics", name="loss", direction="minimize")
    assert answer.status_code == 409
    assert f"PATCH {URL}/{project.pk}/metrics/loss" in answer.json()["error"]["message"]


def test_an_undefined_metric_comes_with_a_suggestion(editor, project):
    ProjectMetric.objects.create(project=project, name="loss")
    row = editor.get(f"{URL}/digits/metrics").json()["results"][0]
    assert (row["direction"], row["suggestion"]) == ("", "minimize")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a\x00"),
        ("name", "a\nb"),
        ("name", "x" * 251),
        ("name", "é" * 126),
        ("direction", "up"),
        ("aggregation", "median"),
        ("colour", "red"),
    ],
)
def test_a_metric_that_does_not_fit_is_422(editor, project, field, value):
    assert field in faults(post(editor, f"{URL}/digits/metrics", **{"name": "loss", field: value}))


def test_a_viewer_defines_nothing(api_for, bob, project):
    ProjectMetric.objects.create(project=project, name="loss")
    viewer = api_for(bob)
    assert viewer.get(f"{URL}/digits/metrics").status_code == 200
    assert post(viewer, f"{URL}/digits/metrics", name="x").status_code == 403
    assert viewer.patch(f"{URL}/digits/metrics/loss", {}, content_type=JSON).status_code == viewer.delete(f"{URL}/digits/metrics/loss").status_code == 403


def test_how_long_points_are_kept_is_for_admins_to_say(admin, editor, project):
    assert editor.get(f"{URL}/digits").json()["retention_days"] is None
    assert editor.patch(f"{URL}/digits", {"retention_days": 30}, content_type=JSON).status_code == 403
    assert admin.patch(f"{URL}/digits", {"retention_days": 30}, content_type=JSON).json()["retention_days"] == 30
    for wrong in (0, -1, 36_501, "soon"):
        assert "retention_days" in faults(admin.patch(f"{URL}/digits", {"retention_days": wrong}, content_type=JSON))
    assert admin.patch(f"{URL}/digits", {"retention_days": None}, content_type=JSON).json()["retention_days"] is None


# Names


def test_a_slug_that_is_not_what_the_name_gives_is_said_in_the_answer(editor, team):
    made = [post(editor, name=name).json() for name in ("c", "C++", "C#", "resnet-v1.1", "C")]
    assert [one["slug"] for one in made] == ["c", "c-2", "c-3", "resnet-v1-1", "c-4"]
    assert [bool(one.get("warnings")) for one in made] == [False, True, True, False, True]
    assert [one["warnings"][0]["field"] for one in made[1:3]] == ["name", "name"]
    assert "'C++'" in made[1]["warnings"][0]["message"]
    assert "taken" in made[4]["warnings"][0]["message"]


@pytest.mark.parametrize("reference", ["org/llm", "org-llm"])
def test_lists_are_narrowed_by_a_projects_name_as_by_its_slug(editor, team, reference):
    project = Project.objects.create(team=team, name="org/llm")
    run, other = (Experiment.objects.create(project=one, name="run") for one in (project, Project.objects.create(team=team, name="orgllm")))
    found = editor.get("/api/v1/experiments", {"project": reference}).json()
    assert [row["id"] for row in found["results"]] == [str(run.pk)] != [str(other.pk)]
    for address in ("/api/v1/hypotheses", "/api/v1/alerts"):
        assert editor.get(address, {"project": reference}).json()["count"] == 0


def test_a_project_that_several_teams_have_narrows_no_list_in_silence(browser_for, erin, project):
    other = Team.objects.create(name="Other")
    Membership.objects.create(team=other, user=erin, role=Role.EDITOR)
    second = Project.objects.create(team=other, name="digits")
    for address in ("/api/v1/experiments", "/api/v1/hypotheses", "/api/v1/alerts"):
        answer = browser_for(erin).get(address, {"project": "digits"})
        assert answer.status_code == 409
        assert str(project.pk) in answer.json()["error"]["message"]
        assert str(second.pk) in answer.json()["error"]["message"]


def test_names_are_kept_stripped_and_composed(editor, team):
    assert post(editor, name="  Gro\u0308ße\u00a0").json()["name"] == "Größe"
    assert editor.patch(f"{URL}/größe", {"name": "\ta\u00a0b "}, content_type=JSON).json()["name"] == "a\u00a0b"
    assert post(editor, f"{URL}/größe/metrics", name=" val/e\u0301 ").json()["name"] == "val/é"


@pytest.mark.parametrize(("name", "position"), [("a\u200bb", 1), ("\ufeffa", 0), ("  a\u202eb", 3), ("a\nb", 1), ("so\u00adft", 2)])
def test_an_invisible_character_is_refused_with_its_position(editor, team, name, position):
    Project.objects.create(team=team, name="digits")
    for answer in (post(editor, name=name), editor.patch(f"{URL}/digits", {"name": name}, content_type=JSON), post(editor, f"{URL}/digits/metrics", name=name)):
        fault = answer.json()["error"]["errors"][0]
        assert (answer.status_code, fault["field"], fault["code"], fault["position"]) == (422, "name", "invisible", position)
        assert f"at position {position}" in fault["message"]


def test_a_metric_from_before_names_were_tidied_is_changed_by_the_name_it_has(editor, project):
    ProjectMetric.objects.create(project=project, name=" loss")
    ProjectMetric.objects.create(project=project, name="acc")
    assert editor.patch(f"{URL}/digits/metrics/%20loss", {"direction": "minimize"}, content_type=JSON).json()["name"] == " loss"
    assert editor.patch(f"{URL}/digits/metrics/%20acc", {"direction": "maximize"}, content_type=JSON).json()["name"] == "acc"


def test_a_pages_address_is_a_slug_whatever_others_are_named(browser_for, erin, team):
    first, second = (Project.objects.create(team=team, name=name) for name in ("C", "c"))
    for project in (first, second):
        page = browser_for(erin).get(f"/projects/vision-team/{project.slug}/")
        assert page.context["opened"].project == project
