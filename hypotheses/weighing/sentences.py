"""The sentence that a person reads of a judgement, and what is missing for a verdict. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from hypotheses.judging.planning import t_threshold
from hypotheses.weighing.cases import Case, Judgement, Reading, Run
from hypotheses.weighing.gates import fewest, plural
from hypotheses.weighing.sides import split

WORDS = {"proposed": "Proposed", "testing": "Testing", "supported": "Supported", "refuted": "Refuted"}


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
    if one is None:
        raise ValueError(f"{each.term.metric} was not compared.")
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
