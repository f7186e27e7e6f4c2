"""Whoever takes a scope away is seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.security.mutations import trial
from tests.security.mutations.scopes import Scope, scopes
from tests.security.test_worlds import EDITOR, VIEWER, made

WHICH = os.environ.get("MUTATIONS", "half")
WRITTEN_TO = os.environ.get("MUTATIONS_TO")


@pytest.mark.slow
def test_each_scope_that_is_taken_away_is_seen_or_listed_with_the_reason_why_not(store):
    tried = trial.Trial(made(store, roles=(VIEWER, EDITOR)), (VIEWER, EDITOR))
    known = trial.listed()
    results = []
    for scope in trial.chosen(WHICH, scopes(), known):
        results.append(tried.tried(scope))
        if WRITTEN_TO:
            with Path(WRITTEN_TO).with_suffix(".txt").open("a") as lines:
                lines.write(f"{results[-1].verdict}\t{place(scope)}\t{scope.code}\t{results[-1].by}\n")
    if WRITTEN_TO:
        Path(WRITTEN_TO).write_text(trial.as_markdown(results, known))
    unseen = [result for result in results if result.verdict != trial.KILLED and not any(each.is_of(result.scope) for each in known)]
    assert unseen == [], "\n".join(f"{result.verdict}: {place(result.scope)}: {result.scope.code}" for result in unseen)


def test_each_survivor_that_is_listed_is_still_there_and_has_its_reason():
    there = list(scopes())
    gone = [each for each in trial.listed() if not each.why.strip() or not any(each.is_of(scope) for scope in there)]
    assert gone == []


def place(scope: Scope) -> str:
    """Where to look."""
    return f"{scope.path}:{scope.line} {scope.function}"
