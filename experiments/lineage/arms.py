"""The arms of a project: replicates of one change as one, and which arm came from which."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from experiments.lineage import layout
from experiments.models import Change, Experiment
from experiments.readings.arm_names import arm_name
from experiments.readings.measured import is_failed
from experiments.readings.spread import Spread, spread_of
from experiments.stalled import state_of
from projects.models import Project

# Read by every page of the tree, notes and params left where they are.
COLUMNS = ["name", "slug", "status", "failure_kind", "parent_experiment_id", "features_diff", "replicate_group", "replicate_key", "archived", "project_id"]
SIGNS = ["last_point_at", "heartbeat_at", "started_at", "created_at", "patience", "heartbeat_gap"]
SYMBOLS = {"planned": "m-planned", "running": "m-running", "stalled": "m-stalled", "complete": "m-complete"}
LOUDEST = ("stalled", "running", "diverged", "crashed", "interrupted", "failed", "planned", "complete")


@dataclass
class Arm:
    """Replicates of one change, oldest first, and their values of the chosen metric."""

    key: str
    runs: list[Experiment] = field(default_factory=list)
    spread: Spread = field(default_factory=lambda: spread_of([], None))

    @cached_property
    def name(self) -> str:
        """What is true of all of them."""
        return arm_name(self.runs)

    @property
    def slug(self) -> str:
        """The slug of its first run: what the address calls it."""
        return self.runs[0].slug

    @property
    def slugs(self) -> str:
        """All its runs as the compare page reads them."""
        return ",".join(run.slug for run in self.runs)

    @cached_property
    def states(self) -> Counter[str]:
        """How many runs are in each state."""
        return Counter(state_of(run) for run in self.runs)

    @property
    def said_states(self) -> str:
        """The states in words, the loudest first: `1 running, 4 complete`."""
        return ", ".join(f"{self.states[word]} {word}" if len(self.runs) > 1 else word for word in LOUDEST if self.states[word])

    @property
    def symbol(self) -> str:
        """The shape of its loudest state."""
        return SYMBOLS.get(next(word for word in LOUDEST if self.states[word]), "m-failed")

    @property
    def is_archived(self) -> bool:
        """Whether all its runs are put away."""
        return all(run.archived for run in self.runs)

    @property
    def is_gone(self) -> bool:
        """Whether all its runs failed."""
        return all(is_failed(run) for run in self.runs)

    @cached_property
    def changes(self) -> list[Change]:
        """What it changed against its parent."""
        child = next((run for run in self.runs if run.parent_experiment_id), self.runs[0])
        return child.changes


def arms_of(project: Project) -> dict[str, Arm]:
    """All arms of a project by their key, oldest first; of what is archived only what something current came from. One query."""
    rows = list(Experiment.objects.filter(project=project).only(*COLUMNS, *SIGNS).order_by("created_at", "pk"))
    by_id = {row.pk: row for row in rows}
    kept: set[uuid.UUID] = set()
    for row in rows:
        at: Experiment | None = None if row.archived else row
        while at is not None and at.pk not in kept:
            kept.add(at.pk)
            at = by_id.get(at.parent_experiment_id) if at.parent_experiment_id else None
    arms: dict[str, Arm] = {}
    for row in rows:
        if row.pk in kept:
            arms.setdefault(row.replicate_key, Arm(row.replicate_key)).runs.append(row)
    return arms


def parents_of(arms: dict[str, Arm]) -> dict[str, str | None]:
    """Each arm's parent: that of its first run with a parent in another arm. A cycle that a replicate_group ties is cut."""
    key_of = {run.pk: arm.key for arm in arms.values() for run in arm.runs}
    found: dict[str, str | None] = {}
    for arm in arms.values():
        asked = (key_of.get(run.parent_experiment_id) for run in arm.runs if run.parent_experiment_id)
        found[arm.key] = next((key for key in asked if key not in (None, arm.key)), None)
    return layout.without_cycles(found)
