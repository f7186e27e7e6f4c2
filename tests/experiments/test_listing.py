"""GET /experiments for scripts: in the order of metrics, with the columns and numbers that are asked for, page by page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from experiments.models import Experiment
from projects.models import Project, ProjectMetric

URL = "/api/v1/experiments"
pytestmark = pytest.mark.differs_on_servers("rows are ordered and paged by the record, and their numbers come from the metric store")


@pytest.fixture
def api(bob, api_for):
    return api_for(bob)


@pytest.fixture
def runs(project, log) -> list[Experiment]:
    """Four runs: accuracy rises to 0.9, 0.7, 0.9 and, in the last, was never logged."""
    made = [Experiment.objects.create(project=project, name=name, seed=seed) for name, seed in (("a", 1), ("b", 2), ("c", 3), ("d", 4))]
    for run, best, loss in zip(made, (0.9, 0.7, 0.9), (0.3, 0.2, 0.1), strict=False):
        log(run, {"accuracy": [0.1, best, 0.5], "loss": [1.0, loss, 0.6], "loss,val": [loss] * 3, "a.max": [1, 2, 3]})
    return made


def rows(api, **asked: Any) -> list[dict[str, Any]]:
    answer = api.get(URL, {"project": "digits", **asked})
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def names(api, **asked: Any) -> list[str]:
    return [row["name"] for row in rows(api, **asked)]


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [("metrics.accuracy.max", "bcad"), ("-metrics.accuracy.max", "cabd"), ("-metrics.accuracy.max,metrics.loss.min", "cabd"),
     ("-metrics.accuracy.max,-metrics.loss.min", "acbd"), ("metrics.loss.min", "cbad"), ("-metrics.accuracy.max,name", "acbd"),
     ("metrics.`loss,val`,name", "cbad"),
     ('metrics."loss,val".max', "cbad"), ("-name", "dcba"), ("metrics.a.max,name", "abcd"), ("status,-name", "dcba")],
)  # fmt: skip
def test_several_keys_order_the_list_and_what_has_no_number_comes_last(api, runs, ordering, expected):
    assert "".join(names(api, ordering=ordering)) == expected


def test_pages_of_an_order_by_a_metric_follow_each_other(api, runs):
    pages = [names(api, ordering="-metrics.accuracy.max,metrics.loss.min", page_size=1, page=page) for page in (1, 2, 3, 4)]
    assert pages == [["c"], ["a"], ["b"], ["d"]]


def test_an_order_by_a_metric_takes_a_filter_too(api, runs):
    assert names(api, ordering="-metrics.loss.min", where="metrics.accuracy.max > 0.8") == ["a", "c"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"ordering": "metrics.accuraci.max"}, "ordering"), ({"ordering": "metrics.accuracy.median"}, "ordering"),
     ({"ordering": "metrics.accuracy.max,nam"}, "ordering"),
     ({"ordering": "metrics.accuracy.max", "project": ""}, "project"), ({"fields": "name,statu"}, "fields")],
)  # fmt: skip
def test_what_cannot_be_asked_is_422_with_its_word(api, runs, asked, field):
    answer = api.get(URL, {"project": "digits", **asked})
    assert answer.status_code == 422
    assert answer.json()["error"]["errors"][0]["field"] == field


def test_a_misspelt_metric_in_an_order_is_told_with_the_nearest(api, runs):
    fault = api.get(URL, {"project": "digits", "ordering": "-metrics.accuraci"}).json()["error"]["errors"][0]
    assert (fault["code"], fault["suggestion"]) == ("unknown_key", "-metrics.accuracy")


@pytest.mark.parametrize("asked", [{"ordering": "metrics.accuracy.max"}, {"metrics": "accuracy"}, {"where": "metrics.loss < 1"}])
def test_what_is_about_metrics_needs_a_project(api, runs, asked):
    answer = api.get(URL, asked)
    assert answer.status_code == 422
    assert answer.json()["error"]["errors"][0] | {"field": "project", "code": "missing"} == answer.json()["error"]["errors"][0]


def test_columns_are_chosen(api, runs):
    assert rows(api, fields="slug,name", ordering="name")[0] == {"slug": "a", "name": "a"}
    assert set(rows(api, fields="id")[0]) == {"id"}
    assert "params" in rows(api)[0]
    assert "metrics" not in rows(api)[0]


def test_numbers_of_metrics_stand_beside_the_rows(api, runs, log):
    log(runs[0], {"gone": ["NaN", "Infinity"]})
    log(runs[1], {"gone": ["NaN", "NaN"]})
    ProjectMetric.objects.filter(name="accuracy").update(aggregation="max")
    found = rows(api, metrics="accuracy,loss.min,`loss,val`.avg,`a.max`,gone,gone.max", fields="name", ordering="name")
    assert found[0] == {
        "name": "a",
        "metrics": {"accuracy": 0.9, "loss.min": 0.3, "`loss,val`.avg": pytest.approx(0.3), "`a.max`": 3.0, "gone": "Infinity", "gone.max": None},
    }
    assert found[1]["metrics"] | {"gone": "NaN", "gone.max": None} == found[1]["metrics"]
    assert found[3]["metrics"] == dict.fromkeys(found[0]["metrics"])


def test_numbers_of_a_metric_that_the_project_does_not_have_are_404_with_the_nearest(api, runs):
    answer = api.get(URL, {"project": "digits", "metrics": "accuracy,los"})
    assert answer.status_code == 404
    assert answer.json()["error"]["errors"][0]["suggestion"] == "loss"


def walked(api, **asked: Any) -> list[str]:
    """The names of all rows, read by cursor."""
    seen, cursor = [], "start"
    while cursor:
        answer = api.get(URL, {"cursor": cursor, "page_size": 2, **asked})
        assert answer.status_code == 200, answer.content
        page = answer.json()
        seen += [row["name"] for row in page["results"]]
        assert (page["next"] is None) == (page["next_cursor"] is None)
        cursor = page["next_cursor"]
    return seen


def spread(project: Project, count: int) -> list[Experiment]:
    """Runs of which two at a time were made at the same moment."""
    made = [Experiment.objects.create(project=project, name=f"r{n}", params={"n": n}) for n in range(count)]
    for n, run in enumerate(made):
        Experiment.objects.filter(pk=run.pk).update(created_at=run.created_at.replace(microsecond=5) - timedelta(days=9) + timedelta(hours=n // 2))
    return made


@pytest.mark.parametrize(
    "asked", [{}, {"ordering": "-created_at"}, {"ordering": "created_at"}, {"project": "digits", "where": "params.n >= 0"}, {"fields": "name"}]
)
def test_a_cursor_reads_every_row_once(api, project, asked):
    spread(project, 7)
    seen = walked(api, **asked)
    assert sorted(seen) == [f"r{n}" for n in range(7)]
    assert (seen[0] < seen[-1]) == (asked.get("ordering") == "created_at")


def test_nothing_appears_twice_to_a_cursor_while_rows_come_change_and_go(api, project):
    made = spread(project, 6)
    first = api.get(URL, {"cursor": "start", "page_size": 2}).json()
    Experiment.objects.create(project=project, name="new")
    made[4].save()
    Experiment.objects.filter(name=first["results"][-1]["name"]).delete()
    rest = []
    while first["next"]:
        rest += [row["name"] for row in first["results"]]
        first = api.get(first["next"]).json()
    rest += [row["name"] for row in first["results"]]
    assert len(rest) == len(set(rest)) == 6
    assert "new" not in rest


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"cursor": "nonsense"}, "cursor"), ({"cursor": "bm9uc2Vuc2U"}, "cursor"), ({"cursor": "start", "ordering": "name"}, "ordering"), 
     ({"cursor": "start", "page": 2}, "page"),
     ({"cursor": "start", "page_size": 501}, "page_size"), ({"cursor": "start", "ordering": "metrics.loss", "project": "digits"}, "ordering")],
)  # fmt: skip
def test_a_cursor_that_cannot_be_read_is_refused(api, project, asked, field):
    answer = api.get(URL, asked)
    assert answer.status_code == 422
    assert answer.json()["error"]["errors"][0]["field"] == field


def test_a_cursor_keeps_its_order(api, project):
    spread(project, 3)
    cursor = api.get(URL, {"cursor": "start", "page_size": 1, "ordering": "created_at"}).json()["next_cursor"]
    assert api.get(URL, {"cursor": cursor}).json()["results"][0]["name"] != "r2"
    assert api.get(URL, {"cursor": cursor, "ordering": "-created_at"}).status_code == 422


def test_a_list_with_numbers_asks_the_record_as_often_for_many_rows_as_for_one(api, runs):
    with CaptureQueriesContext(connection) as one:
        rows(api, metrics="accuracy,loss", ordering="metrics.loss", page_size=1)
    with CaptureQueriesContext(connection) as many:
        rows(api, metrics="accuracy,loss", ordering="metrics.loss", page_size=4)
    assert len(many) <= len(one)


NFD, NFC = "e\u0301", "\u00e9"


def test_metrics_and_groups_are_found_however_their_letters_are_composed_and_padded(api, project, log):
    run = Experiment.objects.create(project=project, name="a", replicate_group=f"caf{NFC}")
    log(run, {NFC: [1, 2], f"{NFC}.max": [3, 3]})
    for word in (NFD, f"`{NFD}`", f"` {NFD} `", f"{NFD}.max", f"`{NFD}`.max", f"`{NFD}.max`"):
        assert names(api, ordering=f"-metrics.{word}") == ["a"]
        assert list(rows(api, metrics=word)[0]["metrics"]) == [word]
    assert rows(api, metrics=f"` {NFD} `.max")[0]["metrics"] == {f"` {NFD} `.max": 2}
    assert rows(api, metrics=f"`{NFD}.max`")[0]["metrics"] == {f"`{NFD}.max`": 3}
    assert names(api, replicate_key=f" caf{NFD} ") == ["a"]
    assert api.get("/api/v1/hypotheses", {"metric": f" {NFD} "}).status_code == 200


def test_a_word_that_is_no_choice_is_refused_with_the_nearest_and_all_there_are(api, project):
    answer = api.get(URL, {"status": "runing"})
    (fault,) = answer.json()["error"]["errors"]
    assert (answer.status_code, fault["field"]) == (422, "status")
    assert fault["message"].startswith("There is no 'runing'. Did you mean 'running'? There are planned, running, ")
    assert answer.json()["error"]["message"] == f"Not valid: status: {fault['message']}"
    for path, word, near in (("hypotheses", "suported", "supported"), ("alerts", "opn", "open")):
        answer = api.get(f"/api/v1/{path}", {"status": word})
        assert answer.status_code == 422
        assert f"Did you mean '{near}'?" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("path", "word"), [("experiments", "parent"), ("experiments", "root"), ("hypotheses", "experiment"), ("alerts", "experiment")])
def test_lists_are_narrowed_by_an_experiments_uuid_slug_or_name_and_one_that_is_not_there_is_404(api, project, team, path, word):
    above = Experiment.objects.create(project=project, name="The Root")
    Experiment.objects.create(project=Project.objects.create(team=team, name="other"), name="The Root")
    Experiment.objects.create(project=project, name="below", parent_experiment=above)
    found = []
    for reference in (str(above.pk), above.slug, "The Root"):
        answer = api.get(f"/api/v1/{path}", {word: reference, "project": "digits"})
        assert answer.status_code == 200, answer.content
        found.append([row.get("name") for row in answer.json()["results"]])
    assert found[0] == found[1] == found[2]
    assert ("below" in found[0]) is (path == "experiments")
    assert api.get(f"/api/v1/{path}", {word: "The Root"}).status_code == 409
    missing = api.get(f"/api/v1/{path}", {word: "zz"})
    assert (missing.status_code, "There is no experiment 'zz'" in missing.json()["error"]["message"]) == (404, True)


@pytest.mark.parametrize("ordering", ["name,-name", "name,name", "metrics.loss,-metrics.loss", "-created_at,name,created_at"])
def test_an_order_that_names_a_key_twice_is_refused(api, runs, ordering):
    answer = api.get(URL, {"project": "digits", "ordering": ordering})
    assert (answer.status_code, answer.json()["error"]["errors"][0]["code"]) == (422, "repeated")


@pytest.mark.parametrize("page", ["999", "0", "abc"])
def test_a_page_that_is_not_there_is_told_with_its_number(api, runs, page):
    answer = api.get(URL, {"page": page})
    assert answer.status_code == 404
    assert answer.json()["error"]["message"].startswith(f"There is no page '{page}': pages count from 1")
