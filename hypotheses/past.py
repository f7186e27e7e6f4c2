"""A hypothesis's judgements of the past as a timeline shows them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from django.conf import settings

from hypotheses.drawing import Moment
from hypotheses.judgements import Past
from hypotheses.judging import Status, decide
from hypotheses.models import Hypothesis


def moments(hypothesis: Hypothesis, past: Sequence[Past], metric: str = "") -> list[Moment]:
    """One moment for each number of runs that was judged, the last word on it; the effect is that of `metric`, else of the first target."""
    known = [each for each in past if each.rows]
    names = {row.metric_name for each in known for row in each.rows}
    targets = [target.metric.name for target in hypothesis.targets.all()]
    shown = metric if metric in names else next((name for name in targets if name in names), "")
    told = list(with_status(known))
    groups = (list(group) for _, group in groupby(told, key=lambda each: (each[0].epoch, each[0].n_exp, each[0].n_base, each[1])))
    return [moment(group[-1][0], group[-1][1], next((note for _, _, note in group if note), ""), metric=shown) for group in groups]


def with_status(past: Sequence[Past]) -> Iterator[tuple[Past, str, str]]:
    """Each judgement with the status that followed from it, by the rule that decides, and what changed."""
    status: Status = "testing"
    epoch = past[0].epoch if past else 1
    for each in past:
        was, before = status, epoch
        if each.epoch != epoch:
            status, epoch = "testing", each.epoch
        status, _ = decide(
            status, each.score, each.closed, support_threshold=settings.HYPOTHESIS_SUPPORT_THRESHOLD, refute_threshold=settings.HYPOTHESIS_REFUTE_THRESHOLD
        )
        yield each, status, changed(each, was, status, is_respecified=each.epoch != before)


def changed(past: Past, was: str, status: str, *, is_respecified: bool) -> str:
    """What is noted at a judgement; nothing where all stayed."""
    if is_respecified:
        return f"epoch {past.epoch}: respecified"
    if status == was:
        return ""
    return f"{past.n_exp} v {past.n_base}: {status}" + (f", {past.closed[0]} closed" if past.closed else "")


def moment(past: Past, status: str, note: str, *, metric: str) -> Moment:
    """One judgement."""
    row = next((row for row in past.rows if row.metric_name == metric), None)
    anytime = (row.at_low, row.at_high) if row and math.isfinite(row.at_low) and math.isfinite(row.at_high) else None
    return Moment(past.at, past.n_exp, past.score, status, row.improvement if row else None, anytime, note)
