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
