"""What a hypothesis's page shows: a judgement and its history laid out in eight parts, for one metric at a time."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from django.conf import settings

from experiments.models import Experiment
from experiments.notation.numerals import decimals_of, number
from hypotheses.drawings import dots, forest_plot, scales, score_timeline, value_strips
from hypotheses.judging.comparison import Comparison
from hypotheses.judging.evidence import PRIOR_VARIANCE
from hypotheses.judging.planning import replicates_needed
from hypotheses.judging.rules import ENGINE_VERSION
from hypotheses.models import Hypothesis, HypothesisEvent, Link, Target
from hypotheses.weighing.cases import Arm, Judgement, Need, Reading, Run
from projects.seeds import Seeds

COMMANDS_MOST = 3
LEAST = 2  # runs a side, below which nothing is decided
SMALLEST_SD = 0.01  # effects smaller than this beside the spread are not counted out
EVENTS_MOST = 200
LINKS_MOST = 500
OPTION = re.compile(r"((?<!\S)(?:--?(?P<option>[\w./-]+)[ =]|\+*(?P<name>[\w./-]+)=))-?\d+\b")
METHODS = {"pooled_t": "sequential t", "welch_guard": "sequential t, Welch guard", "sign_only": "sign only"}
FLAGS = {
    "insufficient_replicates": "fewer than two runs on a side",
    "identical_replicates": "equal runs counted once",
    "unmatched_runs": "runs without a partner left out",
    "noise_floor": "spread between runs held at the noise of their tails",
    "zero_baseline": "the baseline's mean is 0, so there is no change in percent",
    "unequal_horizon": "runs logged different numbers of points",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many more runs would tell, for all arms together or one: `name` for people."""

    name: str
    need: Need
    unit: str

    @property
    def more(self) -> int | None:
        """Runs to add on both sides; None where the spread is not known, or no number is enough."""
        return None if self.need.add_exp is None or self.need.add_base is None else self.need.add_exp + self.need.add_base


@dataclass(frozen=True, slots=True)
class Command:
    """What starts further runs of one arm."""

    ref: str
    title: str
    text: str
    is_own: bool  # as its last run was started


@dataclass(frozen=True, slots=True)
class Pair:
    """One line of the details."""

    name: str
    value: str
    title: str = ""


class Dossier:
    """One hypothesis as its page shows it. `judgement` is None while the metric store is away; then what was stored last is shown."""

    def __init__(self, hypothesis: Hypothesis, judgement: Judgement | None, moments: Sequence[score_timeline.Moment], *, metric: str = "") -> None:
        self.hypothesis, self.judgement, self.moments = hypothesis, judgement, list(moments)
        self.targets: list[Target] = list(hypothesis.targets.all())
        self.index = next((i for i, target in enumerate(self.targets) if target.metric.name == metric), 0)

    @property
    def target(self) -> Target:
        """The target whose metric is shown."""
        return self.targets[self.index]

    @property
    def status(self) -> str:
        """The status as it was judged last."""
        return self.judgement.status if self.judgement else self.hypothesis.status

    @property
    def score(self) -> float | None:
        """The score as it is shown; None where it was never judged."""
        return self.judgement.score if self.judgement else self.hypothesis.score

    @property
    def sentence(self) -> str:
        """The verdict in a sentence."""
        return self.judgement.sentence if self.judgement else self.hypothesis.sentence or "Not judged yet."

    @property
    def reason(self) -> str:
        """The sentence without the status, which stands beside it."""
        return scales.reason(self.sentence, self.status)

    @property
    def missing(self) -> str:
        """What would have to come for a verdict."""
        return self.judgement.missing if self.judgement else self.hypothesis.missing

    @cached_property
    def gauge(self) -> score_timeline.Gauge | None:
        """The gauge; None without a score."""
        if self.score is None:
            return None
        return score_timeline.gauge(self.score, support=settings.HYPOTHESIS_SUPPORT_THRESHOLD, refute=settings.HYPOTHESIS_REFUTE_THRESHOLD)

    @property
    def reading(self) -> Reading | None:
        """The pooled comparison of the metric that is shown."""
        readings = self.judgement.readings if self.judgement else ()
        return readings[self.index] if self.index < len(readings) else None

    @property
    def readings(self) -> list[Reading]:
        """The pooled comparison of every target."""
        return list(self.judgement.readings) if self.judgement else []

    @property
    def exploratory(self) -> Comparison | None:
        """The comparison of runs post hoc in the metric that is shown."""
        readings = self.judgement.exploratory_readings if self.judgement else ()
        return readings[self.index].comparison if self.index < len(readings) else None

    @property
    def arms(self) -> Sequence[Arm]:
        """Arms that count first, then those post hoc."""
        return sorted(self.judgement.arms, key=lambda arm: arm.is_post_hoc) if self.judgement else ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is linked."""
        return self.judgement is not None and not self.judgement.arms

    @cached_property
    def decimals(self) -> int | None:
        """The decimals that the metric's improvements share."""
        found = [arm.readings[self.index].comparison for arm in self.arms] + [self.reading.comparison if self.reading else None]
        return scales.decimals_for_effects(comparison.se or comparison.improvement for comparison in found if comparison)

    @cached_property
    def value_decimals(self) -> int | None:
        """The decimals that raw values share."""
        runs = [*self.baseline, *(run for arm in self.arms for run in arm.runs)]
        return decimals_of(value for _, value in dots.values_of(runs, self.target.metric.name))

    @property
    def baseline(self) -> Sequence[Run]:
        """The runs compared with."""
        return self.judgement.baseline if self.judgement else ()

    @cached_property
    def forest(self) -> forest_plot.Forest | None:
        """The forest plot."""
        if self.reading is None or not self.arms:
            return None
        score = self.reading.comparison.score if self.reading.comparison else None
        return forest_plot.forest(self.arms, self.reading, index=self.index, score=score, decimals=self.decimals)

    @cached_property
    def strips(self) -> value_strips.Strips | None:
        """The raw values."""
        return value_strips.strips(self.arms, self.baseline, self.reading.term) if self.reading else None

    @cached_property
    def timeline(self) -> score_timeline.Timeline | None:
        """Score and effect over the judgements; None where there are fewer than two."""
        if len(self.moments) < 2:
            return None
        margin = self.reading.margin if self.reading else 0.0
        return score_timeline.timeline(self.moments, margin=margin, support=settings.HYPOTHESIS_SUPPORT_THRESHOLD, refute=settings.HYPOTHESIS_REFUTE_THRESHOLD)

    @property
    def since(self) -> str:
        """Since how many runs a verdict has stood."""
        if self.status not in ("supported", "refuted"):
            return ""
        before = [i for i, moment in enumerate(self.moments) if moment.status != self.status]
        first = self.moments[before[-1] + 1 if before else 0 :][:1]
        return f"since run {first[0].n} of {self.moments[-1].n}" if first else ""

    @cached_property
    def needs(self) -> list[Wanted]:
        """What is needed in the metric that is shown: all arms together first."""
        names = {arm.key: arm.name for arm in self.arms} | {"": "all arms together"}
        mine = [need for need in (self.judgement.needs if self.judgement else ()) if need.metric == self.target.metric.name]
        return [Wanted(names.get(need.arm, need.arm), need, "") for need in sorted(mine, key=lambda need: need.arm != "")]

    @property
    def fresh(self) -> int | None:
        """Fresh runs a side that a claim made from runs post hoc needs: at their spread, to tell the smallest effect that matters; two at least.

        None where runs count already, or none is post hoc.
        """
        found, counted = self.exploratory, self.reading.comparison if self.reading else None
        if found is None or counted is not None or self.judgement is None:
            return None
        margin = self.judgement.exploratory_readings[self.index].margin
        sd = found.se * math.sqrt(found.n_eff) if found.se else 0.0
        return replicates_needed(margin / sd) or LEAST if margin and sd and margin / sd >= SMALLEST_SD else LEAST

    @cached_property
    def commands(self) -> list[Command]:
        """What starts the runs that are missing: one for each of the first arms that need some, and for the baseline where it does."""
        if self.status in ("supported", "refuted"):
            return []
        by_arm = {need.need.arm: need.need for need in self.needs}
        asked = [(arm.name, arm.runs, by_arm.get(arm.key)) for arm in self.arms]
        wanting = [(name, runs, need.add_exp) for name, runs, need in asked if need and need.add_exp]
        pooled = by_arm.get("")
        if not wanting and self.arms:
            more = pooled.add_exp if pooled and pooled.add_exp else self.fresh
            wanting = [(arm.name, arm.runs, more) for arm in self.arms[:1] if more]
        more_base = pooled.add_base if pooled and pooled.add_base else self.fresh if self.exploratory else None
        if more_base and self.baseline:
            wanting = [*wanting[: COMMANDS_MOST - 1], ("the baseline", tuple(self.baseline), more_base)]
        records = Experiment.objects.select_related("project", "parent_experiment").in_bulk([runs[-1].id for _, runs, _ in wanting[:COMMANDS_MOST]])
        found = [(name, runs, more, records.get(runs[-1].id)) for name, runs, more in wanting[:COMMANDS_MOST]]
        return [
            command(f"command-{i}", f"{more} more of {name}", record, runs, slug="" if name == "the baseline" else self.hypothesis.slug)
            for i, (name, runs, more, record) in enumerate(found)
            if record is not None
        ]

    @property
    def flags(self) -> list[str]:
        """What was noticed in the pooled comparison, in words."""
        found = self.reading.comparison if self.reading else None
        return [FLAGS.get(flag, flag) for flag in found.flags] if found else []

    @cached_property
    def details(self) -> list[Pair]:
        """Every number behind the verdict in the metric that is shown."""
        found = self.reading.comparison if self.reading else None
        return [*(numbers(found, self.decimals) if found else []), *self.terms]

    @property
    def terms(self) -> list[Pair]:
        """What was fixed: settings, baseline, epoch, engine."""
        claim = self.hypothesis
        return [
            Pair("Targets required", claim.get_require_display().lower()),
            Pair("Baseline", self.baseline_name),
            Pair("Baseline fixed", f"{claim.frozen_at:%Y-%m-%d %H:%M} UTC" if claim.frozen_at else "not yet"),
            Pair("Paired by seed", "yes" if claim.paired else "no"),
            Pair("Thresholds", f"{scales.score_text(settings.HYPOTHESIS_SUPPORT_THRESHOLD)} and {scales.score_text(settings.HYPOTHESIS_REFUTE_THRESHOLD)}"),
            Pair("Prior", f"effects of 2 sd, g = {PRIOR_VARIANCE:g}"),
            Pair("Epoch", f"{claim.epoch}, since {claim.epoch_began_at:%Y-%m-%d %H:%M} UTC"),
            Pair("Engine", f"version {ENGINE_VERSION}"),
        ]

    @property
    def baseline_name(self) -> str:
        """What the runs are compared with, in words."""
        claim = self.hypothesis
        if claim.baseline == Hypothesis.Baseline.EXPERIMENT:
            return claim.baseline_experiment.name if claim.baseline_experiment else "an experiment that is gone"
        return "each run's root arm" if claim.baseline == Hypothesis.Baseline.ROOT else "the best arm before"

    @cached_property
    def events(self) -> list[HypothesisEvent]:
        """Its history, latest first."""
        return list(self.hypothesis.events.select_related("by").order_by("-at", "-pk")[:EVENTS_MOST])

    @cached_property
    def links(self) -> list[Link]:
        """Every link, those that do not count any more among them."""
        return list(self.hypothesis.links.select_related("experiment", "by").defer("experiment__params", "experiment__notes")[:LINKS_MOST])


def numbers(found: Comparison, decimals: int | None) -> list[Pair]:
    """A comparison as lines of the details."""
    relative = "–, the baseline is 0" if found.relative is None else f"{scales.signed(100 * found.relative, 2)} %"
    return [
        Pair("Runs", f"{found.n_exp} v {found.n_base}"),
        Pair("Means", f"{number(found.experiment_value)} v {number(found.baseline_value)}", f"{found.experiment_value!r} v {found.baseline_value!r}"),
        Pair("Improvement", scales.signed(found.improvement, decimals), repr(found.improvement)),
        Pair("Of the baseline", relative),
        Pair("E+ and E−", f"{number(found.e_pos)} and {number(found.e_neg)}", f"{found.e_pos!r} and {found.e_neg!r}"),
        Pair("95% CI, one look", between(found.ci95, decimals)),
        Pair("Anytime 95% CI", between(found.anytime_ci95, decimals)),
        Pair("p, two-sided", number(found.p_two_sided)),
        Pair("Degrees of freedom", f"{found.df:.4g}"),
        Pair("P(improvement)", f"{found.prob_improvement:.3f}"),
        Pair("Hedges g", f"{number(found.standardised)} sd" if found.standardised is not None else "–"),
        Pair("Method", METHODS[found.method]),
    ]


def between(ends: tuple[float, float] | None, decimals: int | None) -> str:
    """An interval in words; one without an end says so."""
    return "has no end yet" if ends is None else f"{scales.signed(ends[0], decimals)} to {scales.signed(ends[1], decimals)}"


def command(ref: str, title: str, record: Experiment, runs: Sequence[Run], *, slug: str) -> Command:
    """How another run of the arm is started: its own command with the next seed, else a line for a script. `slug`: the hypothesis that it tests."""
    seed = 1 + max((run.seed for run in runs if run.seed is not None), default=len(runs))
    if record.command:
        return Command(ref, title, reseeded(record.command, seed, record.project.seeds), is_own=True)
    return Command(ref, title, call(record, seed, slug), is_own=False)


def reseeded(command: str, seed: int, seeds: Seeds) -> str:
    """A command with another number for every option or `name=` that is a seed."""

    def other(found: re.Match[str]) -> str:
        return f"{found[1]}{seed}" if seeds.has(found["option"] or found["name"]) else found[0]

    return OPTION.sub(other, command)


def call(record: Experiment, seed: int, slug: str) -> str:
    """The client's call that starts a replicate of `record`."""
    parts = [f"project={record.project.slug!r}", f"name={record.name!r}"]
    if record.parent_experiment is not None:
        parts.append(f"parent={record.parent_experiment.slug!r}")
    parts += [f"params={record.project.seeds.replaced(record.params, seed)!r}", f"seed={seed}"]
    if record.replicate_group:
        parts.append(f"replicate_group={record.replicate_group!r}")
    if slug:
        parts.append(f"hypotheses=[{slug!r}]")
    return f"rp.init({', '.join(parts)})"
