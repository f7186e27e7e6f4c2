"""A hypothesis's judgements of the past as a timeline shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from hypotheses.drawings.score_timeline import Moment
from hypotheses.judgements.histories import Past
from hypotheses.models import Hypothesis


def moments(hypothesis: Hypothesis, past: Sequence[Past], metric: str = "") -> list[Moment]:
    """One moment for each number of runs that was judged, the last word on it; the effect is that of `metric`, else of the first target."""
    names = {each.metric for one in past for each in one.readings}
    targets = [target.metric.name for target in hypothesis.targets.all()]
    shown = metric if metric in names else next((name for name in targets if name in names), "")
    told = list(with_changes(past))
    groups = (list(group) for _, group in groupby(told, key=lambda each: (each[0].epoch, each[0].n_exp, each[0].n_base, each[0].status)))
    return [moment(group[-1][0], next((note for _, note in group if note), ""), metric=shown) for group in groups]


def with_changes(past: Sequence[Past]) -> Iterator[tuple[Past, str]]:
    """Each judgement with what changed by it."""
    status, epoch = "testing", past[0].epoch if past else 1
    for each in past:
        yield each, changed(each, status, is_respecified=each.epoch != epoch)
        status, epoch = each.status, each.epoch


def changed(past: Past, was: str, *, is_respecified: bool) -> str:
    """What is noted at a judgement; nothing where all stayed."""
    if is_respecified:
        return f"epoch {past.epoch}: respecified"
    if past.status == was:
        return ""
    return f"{past.n_exp} v {past.n_base}: {past.status}" + (f", {past.gates[0]} closed" if past.gates else "")


def moment(past: Past, note: str, *, metric: str) -> Moment:
    """One judgement."""
    found = next((each for each in past.readings if each.metric == metric), None)
    return Moment(past.at, past.n_exp, past.score, past.status, found.improvement if found else None, found.anytime_ci95 if found else None, note)
