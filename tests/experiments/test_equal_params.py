"""What counts as the same param: one table of values, and everyone who asks whether two of them are equal."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from django.http import QueryDict

from experiments import lifecycle
from experiments.arms import canonical_params, difference, digest
from experiments.compare.comparison import Comparison
from experiments.compare.groups import choices
from experiments.compare.outlook import outlook
from experiments.compare.side_by_side import SideBySide
from experiments.models import Experiment
from experiments.notation.equality import is_same
from experiments.notation.params import by_name, distinct, shown
from experiments.readings.selection import select
from experiments.scatter.axes import choices_of, literal, param_axis
from experiments.table.columns import variation
from experiments.table.filtering import fitting, order_of, ranked
from hypotheses.attribution.effects import Attribution
from projects.models import Project, ProjectMetric
from projects.seeds import Seeds

pytestmark = pytest.mark.differs_on_servers("params are JSON that the database keeps")
BIG = 2**53
NAN = math.nan
SAME: list[tuple[Any, Any]] = [
    (64, 64.0),
    (0, -0.0),
    (BIG, float(BIG)),
    (10**20, 1e20),
    (2**60, 2.0**60),
    (NAN, math.nan),
    ([0.9, 1], [0.9, 1.0]),
    ([[1], {"a": 2}], [[1.0], {"a": 2.0}]),
    ({"a": 1, "b": {"c": [2]}}, {"b": {"c": [2.0]}, "a": 1.0}),
    ({"a": 1, "b": None}, {"a": 1}),
    ({"a": 1, "b": {"c": None}}, {"a": 1}),
    (None, {"a": None}),
    ([None, 1], [None, 1.0]),
    ("Adam", "Adam"),
]
OTHER: list[tuple[Any, Any]] = [
    (True, 1),
    (False, 0),
    ("1", 1),
    ("true", True),
    ("NaN", NAN),
    (BIG + 1, BIG),
    (BIG + 1, float(BIG)),
    (10**20 + 1, 1e20),
    ([True], [1]),
    ([1, 2], [2, 1]),
    ([1], 1),
    ({"a": True}, {"a": 1}),
    ({"a": [1, "2"]}, {"a": [1, 2]}),
    ({}, None),
    ([], {}),
    ([None], []),
    ("", None),
    ("–", None),
    ("none", None),
    (0.1, 0.1 + 1e-15),
    (NAN, None),
]
CASES = [pytest.param(one, other, True, id=f"{one!r} is {other!r}") for one, other in SAME]
CASES += [pytest.param(one, other, False, id=f"{one!r} is not {other!r}") for one, other in OTHER]
cases = pytest.mark.parametrize(("one", "other", "is_equal"), CASES)
# A JSON column of SQLite takes no bare NaN.
stored = pytest.mark.parametrize(("one", "other", "is_equal"), [case for case in CASES if not any(value != value for value in case.values)])
Run = Callable[[Any], Experiment]
KEPT = pytest.mark.usefixtures("store")


@pytest.fixture
def made(project: Project) -> Run:
    """made(value): a run with that param among others, stored as it came."""

    def run(value: Any) -> Experiment:
        return Experiment.objects.create(project=project, name="run", params={"lr": 0.1, "x": value})

    return run


@cases
def test_values_are_written_and_ordered_alike_where_they_are_equal(one: Any, other: Any, is_equal: bool):
    assert (distinct(one) == distinct(other)) is is_equal
    assert is_same(one, other) is is_equal
    assert is_same(other, one) is is_equal
    assert (order_of(one) == order_of(other)) is is_equal or None in (one, other)
    assert (len(set(ranked([one, other]).astype(str))) == 1) is is_equal or one != one


@cases
def test_pure_parts_agree(one: Any, other: Any, is_equal: bool):
    ours, theirs = {"lr": 0.1, "x": one}, {"lr": 0.1, "x": other}
    assert (difference(ours, theirs, Seeds()) == {}) is is_equal
    assert (canonical_params(ours, Seeds()) == canonical_params(theirs, Seeds())) is is_equal
    assert variation([ours, theirs], Seeds()).get("x", False) is not is_equal
    assert bool(choices_of([ours, theirs], [], Seeds()).telling) is not is_equal
    drawn = param_axis("param:x", "x", [ours, theirs]).values
    assert (drawn[0] == drawn[1]) is is_equal or {one, other} in ({BIG, BIG + 1}, {10**20, 10**20 + 1}, {0.1, 0.1 + 1e-15})


@stored
def test_replicates_and_groups_agree(one: Any, other: Any, is_equal: bool, made: Run, project: Project):
    first, second = made(one), made(other)
    assert (first.replicate_key == second.replicate_key) is is_equal
    for group in ("seed", "param:x"):
        assert (len(compared(project, f"group={group}").groups) == 1) is is_equal


@stored
def test_children_of_equal_parents_with_equal_changes_are_replicates(one: Any, other: Any, is_equal: bool, made: Run, project: Project):
    parents = [made(one), made(other)]
    keys = {Experiment.objects.create(project=project, name="c", parent_experiment=each, params=each.params | {"depth": 3}).replicate_key for each in parents}
    assert (len(keys) == 1) is is_equal
    root = parents[0]
    told = {Experiment.objects.create(project=project, name="c", parent_experiment=root, features_diff={"y": value}).replicate_key for value in (one, other)}
    assert (len(told) == 1) is is_equal


@KEPT
@stored
def test_side_by_side_and_the_choices_of_groups_agree(one: Any, other: Any, is_equal: bool, made: Run, project: Project):
    made(one), made(other)
    page = compared(project, "")
    assert all(not row.is_different for row in SideBySide(page).params.rows) is is_equal
    found = choices(page.runs, [by_name(run.experiment.params) for run in page.runs], page.look.grouping)
    assert (found.params == []) is is_equal


@KEPT
@pytest.mark.parametrize(("one", "other", "is_equal"), [case for case in stored.args[1] if literal(case.values[0]) is not None])
def test_filters_agree(one: Any, other: Any, is_equal: bool, made: Run, project: Project):
    first, second = made(one), made(other)
    for operator, expected in (("=", is_equal), ("!=", not is_equal)):
        found = fitting(project, f"params.x {operator} {literal(one)}", Experiment.objects.filter(project=project))
        assert (second.pk in found) is expected
        assert (first.pk in found) is (operator == "=")
    assert (second.pk in fitting(project, f"params.x in ({literal(one)}, 77)", Experiment.objects.filter(project=project))) is is_equal


@KEPT
@stored
def test_attribution_agrees(one: Any, other: Any, is_equal: bool, made: Run, project: Project):
    root = made(one)
    child = Experiment.objects.create(project=project, name="c", parent_experiment=root, features_diff={"x": other, "lr": 0.1})
    found = Attribution(project, ProjectMetric(project=project, name="loss"), None)  # type: ignore[arg-type]  # nothing is asked of the store
    assert (list(found.state(child)) == []) is is_equal


@pytest.mark.parametrize(("one", "other"), [(64, 64.0), ([0.9, 1], [0.9, 1.0]), (1e20, 10**20)])
def test_text_searched_in_equal_params_is_one_text(one: Any, other: Any):
    assert shown(one) == shown(other)


def test_a_filter_by_text_finds_equal_params_alike(made: Run, project: Project, store):
    runs = [made(64), made(64.0)]
    for text in ('params.x ~ "^64$"', "params.x contains 64.0", "params.x contains 64"):
        assert {*fitting(project, text, Experiment.objects.filter(project=project))} == {run.pk for run in runs}


def test_nested_params_and_dotted_ones_are_one_param_to_arms_as_they_are_to_filters(project: Project):
    keys = {Experiment.objects.create(project=project, name="r", params=params).replicate_key for params in ({"o": {"lr": 1}}, {"o.lr": 1.0})}
    assert len(keys) == 1
    assert difference({"o": {"lr": 1}}, {"o.lr": 1}, Seeds()) == {}
    assert difference({"o": {"lr": 1}}, {"o.lr": 2}, Seeds()) == {"o": {"from": {"lr": 1}, "to": None}, "o.lr": {"from": None, "to": 2}}


def test_the_arms_of_whole_numbers_and_plain_text_have_the_key_that_they_always_had(project: Project):
    known = digest(str(project.pk), '{"lr": 0.1, "opt": "adam"}', "{}")
    assert Experiment.objects.create(project=project, name="r", params={"opt": "adam", "lr": 0.1}).replicate_key == known


def test_true_is_news_where_one_was(experiment: Experiment, erin):
    lifecycle.edit(experiment, by=erin, params={"amp": 1})
    lifecycle.edit(experiment, by=erin, params={"amp": True})
    experiment.refresh_from_db()
    assert experiment.params["amp"] is True


# What groups are called


def test_what_tells_groups_apart_is_true_of_every_run_of_the_group(project: Project, store):
    root = lifecycle.create(project, by=None, name="run", params={"lr": 1, "n": 0})
    for n, (feature, lr) in enumerate((("x", 1), ("x", 1.0), ("y", 2), ("y", 2))):
        lifecycle.create(project, by=None, name="run", parent=root, params={"lr": lr, "n": n}, features_diff={feature: "on"})
    assert {group.name: len(group.runs) for group in compared(project, "").arms} == {"lr 1 · run": 1, "lr 1 · run (2)": 2, "lr 2 · run": 2}


def compared(project: Project, query: str) -> Comparison:
    """All runs of the project beside each other."""
    slugs = ",".join(Experiment.objects.filter(project=project).order_by("created_at", "pk").values_list("slug", flat=True))
    asked = QueryDict(f"e={slugs}&{query}")
    return Comparison(project, select(project, asked.getlist("e")), outlook(asked))
