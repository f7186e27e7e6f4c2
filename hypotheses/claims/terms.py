"""What may be stated of a hypothesis: words, targets and a baseline, looked at as a whole before anything is saved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from django.db import models

from config.errors import Fault, Invalid
from config.limits.sizes import CLAIM_CHARACTERS
from experiments.content import flaw_in_text
from experiments.models import Experiment
from hypotheses.models import Hypothesis, Target
from projects.models import Direction, Project, ProjectMetric

LENGTHS = {"title": 255, "claim": CLAIM_CHARACTERS, "rationale": CLAIM_CHARACTERS, "description": CLAIM_CHARACTERS}
TARGETS_MOST = 20
EFFECT_MOST = 1e300
NAMES_SHOWN = 20
SAID_BY_HAND = (Hypothesis.Status.PROPOSED, Hypothesis.Status.TESTING)
CHOICES: dict[str, Sequence[str]] = {"require": Hypothesis.Require.values, "baseline": Hypothesis.Baseline.values}
WAYS = (Direction.MINIMIZE, Direction.MAXIMIZE)
BASELINES = {Hypothesis.Baseline.ROOT: "each experiment's own root", Hypothesis.Baseline.BEST: "the best that had ended before"}
REQUIRED = {Hypothesis.Require.ALL: "all targets", Hypothesis.Require.ANY: "any target", Hypothesis.Require.MEAN: "the mean of the targets"}
BETTER = {Direction.MAXIMIZE: "higher is better", Direction.MINIMIZE: "lower is better", Direction.UNSET: "nobody says which way is better"}
CALLED = {"targets": "the targets", "require": "what is required", "baseline": "the baseline", "paired": "pairing"}


@dataclass(frozen=True, slots=True)
class TargetTerm:
    """A target as it is stated: `smallest_effect` in the metric's unit or in percent of the baseline; `direction` only where the project has none."""

    metric: str
    smallest_effect: float = 0.0
    unit: str = Target.Unit.METRIC
    direction: str = ""


class Content(TypedDict, total=False):
    """What a person or a script may say of a hypothesis."""

    title: str
    claim: str
    rationale: str
    description: str
    targets: Sequence[TargetTerm]
    require: str
    baseline: str
    baseline_experiment: Experiment | None
    paired: bool
    status: str


def completed(said: Content) -> Content:
    """With the baseline's kind where only its experiment was named, and without an experiment where the kind has none."""
    full: Content = {**said}
    if full.get("baseline_experiment") and "baseline" not in full:
        full["baseline"] = Hypothesis.Baseline.EXPERIMENT
    if full.get("baseline") in BASELINES and "baseline_experiment" not in full:
        full["baseline_experiment"] = None
    return full


def check(project: Project, said: Content, *, hypothesis: Hypothesis | None = None) -> None:
    """Raise Invalid, naming each field, where this cannot be stated in the project, or of the hypothesis that is there."""
    refuse([*in_words(said), *in_choices(said), *in_status(said, hypothesis), *in_targets(project, said), *in_baseline(project, said, hypothesis)])


def refuse(faults: Sequence[Fault]) -> None:
    """Raise Invalid where there are faults; the first is in its message."""
    if faults:
        raise Invalid(faults[0].message, list(faults))


# Words and choices -------------------------------------------------------------------------------------------------------------------------


def in_words(said: Content) -> Iterator[Fault]:
    """What is wrong with title, claim, rationale and description."""
    for name, most in LENGTHS.items():
        if name in said:
            yield from in_text(name, said[name], most=most)  # type: ignore[literal-required]  # the names are Content's
    if "title" in said and not said["title"].strip():
        yield Fault(None, "title", "blank", "Give the hypothesis a title.")


def in_text(field: str, text: str, *, most: int) -> Iterator[Fault]:
    """What is wrong with one text of at most `most` characters."""
    flaw = flaw_in_text(text) or (f"This text has {len(text):,} characters: {most:,} at most." if len(text) > most else "")
    if flaw:
        yield Fault(None, field, "invalid", flaw)


def in_choices(said: Content) -> Iterator[Fault]:
    """Words that are none of those to choose from."""
    for name, words in CHOICES.items():
        chosen = said.get(name)
        if chosen is not None and chosen not in words:
            yield Fault(None, name, "invalid_choice", f"There is no {chosen!r}: choose one of {', '.join(words)}.")


def in_status(said: Content, hypothesis: Hypothesis | None) -> Iterator[Fault]:
    """A status that evidence alone may set, or take back."""
    status = said.get("status")
    if status is None or (hypothesis is not None and status == hypothesis.status):
        return
    if status not in SAID_BY_HAND:
        yield Fault(None, "status", "by_evidence", f"Nobody sets {status!r}: evidence does. Say proposed or testing, or leave it out.")
    elif hypothesis is not None and hypothesis.is_decided:
        yield Fault(None, "status", "by_evidence", f"It is {hypothesis.status} by its evidence: link fresh runs, or change its terms, and it is judged again.")
    elif hypothesis is not None and status == Hypothesis.Status.PROPOSED and has_begun(hypothesis):
        yield Fault(None, "status", "has_begun", "Its first linked run has started: it is being tested.")


def has_begun(hypothesis: Hypothesis) -> bool:
    """Whether a run that is linked to it has started."""
    return hypothesis.links.standing().exclude(experiment__status=Experiment.Status.PLANNED).exists()


# Targets -----------------------------------------------------------------------------------------------------------------------------------


def in_targets(project: Project, said: Content) -> Iterator[Fault]:
    """What is wrong with the targets; `index` is the target's place in the list."""
    if "targets" not in said:
        return
    aims = said["targets"]
    if not aims:
        yield Fault(None, "targets", "empty", f"Name at least one metric that must improve{there_are(project)}.")
    if len(aims) > TARGETS_MOST:
        yield Fault(None, "targets", "too_many", f"These are {len(aims)} targets: {TARGETS_MOST} at most.")
        return
    known = metrics_of(project, aims)
    for index, aim in enumerate(aims):
        if aim.metric in [earlier.metric for earlier in aims[:index]]:
            yield Fault(index, "targets", "duplicate", f"{aim.metric!r} is a target already: name each metric once.")
        yield from in_metric(project, index, aim, known.get(aim.metric))
        yield from in_effect(index, aim)


def metrics_of(project: Project, aims: Iterable[TargetTerm]) -> dict[str, ProjectMetric]:
    """The project's metrics that the aims name."""
    names = [aim.metric for aim in aims if not flaw_in_text(aim.metric)]
    return {metric.name: metric for metric in project.metrics.filter(name__in=names)}


def there_are(project: Project) -> str:
    """The metrics to choose from, as the end of a sentence."""
    names = list(project.metrics.values_list("name", flat=True)[: NAMES_SHOWN + 1])
    if not names:
        return f"; {project} has none yet: log one, or define it with POST /api/v1/projects/{project.slug}/metrics"
    return f"; {project} has {', '.join(names[:NAMES_SHOWN])}{' and more' if len(names) > NAMES_SHOWN else ''}"


def in_metric(project: Project, index: int, aim: TargetTerm, metric: ProjectMetric | None) -> Iterator[Fault]:
    """A metric that the project does not have, or one of which nobody said, or two say differently, which way is better."""
    if metric is None:
        yield Fault(index, "targets", "unknown", f"There is no metric {aim.metric!r}{there_are(project)}.")
    elif aim.direction and aim.direction not in WAYS:
        yield Fault(index, "targets", "invalid_choice", f"There is no direction {aim.direction!r}: choose minimize or maximize.")
    elif not metric.direction and not aim.direction:
        place = f"the project's Metrics page, or with PATCH {project.address_of_metric(metric.name)}"
        message = f"Nobody said which way {metric.name} is better: say it with the target as its direction, on {place}."
        yield Fault(index, "targets", "no_direction", message)
    elif aim.direction and metric.direction and aim.direction != metric.direction:
        message = f"The project says {metric.direction} for {metric.name}: leave the direction out, or change it on the project's Metrics page."
        yield Fault(index, "targets", "other_direction", message)


def in_effect(index: int, aim: TargetTerm) -> Iterator[Fault]:
    """A smallest effect that is none."""
    if aim.unit not in Target.Unit.values:
        yield Fault(index, "targets", "invalid_choice", f"There is no unit {aim.unit!r}: choose metric or percent.")
    message = ""
    if not math.isfinite(aim.smallest_effect) or aim.smallest_effect > EFFECT_MOST:
        message = f"The smallest effect that matters is a number of at most {EFFECT_MOST:g}, not {aim.smallest_effect}."
    elif aim.smallest_effect < 0:
        message = f"The smallest effect that matters is 0 or more, not {aim.smallest_effect:g}: the metric's direction says which way is better."
    elif aim.unit == Target.Unit.PERCENT and aim.smallest_effect == 0:
        message = "An effect of 0% is any effect at all: give more than 0%, or 0 in the metric's unit."
    if message:
        yield Fault(index, "targets", "invalid", message)


# Baseline ----------------------------------------------------------------------------------------------------------------------------------


def in_baseline(project: Project, said: Content, hypothesis: Hypothesis | None) -> Iterator[Fault]:
    """A baseline without its experiment, of another project, or in a cycle with what is linked."""
    if "baseline" not in said and "baseline_experiment" not in said:
        return
    kind = said.get("baseline") or (hypothesis.baseline if hypothesis else Hypothesis.Baseline.ROOT)
    kept = hypothesis.baseline_experiment if hypothesis else None
    experiment = said.get("baseline_experiment", kept)
    if experiment is None:
        if kind == Hypothesis.Baseline.EXPERIMENT:
            yield baseline_fault("missing", "Name the experiment to compare with, by its UUID or slug.")
    elif kind != Hypothesis.Baseline.EXPERIMENT:
        yield baseline_fault("not_one", f"A baseline of kind {kind} has no experiment of its own: leave the experiment out, or choose the kind experiment.")
    elif experiment.project_id != project.pk:
        yield baseline_fault("other_project", f"The baseline {experiment} belongs to another project: choose an experiment of {project}.")
    elif hypothesis is not None:
        yield from in_cycle(experiment, hypothesis)


def baseline_fault(code: str, message: str) -> Fault:
    """A fault of the baseline's experiment."""
    return Fault(None, "baseline_experiment", code, message)


def in_cycle(experiment: Experiment, hypothesis: Hypothesis) -> Iterator[Fault]:
    """A baseline that is linked, repeats a linked run, or descends from one."""
    advice = "Choose a baseline that came before what is tested."
    standing = hypothesis.links.standing()
    if standing.filter(models.Q(experiment=experiment) | models.Q(experiment__replicate_key=experiment.replicate_key)).exists():
        yield baseline_fault("cycle", f"A cycle: {experiment} is linked to this hypothesis, or repeats a run that is. {advice}")
        return
    above = standing.filter(experiment__in=[ancestor.pk for ancestor in experiment.ancestors()]).select_related("experiment").first()
    if above is not None:
        yield baseline_fault("cycle", f"A cycle: {experiment} descends from the linked run {above.experiment}. {advice}")


# In words ----------------------------------------------------------------------------------------------------------------------------------


def terms_of(hypothesis: Hypothesis) -> dict[str, Any]:  # Any: whatever JSON holds
    """The terms as history keeps them."""
    targets = hypothesis.targets.select_related("metric").order_by("position", "pk")
    experiment = hypothesis.baseline_experiment
    return {
        "targets": [{"metric": t.metric.name, "smallest_effect": t.smallest_effect, "unit": str(t.unit)} for t in targets],
        "require": str(hypothesis.require),
        "baseline": {"kind": str(hypothesis.baseline), "experiment": str(experiment.pk) if experiment else None, "name": experiment.name if experiment else ""},
        "paired": hypothesis.paired,
        "metrics": {t.metric.name: {"direction": str(t.metric.direction), "aggregation": str(t.metric.aggregation)} for t in targets},
    }


def in_one_line(terms: Mapping[str, Any]) -> str:
    """All terms in words."""
    several = f" ({worded('require', terms['require'])})" if len(terms["targets"]) > 1 else ""
    paired = ", seed by seed" if terms["paired"] else ""
    return f"{worded('targets', terms['targets'])}{several}, against {worded('baseline', terms['baseline'])}{paired}"


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What changed between two terms, in words; "" where nothing did."""
    changed = [name for name in CALLED if before[name] != after[name]]
    said = [f"{CALLED[name]} from {worded(name, before[name])} to {worded(name, after[name])}" for name in changed]
    return "; ".join([*said, *reread(before["metrics"], after["metrics"])])


def reread(before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """The metrics that are targets before and after and are read another way, in words."""
    for name in before:
        if name in after and before[name] != after[name]:
            yield f"{name} from {way(before[name])} to {way(after[name])}"


def way(metric: Mapping[str, str]) -> str:
    """How a metric is read, in words."""
    return f"{BETTER[Direction(metric['direction'])]} ({metric['aggregation']} of the series)"


def worded(name: str, value: Any) -> str:  # Any: as JSON holds it
    """One term in words."""
    if name == "targets":
        return ", ".join(target_in_words(target) for target in value)
    if name == "require":
        return REQUIRED[value]
    if name == "paired":
        return "on" if value else "off"
    return value["name"] or BASELINES.get(value["kind"], "an experiment that was deleted")


def target_in_words(target: Mapping[str, Any]) -> str:
    """A metric, and by how much it must improve."""
    effect = f"{target['smallest_effect']:g}{'%' if target['unit'] == Target.Unit.PERCENT else ''}"
    return f"{target['metric']} better by more than {effect}" if target["smallest_effect"] else f"{target['metric']} better"
