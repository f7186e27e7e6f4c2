"""The assumptions that a verdict needs: each open, or closed with what opens it. Pure; the method is docs/judging.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypotheses.judging.evidence import sign_of
from hypotheses.judging.rules import decide
from hypotheses.judging.series import is_unequal_horizon
from hypotheses.weighing.cases import Case, Gate, Reading, Run
from hypotheses.weighing.readings import Thresholds, compared, floor_of, is_replicated, score_of
from hypotheses.weighing.sides import Sides, failures, values_of


def gates_of(
    case: Case, counted: Sequence[Run], late: Sequence[Run], readings: Sequence[Reading], sides: Sides, raw: float, thresholds: Thresholds
) -> tuple[Gate, ...]:
    """Every assumption, open or closed, those of gathering among them."""
    return (
        replicates(readings, raw, thresholds),
        fixed(case),
        attrition(case, readings, sides, raw, thresholds),
        *horizon(readings, sides),
        *percent_of_zero(readings),
        epoch(case),
        *case.closed,
        *not_counted(counted, late),
    )


def replicates(readings: Sequence[Reading], raw: float, thresholds: Thresholds) -> Gate:
    """At least two runs a side, for every target, unless those that have them decide alone."""
    n_exp, n_base = fewest(readings)
    found = f"at least 2 runs a side: {n_exp} and {n_base}"
    alone = [each.comparison for each in readings if each.comparison and "unmatched_runs" in each.comparison.flags]
    found += "; runs without a partner on the other side are left out" if alone else ""
    if all(map(is_replicated, readings)) and readings:
        return Gate("replicates", "Replicates", True, found)
    if any(map(is_replicated, readings)) and (raw >= thresholds.support or raw <= thresholds.refute):
        return Gate("replicates", "Replicates", True, f"{found}; the targets that have them decide alone")
    lacking = [f"{2 - n} more {side} {plural(2 - n)}" for n, side in ((n_exp, "linked"), (n_base, "baseline")) if n < 2]
    opens = f"{' and '.join(lacking)} with every target's metric." if lacking else "Runs whose values differ: copies of one run count once."
    return Gate("replicates", "Replicates", False, found, opens)


def fewest(readings: Sequence[Reading]) -> tuple[int, int]:
    """(linked, baseline) runs that have a value for every target."""
    counts = [(each.comparison.n_exp, each.comparison.n_base) if each.comparison else (0, 0) for each in readings]
    return min((n for n, _ in counts), default=0), min((n for _, n in counts), default=0)


def plural(n: int) -> str:
    """The word for so many."""
    return "run" if n == 1 else "runs"


def fixed(case: Case) -> Gate:
    """The baseline was chosen before the data."""
    names = {"root": "root arm", "best": "best arm", "experiment": "one experiment's arm"}
    if case.frozen_at is None:
        return Gate("baseline", "Baseline fixed before data", True, f"{names[case.baseline_kind]}, fixed when the first linked run starts")
    return Gate("baseline", "Baseline fixed before data", True, f"{names[case.baseline_kind]}, fixed at {case.frozen_at:%Y-%m-%d %H:%M} UTC")


def attrition(case: Case, readings: Sequence[Reading], sides: Sides, raw: float, thresholds: Thresholds) -> Gate:
    """A verdict of completed runs must survive that every failed one gets the worst value seen."""
    failed = max((each.failed + each.baseline_failed for each in readings), default=0)
    if not failed:
        return Gate("attrition", "Attrition", True, "no run failed")
    verdict = verdict_of(case, raw, thresholds)
    if verdict == "testing":
        return Gate("attrition", "Attrition", True, f"{failed} failed; the others give no verdict that they could change")
    worst = score_of(case, [at_worst(each, sides) for each in readings])
    if verdict_of(case, worst, thresholds) == verdict:
        return Gate("attrition", "Attrition", True, f"{failed} failed; the verdict survives that they count as the worst")
    opens = "Run the failed ones again, or mark them as interrupted where the machine was at fault."
    return Gate("attrition", "Attrition", False, f"{failed} failed; counted as the worst value seen, they change the verdict", opens)


def verdict_of(case: Case, score: float, thresholds: Thresholds) -> str:
    """What a score alone would make of the claim."""
    previous = "testing" if case.previous == "proposed" else case.previous
    return decide(previous, score, (), support_threshold=thresholds.support, refute_threshold=thresholds.refute)[0]


def at_worst(each: Reading, sides: Sides) -> Reading:
    """The reading with the worst value seen in either arm, whatever its block, given to every failed run (worst-rank, Lachin 1999)."""
    metric = each.term.metric
    seen = values_of([*sides.linked, *sides.baseline], metric)
    if not seen:
        return each
    worst = min(seen) if sign_of(each.term.direction) > 0 else max(seen)
    blocks = [tuple(values_of(runs, metric) + [worst] * failures(runs, metric) for runs in pair) for pair in sides.blocks.values()]
    pairs = [(linked, baseline) for linked, baseline in blocks]
    return replace(each, comparison=compared(each.term, pairs, margin=each.margin, floor=floor_of(each.term, [*sides.linked, *sides.baseline])))


def horizon(readings: Sequence[Reading], sides: Sides) -> list[Gate]:
    """Smallest and largest values are compared between runs of like length only."""
    gates = []
    for term in (each.term for each in readings if each.term.aggregation in ("min", "max")):
        counts = [points_of(runs, term.metric) for runs in (sides.linked, sides.baseline)]
        if not (counts[0] and counts[1]):
            continue
        ends = [f"{min(side)} to {max(side)}" if min(side) != max(side) else str(min(side)) for side in counts]
        found = f"{term.metric}: {ends[0]} points a linked run, {ends[1]} a baseline run"
        apart = is_unequal_horizon(term.aggregation, *counts)
        opens = "Run both sides equally long, or judge the metric by its last value." if apart else ""
        gates.append(Gate("horizon", "Horizon", not apart, found, opens))
    return gates or [Gate("horizon", "Horizon", True, "no smallest or largest value is compared, which longer runs would favour")]


def points_of(runs: Sequence[Run], metric: str) -> list[int]:
    """How many points each run that ended well has."""
    return [run.values[metric].points for run in runs if run.state == "complete" and metric in run.values and run.values[metric].status == "ok"]


def percent_of_zero(readings: Sequence[Reading]) -> list[Gate]:
    """A share of nothing is no size."""
    gates = []
    for each in readings:
        if each.term.is_percent and each.term.smallest_effect and each.comparison and "zero_baseline" in each.comparison.flags:
            found = f"{each.term.metric}: {each.term.smallest_effect:g}% of a baseline of 0 is no size"
            gates.append(Gate("margin", "Smallest effect", False, found, "Give the smallest effect that matters in the metric's unit."))
    return gates


def epoch(case: Case) -> Gate:
    """Since when terms are as they are."""
    if case.epoch == 1:
        return Gate("epoch", "One epoch", True, "targets, margin and baseline unchanged since data")
    return Gate("epoch", f"Epoch {case.epoch}", True, "respecified: only runs that ended since then count")


def not_counted(counted: Sequence[Run], late: Sequence[Run]) -> list[Gate]:
    """Runs that suggested the claim are shown, and hold nothing."""
    if not late:
        return []
    fresh = max(2, len(late) - len(counted))
    text = f"{len(late)} {plural(len(late))} linked after they ended: these runs suggested the claim; they cannot confirm it"
    return [Gate("post_hoc", "Not counted", True, text, f"{fresh} fresh runs would count.")]
