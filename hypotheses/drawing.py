"""Where things lie in the drawings of a hypothesis's page: scales, ticks, rows of the forest plot, strips, the score over time. Pure geometry.

Positions are texts in per cent ("37.50%") for SVG without a viewBox, so that a drawing is as sharp on a phone as on a desk; a path's points lie in a
stretched box of 1000 by 1000. Better is always to the right, whichever way the metric goes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, stdev

from experiments.templatetags.readings import LARGE, MINUS, SMALL, decimals_of, exponent, number
from hypotheses.cases import Arm, Reading, Run, Term
from hypotheses.comparison import Comparison
from hypotheses.evidence import sign_of

BOX = 1000
TICKS_MOST = 6
DOTS_MOST = 60
LANES = (13, 16, 19)
REACH = 1.0  # how far intervals may stretch a scale beyond estimates and runs, in widths of these
# A scale has two ends, however small its values and however near to each other they are.
LEAST_ROOM, LEAST_SHARE = 1e-300, 1e-6
Span = tuple[str, str]


def per_cent(share: float) -> str:
    """A share of the width as SVG takes it."""
    return f"{100 * share:.2f}%"


def brief(value: float | None) -> str:
    """A number as people say it, 4 significant digits at most and no zeros at its end: 0.003, 0.5, 1.25e-7."""
    if value is None:
        return number(None)
    text = exponent(value) if value and not SMALL <= abs(value) < LARGE else f"{value:.4g}"
    return f"{MINUS}{text[1:]}" if text.startswith("-") else text


def score_text(score: float | None) -> str:
    """A score with its sign and two decimals; 0.00 has none."""
    if score is None:
        return number(None)
    text = f"{score:+.2f}"
    return "0.00" if text[1:] == "0.00" else text.replace("-", MINUS)


def reason(sentence: str, status: str) -> str:
    """A verdict's sentence without the status that it begins with, for where that stands beside it."""
    rest = sentence[len(status) + 2 :] if sentence.lower().startswith(f"{status}: ") else sentence
    return rest[:1].upper() + rest[1:]


def decimals_for_effects(errors: Iterable[float | None]) -> int | None:
    """The decimals that effects share: those that give their middle standard error two digits. None where nothing is known."""
    found = decimals_of(errors)
    return None if found is None else max(0, found - 2)


def signed(value: float | None, decimals: int | None = None) -> str:
    """A number with its sign, + too."""
    is_plain = value is None or decimals is None or not math.isfinite(value)
    text = number(value) if is_plain else f"{value:.{decimals}f}".replace("-", MINUS)
    return f"+{text}" if value is not None and value > 0 else text


@dataclass(frozen=True, slots=True)
class Tick:
    """One mark of an axis. `is_wide`: only where there is room."""

    at: str
    text: str
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places; `is_flipped` where less is better and the axis shows values themselves."""

    low: float
    high: float
    is_flipped: bool = False

    def share(self, value: float) -> float:
        """0 at the left end, 1 at the right; what lies beyond stays at the edge."""
        part = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return 1 - part if self.is_flipped else part

    def at(self, value: float) -> str:
        """The place of a value."""
        return per_cent(self.share(value))

    def span(self, interval: tuple[float, float]) -> Span:
        """Both ends of an interval, left first."""
        first, last = sorted(self.share(end) for end in interval)
        return per_cent(first), per_cent(last)

    def ticks(self, *, has_signs: bool = False, most: int = TICKS_MOST) -> list[Tick]:
        """Round values inside; every second one, 0 never, leaves where the width is small."""
        step = round_step((self.high - self.low) / most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        kept = 0 if first <= 0 <= last else first
        return [Tick(self.at(n * step), tick_text(n * step, decimals, has_signs=has_signs), (n - kept) % 2 == 1) for n in range(first, last + 1)]


def tick_text(value: float, decimals: int, *, has_signs: bool) -> str:
    """A round value; very small and very large ones with an exponent."""
    if value == 0:
        return "0"
    text = exponent(value) if not SMALL <= abs(value) < LARGE else f"{value:.{decimals}f}"
    sign = "+" if has_signs and value > 0 else ""
    return sign + text.replace("-", MINUS, 1) if text.startswith("-") else sign + text


def round_step(raw: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten that is no smaller than `raw`."""
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))


def scale_over(values: Iterable[float], *, intervals: Iterable[tuple[float, float] | None] = (), is_flipped: bool = False) -> Scale:
    """A scale that holds all values, and intervals as far as they do not dwarf these."""
    held = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(held), max(held)
    width = (high - low) or abs(high) or 1.0
    ends = [end for interval in intervals if interval for end in interval]
    low = min(low, max(min(ends, default=low), low - REACH * width))
    high = max(high, min(max(ends, default=high), high + REACH * width))
    room = max(0.06 * (high - low or width), LEAST_SHARE * max(abs(low), abs(high)), LEAST_ROOM)
    return Scale(low - room, high + room, is_flipped)


@dataclass(frozen=True, slots=True)
class Dot:
    """One run: its place, how deep it lies, what it says on hover."""

    x: str
    y: str
    title: str


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


def values_of(runs: Iterable[Run], metric: str) -> list[tuple[Run, float]]:
    """The runs that have a finite value of the metric, with it."""
    found = ((run, run.values.get(metric)) for run in runs)
    return [(run, value.value) for run, value in found if value is not None and value.status == "ok" and value.value is not None]


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


@dataclass(frozen=True, slots=True)
class StripRow:
    """The raw values of one arm: a dot for each run, its mean, and how many failed."""

    name: str
    slug: str
    n: int
    is_baseline: bool
    is_post_hoc: bool
    dots: tuple[Dot, ...]
    mean: float | None
    mean_at: str
    sd: float | None
    failed: int
    unfinished: int


@dataclass(frozen=True, slots=True)
class Strips:
    """The values of one metric, baseline first, on one scale."""

    rows: list[StripRow]
    base_mean: str
    ticks: list[Tick]


def strips(arms: Sequence[Arm], baseline: Sequence[Run], term: Term) -> Strips:
    """Raw values of the baseline and of each arm by one metric; a metric to minimise runs from right to left."""
    every = [value for runs in (baseline, *(arm.runs for arm in arms)) for _, value in values_of(runs, term.metric)]
    scale = scale_over(every, is_flipped=term.direction == "minimize")
    base = strip_row("baseline", "", baseline, term.metric, scale, is_baseline=True)
    rows = [strip_row(arm.name, arm.earliest.slug, arm.runs, term.metric, scale, is_post_hoc=arm.is_post_hoc) for arm in arms]
    return Strips([base, *rows], base.mean_at, scale.ticks() if every else [])


def strip_row(name: str, slug: str, runs: Sequence[Run], metric: str, scale: Scale, *, is_baseline: bool = False, is_post_hoc: bool = False) -> StripRow:
    """One arm's strip; its dots lie in three lanes, so that equal values show."""
    found = values_of(runs, metric)
    values = [value for _, value in found]
    mean = fmean(values) if values else None
    return StripRow(
        name=name,
        slug=slug,
        n=len(values),
        is_baseline=is_baseline,
        is_post_hoc=is_post_hoc,
        dots=tuple(Dot(scale.at(value), str(LANES[i % len(LANES)]), f"{run.name}: {number(value)}") for i, (run, value) in enumerate(found)),
        mean=mean,
        mean_at="" if mean is None else scale.at(mean),
        sd=stdev(values) if len(values) > 1 else None,
        failed=sum(has_failed(run, metric) for run in runs),
        unfinished=sum(not run.is_ended for run in runs),
    )


def has_failed(run: Run, metric: str) -> bool:
    """Whether the run ended without a value of the metric, and nobody stopped it."""
    value = run.values.get(metric)
    return run.is_ended and not run.is_interrupted and (run.state != "complete" or (value is not None and value.status == "non_finite"))


@dataclass(frozen=True, slots=True)
class Moment:
    """One judgement of the past: the score after `n` runs, and the first metric's improvement with its anytime interval."""

    at: datetime
    n: int
    score: float
    status: str
    improvement: float | None
    anytime: tuple[float, float] | None
    note: str = ""  # what changed, where something did


@dataclass(frozen=True, slots=True)
class ScoreDot:
    """One judgement on the score's curve."""

    x: str
    y: str
    is_decided: bool
    title: str


@dataclass(frozen=True, slots=True)
class Note:
    """A change of status, and where its words stand."""

    x: str
    y: str
    text_y: str
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The score and the effect over the judgements."""

    score: str
    dots: list[ScoreDot]
    notes: list[Note]
    support_at: str
    refute_at: str
    refute_height: str
    effect: str
    band: str
    edges: tuple[str, ...]
    zero: str
    margin: str
    effect_ticks: list[Tick]
    run_ticks: list[Tick]


def timeline(moments: Sequence[Moment], *, margin: float, support: float, refute: float) -> Timeline:
    """The curves; empty paths where there is no judgement yet."""
    scale = scale_over([0.0, margin, *(m.improvement for m in moments if m.improvement is not None)], intervals=[m.anytime for m in moments])
    bounded = [(x_of(i, len(moments)), m.anytime) for i, m in enumerate(moments) if m.anytime]
    lower = [(x, scale.share(interval[0])) for x, interval in bounded]
    upper = [(x, scale.share(interval[1])) for x, interval in bounded]
    return Timeline(
        score=path([(x_of(i, len(moments)), (m.score + 1) / 2) for i, m in enumerate(moments)]),
        dots=[score_dot(i, m, len(moments)) for i, m in enumerate(moments)] if len(moments) <= DOTS_MOST else [],
        notes=notes(moments),
        support_at=per_cent((1 - support) / 2),
        refute_at=per_cent((1 - refute) / 2),
        refute_height=per_cent((1 + refute) / 2),
        effect=path([(x_of(i, len(moments)), scale.share(m.improvement)) for i, m in enumerate(moments) if m.improvement is not None]),
        band=f"{path([*lower, *reversed(upper)])}Z" if len(bounded) > 1 else "",
        edges=(path(lower), path(upper)) if len(bounded) > 1 else (),
        zero=per_cent(1 - scale.share(0.0)),
        margin=per_cent(1 - scale.share(margin)) if margin else "",
        effect_ticks=[Tick(per_cent(1 - value_at(tick)), tick.text) for tick in scale.ticks(has_signs=True, most=5)],
        run_ticks=run_ticks(moments),
    )


def value_at(tick: Tick) -> float:
    """A tick's share back from its place, for axes that run upwards."""
    return float(tick.at.rstrip("%")) / 100


def x_of(index: int, count: int) -> float:
    """The share of the width at which a judgement stands; the first is not on the edge."""
    return (index + 1) / count


def path(points: Sequence[tuple[float, float]]) -> str:
    """An SVG path through (x, share from below) points, in the stretched box."""
    return "".join(f"{'L' if i else 'M'}{x * BOX:.0f} {(1 - y) * BOX:.0f}" for i, (x, y) in enumerate(points))


def score_dot(index: int, moment: Moment, count: int) -> ScoreDot:
    """One dot, filled while the claim is decided."""
    title = f"{moment.n} run{'' if moment.n == 1 else 's'}, {moment.status}, score {score_text(moment.score)}"
    return ScoreDot(per_cent(x_of(index, count)), per_cent((1 - moment.score) / 2), moment.status in ("supported", "refuted"), title)


def notes(moments: Sequence[Moment]) -> list[Note]:
    """A line at every change of status or terms, words on alternate heights so that neighbours do not meet; the last four."""
    found = [(i, m) for i, m in enumerate(moments) if m.note][-4:]
    return [note(i, m, len(moments), is_low=k % 2 == 1) for k, (i, m) in enumerate(found)]


def note(index: int, moment: Moment, count: int, *, is_low: bool) -> Note:
    """One line from its dot to the words, away from the edges."""
    x, y = x_of(index, count), (1 - moment.score) / 2
    text_y = (0.62 if y < 0.5 else 0.38) + (0.09 if is_low else 0.0)
    return Note(per_cent(x), per_cent(y), per_cent(text_y), "start" if x < 0.2 else "end" if x > 0.8 else "middle", moment.note)


def run_ticks(moments: Sequence[Moment]) -> list[Tick]:
    """How many runs had counted, under about five of the judgements."""
    count = len(moments)
    shown = sorted({round(k * (count - 1) / 4) for k in range(5)}) if count else []
    return [Tick(per_cent(x_of(i, count)), str(moments[i].n)) for i in shown]


@dataclass(frozen=True, slots=True)
class Gauge:
    """The score on the way from -1 to +1."""

    needle: str
    refuted: str
    supported: str
    open_width: str
    supported_width: str
    ticks: list[tuple[str, bool]]
    anchor: str  # which end of the number stands at the needle, so that it stays inside


def gauge(score: float, *, support: float, refute: float) -> Gauge:
    """The gauge of a score."""
    low, high = (1 + refute) / 2, (1 + support) / 2
    ticks = [(per_cent(i / 20), i % 5 == 0) for i in range(21)]
    anchor = "start" if score < -0.8 else "end" if score > 0.8 else "middle"
    return Gauge(per_cent((1 + score) / 2), per_cent(low), per_cent(high), per_cent(high - low), per_cent(1 - high), ticks, anchor)


def spark(scores: Sequence[float]) -> str:
    """The way of the score as a path in a box of 96 by 20; empty below two judgements."""
    if len(scores) < 2:
        return ""
    return "".join(f"{'L' if i else 'M'}{96 * i / (len(scores) - 1):.1f} {10 * (1 - score):.1f}" for i, score in enumerate(scores))
