"""What a judgement looks at, read from the record and the metric store: few questions, however many runs."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from django.db.models import Q

from experiments.models import Experiment, changes
from hypotheses.claims.grouping import Keys, frozen_arms, kept_keys, regroup
from hypotheses.judgements.values import Values, read_values
from hypotheses.judging.comparison import LARGEST
from hypotheses.judging.evidence import sign_of
from hypotheses.models import Hypothesis, Link
from hypotheses.weighing.cases import BETWEEN_CHANGES, Case, Gate, Run, Term
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place, Summaries
from projects.models import Direction
from projects.seeds import Seeds

OF_BASELINE = frozenset({"baseline_deleted", "baseline_fell_back", "baseline_not_confirmed"})
UNSAID = "direction:"
USUAL_RUNS = 500  # of the project, the newest, that tell how far seeds usually lie apart


def gather(hypothesis: Hypothesis, repository: MetricRepository, *, as_of: datetime | None = None) -> Case:
    """The case as it stands, or as it stood at `as_of` by the runs that had ended then. Raises a StoreError where the store is away."""
    links = list(linked(hypothesis))
    terms, closed = terms_of(hypothesis)
    keys = kept_keys(hypothesis)
    regroup((link.experiment for link in links), keys)
    bases = baselines(hypothesis, [link.experiment for link in links], keys)
    runs = [*(link.experiment for link in links), *bases]
    values = read_values(repository, place_of(hypothesis), list({run.pk: None for run in runs if run.is_ended}), wanted_by(terms))
    late = {link.experiment_id for link in links if is_late(link, hypothesis)}
    seeds = hypothesis.project.seeds
    theirs = tuple(run_of(run, values, seeds, is_post_hoc=False) for run in bases)
    case = Case(
        hypothesis_id=hypothesis.pk,
        mode=hypothesis.require,  # type: ignore[arg-type]  # a choice of the model
        terms=terms,
        is_paired=hypothesis.paired,
        previous=hypothesis.status,  # type: ignore[arg-type]  # a choice of the model
        epoch=hypothesis.epoch,
        baseline_kind=kind_of(hypothesis),
        frozen_at=hypothesis.frozen_at,
        linked=in_time([run_of(link.experiment, values, seeds, is_post_hoc=link.experiment_id in late) for link in links]),
        baseline=in_time(theirs),
        closed=(*closed, *baseline_gates(hypothesis, theirs)),
    )
    case = replace(case, usual_sd=usual_spread(hypothesis, repository, case))
    return as_it_stood(hypothesis, case, as_of) if as_of else case


def as_it_stood(hypothesis: Hypothesis, case: Case, at: datetime) -> Case:
    """The same case by the runs that had ended then: the others were still running."""
    ours, theirs = ([then(run, at) for run in runs] for runs in (case.linked, case.baseline))
    lasting = tuple(gate for gate in case.closed if gate.name not in OF_BASELINE)
    return replace(case, linked=in_time(ours), baseline=in_time(theirs), closed=(*lasting, *baseline_gates(hypothesis, theirs)))


def then(run: Run, at: datetime) -> Run:
    """A run as it was."""
    return replace(run, state="running", finished_at=None, values={}) if run.finished_at and run.finished_at > at else run


def place_of(hypothesis: Hypothesis) -> Place:
    """Where its series live."""
    return Place(hypothesis.project.team_id, hypothesis.project_id)


def linked(hypothesis: Hypothesis) -> Iterable[Link]:
    """The links that stand, with their experiments and roots."""
    return hypothesis.links.standing().select_related("experiment__root_experiment")


def is_late(link: Link, hypothesis: Hypothesis) -> bool:
    """Whether the run was known when the claim, or its present terms, were stated."""
    ended = link.experiment.finished_at
    return link.is_post_hoc or (hypothesis.epoch > 1 and ended is not None and ended < hypothesis.epoch_began_at)


def in_time(runs: Sequence[Run]) -> tuple[Run, ...]:
    """In the order in which they ended, those that have not last."""
    return tuple(sorted(runs, key=lambda run: (run.finished_at is None, run.finished_at.timestamp() if run.finished_at else 0.0, run.slug)))


def run_of(experiment: Experiment, values: Values, seeds: Seeds, *, is_post_hoc: bool) -> Run:
    """An experiment as a judgement sees it."""
    changed = (f"{change.feature} {change.now}" for change in changes(experiment.features_diff))
    return Run(
        id=experiment.pk,
        slug=experiment.slug,
        name=experiment.name,
        arm=experiment.replicate_key,
        root_arm=experiment.root_experiment.replicate_key if experiment.root_experiment else experiment.replicate_key,
        seed=experiment.seed_by(seeds),
        state=experiment.state,
        finished_at=experiment.finished_at if experiment.is_ended else None,
        is_post_hoc=is_post_hoc,
        change=BETWEEN_CHANGES.join(changed) if experiment.parent_experiment_id else "",
        values=values.get(experiment.pk, {}) if experiment.is_ended else {},
    )


# Terms -------------------------------------------------------------------------------------------------------------------------------------


def terms_of(hypothesis: Hypothesis) -> tuple[tuple[Term, ...], tuple[Gate, ...]]:
    """The targets, and a closed gate for each metric of which nobody said which way is better."""
    terms, closed = [], []
    for target in hypothesis.targets.select_related("metric"):
        metric = target.metric
        if not metric.direction:
            text = f"nobody said whether more or less of {metric.name} is better"
            closed.append(Gate(f"{UNSAID}{metric.name}", "Direction", False, text, f"Choose minimize or maximize for {metric.name} on the Metrics page."))
        way = metric.direction or Direction.suggested(metric.name) or Direction.MAXIMIZE
        terms.append(Term(metric.name, str(way), metric.aggregation, target.smallest_effect, target.unit == target.Unit.PERCENT))  # type: ignore[arg-type]
    return tuple(terms), tuple(closed)


# Baselines ---------------------------------------------------------------------------------------------------------------------------------


def kind_of(hypothesis: Hypothesis) -> str:
    """The kind of baseline that is used: `root` where no arm could be the best."""
    return "root" if hypothesis.baseline == "best" and not hypothesis.frozen.get("arms") else hypothesis.baseline


def baselines(hypothesis: Hypothesis, ours: Sequence[Experiment], keys: Keys) -> list[Experiment]:
    """The experiments that may be compared with: the runs of the baseline's arms, without those that chose it."""
    arms = baseline_arms(hypothesis, ours)
    chosen_by = set(hypothesis.frozen.get("chosen_by", ()))
    is_theirs = Q(pk__in=[pk for pk, key in keys.items() if key in arms]) if keys else Q(replicate_key__in=arms)
    found = Experiment.objects.filter(is_theirs, project_id=hypothesis.project_id).select_related("root_experiment")
    if kind_of(hypothesis) == "best" and hypothesis.frozen_at:
        found = found.filter(Q(finished_at__gt=hypothesis.frozen_at) | Q(finished_at=None))
    counted = [run for run in found if str(run.pk) not in chosen_by]
    regroup(counted, keys)
    return counted


def baseline_arms(hypothesis: Hypothesis, ours: Sequence[Experiment]) -> set[str]:
    """The replicate_keys of the baseline."""
    if kind_of(hypothesis) == "root":
        return {run.root_experiment.replicate_key for run in ours if run.root_experiment and run.root_experiment.replicate_key != run.replicate_key}
    frozen = frozen_arms(hypothesis)
    if frozen or hypothesis.baseline_experiment is None:
        return frozen
    return {hypothesis.baseline_experiment.replicate_key}


def baseline_gates(hypothesis: Hypothesis, runs: Sequence[Run]) -> list[Gate]:
    """What is wrong with the baseline."""
    if hypothesis.baseline == "experiment" and hypothesis.baseline_experiment is None:
        return [Gate("baseline_deleted", "Baseline", False, "the experiment to compare with was deleted", "Choose another baseline: that begins a new epoch.")]
    if hypothesis.baseline != "best":
        return []
    if hypothesis.frozen_at and not hypothesis.frozen.get("arms"):
        return [Gate("baseline_fell_back", "Baseline", True, "no arm had ended before the first linked run: compared with its root instead")]
    fresh = sum(run.state == "complete" for run in runs)
    if hypothesis.frozen_at and fresh < 2:
        text = f"the best arm was chosen by its old runs, which only choose; {fresh} ended since"
        return [Gate("baseline_not_confirmed", "Baseline confirmed", False, text, f"Run the baseline again with {2 - fresh} more seeds.")]
    return []


def frozen_baseline(hypothesis: Hypothesis, repository: MetricRepository, *, at: datetime) -> dict[str, list[str]]:
    """What is fixed at the first linked run's start: the arms of the baseline, for "best" also the runs that chose it."""
    ours = [link.experiment for link in linked(hypothesis)]
    if hypothesis.baseline == "root":
        return {"arms": [], "chosen_by": []}
    if hypothesis.baseline == "experiment":
        return {"arms": sorted(baseline_arms(hypothesis, ours)), "chosen_by": []}
    return best(hypothesis, repository, ours, at=at)


def best(hypothesis: Hypothesis, repository: MetricRepository, ours: Sequence[Experiment], *, at: datetime) -> dict[str, list[str]]:
    """The arm with the best mean of the first target among those complete before `at`, neither linked nor below a linked run."""
    terms, _ = terms_of(hypothesis)
    if not terms:
        return {"arms": [], "chosen_by": []}
    first = terms[0]
    linked_arms, linked_ids = {run.replicate_key for run in ours}, {run.pk for run in ours}
    before = Experiment.objects.filter(project_id=hypothesis.project_id, status=Experiment.Status.COMPLETE, finished_at__lt=at)
    unfinished = Experiment.objects.filter(Q(finished_at=None) | Q(finished_at__gte=at), project_id=hypothesis.project_id, started_at__lt=at)
    before = before.exclude(replicate_key__in=unfinished.values("replicate_key"))
    parents = dict(Experiment.objects.filter(project_id=hypothesis.project_id).values_list("pk", "parent_experiment_id"))
    arms: dict[str, list[uuid.UUID]] = {}
    for run in before.only("pk", "replicate_key"):
        if run.replicate_key not in linked_arms and not descends(run.pk, linked_ids, parents):
            arms.setdefault(run.replicate_key, []).append(run.pk)
    values = read_values(repository, place_of(hypothesis), [pk for ids in arms.values() for pk in ids], wanted_by((first,)))
    means = {arm: mean for arm, ids in arms.items() if (mean := mean_of(values, ids, first.metric)) is not None}
    if not means:
        return {"arms": [], "chosen_by": []}
    chosen = max(means, key=lambda arm: sign_of(first.direction) * means[arm])
    return {"arms": [chosen], "chosen_by": sorted(map(str, arms[chosen]))}


def descends(run: uuid.UUID, from_: set[uuid.UUID], parents: Mapping[uuid.UUID, uuid.UUID | None]) -> bool:
    """Whether one of `from_` is above the run."""
    above = parents.get(run)
    while above is not None:
        if above in from_:
            return True
        above = parents.get(above)
    return False


def wanted_by(terms: Sequence[Term]) -> dict[str, str]:
    """The metrics of the targets, each with its aggregation."""
    return {term.metric: term.aggregation for term in terms}


def mean_of(values: Values, runs: Sequence[uuid.UUID], metric: str) -> float | None:
    """The mean of the runs that have a value."""
    found = [value.value for run in runs if (value := values.get(run, {}).get(metric)) and value.value is not None]
    return sum(found) / len(found) if found else None


def usual_spread(hypothesis: Hypothesis, repository: MetricRepository, case: Case) -> dict[str, float]:
    """The project's spread between seeds by metric, pooled over arms of two runs and more; asked only where one run stands against one."""
    if not 1 == ended_well(case.linked) == ended_well(case.baseline):
        return {}
    complete = Experiment.objects.filter(project_id=hypothesis.project_id, status=Experiment.Status.COMPLETE).order_by("-finished_at")
    arms: dict[str, list[uuid.UUID]] = {}
    for pk, arm in complete.values_list("pk", "replicate_key")[:USUAL_RUNS]:
        arms.setdefault(arm, []).append(pk)
    several = [ids for ids in arms.values() if len(ids) > 1]
    ids = [pk for arm in several for pk in arm]
    found = repository.summaries(place_of(hypothesis), experiments=ids, metrics=[term.metric for term in case.terms]) if ids else {}
    return {term.metric: spread for term in case.terms if (spread := spread_of(several, found, term))}


def ended_well(runs: Iterable[Run]) -> int:
    """How many are complete and count."""
    return sum(run.state == "complete" and not run.is_post_hoc for run in runs)


def spread_of(arms: Iterable[Sequence[uuid.UUID]], found: Summaries, term: Term) -> float | None:
    """The standard deviation within arms, None where no arm has two finite values or they do not differ."""
    squares, df = 0.0, 0
    for arm in arms:
        values = [found[pk][term.metric].by(term.aggregation) for pk in arm if term.metric in found.get(pk, {})]
        finite = [value for value in values if abs(value) <= LARGEST]
        if len(finite) > 1:
            mean = math.fsum(finite) / len(finite)
            squares, df = squares + math.fsum((value - mean) ** 2 for value in finite), df + len(finite) - 1
    return math.sqrt(squares / df) if df and squares else None
