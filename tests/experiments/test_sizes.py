"""How much a run may hold, wherever it is said; what is stored beyond that stays readable, and its other fields stay editable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config.limits.sizes import CLAIM_SHOWN, COMMAND_BYTES, FORM_TEXT_BYTES, LEAVES_MOST, NOTES_BYTES, PARAMS_BYTES, PARAMS_SHOWN, TAGS_MOST, TEXT_SHOWN
from experiments import lifecycle
from experiments.models import Experiment, Tag
from experiments.notation.equality import canonical
from experiments.notation.params import NAMES_LEAST, NAMES_MOST, VALUES_MOST, distinct, weighed
from experiments.readings.beginnings import first_pairs
from experiments.table.columns import MENU_NAMES
from hypotheses.claims import stating
from projects.models import Project, ProjectMetric, SavedView
from tests.experiments.test_admin import form as admin_form

pytestmark = pytest.mark.differs_on_servers("params are text in PostgreSQL, of which the database cuts the beginning")
URL, PAGES, ADMIN = "/api/v1/experiments", "/projects/vision-team/digits/", "/admin/experiments/experiment/"
JSON = "application/json"

TOO_LARGE: list[tuple[str, Any, str]] = [
    ("notes", "é" * (NOTES_BYTES // 2) + "x", "100,001 bytes: 100,000 at most"),
    ("command", "x" * (COMMAND_BYTES + 1), "8,001 bytes: 8,000 at most"),
    ("params", {"a": "x" * (PARAMS_BYTES - 7)}, "1,000,001 bytes: 1,000,000 at most"),
    ("params", {str(n): n for n in range(LEAVES_MOST + 1)}, "5,001 values"),
    ("params", {"a": [{"b": list(range(LEAVES_MOST - 1))}, {}, []]}, "5,001 values"),
    ("features_diff", {str(n): n for n in range(LEAVES_MOST + 1)}, "5,001 values"),
    ("tags", [f"t{n}" for n in range(TAGS_MOST + 1)], "101 tags: 100 at most"),
]
LARGEST: dict[str, Any] = {
    "notes": "é" * (NOTES_BYTES // 2),
    "command": "x" * COMMAND_BYTES,
    "params": {"a": "x" * (PARAMS_BYTES - 8)},
    "features_diff": {str(n): n for n in range(LEAVES_MOST)},
    "tags": [f"t{n}" for n in range(TAGS_MOST)],
}
OLD = {
    "notes": "line\n" * 30_000,
    "command": "x" * 20_000,
    "params": {f"k{n}": n for n in range(LEAVES_MOST + 50)},
}


@pytest.fixture
def api(erin, api_for) -> Client:
    return api_for(erin)


@pytest.fixture
def old(project: Project) -> Experiment:
    """A run from before there were limits."""
    run = Experiment.objects.create(project=project, name="old", **OLD)
    run.tags.set(Tag.objects.bulk_create([Tag(project=project, name=f"t{n}") for n in range(TAGS_MOST + 20)]))
    return run


def refusal(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.content[:300]
    return {fault["field"]: fault["message"] for fault in answer.json()["error"]["errors"]}


def patch(api: Client, run: Experiment, **fields: Any) -> Any:
    return api.patch(f"{URL}/{run.pk}", fields, content_type=JSON)


# Scripts


@pytest.mark.parametrize(("field", "value", "said"), TOO_LARGE)
def test_a_value_beyond_its_limit_is_refused_by_name_when_a_run_starts_and_when_it_changes(api, experiment, field, value, said):
    asked = api.post(URL, {"project": "digits", "name": "new", field: value}, content_type=JSON)
    for answer in (asked, patch(api, experiment, **{field: value})):
        found = refusal(answer)
        assert set(found) == {field}
        assert said in found[field]
    assert Experiment.objects.count() == 1


def test_an_object_of_too_many_values_is_refused_before_each_is_looked_at(api, experiment):
    body = json.dumps({"params": {str(n): float("nan") for n in range(LEAVES_MOST + 1)}})
    assert "5,001 values" in refusal(api.patch(f"{URL}/{experiment.pk}", body, content_type=JSON))["params"]
    started = api.post(URL, body[:-1] + ', "project": "digits", "name": "new"}', content_type=JSON)
    assert "5,001 values" in refusal(started)["params"]


def test_the_largest_of_everything_is_taken(api, project):
    made = api.post(URL, {"project": "digits", "name": "new", **LARGEST}, content_type=JSON)
    assert made.status_code == 201, made.content[:300]
    run = Experiment.objects.get()
    assert {name: getattr(run, name) for name in LARGEST if name != "tags"} | {"tags": sorted(t.name for t in run.tags.all())} == LARGEST | {
        "tags": sorted(LARGEST["tags"])
    }


def test_what_is_stored_beyond_a_limit_is_read_whole_and_its_other_fields_change(api, old):
    assert api.get(f"{URL}/{old.pk}").json()["notes"] == OLD["notes"]
    assert patch(api, old, name="renamed", seed=3).status_code == 200
    old.refresh_from_db()
    assert (old.name, old.seed, old.notes, old.params) == ("renamed", 3, OLD["notes"], OLD["params"])


def test_what_is_stored_beyond_a_limit_may_be_sent_back_as_it_is_and_no_other_value_may(api, old):
    kept = {name: api.get(f"{URL}/{old.pk}").json()[name] for name in (*OLD, "tags")}
    assert patch(api, old, **kept, name="renamed").status_code == 200
    assert old.events.get(kind="edited").detail == "name"
    for name, value in kept.items():
        longer = {**value, "more": 1} if isinstance(value, dict) else [*value, "more"] if isinstance(value, list) else value + "x"
        assert set(refusal(patch(api, old, **{name: longer}))) == {name}
    assert patch(api, old, notes="short", params={"lr": 1}, tags=["a"], command="").status_code == 200


# Pages


def sent(run: Experiment | None = None, **changes: Any) -> dict[str, Any]:
    """The form as a browser sends it, line ends and all."""
    fields: dict[str, Any] = {"name": "new", "parent": "", "params": "", "tags": "", "seed": "", "status": "planned", "notes": "", "replicate_group": ""}
    if run is not None:
        tags = ", ".join(tag.name for tag in run.tags.all())
        fields |= {"name": run.name, "params": json.dumps(run.params, indent=2), "tags": tags, "notes": run.notes.replace("\n", "\r\n")}
    return fields | changes


@pytest.mark.parametrize(("field", "value", "said"), [each for each in TOO_LARGE if each[0] in ("notes", "params", "tags")])
def test_a_form_says_at_its_field_what_is_beyond_the_limit(browser_for, erin, experiment, field, value, said):
    text = value if isinstance(value, str) else ", ".join(value) if isinstance(value, list) else json.dumps(value)
    for address in (f"{PAGES}new-experiment", f"{PAGES}experiments/baseline/edit"):
        answer = browser_for(erin).post(address, sent(**{field: text}))
        assert answer.status_code == 422
        errors = answer.context["form"].errors
        assert set(errors) == {field}
        assert said in errors[field][0]


def test_pages_show_all_of_what_is_stored_beyond_a_limit_and_change_its_other_fields(browser_for, erin, old):
    browser = browser_for(erin)
    page = browser.get(f"{PAGES}experiments/old/").content.decode()
    assert page.count("line<br>") == 30_000
    assert OLD["command"] in page
    assert browser.post(f"{PAGES}experiments/old/edit", sent(old, seed="5")).status_code == 302
    old.refresh_from_db()
    assert (old.seed, old.notes, old.params) == (5, OLD["notes"], OLD["params"])
    assert old.events.get(kind="edited").detail == "seed"
    assert browser.post(f"{PAGES}experiments/old/edit", sent(old, notes=OLD["notes"] + "more")).status_code == 422


def test_what_no_form_could_send_back_is_shown_there_and_stays(browser_for, erin, project):
    notes = "x" * (FORM_TEXT_BYTES + 1)
    Experiment.objects.create(project=project, name="old", notes=notes)
    browser = browser_for(erin)
    page = browser.get(f"{PAGES}experiments/old/edit")
    assert page.context["form"].fields["notes"].disabled
    assert b"it stays as it is" in page.content
    assert browser.post(f"{PAGES}experiments/old/edit", sent(name="renamed")).status_code == 302  # a browser sends nothing of it
    assert Experiment.objects.get().notes == notes


# The admin


@pytest.mark.parametrize(("field", "value", "said"), [each for each in TOO_LARGE if each[0] != "tags"])
def test_the_admin_refuses_a_value_beyond_its_limit(browser_for, operator, experiment, field, value, said):
    browser = browser_for(operator)
    text = value if isinstance(value, str) else json.dumps(value)
    answer = browser.post(f"{ADMIN}{experiment.pk}/change/", admin_form(browser, experiment, **{field: text}))
    assert answer.status_code == 200
    assert said in answer.content.decode()
    experiment.refresh_from_db()
    assert getattr(experiment, field) != value


def test_the_admin_changes_other_fields_of_what_is_stored_beyond_a_limit(browser_for, operator, old):
    browser = browser_for(operator)
    fields = admin_form(browser, old, name="renamed", notes=old.notes.replace("\n", "\r\n"))
    assert browser.post(f"{ADMIN}{old.pk}/change/", fields).status_code == 302
    old.refresh_from_db()
    assert (old.name, old.notes, old.params, old.tags.count()) == ("renamed", OLD["notes"], OLD["params"], TAGS_MOST + 20)


def test_the_admin_only_shows_what_no_form_could_send_back(browser_for, operator, project):
    run = Experiment.objects.create(project=project, name="old", notes="x" * (FORM_TEXT_BYTES + 1))
    browser = browser_for(operator)
    assert "notes" not in browser.get(f"{ADMIN}{run.pk}/change/").context["adminform"].form.fields


def test_a_saved_view_holds_an_address_and_no_more_in_the_admin_either(browser_for, operator, project):
    view = SavedView.objects.create(project=project, name="mine", query="?q=a")
    address = reverse("admin:projects_savedview_change", args=[view.pk])
    answer = browser_for(operator).post(address, {"project": project.pk, "name": "mine", "query": "?" + "q" * 8_000})
    assert answer.status_code == 200
    assert "8000" in answer.content.decode()


# Rows of lists


def test_a_row_of_the_list_has_a_beginning_and_says_where_the_whole_is(api, old, experiment):
    rows = {row["name"]: row for row in api.get(URL, {"project": "digits"}).json()["results"]}
    row = rows["old"]
    assert row["notes"] == OLD["notes"][:TEXT_SHOWN] + "…"
    assert row["command"] == "x" * TEXT_SHOWN + "…"
    assert list(row["params"].items()) == list(OLD["params"].items())[: len(row["params"])]
    assert 100 < len(row["params"]) < LEAVES_MOST
    assert (row["cut"], row["whole"]) == (["notes", "command", "params"], f"{URL}/{old.pk}")
    assert api.get(row["whole"]).json()["params"] == OLD["params"]
    assert (rows["baseline"]["cut"], rows["baseline"]["whole"], rows["baseline"]["params"]) == ([], None, {})


def test_a_list_of_large_runs_is_no_large_answer_and_no_large_question(api, project):
    for n in range(3):
        Experiment.objects.create(project=project, name=f"run {n}", notes="x" * 3_800_000, params={"a": "x" * 900_000, "b": 1})
    with CaptureQueriesContext(connection) as asked:
        answer = api.get(URL, {"project": "digits", "page_size": 500})
    assert len(answer.content) < 20_000
    columns = [query["sql"] for query in asked if '"experiments_experiment"."name"' in query["sql"]]
    assert columns
    assert all('"experiments_experiment"."notes",' not in sql and '"experiments_experiment"."params",' not in sql for sql in columns)


def test_a_row_of_the_list_of_hypotheses_has_the_beginning_of_its_texts(api, erin, project):
    ProjectMetric.objects.create(project=project, name="loss", direction="minimize")
    long, short = "x" * (CLAIM_SHOWN + 1), "y" * CLAIM_SHOWN
    made = stating.propose(project, by=erin, title="t", claim=long, rationale=short, targets=[stating.TargetTerm("loss")])
    (row,) = api.get("/api/v1/hypotheses", {"project": "digits"}).json()["results"]
    assert (row["claim"], row["rationale"], row["description"]) == ("x" * CLAIM_SHOWN + "…", short, "")
    assert (row["cut"], row["whole"]) == (["claim"], f"/api/v1/hypotheses/{made.pk}")
    assert api.get(row["whole"]).json()["claim"] == long


@pytest.mark.parametrize("asked", ["id,name,params", "id,name"])
def test_columns_that_are_asked_for_bring_the_word_of_what_is_cut(api, old, asked):
    (row,) = api.get(URL, {"project": "digits", "fields": asked}).json()["results"]
    assert set(row) == set(asked.split(",")) | ({"cut", "whole"} if "params" in asked else set())
    assert row.get("cut") == (["params"] if "params" in asked else None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1, "b": 2}', {"a": 1}),  # as in a beginning: what follows the last one is not known
        ('{"a": 12, "b": 34', {"a": 12}),
        ('{"a": {"b": [1, 2]}, "c": "tr', {"a": {"b": [1, 2]}}),
        ('{"a": "x, \\"y\\": 1", "b": tru', {"a": 'x, "y": 1'}),
        ('{"long": "xxxx', {}),
        ('{"a": NaN, "b', {"a": pytest.approx(float("nan"), nan_ok=True)}),
        ("{", {}),
        ("", {}),
    ],
)
def test_the_beginning_of_an_object_is_its_first_names_with_whole_values(text, found):
    assert dict(first_pairs(text)) == found


def test_a_row_shows_all_of_what_just_fits(api, project):
    text = json.dumps({"a": "x" * (PARAMS_SHOWN - 9)})
    assert len(text) == PARAMS_SHOWN
    Experiment.objects.create(project=project, name="fits", params=json.loads(text), notes="x" * TEXT_SHOWN)
    (row,) = api.get(URL, {"project": "digits"}).json()["results"]
    assert (row["cut"], row["params"], row["notes"]) == ([], json.loads(text), "x" * TEXT_SHOWN)


def test_a_table_keeps_of_each_run_what_its_cells_show(browser_for, bob, project):
    parent = Experiment.objects.create(project=project, name="parent", params={"lr": 0.5, "trainer": {"seed": 7}})
    params = {"lr": 0.25, "long": "y" * 5_000, "trainer": {"seed": 8}} | {f"k{n}": n for n in range(400)}
    Experiment.objects.create(project=project, name="child", parent_experiment=parent, params=params)
    answer = browser_for(bob).get(f"{PAGES}?columns=param:lr&columns=param:long&columns=seed&columns=changed")
    child = next(row for row in answer.context["table"].rows if row.experiment.name == "child")
    assert [cell.value for cell in child.cells][:3] == [0.25, "y" * 5_000, 8]
    assert set(child.experiment.params) == {"lr", "long"}
    page = answer.content.decode()
    assert "y" * 2_001 not in page
    assert '<span class="muted">+399</span>' in page  # 402 changes, of which three are shown


def test_a_table_cuts_what_stands_in_a_title_and_in_a_change(browser_for, bob, project):
    parent = Experiment.objects.create(project=project, name="parent", params={"a": "x" * 5_000})
    Experiment.objects.create(project=project, name="child", parent_experiment=parent, params={"a": "z" * 5_000})
    page = browser_for(bob).get(f"{PAGES}?columns=param:a&columns=changed").content.decode()
    assert "z" * 2_000 in page
    assert "z" * 2_001 not in page


def test_a_comparison_weighs_as_many_params_as_take_no_time(browser_for, bob, project):
    for name in ("one", "two"):
        params = {f"k{n}": f"{name} {n}" for n in range(NAMES_MOST + 500)}
        Experiment.objects.create(project=project, name=name, params=params, features_diff=params)
    page = browser_for(bob).get(f"{PAGES}compare", {"e": "one,two", "group": "param:k1"})
    params, changes = page.context["side"].params, page.context["side"].changes
    assert (len(params.rows), params.total, params.unweighed) == (NAMES_MOST, NAMES_MOST + 500, 500)
    assert (len(changes.rows), changes.unweighed) == (NAMES_MOST + 1, 500)
    assert "500 more are not compared here" in page.content.decode()
    assert page.context["explored"].choices.beyond == NAMES_MOST + 500 - MENU_NAMES


@pytest.mark.parametrize(("runs", "most"), [(2, NAMES_MOST), (100, VALUES_MOST // 100), (10_000, NAMES_LEAST)])
def test_the_more_runs_are_compared_the_fewer_of_their_params_are_weighed(runs, most):
    assert weighed((str(n) for n in range(NAMES_MOST * 2)), runs) == [str(n) for n in range(most)]


@pytest.mark.parametrize("value", [0, 1, -7, 10**16, -(10**16), 10**16 - 1, 10**400, 0.5, -0.1, 1e-300, 2.0, -0.0, 1e16, float("inf"), float("nan"), True])
def test_a_number_is_written_as_the_canonical_form_writes_it(value):
    assert distinct(value) == canonical(value)


def test_every_text_and_object_of_the_record_has_a_limit_or_is_the_products_own():
    """Whoever adds a field without a length says here what bounds it."""
    bounded = {
        "experiments.Experiment.notes", "experiments.Experiment.command", "experiments.Experiment.params", "experiments.Experiment.features_diff",
        "experiments.Experiment.missing",  # kinds of `writer.KINDS_MOST`, each with a short message
        "hypotheses.Hypothesis.claim", "hypotheses.Hypothesis.rationale", "hypotheses.Hypothesis.description",  # `claims.terms.LENGTHS`
        "projects.Project.seed_params", "projects.SavedView.query",
    }  # fmt: skip
    own = {"hypotheses.Hypothesis.frozen", "hypotheses.Hypothesis.kept_seeds", "hypotheses.HypothesisEvent.detail", "metrics.Delivery.body"}
    assert unbounded_fields() == bounded | own


def unbounded_fields() -> set[str]:
    """Texts and objects of the product's models that no column bounds."""
    from django.apps import apps

    house = ("projects", "experiments", "hypotheses", "metrics")
    fields = [field for app in house for model in apps.get_app_config(app).get_models() for field in model._meta.get_fields() if not field.is_relation]
    return {str(field) for field in fields if field.get_internal_type() in ("TextField", "JSONField")}


def test_a_run_that_a_process_makes_by_the_verb_has_the_same_limits(project):
    with pytest.raises(Exception, match="100,000 at most"):
        lifecycle.create(project, by=None, name="new", notes="x" * (NOTES_BYTES + 1))
