"""Which arms a hypothesis sees: those of the project, or, once its baseline is fixed, those that it was fixed with until a new epoch."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence

from experiments.models import Experiment, current_keys
from experiments.rekeying import keys_above, keys_by
from hypotheses.claims.wanting import note
from hypotheses.models import Hypothesis, HypothesisEvent
from projects.models import Project
from projects.seeds import Seeds

Keys = Mapping[uuid.UUID, str]
FEW = 20  # runs that are asked for one by one, a question a level of their lineage
KEPT = "Other params of the project count as seeds from now on: this hypothesis keeps the arms that its baseline was fixed with, until a new epoch."


def keep_arms(project: Project, seeds: Seeds) -> int:
    """Have hypotheses whose baseline is fixed go on with the arms that these seeds make, whatever the project's setting becomes; how many did not yet."""
    fixed = list(Hypothesis.objects.filter(project=project, frozen_at__isnull=False, kept_seeds__isnull=True))
    for each in fixed:
        each.frozen = each.frozen | {"arms": sorted(frozen_arms(each))}
        each.kept_seeds = list(seeds.entries)
        Hypothesis.objects.filter(pk=each.pk, frozen_at=each.frozen_at).update(frozen=each.frozen, kept_seeds=each.kept_seeds)
        note(each, HypothesisEvent.Kind.METHOD, KEPT)
    return len(fixed)


def kept_keys(hypothesis: Hypothesis, *, of: Sequence[Experiment] | None = None) -> Keys:
    """The arm of each run of the project as the hypothesis keeps it, at least `of` these and their roots; empty where the arms of the project are its own."""
    kept = hypothesis.kept_seeds
    if kept is None or set(kept) == set(hypothesis.project.seeds.entries):
        return {}
    seeds = Seeds(tuple(kept))
    if of is None or len(of) > FEW:
        return keys_by(hypothesis.project_id, seeds)
    return {pk: key for run in of for pk, key in keys_above(run, seeds).items()}


def regroup(runs: Iterable[Experiment], keys: Keys) -> None:
    """Show runs, and their roots, in these arms: in memory alone."""
    for run in runs if keys else ():
        run.replicate_key = keys.get(run.pk, run.replicate_key)
        root = run.root_experiment
        if root is not None:
            root.replicate_key = keys.get(root.pk, root.replicate_key)


def frozen_arms(hypothesis: Hypothesis) -> set[str]:
    """The arms of the baseline as it was fixed, by the keys that they have now."""
    arms = hypothesis.frozen.get("arms", [])
    return set(arms) if hypothesis.kept_seeds is not None else current_keys(hypothesis.project_id, arms, since=hypothesis.frozen_at)
