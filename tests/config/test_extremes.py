"""Questions at the ends of what can be asked: each is answered, or refused by name, and none is a failure of the server."""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from alerts.models import Alert
from config.limits.sizes import COMPARED_MOST, NAMED_MOST, NESTED_MOST, ORDERED_MOST, REPEATED_MOST, SEARCH_MOST, SPELLED_MOST, TAGS_MOST
from config.web import ignored, words
from config.web.words import nearest
from experiments.models import Experiment, Tag
from experiments.readings.selection import select
from metrics.store import freshness
from projects.models import Project, ProjectMetric

pytestmark = pytest.mark.differs_on_servers("each database has its own limits of joins, depth, patterns and dates")
API, PAGES = "/api/v1", "/projects/vision-team/digits/"
JSON = "application/json"
BEFORE_TIME, AFTER_TIME = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"
ENDS = [BEFORE_TIME, AFTER_TIME]


@pytest.fixture
def api(alice, api_for) -> Client:
    return api_for(alice)


@pytest.fixture
def run(project: Project) -> Experiment:
    ProjectMetric.objects.create(project=project, name="loss", direction="minimize")
    return Experiment.objects.create(project=project, name="baseline", params={"lr": 0.1})


def refused(answer: Any, status: int = 422) -> str:
    assert answer.status_code == status, answer.content[:500]
    return str(answer.json()["error"]["message"])


# Dates at the ends of time


@pytest.mark.parametrize("moment", ENDS)
def test_a_moment_that_utc_has_no_date_for_is_refused_in_lists(api, run, moment):
    for word in ("created_after", "created_before"):
        assert "year 1 to 9999" in refused(api.get(f"{API}/experiments", {word: moment}))


@pytest.mark.parametrize(("word", "moment", "count"), [("created_after", "0001-01-01T00:00:00Z", 1), ("created_before", "9999-12-31T23:59:59Z", 1)])
def test_the_first_and_the_last_moment_are_moments(api, run, word, moment, count):
    assert api.get(f"{API}/experiments", {word: moment}).json()["count"] == count


@pytest.mark.parametrize("moment", ENDS)
def test_a_cursor_somebody_made_up_at_the_ends_of_time_is_none(api, run, moment):
    cursor = base64.urlsafe_b64encode(f"created_at {moment} {uuid.uuid4()}".encode()).decode().rstrip("=")
    assert "This cursor is none" in refused(api.get(f"{API}/experiments", {"cursor": cursor}))


@pytest.mark.parametrize("moment", ENDS)
def test_a_filter_of_a_moment_at_the_ends_of_time_points_at_it(api, browser_for, bob, run, moment):
    answer = api.get(f"{API}/experiments", {"project": "digits", "where": f"created > {moment}"})
    assert "is no date" in refused(answer)
    assert answer.json()["error"]["errors"][0]["position"] == 10
    page = browser_for(bob).get(PAGES, {"q": f"created > {moment}"})
    assert page.status_code == 200
    assert page.context["table"].trouble


@pytest.mark.parametrize("moment", ENDS)
def test_bodies_with_a_moment_at_the_ends_of_time_are_refused(api, run, store, moment):
    alert = Alert.objects.create(kind="stalled", severity="low", team=run.project.team, project=run.project, experiment=run, subject="s", message="m")
    refused(api.post(f"{API}/alerts/{alert.pk}/silence", {"until": moment}, content_type=JSON))
    refused(api.post(f"{API}/tokens", {"name": "t", "expires_at": moment}, content_type=JSON))
    point = {"metric_name": "loss", "metric_value": 1, "timestamp": moment}
    refused(api.post(f"{API}/metrics/log/digits/baseline", point, content_type=JSON))


def test_a_silence_until_the_last_day_there_is_shows_on_its_page(api, browser_for, alice, run):
    alert = Alert.objects.create(kind="stalled", severity="low", team=run.project.team, project=run.project, experiment=run, subject="s", message="m")
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert api.post(f"{API}/alerts/{alert.pk}/silence", {"until": last.isoformat()}, content_type=JSON).status_code == 200
    assert browser_for(alice).get("/alerts/").status_code == 200


@pytest.mark.parametrize("moment", ENDS)
def test_an_address_of_the_admin_with_such_a_moment_is_answered_or_refused(browser_for, operator, run, moment):
    answer = browser_for(operator).get("/admin/experiments/experiment/", {"created_at__gte": moment})
    assert answer.status_code in (200, 400)  # PostgreSQL knows years before the first


# Words that come often, and texts that are long


def test_a_tag_may_be_asked_for_as_often_as_a_run_may_have_some(api, run):
    names = [f"t{n}" for n in range(TAGS_MOST)]
    run.tags.set(Tag.objects.bulk_create([Tag(project=run.project, name=name) for name in names]))
    asked = "&".join(f"tag={name}" for name in names)
    assert api.get(f"{API}/experiments?{asked}").json()["count"] == 1
    assert api.get(f"{API}/experiments?{asked[:-3]}none").json()["count"] == 0
    assert "101 tags, and a run has 100" in refused(api.get(f"{API}/experiments?{asked}&tag=more"))


def test_a_status_may_come_again_and_again_and_not_without_end(api, run):
    many = "&".join(["status=running"] * REPEATED_MOST)
    assert api.get(f"{API}/experiments?{many}").json()["count"] == 1
    assert f"{REPEATED_MOST} at most" in refused(api.get(f"{API}/experiments?{many}&status=failed"))


@pytest.mark.parametrize("kind", ["experiments", "projects", "hypotheses"])
def test_a_text_to_search_for_is_not_longer_than_a_database_looks_for(api, run, kind):
    assert api.get(f"{API}/{kind}", {"search": "x" * SEARCH_MOST}).json()["count"] == 0
    assert f"at most {SEARCH_MOST} characters" in refused(api.get(f"{API}/{kind}", {"search": "x" * (SEARCH_MOST + 1)}))


@pytest.mark.parametrize("address", [PAGES, f"{PAGES}metrics/", f"{PAGES}explore", f"{PAGES}hypotheses/", "/search", "/admin/experiments/experiment/"])
@pytest.mark.parametrize("text", ["x" * 60_000, "a b " * 15_000])
def test_pages_take_a_text_of_any_length_to_search_for(browser_for, operator, run, address, text):
    assert browser_for(operator).get(address, {"q": text}).status_code == 200


def test_a_table_says_that_a_text_is_too_long(browser_for, bob, run):
    page = browser_for(bob).get(PAGES, {"q": "x" * 2_001})
    assert "A filter has at most 2,000 characters" in page.content.decode()


def test_an_order_has_as_many_keys_as_anybody_reads(api, run):
    for key in ("metrics.loss{}", "name{}"):
        keys = ",".join(key.format(n) for n in range(ORDERED_MOST + 1))
        assert f"{ORDERED_MOST} at most" in refused(api.get(f"{API}/experiments", {"project": "digits", "ordering": keys}))
    assert f"{ORDERED_MOST} at most" in refused(api.get(f"{API}/projects", {"ordering": ",".join(f"k{n}" for n in range(ORDERED_MOST + 1))}))


def test_more_metrics_or_experiments_than_one_question_names_are_refused(api, browser_for, bob, run):
    many = ",".join(f"m{n}" for n in range(NAMED_MOST + 1))
    assert "1,000 at most" in refused(api.get(f"{API}/metrics/summary/digits", {"metrics": many}))
    page = browser_for(bob).get(f"{PAGES}compare", {"e": many})
    assert page.status_code == 422
    assert "1,000 at most" in page.content.decode()


def test_a_claims_form_says_that_too_many_runs_are_named(browser_for, erin, run):
    many = ",".join(f"m{n}" for n in range(NAMED_MOST + 1))
    fields = {"title": "t", "require": "all", "baseline": "root", "metric_0": "loss", "effect_0": "0", "unit_0": "metric", "experiments": many}
    page = browser_for(erin).post(f"{PAGES}hypotheses/new", fields)
    assert page.status_code == 422
    assert "1,000 at most" in page.context["form"].errors["experiments"][0]


def test_ten_thousand_unknown_words_are_refused_by_the_first_twenty(api, run, monkeypatch):
    asked = counting_nearest(monkeypatch, "config.web.query")
    answer = api.get(f"{API}/experiments?" + "&".join(f"w{n}=1" for n in range(5_000)))
    refused(answer)
    assert len(answer.json()["error"]["errors"]) == len(asked) == 20


def counting_nearest(monkeypatch, module: str) -> list[str]:
    """What the nearest is looked for of, from now on."""
    asked: list[str] = []

    def nearest_of(name: str, names: Any) -> str:
        asked.append(name)
        return words.nearest(name, names)

    monkeypatch.setattr(f"{module}.nearest", nearest_of)
    return asked


def test_a_page_looks_for_the_nearest_of_the_words_that_it_names(monkeypatch):
    asked = counting_nearest(monkeypatch, "config.web.ignored")
    odd = ignored.odd("group", [f"v{n}" for n in range(1_000)], ["seed"])
    said = ignored.ignored([f"w{n}" for n in range(1_000)], ["page"], odd)
    assert said.endswith(", and 1995 more.")
    assert len(asked) == 10


@pytest.mark.parametrize(("many", "found"), [(COMPARED_MOST - 1, "loss"), (COMPARED_MOST, "")])
def test_the_nearest_is_looked_for_among_as_many_names_as_take_no_time(many, found):
    assert nearest("los", [*(f"{n:x<20}" for n in range(many)), "loss"]) == found


def test_the_nearest_is_not_looked_for_among_names_without_end():
    assert nearest("x" * SPELLED_MOST, ["x" * (SPELLED_MOST + 1)]) == ""
    assert nearest("x" * (SPELLED_MOST + 1), ["x" * SPELLED_MOST]) == "x" * SPELLED_MOST


def test_a_name_of_a_thousand_parts_is_refused_and_groups_nothing(api, browser_for, bob, run):
    name = ".".join("a" * 500)
    assert "at most 100 parts" in refused(api.get(f"{API}/experiments", {"project": "digits", "where": f"params.{name} = 1"}))
    Experiment.objects.create(project=run.project, name="other")
    page = browser_for(bob).get(f"{PAGES}compare", {"e": "baseline,other", "group": f"param:{name}"})
    assert page.status_code == 200
    assert not page.context["comparison"].groups


@pytest.mark.parametrize("limit", ["9" * 5_000, "²", "-1"])
def test_a_count_of_any_length_is_refused(api, run, limit):
    answer = api.post(f"{API}/hypotheses", {"project": "digits", "title": "t", "targets": [{"metric": "loss"}]}, content_type=JSON)
    refused(api.get(f"{API}/hypotheses/{answer.json()['id']}/evidence", {"limit": limit}))


def test_a_filter_of_more_than_memory_should_hold_is_refused_and_narrower_ones_are_not(api, browser_for, bob, run, monkeypatch):
    monkeypatch.setattr("experiments.table.filtering.READ_MOST", 1_000)
    for n in range(3):
        Experiment.objects.create(project=run.project, name=f"large {n}", params={"lr": 0.1, "text": "x" * 500}, status="failed")
    asked = {"project": "digits", "where": "params.lr = 0.1"}
    assert "narrow them" in refused(api.get(f"{API}/experiments", asked))
    assert "narrow them" in browser_for(bob).get(PAGES, {"q": "params.lr = 0.1"}).content.decode()
    assert api.get(f"{API}/experiments", asked | {"status": "running"}).json()["count"] == 1


# Bodies


@pytest.mark.parametrize("field", ["status", "name", "seed", "tags", "params", "hypotheses", "create_project", "notes"])
@pytest.mark.parametrize("depth", [NESTED_MOST, NESTED_MOST + 1, 900, 100_000])
def test_a_value_of_any_depth_is_refused(api, run, field, depth):
    body = f'{{"project": "digits", "name": "new", "{field}": {"[" * depth}{"]" * depth}}}'
    answer = api.post(f"{API}/experiments", body, content_type=JSON)
    refused(answer, 422 if depth < NESTED_MOST else 400)


@pytest.mark.parametrize("number", ["9" * 4_000, "-" + "9" * 4_000, "NaN", "Infinity", "1e999"])
def test_numbers_that_no_float_holds_are_refused_where_a_number_is_asked_for(api, run, number):
    assert "errors" in api.post(f"{API}/experiments/{run.pk}/heartbeat", f'{{"every_s": {number}}}', content_type=JSON).json()["error"]
    claim = f'{{"project": "digits", "title": "t", "targets": [{{"metric": "loss", "smallest_effect": {number}}}]}}'
    refused(api.post(f"{API}/hypotheses", claim, content_type=JSON))


def test_a_number_of_a_million_digits_is_no_json_for_us(api, run):
    refused(api.patch(f"{API}/experiments/{run.pk}", f'{{"seed": {"9" * 1_000_000}}}', content_type=JSON), 400)


@pytest.mark.parametrize(
    ("address", "field", "item"),
    [("experiments", "tags", {}), ("experiments", "hypotheses", {}), ("hypotheses", "targets", {})],
)
def test_a_list_is_counted_before_its_items_are_looked_at(api, run, address, field, item):
    body = (
        {"project": "digits", "name": "new", field: [item] * 2_000} if address == "experiments" else {"project": "digits", "title": "t", field: [item] * 2_000}
    )
    answer = api.post(f"{API}/{address}", json.dumps(body), content_type=JSON)
    refused(answer)
    assert len(answer.json()["error"]["errors"]) == 1
    assert field in answer.json()["error"]["errors"][0]["field"]


def test_a_body_of_a_hundred_thousand_names_is_refused_by_the_first_twenty(api, run):
    answer = api.patch(f"{API}/experiments/{run.pk}", json.dumps({f"k{n}": 1 for n in range(100_000)}), content_type=JSON)
    refused(answer)
    assert len(answer.json()["error"]["errors"]) == 20


def test_params_of_a_hundred_thousand_names_are_refused(api, run):
    answer = api.patch(f"{API}/experiments/{run.pk}", json.dumps({"params": {f"k{n}": 1 for n in range(60_000)}}), content_type=JSON)
    assert "60,000 values" in answer.json()["error"]["errors"][0]["message"]


# What others do is nobody's to hear


def test_the_news_of_charts_does_not_tell_that_another_teams_run_got_a_point(api, store, carol, run):
    theirs = Experiment.objects.create(project=Project.objects.create(team=carol.teams.get(), name="secret"), name="theirs")
    asked = f"{API}/metrics/live/digits?experiments={run.pk},{theirs.pk}"
    before = api.get(asked).json()
    freshness.touch([theirs.pk])
    assert api.get(asked).json() == before
    freshness.touch([run.pk])
    assert api.get(asked).json()["seen"] != before["seen"]


def test_the_news_of_charts_keeps_nothing_of_runs_that_are_not_there(api, store, run, django_assert_max_num_queries):
    strangers = [uuid.uuid4() for _ in range(20)]
    api.get(f"{API}/metrics/live/digits", {"experiments": ",".join(map(str, strangers))})
    assert not freshness.cache.get_many([freshness.key(one) for one in strangers])


def test_experiments_are_found_by_name_whatever_their_number(project):
    Experiment.objects.bulk_create(Experiment(project=project, name=f"run {n}", slug=f"r{n}") for n in range(NAMED_MOST))
    found = select(project, [",".join(f"run {n}" for n in range(NAMED_MOST))])
    assert (len(found.experiments), found.beyond, found.unknown) == (100, NAMED_MOST - 100, [])


def test_an_address_that_no_word_can_be_read_from_is_refused(api, run):
    assert api.get(f"{API}/experiments?project={quote('digits' * 10_000)}").status_code == 404
