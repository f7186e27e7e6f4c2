"""Which experiments of a project an address names, and which words of it name none."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q

from accounts.slugs import is_uuid
from experiments.models import Experiment
from projects.models import Project

LEAST, MOST = 2, 100


@dataclass(frozen=True)
class Selection:
    """The experiments that a link names, in its order; what it names in vain; how many it names beyond MOST."""

    experiments: list[Experiment]
    unknown: list[str]
    beyond: int

    @property
    def is_enough(self) -> bool:
        """Whether there is something to compare."""
        return len(self.experiments) >= LEAST

    @property
    def total(self) -> int:
        """How many experiments were found, those beyond MOST among them."""
        return len(self.experiments) + self.beyond


def select(project: Project, references: Iterable[str]) -> Selection:
    """The experiments named by slug or UUID, each reference one or several with commas between."""
    asked = list(dict.fromkeys(part.strip() for reference in references for part in reference.split(",") if part.strip()))
    slugs, ids = [text for text in asked if not is_uuid(text)], [uuid.UUID(text) for text in asked if is_uuid(text)]
    rows = Experiment.objects.filter(Q(slug__in=slugs) | Q(pk__in=ids), project=project).select_related("parent_experiment").prefetch_related("tags")
    known: dict[str | uuid.UUID, Experiment] = {row.slug: row for row in rows} | {row.pk: row for row in rows}
    found = {text: known.get(uuid.UUID(text) if is_uuid(text) else text) for text in asked}
    chosen = list(dict.fromkeys(row for row in found.values() if row is not None))
    return Selection(chosen[:MOST], [text for text, row in found.items() if row is None], max(0, len(chosen) - MOST))
