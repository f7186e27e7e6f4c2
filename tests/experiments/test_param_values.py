"""Values of params: what differs is written differently, what is equal alike."""

from __future__ import annotations

from itertools import combinations

import pytest

from experiments.arms import canonical_params, difference
from experiments.models import changes
from experiments.notation.equality import floated
from experiments.notation.params import by_name, distinct
from experiments.scatter.axes import choices_of
from experiments.table.columns import variation
from experiments.table.filtering import param_at
from experiments.templatetags.readings import as_param
from projects.seeds import Seeds

DIFFERENT = [None, True, "true", False, "false", 1, "1", "1.0", 1.5, "1.5", "null", "none", "", "–", "\u2060–", [1], "[1]", {}, "{}"]
DIFFERENT += ['"1"', '"true"', " 1", "sgd", "SGD", 0.1, 0.1000000001, "NaN", 1e300]


def test_no_two_different_values_are_written_alike():
    for one, other in combinations(DIFFERENT, 2):
        assert distinct(one) != distinct(other), (one, other)


def test_text_is_in_quotes_only_where_it_would_read_as_something_else():
    assert [distinct(text) for text in ("adam", "1e-3 ·", "true", "18", "[[", "[" * 100_000)] == ["adam", "1e-3 ·", '"true"', '"18"', "[[", "[" * 100_000]
    assert [as_param(value) for value in (1 / 3, -0.0, 18, "18", True, "true", None)] == ["0.333333333333333", "0", "18", '"18"', "true", '"true"', "–"]


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), ([1, 2.0], [1.0, 2]), ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}), (-0.0, 0)])
def test_equal_values_are_written_alike(one: object, other: object):
    assert distinct(one) == distinct(other)


def test_a_float_has_the_digits_that_it_was_given_and_no_dust_of_arithmetic():
    assert [as_param(value) for value in (0.1, 0.1 + 0.2, 1234567.8, 3e-4, [0.1 + 0.2], 1e300)] == ["0.1", "0.3", "1234567.8", "0.0003", "[0.3]", "1e+300"]
    (change,) = changes(difference({"lr": 0.4}, {"lr": 0.4 - 0.3}, Seeds()))
    assert (change.was, change.now) == ("0.4", "0.1")


def test_two_floats_that_differ_by_dust_alone_are_told_apart_where_they_stand_together():
    assert [(change.was, change.now) for change in changes(difference({"lr": 0.3}, {"lr": 0.1 + 0.2}, Seeds()))] == [("0.3", "0.30000000000000004")]


def test_null_and_no_param_are_one_thing():
    assert by_name({"a": None, "o": {"x": None, "y": 1}, "o.y": None}) == {"o.y": 1}
    assert difference({"a": None}, {}, Seeds()) == {}
    assert param_at({"o": {"lr": 2}, "o.lr": None}, ("o", "lr")) == 2
    assert variation([{"lr": 1, "a": None}, {"lr": 1}], Seeds()) == {"lr": False}
    assert list(choices_of([{"o": {"x": None}}, {"lr": 1}], [], Seeds()).params) == ["lr"]
    assert len({canonical_params(params, Seeds()) for params in ({"lr": 1, "o": {"x": None, "y": 2}, "a": None}, {"lr": 1, "o": {"y": 2}})}) == 1


def test_a_param_that_changes_its_type_is_a_change():
    found = changes(difference({"amp": True, "n": 1, "k": 2}, {"amp": "true", "n": True, "k": 2.0}, Seeds()))
    assert [(change.feature, change.was, change.now) for change in found] == [("amp", "true", '"true"'), ("n", "1", "true")]


def test_a_nested_param_with_the_name_of_another_is_told_apart_from_it():
    assert by_name({"o": {"lr": 2, "x": {}}, "o.lr": 1, "a": 3}) == {"o.lr (nested)": 2, "o.x": {}, "o.lr": 1, "a": 3}
    assert by_name({"o.lr": 1, "o": {"lr": 2}}) == {"o.lr": 1, "o.lr (nested)": 2}


def test_a_whole_number_beyond_every_float_is_infinite():
    assert (floated(10**400), floated(-(10**400)), floated(3)) == (float("inf"), float("-inf"), 3.0)
