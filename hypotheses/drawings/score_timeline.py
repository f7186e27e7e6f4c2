"""Score and effect over the judgements, the gauge of the last one, and the small line of a list. Pure geometry.

A path's points lie in a stretched box of 1000 by 1000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hypotheses.drawings.dots import DOTS_MOST
from hypotheses.drawings.scales import Tick, per_cent, scale_over, score_text

BOX = 1000


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
