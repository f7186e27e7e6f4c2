import gzip
import json
import threading
import uuid
from datetime import timedelta

import pytest
import zstandard
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, Membership, Role, Team
from experiments import lifecycle
from experiments.models import DeletedExperiment, Experiment
from projects.models import Project

pytestmark = pytest.mark.differs_on_servers("params are JSON, which PostgreSQL stores and compares in its own way; slugs rest on constraints")
URL = "/api/v1/experiments"
JSON = "application/json"


@pytest.fixture
def editor(api_for, erin) -> Client:
    return api_for(erin)


def start(client: Client, **fields):
    return client.post(URL, {"project": "digits", "name": "run", **fields}, content_type=JSON)


def patch(client: Client, experiment, **fields):
    return client.patch(f"{URL}/{getattr(experiment, 'pk', experiment)}", fields, content_type=JSON)


def faults(answer) -> dict[str, str]:
    assert answer.status_code == 422, answer.content
    return {fault["field"]: fault["message"] for fault in answer.json()["error"]["errors"]}


# Beginning


def test_a_script_starts_its_first_run_with_one_request(editor, team):
    answer = start(
        editor, name="lr 3e-4", create_project=True, params={"lr": 3e-4}, seed=1, tags=["sweep", "a"], notes="n", host="gpu7", git_commit="abc", command="x"
    )
    assert answer.status_code == 201
    found, project = answer.json(), Project.objects.get()
    assert project.team == team
    assert uuid.UUID(found["id"]) == Experiment.objects.get().pk
    assert found["slug"] == "lr-3e-4"
    assert found["project"] == {"id": str(project.pk), "slug": "digits"}
    assert found["status"] == "running"
    assert found["url"] == "/projects/vision-team/digits/experiments/lr-3e-4/"
    assert found["writer"] == 1
    assert found["root"] == found["id"]
    assert (found["parent"], found["params"], found["seed"]) == (None, {"lr": 3e-4}, 1)
    assert sorted(found["tags"]) == ["a", "sweep"]
    assert set(found) == {
        *(
            "id",
            "slug",
            "name",
            "project",
            "status",
            "failure_kind",
            "parent",
            "root",
            "features_diff",
            "features_diff_given",
            "params",
            "seed",
            "tags",
            "notes",
        ),
        "replicate_group",
        *(
            "replicate_key",
            "host",
            "git_commit",
            "command",
            "url",
            "writer",
            "started_at",
            "finished_at",
            "last_point_at",
            "created_at",
            "updated_at",
            "archived",
            "missing",
            "writer_lost",
        ),
    }


def test_the_same_project_name_finds_the_same_project_again(editor):
    for _ in range(2):
        assert start(editor, project="Größe & Tiefe", create_project=True).json()["project"]["slug"] == "größe-tiefe"
    assert Project.objects.get().name == "Größe & Tiefe"
    assert start(editor, project="Größe & Tiefe", create_project=True, parent="run").json()["parent"]


def test_a_project_is_named_by_uuid_or_slug(editor, project):
    assert start(editor, project=str(project.pk)).status_code == start(editor).status_code == 201


def test_an_unknown_project_is_404_unless_it_may_be_made(editor):
    assert start(editor).status_code == 404
    assert start(editor, project=str(uuid.uuid4()), create_project=True).status_code == 404
    assert "letter" in faults(start(editor, project="!!!", create_project=True))["project"]
    assert not Project.objects.exists()


def test_who_is_in_two_teams_is_told_to_choose(browser_for, erin):
    other = Team.objects.create(name="Other")
    Membership.objects.create(team=other, user=erin, role=Role.EDITOR)
    answer = start(browser_for(erin), create_project=True)
    assert answer.status_code == 422
    assert "other, vision-team" in answer.json()["error"]["message"]
    secret = ApiToken.issue(user=erin, team=other, name="t")[1]
    answer = start(Client(headers={"Authorization": f"Bearer {secret}"}), create_project=True)
    assert answer.status_code == 201
    assert Project.objects.get().team == other


def test_a_slug_that_two_teams_share_is_a_conflict_naming_both(browser_for, erin, project):
    other = Team.objects.create(name="Other")
    Membership.objects.create(team=other, user=erin, role=Role.EDITOR)
    second = Project.objects.create(team=other, name="digits")
    answer = start(browser_for(erin))
    assert answer.status_code == 409
    assert str(project.pk) in answer.json()["error"]["message"]
    assert str(second.pk) in answer.json()["error"]["message"]


def test_a_child_names_its_parent_and_what_changed_is_worked_out(editor, project):
    parent = start(editor, name="base", params={"lr": 0.1}).json()
    for reference in (parent["slug"], parent["id"]):
        child = start(editor, name="child", parent=reference, params={"lr": 0.2}).json()
        assert (child["parent"], child["root"]) == (parent["id"], parent["id"])
        assert child["features_diff"] == {"lr": {"from": 0.1, "to": 0.2}}


def test_a_parent_that_is_not_there_is_refused(editor, project, carol):
    theirs = Experiment.objects.create(project=Project.objects.create(team=carol.teams.get(), name="theirs"), name="secret")
    for reference in ("nowhere", str(theirs.pk), str(uuid.uuid4())):
        assert "no experiment" in faults(start(editor, parent=reference))["parent"]


def test_what_is_refused_leaves_no_empty_project_behind(editor, team):
    assert start(editor, create_project=True, parent="nowhere").status_code == 422
    assert start(editor, create_project=True, params={"a": "\x00"}).status_code == 422
    assert not Project.objects.exists()


def test_a_planned_run_starts_later(editor, project):
    planned = start(editor, status="planned").json()
    assert planned["started_at"] is None
    assert patch(editor, planned["id"], status="running").json()["started_at"] is not None
    assert "PATCH" in faults(start(editor, status="complete"))["status"]


def test_each_start_gets_a_slug_and_a_writer_of_its_own(editor, project):
    found = [start(editor).json() for _ in range(3)]
    assert [run["slug"] for run in found] == ["run", "run-2", "run-3"]
    assert {run["writer"] for run in found} == {1}


# What is refused


@pytest.mark.parametrize("field", ["parems", "writer", "id", "slug", "archived", "root"])
def test_an_unknown_field_is_refused_by_name(editor, project, field):
    assert "no such field" in faults(start(editor, **{field: "x"}))[field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 256),
        ("name", "a\x00b"),
        ("name", None),
        ("name", {"a": 1}),
        ("notes", "a\x00b"),
        ("host", "\x00"),
        ("command", "\x00"),
        ("tags", "sweep"),
        ("tags", [""]),
        ("tags", ["\x00"]),
        ("tags", ["x"] * 101),
        ("tags", [["x"]]),
        ("tags", {"x": 1}),
        ("params", []),
        ("params", "text"),
        ("params", True),
        ("params", None),
        ("features_diff", 3),
        ("seed", 2**63),
        ("seed", 10**400),
        ("seed", 1.5),
        ("seed", True),
        ("seed", "one"),
        ("status", "done"),
        ("status", True),
        ("status", ["running"]),
        ("git_commit", "x" * 65),
        ("replicate_group", "x" * 201),
        ("parent", ""),
        ("create_project", "perhaps"),
    ],
)
def test_content_that_does_not_fit_is_422_with_the_field(editor, project, field, value):
    found = faults(start(editor, **{field: value}))
    assert any(name.split(".")[0] == field for name in found)
    assert not Experiment.objects.exists()


def deep(levels: int, opening: str = '{"a":', closing: str = "}") -> str:
    return opening * levels + "1" + closing * levels


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"project": "digits", "name": "run", "params": {"lr": NaN}}', 422),
        ('{"project": "digits", "name": "run", "params": {"lr": 1e999}}', 422),
        ('{"project": "digits", "name": "run", "params": {"a": "\\u0000"}}', 422),
        ('{"project": "digits", "name": "run", "params": {"\\u0000": 1}}', 422),
        ('{"project": "\\u0000", "name": "run"}', 422),
        ('{"project": "digits", "name": "run", "parent": "\\u0000"}', 422),
        ('{"project": "digits", "name": "run", "params": ' + deep(51) + "}", 422),
        ('{"project": "digits", "name": "run", "params": {"a": ' + deep(60, "[", "]") + "}}", 422),
        ('{"project": "digits", "name": "run", "params": ' + deep(100_000) + "}", 400),
        ('{"project": "digits", "name": "run", "params": {"a": "' + "x" * 1_000_000 + '"}}', 422),
        ('{"project": "digits", "name": "run", "notes": "' + "x" * 4_000_000 + '"}', 413),
        ('{"project": "digits", "name": "run", "status": "\\ud800"}', 400),
        ('{"project": "digits", "name": "run", "\\ud800": 1}', 400),
        ('{"project": "digits", "name": "run", "seed": ' + "9" * 5000 + "}", 400),
        ('{"project": "digits", "name": "run"', 400),
        ("", 422),
        ("[]", 422),
        ('"text"', 422),
        ("null", 422),
        ("NaN", 422),
        ("\xff", 400),
    ],
    ids=range(21),
)
def test_a_strange_body_is_refused_and_never_a_500(editor, project, body, status):
    answer = editor.post(URL, body.encode("latin-1"), content_type=JSON)
    assert answer.status_code == status, answer.content
    assert answer.json()["error"]["message"]
    assert not Experiment.objects.exists()


def test_a_nan_in_params_is_named(editor, project):
    answer = editor.post(URL, '{"project": "digits", "name": "run", "params": {"opt": {"lr": NaN}}}', content_type=JSON)
    assert "opt.lr is nan" in faults(answer)["params"]


def test_big_and_small_numbers_in_params_come_back_as_sent(editor, project):
    params = {"big": 2**70, "small": 5e-324, "list": [True, None, "größer"], "deep": {"a": {"b": 1}}}
    assert start(editor, params=params).json()["params"] == params


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_a_compressed_body_is_read(editor, project, encoding, compress):
    body = json.dumps({"project": "digits", "name": "run", "params": {"text": "x" * 5000}}).encode()
    headers = {"Content-Encoding": encoding}
    assert editor.generic("POST", URL, compress(body), content_type=JSON, headers=headers).status_code == 201
    assert editor.generic("POST", URL, compress(body)[:-5], content_type=JSON, headers=headers).status_code == 400
    assert editor.generic("POST", URL, compress(b" " * 5_000_000), content_type=JSON, headers=headers).status_code == 413
    assert editor.generic("POST", URL, body, content_type=JSON, headers={"Content-Encoding": "br"}).status_code == 415


def test_a_form_is_not_json(editor, project):
    assert editor.post(URL, {"project": "digits", "name": "run"}).status_code == 415


# Its life


def test_the_same_end_again_is_200_and_another_is_409(editor, experiment):
    assert patch(editor, experiment, status="complete").json()["status"] == "complete"
    assert patch(editor, experiment, status="complete").status_code == 200
    assert patch(editor, experiment, status="failed", failure_kind="crashed").status_code == 409
    assert experiment.events.count() == 1


def test_a_failure_says_its_kind(editor, experiment):
    found = patch(editor, experiment, status="failed", failure_kind="diverged").json()
    assert (found["status"], found["failure_kind"]) == ("failed", "diverged")
    assert found["finished_at"]
    assert patch(editor, experiment, status="failed").status_code == 200
    assert patch(editor, experiment, status="failed", failure_kind="crashed").status_code == 409


def test_running_again_resumes_an_ended_run(editor, experiment):
    patch(editor, experiment, status="failed", failure_kind="crashed")
    found = patch(editor, experiment, status="running").json()
    assert (found["status"], found["failure_kind"], found["finished_at"]) == ("running", "", None)
    assert [event.kind for event in experiment.events.all()] == ["failed", "resumed"]


def test_a_kind_of_failure_needs_a_failure(editor, experiment):
    assert "failed" in faults(patch(editor, experiment, failure_kind="crashed"))["failure_kind"]
    assert patch(editor, experiment, status="planned").status_code == 409


def test_a_heartbeat_answers_with_nothing(editor, experiment):
    answer = editor.post(f"{URL}/{experiment.pk}/heartbeat", "{}", content_type=JSON)
    assert (answer.status_code, answer.content) == (204, b"")
    experiment.refresh_from_db()
    assert experiment.heartbeat_at is not None


# Changes


def test_content_changes_and_what_is_left_out_stays(editor, experiment):
    other = Experiment.objects.create(project=experiment.project, name="other", params={"lr": 1})
    found = patch(editor, experiment, params={"lr": 2}, tags=["t"], notes="n", name="new", seed=3, replicate_group="g", archived=True, parent=other.slug).json()
    assert (found["params"], found["tags"], found["notes"], found["name"], found["seed"]) == ({"lr": 2}, ["t"], "n", "new", 3)
    assert (found["slug"], found["archived"], found["parent"], found["replicate_key"]) == ("baseline", True, str(other.pk), "g")
    found = patch(editor, experiment, archived=False, parent=None, replicate_group="", seed=None, tags=[]).json()
    assert (found["archived"], found["parent"], found["root"], found["seed"], found["tags"]) == (False, None, str(experiment.pk), None, [])
    assert found["notes"] == "n"


def test_a_change_that_is_refused_in_part_changes_nothing(editor, experiment):
    patch(editor, experiment, status="complete")
    assert patch(editor, experiment, notes="n", status="failed").status_code == 409
    assert patch(editor, experiment, notes="n", params={"a": "\x00"}).status_code == 422
    assert patch(editor, experiment, notes="n", parent=str(experiment.pk)).status_code == 422
    experiment.refresh_from_db()
    assert experiment.notes == ""


def test_a_misspelt_change_is_refused(editor, experiment):
    assert "no such field" in faults(patch(editor, experiment, state="complete"))["state"]
    assert "no such field" in faults(patch(editor, experiment, project="digits"))["project"]


def test_an_admin_of_the_team_deletes_which_leaves_a_mark_and_reparents(editor, api_for, alice, experiment):
    child = Experiment.objects.create(project=experiment.project, name="child", parent_experiment=experiment)
    assert editor.delete(f"{URL}/{experiment.pk}").status_code == 403
    assert api_for(alice).delete(f"{URL}/{experiment.pk}").status_code == 204
    assert editor.get(f"{URL}/{experiment.pk}").status_code == 404
    assert DeletedExperiment.objects.get().pk == experiment.pk
    assert editor.get(f"{URL}/{child.pk}").json()["root"] == str(child.pk)


# Who


def test_a_viewer_reads_and_writes_nothing(api_for, bob, experiment):
    client = api_for(bob)
    assert client.get(f"{URL}/{experiment.pk}").status_code == client.get(URL).status_code == 200
    answers = [start(client), start(client, project="new", create_project=True), patch(client, experiment, notes="x"), client.delete(f"{URL}/{experiment.pk}")]
    assert [answer.status_code for answer in answers] == [403] * 4
    assert "viewer" in answers[0].json()["error"]["message"]
    assert Project.objects.count() == 1


def test_a_stranger_sees_nothing_there(api_for, carol, experiment):
    client = api_for(carol)
    answers = [client.get(f"{URL}/{experiment.pk}"), patch(client, experiment, notes="x"), client.delete(f"{URL}/{experiment.pk}"), start(client)]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert client.get(URL).json()["count"] == 0
    assert client.get(URL, {"project": str(experiment.project_id)}).status_code == 404


def test_nobody_is_asked_for_a_token(client, experiment):
    answer = client.get(URL)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["error"]["code"]


def test_a_session_writes_with_the_csrf_token_only(erin, project):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(erin)
    assert browser.get(URL).status_code == 200
    assert start(browser).status_code == 403


# Lists


def names(client: Client, **query) -> list[str]:
    answer = client.get(URL, query)
    assert answer.status_code == 200, answer.content
    return [row["name"] for row in answer.json()["results"]]


@pytest.fixture
def several(project, erin) -> dict[str, Experiment]:
    a = lifecycle.create(project, by=erin, name="alpha", tags=["x"], params={"lr": 1})
    b = lifecycle.create(project, by=erin, name="beta", tags=["x", "y"], parent=a, notes="warm restart")
    c = lifecycle.create(project, by=erin, name="gamma", replicate_group="g")
    lifecycle.complete(b, by=erin)
    lifecycle.archive(c, by=erin)
    return {"alpha": a, "beta": b, "gamma": c}


def test_a_list_is_narrowed_and_ordered(editor, several, team):
    Experiment.objects.create(project=Project.objects.create(team=team, name="other"), name="delta")
    a = several["alpha"]
    assert names(editor, project="digits", ordering="name") == ["alpha", "beta", "gamma"]
    assert names(editor, project=str(a.project_id), ordering="-name") == ["gamma", "beta", "alpha"]
    assert names(editor, status="complete") == ["beta"]
    assert names(editor, status=["complete", "running"], project="digits", ordering="name") == ["alpha", "beta", "gamma"]
    assert names(editor, tag="x", ordering="name") == ["alpha", "beta"]
    assert names(editor, tag=["x", "y"]) == ["beta"]
    assert names(editor, parent=str(a.pk)) == ["beta"]
    assert names(editor, root=str(a.pk), ordering="name") == ["alpha", "beta"]
    assert names(editor, replicate_key="g") == ["gamma"]
    assert names(editor, archived="true") == ["gamma"]
    assert names(editor, search="restart") == ["beta"]
    assert names(editor, search="GAM") == ["gamma"]
    assert names(editor, created_after="2999-01-01T00:00:00Z") == []
    assert names(editor, created_before="2999-01-01T00:00:00Z", project="digits", ordering="created_at") == ["alpha", "beta", "gamma"]


@pytest.mark.parametrize(
    "query", [{"status": "done"}, {"created_before": "x"}, {"created_after": "yesterday"}, {"search": "\x00"}, {"project": "\x00"}, {"replicate_key": "\x00"}]
)
def test_a_filter_that_makes_no_sense_is_422(editor, project, query):
    assert faults(editor.get(URL, query))


def test_pages_hold_every_row_once(editor, project):
    Experiment.objects.bulk_create(Experiment(project=project, name="same", slug=f"s{number}") for number in range(120))
    seen, address = [], f"{URL}?ordering=name"
    while address:
        page = editor.get(address).json()
        seen += [row["id"] for row in page["results"]]
        address = page["next"]
    assert len(seen) == len(set(seen)) == page["count"] == 120
    assert editor.get(URL, {"page": 99}).status_code == 404


def test_a_list_costs_the_same_queries_however_long(editor, project, erin, django_assert_num_queries):
    editor.get(URL)
    for count in (3, 40):
        for _ in range(count):
            lifecycle.create(project, by=erin, name="run", tags=["x"])
        with django_assert_num_queries(5):
            editor.get(URL)


def test_starting_and_ending_cost_few_queries(editor, project, django_assert_num_queries, django_assert_max_num_queries):
    parent = start(editor).json()
    with django_assert_max_num_queries(16):
        child = start(editor, name="child", parent=parent["slug"], params={"lr": 1}).json()
    with django_assert_max_num_queries(11):
        patch(editor, child["id"], status="complete")
    with django_assert_num_queries(4):
        editor.post(f"{URL}/{child['id']}/heartbeat")


def test_a_run_that_is_killed_is_stalled_two_minutes_after_its_last_heartbeat(editor, experiment, browser_for, bob):
    assert editor.post(f"{URL}/{experiment.pk}/heartbeat", json.dumps({"every_s": 30}), content_type=JSON).status_code == 204
    experiment.refresh_from_db()
    for silence, status in ((timedelta(seconds=110), "running"), (timedelta(seconds=130), "stalled")):
        then = timezone.now() - silence
        Experiment.objects.filter(pk=experiment.pk).update(heartbeat_at=then, started_at=then, created_at=then)
        assert editor.get(f"{URL}/{experiment.pk}").json()["status"] == status
        assert [row["status"] for row in editor.get(URL).json()["results"]] == [status]
        assert f'class="status {status}"' in browser_for(bob).get(editor.get(f"{URL}/{experiment.pk}").json()["url"]).content.decode()


@pytest.mark.parametrize(("silence", "asked"), [(11, {"stalled": 1, "running": 1, "complete": 0}), (9, {"stalled": 0, "running": 1, "complete": 0})])
def test_stalled_runs_can_be_asked_for_by_scripts_and_are_running_too(editor, experiment, silence, asked):
    then = timezone.now() - timedelta(minutes=silence)
    Experiment.objects.filter(pk=experiment.pk).update(started_at=then, created_at=then)
    assert {status: editor.get(f"{URL}?status={status}").json()["count"] for status in asked} == asked
    assert editor.get(f"{URL}?status=stalled&status=complete").json()["count"] == asked["stalled"]


def test_a_stalled_run_that_is_heard_again_runs(editor, experiment):
    then = timezone.now() - timedelta(hours=1)
    Experiment.objects.filter(pk=experiment.pk).update(started_at=then, created_at=then)
    assert editor.get(f"{URL}/{experiment.pk}").json()["status"] == "stalled"
    editor.post(f"{URL}/{experiment.pk}/heartbeat", "{}", content_type=JSON)
    assert editor.get(f"{URL}/{experiment.pk}").json()["status"] == "running"


@pytest.mark.parametrize("every_s", [0, -1, "soon", 1e9])
def test_a_heartbeat_that_promises_nonsense_is_refused(editor, experiment, every_s):
    assert editor.post(f"{URL}/{experiment.pk}/heartbeat", json.dumps({"every_s": every_s}), content_type=JSON).status_code == 422


def test_a_start_that_is_sent_again_under_its_key_makes_one_experiment(editor, project):
    first, again, other = (
        editor.post(URL, {"project": "digits", "name": "run"}, content_type=JSON, headers={"Idempotency-Key": key}) for key in ("a" * 32, "a" * 32, "b" * 32)
    )
    assert [answer.status_code for answer in (first, again, other)] == [201] * 3
    assert first.json() == again.json()
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert other.json()["id"] != first.json()["id"]
    assert Experiment.objects.count() == 2


def test_a_key_is_its_callers_own(editor, api_for, alice, project):
    found = {
        client.post(URL, {"project": "digits", "name": "r"}, content_type=JSON, headers={"Idempotency-Key": "k"}).json()["id"]
        for client in (editor, api_for(alice))
    }
    assert len(found) == 2


def test_a_start_without_a_key_makes_an_experiment_each_time(editor, project):
    assert len({start(editor).json()["id"] for _ in range(2)}) == 2


# Names


def test_projects_are_made_by_exact_name_and_found_by_it_again(editor, team):
    names = ["resnet-v1.1", "resnet-v11", "C++", "C#", "c", "org/llm", "orgllm"]
    first = {name: start(editor, project=name, create_project=True).json() for name in names}
    again = {name: start(editor, project=name, create_project=True).json() for name in names}
    slugs = ["resnet-v1-1", "resnet-v11", "c-2", "c-3", "c", "org-llm", "orgllm"]
    assert [first[name]["project"]["slug"] for name in names] == [again[name]["project"]["slug"] for name in names] == slugs
    assert [project.name for project in Project.objects.order_by("created_at")] == names
    said = {name: [one["message"] for one in first[name].get("warnings", ()) if one["field"] == "project"] for name in names}
    assert [name for name in names if said[name]] == ["C++", "C#"]
    assert not any(one["field"] == "project" for name in names for one in again[name].get("warnings", ()))


def test_a_script_that_uses_a_slug_goes_on_finding_its_project(editor, team):
    old = Project.objects.create(team=team, name="resnet-v1.1", slug="resnet-v11")
    for reference in ("resnet-v11", "resnet-v1.1", str(old.pk)):
        assert start(editor, project=reference, create_project=True).json()["project"]["id"] == str(old.pk)
    assert Project.objects.get() == old


def test_a_project_is_found_however_its_name_is_spelled(editor, team):
    for name in ("Größe", "  Größe ", "Gro\u0308ße", "\u00a0Größe"):
        assert start(editor, project=name, create_project=True).status_code == 201
    assert Project.objects.get().name == "Größe"


def test_no_project_is_made_with_an_invisible_character_in_its_name(editor, team):
    answer = start(editor, project="a\u200bb", create_project=True)
    fault = answer.json()["error"]["errors"][0]
    assert (answer.status_code, fault["field"], fault["position"]) == (422, "project", 1)
    assert not Project.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_runs_that_start_together_make_one_project(api_for, erin, team):
    together, found = threading.Barrier(4), []

    def begin() -> None:
        client = api_for(erin)
        together.wait()
        found.append(start(client, project="resnet-v1.1", create_project=True).json())
        connection.close()

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one["project"]["slug"] for one in found} == {"resnet-v1-1"}
    assert Project.objects.get().experiments.count() == 4


def test_a_run_is_its_childrens_parent_by_name_too(editor, project):
    parent = start(editor, name="v1.1").json()
    assert parent["slug"] == "v1-1"
    assert start(editor, name="v11", parent="v1.1").json()["parent"] == parent["id"]
    second = start(editor, name="v1.1").json()
    assert second["warnings"][0]["field"] == "name"
    answer = start(editor, name="child", parent="v1.1")
    assert answer.status_code == 409
    assert parent["id"] in answer.json()["error"]["message"]
    assert second["id"] in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("name", " Gro\u0308ße ", "Größe"),
        ("replicate_group", " a\u00a0", "a"),
        ("tags", [" final", "final"], ["final"]),
        ("params", {" lr": 1, "opt": [{"Gro\u0308ße ": 2}]}, {"lr": 1, "opt": [{"Größe": 2}]}),
        ("features_diff", {"lr ": {"from": 1, "to": 2}}, {"lr": {"from": 1, "to": 2}}),
    ],
)
def test_what_names_things_is_kept_stripped_and_composed(editor, project, field, value, kept):
    made = start(editor, **{field: value}).json()
    assert made[field] == kept
    assert patch(editor, made["id"], **{field: value}).json()[field] == kept


@pytest.mark.parametrize(
    ("field", "value", "position"),
    [
        ("name", "a\u200bb", 1),
        ("replicate_group", "a\ufeffb", 1),
        ("tags", ["ok", "\u202ea"], 0),
        ("params", {"opt": {"l\u00adr": 1}}, 1),
        ("features_diff", {"lr\u2060": 1}, 2),
    ],
)
def test_an_invisible_character_in_what_names_things_is_refused_with_its_position(editor, project, field, value, position):
    made = start(editor).json()
    for answer in (start(editor, **{field: value}), patch(editor, made["id"], **{field: value})):
        fault = answer.json()["error"]["errors"][0]
        assert answer.status_code == 422
        assert (fault["field"].split(".")[0], fault["code"], fault["position"]) == (field, "invisible", position)
        assert f"at position {position}" in fault["message"]


def test_two_params_that_would_become_one_are_refused(editor, project):
    assert "both 'lr'" in faults(start(editor, params={"lr": 1, " lr": 2}))["params"]


def test_params_from_before_names_were_tidied_stay_until_they_are_changed(editor, project):
    old = Experiment.objects.create(project=project, name="old\u200b", params={"l\u200br": 1})
    assert patch(editor, str(old.pk), notes="n", params={"l\u200br": 1}).json()["params"] == {"l\u200br": 1}
    assert patch(editor, str(old.pk), params={"l\u200br": 2}).status_code == 422
