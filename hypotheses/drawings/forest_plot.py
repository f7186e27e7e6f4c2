"""The forest plot: an arm a row, its effect with its interval, and all arms together. Pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypotheses.drawings.dots import Dot, values_of
from hypotheses.drawings.scales import Scale, Span, Tick, per_cent, scale_over, signed
from hypotheses.judging.comparison import Comparison
from hypotheses.judging.evidence import sign_of
from hypotheses.weighing.cases import Arm, Reading, Run


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One arm, or all of them pooled, by one metric; without a comparison there is nothing to draw and `note` says why."""

    name: str
    slug: str  # of its earliest run; empty for the pooled row
    n: int
    is_post_hoc: bool
    is_pooled: bool
    comparison: Comparison | None
    score: float | None
    note: str
    estimate: str = ""
    ci: Span | None = None
    anytime: Span | None = None
    runs: tuple[Dot, ...] = ()


@dataclass(frozen=True, slots=True)
class Forest:
    """The rows of one metric on one scale of improvements."""

    rows: list[ForestRow]
    zero: str
    margin: str | None
    better_from: str
    better_width: str
    ticks: list[Tick]
    decimals: int | None


def forest(arms: Sequence[Arm], pooled: Reading, *, index: int, score: float | None, decimals: int | None) -> Forest:
    """The forest plot of the metric at `index` of the terms: a row for each arm, then the pooled one."""
    readings = [arm.readings[index] for arm in arms]
    known = [reading.comparison for reading in [*readings, pooled] if reading.comparison]
    values = [0.0, pooled.margin, *(c.improvement for c in known), *(v for arm, r in zip(arms, readings, strict=True) for _, v in improvements(arm, r))]
    scale = scale_over(values, intervals=[i for c in known for i in (c.ci95, c.anytime_ci95)])
    rows = [forest_row(arm, reading, scale) for arm, reading in zip(arms, readings, strict=True)]
    better = scale.share(pooled.margin)
    return Forest(
        rows=[*rows, pooled_row(arms, pooled, score, scale)],
        zero=scale.at(0.0),
        margin=scale.at(pooled.margin) if pooled.margin else None,
        better_from=per_cent(better),
        better_width=per_cent(1 - better),
        ticks=scale.ticks(has_signs=True),
        decimals=decimals,
    )


def improvements(arm: Arm, reading: Reading) -> list[tuple[Run, float]]:
    """Each run's improvement on the baseline's mean."""
    if reading.comparison is None:
        return []
    sign, base = sign_of(reading.term.direction), reading.comparison.baseline_value
    return [(run, sign * (value - base)) for run, value in values_of(arm.runs, reading.term.metric)]


def forest_row(arm: Arm, reading: Reading, scale: Scale) -> ForestRow:
    """One arm's row."""
    score = reading.comparison.score if reading.comparison and not arm.is_post_hoc else None
    n = len(values_of(arm.runs, reading.term.metric))
    row = ForestRow(arm.name, arm.earliest.slug, n, arm.is_post_hoc, False, reading.comparison, score, "" if reading.comparison else absence(arm.runs))
    return row if reading.comparison is None else drawn(row, reading.comparison, scale, improvements(arm, reading))


def pooled_row(arms: Sequence[Arm], pooled: Reading, score: float | None, scale: Scale) -> ForestRow:
    """The row of all arms that count."""
    counted = sum(not arm.is_post_hoc and arm.readings != () for arm in arms)
    name = f"pooled, {counted} arm{'' if counted == 1 else 's'}"
    found = pooled.comparison
    row = ForestRow(name, "", found.n_exp if found else 0, False, True, found, score, "" if found else "no run counts yet")
    return row if found is None else drawn(row, found, scale, [])


def drawn(row: ForestRow, found: Comparison, scale: Scale, runs: list[tuple[Run, float]]) -> ForestRow:
    """The row with its marks in place."""
    return ForestRow(
        row.name,
        row.slug,
        row.n,
        row.is_post_hoc,
        row.is_pooled,
        found,
        row.score,
        "",
        estimate=scale.at(found.improvement),
        ci=scale.span(found.ci95) if found.ci95 else None,
        anytime=scale.span(found.anytime_ci95) if found.anytime_ci95 else None,
        runs=tuple(Dot(scale.at(value), "24", f"{run.name}: {signed(value)}") for run, value in runs),
    )


def absence(runs: Sequence[Run]) -> str:
    """Why an arm has no comparison."""
    states = [run.state for run in runs]
    words = [f"{states.count(word)} {word}" for word in dict.fromkeys(states) if word != "complete"]
    return ", ".join(words) or "no value of this metric"
