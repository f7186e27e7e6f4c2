"""From a case to a judgement: comparisons, gates, the score, and the sentence that a person reads. Pure; the method is docs/judging.md."""

from __future__ import annotations

import math
import uuid
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from hypotheses.cases import Arm, Case, Gate, Judgement, Need, Reading, Run, Term
from hypotheses.comparison import Comparison, compare
from hypotheses.evidence import CAP, THRESHOLD, sign_of
from hypotheses.judging import combine, decide
from hypotheses.planning import runs_to_add, t_threshold
from hypotheses.series import is_unequal_horizon

WORDS = {"proposed": "Proposed", "testing": "Testing", "supported": "Supported", "refuted": "Refuted"}


class Thresholds(NamedTuple):
    """The scores at which a claim is supported and refuted."""

    support: float = THRESHOLD
    refute: float = -THRESHOLD


@dataclass(frozen=True, slots=True)
class Sides:
    """The runs of one comparison, by block: linked and baseline."""

    blocks: Mapping[Hashable, tuple[tuple[Run, ...], tuple[Run, ...]]]

    @property
    def linked(self) -> list[Run]:
        """All on the linked side."""
        return [run for linked, _ in self.blocks.values() for run in linked]

    @property
    def baseline(self) -> list[Run]:
        """All on the other."""
        return [run for _, baseline in self.blocks.values() for run in baseline]


def weigh(case: Case, *, at: datetime, thresholds: Thresholds = Thresholds(), judgement_id: uuid.UUID | None = None) -> Judgement:  # noqa: B008  # a constant
    """Judge a case as it stands."""
    counted, late = split(case)
    sides = matched(case, counted)
    readings = tuple(reading(term, sides) for term in case.terms)
    raw = sure_score(case, readings, thresholds)
    gates = gates_of(case, counted, late, readings, sides, raw, thresholds)
    status, score = decide(
        case.previous, raw, [gate.name for gate in gates if not gate.is_open], support_threshold=thresholds.support, refute_threshold=thresholds.refute
    )
    arms = arms_of(case, counted, is_post_hoc=False) + arms_of(case, late, is_post_hoc=True)
    needs = needs_of(case, readings, arms)
    exploratory = tuple(reading(term, matched(case, late)) for term in case.terms) if late else ()
    draft = Judgement(
        id=judgement_id or uuid.uuid4(),
        at=at,
        status=status,
        score=score,
        raw_score=raw,
        sentence="",
        missing="",
        readings=readings,
        arms=arms,
        baseline=tuple(run for run in case.baseline if run.is_ended),
        gates=gates,
        needs=needs,
        exploratory=score_of(case, exploratory) if any(each.comparison for each in exploratory) else None,
        exploratory_readings=exploratory,
    )
    missing = missing_of(case, draft)
    return replace(draft, missing=missing, sentence=sentence_of(case, draft, missing))


# Who is compared with whom -----------------------------------------------------------------------------------------------------------------


def split(case: Case) -> tuple[list[Run], list[Run]]:
    """(runs that count, runs post hoc): those that ended and do not belong to a baseline arm themselves."""
    of_baseline = {run.arm for run in case.baseline}
    ended = [run for run in case.linked if run.is_ended and not run.is_interrupted and run.arm not in of_baseline]
    return [run for run in ended if not run.is_post_hoc], [run for run in ended if run.is_post_hoc]


def matched(case: Case, linked: Sequence[Run]) -> Sides:
    """Both sides by block: one; one for each root arm where linked runs descend from several; one for each seed of paired runs."""
    roots = {run.root_arm for run in linked}
    by_root = case.baseline_kind == "root"
    baseline = [run for run in case.baseline if run.is_ended and not run.is_interrupted and (not by_root or run.arm in roots)]
    several = by_root and len(roots) > 1
    blocks: dict[Hashable, tuple[list[Run], list[Run]]] = {}
    for side, runs in enumerate((linked, baseline)):
        for run in runs:
            root = (run.arm if side else run.root_arm) if several else ""
            blocks.setdefault((root, partner(run) if case.is_paired else None), ([], []))[side].append(run)
    return Sides({key: (tuple(ours), tuple(theirs)) for key, (ours, theirs) in blocks.items()})


def partner(run: Run) -> Hashable:
    """What pairs a run with one of the other side: its seed; without one it has no partner."""
    return run.id if run.seed is None else run.seed


def values_of(runs: Sequence[Run], metric: str) -> list[float]:
    """The numbers of those that ended well and have one."""
    found = (run.values.get(metric) for run in runs if run.state == "complete")
    return [value.value for value in found if value is not None and value.value is not None]


def failures(runs: Sequence[Run], metric: str) -> int:
    """How many failed, or diverged in this metric."""
    return sum(run.state != "complete" or (metric in run.values and run.values[metric].status == "non_finite") for run in runs)


# Comparing ---------------------------------------------------------------------------------------------------------------------------------


def reading(term: Term, sides: Sides) -> Reading:
    """One metric's comparison over all blocks."""
    blocks = [(values_of(linked, term.metric), values_of(baseline, term.metric)) for linked, baseline in sides.blocks.values()]
    margin = margin_of(term, [value for _, side in blocks for value in side])
    return Reading(
        term=term,
        margin=margin,
        comparison=compared(term, blocks, margin=margin, floor=floor_of(term, [*sides.linked, *sides.baseline])),
        failed=failures(sides.linked, term.metric),
        baseline_failed=failures(sides.baseline, term.metric),
    )


def compared(term: Term, blocks: Sequence[tuple[Sequence[float], Sequence[float]]], *, margin: float, floor: float) -> Comparison | None:
    """The comparison, None where no block has runs on both sides."""
    if not any(linked and baseline for linked, baseline in blocks):
        return None
    return compare(blocks, direction=term.direction, margin=margin, within_var=floor)


def margin_of(term: Term, baseline: Sequence[float]) -> float:
    """The smallest effect in the metric's unit."""
    if not term.is_percent:
        return term.smallest_effect
    return abs(math.fsum(baseline) / len(baseline)) * term.smallest_effect / 100 if baseline else 0.0


def floor_of(term: Term, runs: Sequence[Run]) -> float:
    """The variance between runs that their own tails demand at least: the mean of what each says that has a number."""
    found = (run.values.get(term.metric) for run in runs if run.state == "complete")
    floors = [value.noise_var for value in found if value is not None and value.status == "ok"]
    return math.fsum(floors) / len(floors) if floors else 0.0


def score_of(case: Case, readings: Sequence[Reading]) -> float:
    """The score of all targets together; one without a comparison counts as e-values of 1 and is not left out."""
    pairs = {each.term.metric: (each.comparison.e_pos, each.comparison.e_neg) if each.comparison else None for each in readings}
    return combine(pairs, mode=case.mode) if pairs else 0.0


def is_replicated(each: Reading) -> bool:
    """Whether both sides have two runs that differ."""
    return each.comparison is not None and "insufficient_replicates" not in each.comparison.flags


def sure_score(case: Case, readings: Sequence[Reading], thresholds: Thresholds) -> float:
    """The score, from replicated targets alone where these decide whatever the others hold (the gate stays open then); else from all."""
    if all(map(is_replicated, readings)) or not any(map(is_replicated, readings)):
        return score_of(case, readings)
    sure = score_of(case, [each if is_replicated(each) else replace(each, comparison=None) for each in readings])
    return sure if sure >= thresholds.support or sure <= thresholds.refute else score_of(case, readings)


def arms_of(case: Case, runs: Sequence[Run], *, is_post_hoc: bool) -> tuple[Arm, ...]:
    """Runs of one replicate_key together, in the order in which each arm began to finish."""
    keys = dict.fromkeys(run.arm for run in runs)
    return tuple(arm_of(case, key, tuple(run for run in runs if run.arm == key), is_post_hoc=is_post_hoc) for key in keys)


def arm_of(case: Case, key: str, runs: tuple[Run, ...], *, is_post_hoc: bool) -> Arm:
    """One arm against the baseline; its score is held like the whole one's where a side has fewer than two runs."""
    sides = matched(case, runs)
    readings = tuple(reading(term, sides) for term in case.terms)
    score = score_of(case, readings) if any(each.comparison for each in readings) else None
    if score is not None and not all(map(is_replicated, readings)):
        score = min(max(score, -CAP), CAP)
    return Arm(key, runs[0].change or runs[0].name, runs, is_post_hoc, readings, score)


# Gates -------------------------------------------------------------------------------------------------------------------------------------


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


# What is still needed ------------------------------------------------------------------------------------------------------------------------


def needs_of(case: Case, readings: Sequence[Reading], arms: Sequence[Arm]) -> tuple[Need, ...]:
    """For the pooled row and each arm that counts: runs to tell no effect from the smallest that matters, with power 0.8."""
    pooled = [need("", each, sd_of(each)) for each in readings if each.margin > 0]
    counted = [arm for arm in arms if not arm.is_post_hoc]
    pairs = [(arm, own, sd_of(all_)) for arm in counted for own, all_ in zip(arm.readings, readings, strict=True)]
    single = [need(arm.key, own, sd) for arm, own, sd in pairs if own.margin > 0]
    return tuple(pooled + (single if len(counted) > 1 else []))


def sd_of(each: Reading) -> float | None:
    """The standard deviation of one run, None where it is not known."""
    found = each.comparison
    return found.se * math.sqrt(found.n_eff) if found and found.se else None


@lru_cache(maxsize=1024)
def to_add(n_exp: int, n_base: int, effect_sd: float) -> tuple[int, int] | None:
    """Arms of one size need the same."""
    return runs_to_add(n_exp, n_base, effect_sd=effect_sd)


def need(arm: str, each: Reading, sd: float | None) -> Need:
    """One row."""
    n_exp, n_base = (each.comparison.n_exp, each.comparison.n_base) if each.comparison else (0, 0)
    if not sd or each.margin / sd < 0.01:
        return Need(arm, each.term.metric, each.margin, n_exp, n_base, None, None, None)
    effect_sd = min(each.margin / sd, 1e6)
    added, fresh = to_add(n_exp, n_base, effect_sd), to_add(0, 0, effect_sd)
    return Need(arm, each.term.metric, each.margin, n_exp, n_base, max(fresh) if fresh else None, *(added or (None, None)))


# Sentences -----------------------------------------------------------------------------------------------------------------------------------


def sentence_of(case: Case, judgement: Judgement, missing: str) -> str:
    """The verdict and its reason in one line; while testing, what is missing."""
    word = WORDS[judgement.status]
    deciding = deciding_of(case, judgement.readings)
    if deciding is None or deciding.comparison is None:
        return f"{word}: {missing}"
    one = deciding.comparison
    found = f"{word}: {one.n_exp} {plural(one.n_exp)} v {one.n_base}, {effect(deciding)}, score {shown_score(judgement.score)}; {targets(case)}."
    if one.n_exp == one.n_base == 1:
        usual = case.usual_sd.get(deciding.term.metric)
        size = f", {abs(one.improvement) / usual:.2g} x your usual spread" if usual else ""
        found = f"{word}: {signed(one.delta)} in {deciding.term.metric}{size}; one run each, so direction only."
    return f"{found} {missing}".strip()


def deciding_of(case: Case, readings: Sequence[Reading]) -> Reading | None:
    """The reading that the score rests on: the weakest of all, the strongest of any; None where a target has no comparison."""
    compared_ = [each for each in readings if each.comparison]
    if not compared_ or (case.mode == "all" and len(compared_) < len(readings)):
        return None
    ranked = sorted(compared_, key=lambda each: each.comparison.score if each.comparison else 0.0)
    return ranked[-1] if case.mode == "any" else ranked[0]


def effect(each: Reading) -> str:
    """The improvement with its anytime interval: in percent where the baseline is not 0, else in the metric's unit; + is better."""
    one = each.comparison
    assert one is not None  # noqa: S101  # its callers have looked
    share = abs(one.baseline_value) / 100 if one.relative is not None else 1.0
    unit, of = ("%", "") if one.relative is not None else ("", f" in {each.term.metric}")
    text = f"{signed(one.improvement / share)}{unit}{of}"
    if one.anytime_ci95 is None:
        return f"{text} (no anytime interval yet)"
    low, high = one.anytime_ci95
    return f"{text} (anytime 95% CI {signed(low / share)} to {signed(high / share)})"


def signed(value: float) -> str:
    """Three significant digits with a sign."""
    return f"{'−' if value < 0 else '+'}{abs(value):.3g}"


def shown_score(score: float) -> str:
    """Two digits, with a true minus."""
    return f"{score:.2f}".replace("-", "−")


def targets(case: Case) -> str:
    """How many targets, and which of them."""
    count, which = len(case.terms), {"all": "all", "any": "any of", "mean": "the mean of"}[case.mode]
    return "its one target" if count == 1 else f"{which} {count} targets"


def missing_of(case: Case, judgement: Judgement) -> str:
    """What would have to come for a verdict; "" for one that stands."""
    if judgement.status in ("supported", "refuted"):
        return ""
    counted, late = split(case)
    if not counted:
        return nothing_counts(case, late)
    if not any(run.is_ended for run in case.baseline):
        return "no baseline run has ended yet: run the baseline with at least 2 seeds."
    closed = [gate for gate in judgement.gates if not gate.is_open]
    if any(gate.name != "replicates" for gate in closed):
        first = next(gate for gate in closed if gate.name != "replicates")
        return f"{first.title} is closed: {first.opens or first.sentence}"
    least = least_to_decide(*fewest(judgement.readings))
    if closed or any(least):
        return few(judgement, least)
    return planned(judgement)


def least_to_decide(n_exp: int, n_base: int) -> tuple[int, int]:
    """(linked, baseline) runs without which no result whatever could be a verdict."""
    more_exp, more_base = max(2 - n_exp, 0), max(2 - n_base, 0)
    while t_threshold(n_exp + more_exp, n_base + more_base) is None:
        if n_exp + more_exp <= n_base + more_base:
            more_exp += 1
        else:
            more_base += 1
    return more_exp, more_base


def few(judgement: Judgement, least: tuple[int, int]) -> str:
    """What so few runs lack."""
    if judgement.readings and all(each.comparison and each.comparison.n_exp == each.comparison.n_base == 1 for each in judgement.readings):
        return "2 more seeds a side would tell more."
    lacking = [f"{n} more {side} {plural(n)}" for n, side in zip(least, ("linked", "baseline"), strict=True) if n]
    if not lacking:
        return "Replicates is closed: runs whose values differ are needed, copies of one run count once."
    together = f"{least[0]} more {plural(least[0])} a side" if least[0] == least[1] else " and ".join(lacking)
    return f"{together}, with every target's metric: fewer can decide nothing."


def nothing_counts(case: Case, late: Sequence[Run]) -> str:
    """Why there is nothing to compare."""
    if late:
        return f"the {len(late)} linked {plural(len(late))} suggested the claim and cannot confirm it: start at least 2 fresh runs a side with it."
    waiting = sum(not run.is_ended for run in case.linked)
    if waiting:
        return f"{waiting} linked {plural(waiting)} {'has' if waiting == 1 else 'have'} not ended yet."
    return "no run tests it yet: link experiments, or start runs that name it."


def planned(judgement: Judgement) -> str:
    """How many more runs the smallest effect that matters will take."""
    zero = [each.term.metric for each in judgement.readings if each.margin == 0]
    if zero:
        forever = f"With a smallest effect of 0 in {zero[0]}, no effect at all stays testing for ever"
        return f"Not enough evidence yet. {forever}: say what size matters to let it be refuted."
    added = [(each, each.add_exp + each.add_base) for each in judgement.needs if not each.arm and each.add_exp is not None and each.add_base is not None]
    if not added:
        return "Not enough evidence yet, and the spread between seeds is not known: 2 more runs a side would tell it."
    each, total = max(added, key=lambda pair: pair[1])
    if not total:
        return "Not enough evidence yet: these runs would have shown the smallest effect that matters with chance 0.8; the truth may lie near it."
    runs = f"{each.add_exp} more linked and {each.add_base} more baseline runs"
    return f"Not enough evidence yet: {runs} would tell {signed(each.effect)} from nothing (chance 0.8)."
