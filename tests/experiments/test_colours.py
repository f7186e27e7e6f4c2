"""The colour, mark and dash of a run: one rule for every page, distinct within a comparison as long as there are any left."""

from __future__ import annotations

import importlib
from datetime import timedelta
from itertools import permutations

import pytest
from django.apps import apps
from django.utils import timezone

from experiments import lifecycle
from experiments.models import Experiment
from experiments.notation.colours import colour_of, mark_of, style_of, styles_of
from projects.models import Project


def test_a_run_keeps_its_colour_in_every_selection_unless_it_clashes_with_another_in_view():
    assert style_of(0) == "r1"
    assert styles_of([4, 11, 0]) == ["r5", "r2", "r1"]
    assert styles_of([4, 11]) == ["r5", style_of(11)]
    assert styles_of([0, 11, 1])[2] == style_of(1), "a run that clashes with nobody gives its colour to none that does"


@pytest.mark.parametrize("numbers", [range(10), range(0, 110, 11), [5] * 10, [0, 11, 1, 12, 2, 13, 3, 14, 4, 15]])
def test_up_to_ten_runs_are_solid_with_a_colour_and_a_mark_each(numbers):
    drawn = styles_of(list(numbers))
    assert not any("dash" in style for style in drawn)
    assert len(set(drawn)) == len({mark_of(style) for style in drawn}) == 10
    assert "k0" not in {mark_of(style) for style in drawn}, "the baseline's"


def test_a_dash_begins_with_the_eleventh():
    drawn = styles_of(list(range(12)))
    assert ["dash" in style for style in drawn] == [False] * 10 + [True] * 2
    assert mark_of("base") == "k0"
    assert mark_of("r1") != mark_of("r1 dash2")


def test_who_is_named_first_makes_no_difference():
    numbers = [0, 11, 22, 7]
    wanted = dict(zip(numbers, styles_of(numbers), strict=True))
    for order in permutations(numbers):
        assert dict(zip(order, styles_of(order), strict=True)) == wanted


@pytest.mark.parametrize("numbers", [range(100), range(0, 1100, 11), [5] * 100])
def test_a_hundred_runs_are_drawn_in_a_hundred_ways(numbers):
    drawn = styles_of(list(numbers))
    assert len(set(drawn)) == len({(style.split()[0], mark_of(style)) for style in drawn}) == 100


@pytest.mark.parametrize("every", [1, 2, 3, 4, 5, 10, 100])
def test_runs_made_one_after_another_or_seed_by_seed_have_colours_of_their_own(every):
    assert len({colour_of(n * every) for n in range(5)}) == 5


def test_a_number_is_given_once_and_never_again(project: Project):
    first, second = (lifecycle.create(project, by=None, name="run") for _ in range(2))
    assert (first.number, second.number) == (0, 1)
    first.delete()
    second.save()
    assert Experiment.objects.get(pk=second.pk).number == 1
    assert lifecycle.create(project, by=None, name="run").number == 2
    assert lifecycle.create(Project.objects.create(team=project.team, name="other"), by=None, name="run").number == 0


def test_experiments_from_before_are_numbered_in_the_order_in_which_they_were_made(project: Project):
    other = Project.objects.create(team=project.team, name="other")
    made = [Experiment(project=project if n % 2 else other, name=f"run {n}", slug=f"run-{n}") for n in range(10)]
    Experiment.objects.bulk_create(made)
    for n, experiment in enumerate(made):
        Experiment.objects.filter(pk=experiment.pk).update(created_at=timezone.now() - timedelta(hours=n))
    importlib.import_module("experiments.migrations.0004_number").number(apps, None)
    for each in (project, other):
        mine = Experiment.objects.filter(project=each)
        assert list(mine.order_by("created_at").values_list("number", flat=True)) == [0, 1, 2, 3, 4]
