"""Which experiments of a project an address names, and which words of it name none."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from accounts.slugs import is_uuid, spellings
from config.errors import Conflict, Invalid
from config.limits.sizes import NAMED_MOST
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
    """The experiments named by slug, UUID or name, each reference one or several with commas between.

    Raises Conflict where several have a name, Invalid for more than NAMED_MOST.
    """
    asked = list(dict.fromkeys(part.strip() for reference in references for part in reference.split(",") if part.strip()))
    if len(asked) > NAMED_MOST:
        raise Invalid(f"{len(asked):,} experiments are named here: {NAMED_MOST:,} at most, of which {MOST} are compared.")
    slugs, ids = [text for text in asked if not is_uuid(text)], [uuid.UUID(text) for text in asked if is_uuid(text)]
    rows = list(experiments(project).filter(Q(slug__in=slugs) | Q(pk__in=ids)))
    known: dict[str | uuid.UUID, Experiment] = {row.slug: row for row in rows} | {row.pk: row for row in rows}
    known.update(by_name(project, [text for text in slugs if text not in known]))
    found = {text: known.get(uuid.UUID(text) if is_uuid(text) else text) for text in asked}
    chosen = list(dict.fromkeys(row for row in found.values() if row is not None))
    return Selection(chosen[:MOST], [text for text, row in found.items() if row is None], max(0, len(chosen) - MOST))


def experiments(project: Project) -> QuerySet[Experiment]:
    """The project's experiments with what a comparison shows of them."""
    return project.experiments.select_related("parent_experiment").prefetch_related("tags")


def by_name(project: Project, words: Sequence[str]) -> dict[str, Experiment]:
    """Those of the words that are a name of one experiment. Raises Conflict where several have it."""
    if not words:
        return {}
    named, chosen = defaultdict[str, list[uuid.UUID]](list), dict[str, uuid.UUID]()
    spelled = {spelling for word in words for spelling in spellings(word)}
    for pk, name in Experiment.objects.filter(project=project, name__in=spelled).order_by("created_at", "pk").values_list("pk", "name"):
        named[name].append(pk)
    for word in words:
        ids = next((named[spelling] for spelling in spellings(word) if spelling in named), [])
        if len(ids) > 1:
            raise Conflict(f"Several experiments have the name {word!r}: say which by its UUID, {' or '.join(map(str, ids[:5]))}.")
        chosen |= {word: ids[0]} if ids else {}
    rows = experiments(project).in_bulk(list(chosen.values()))
    return {word: rows[pk] for word, pk in chosen.items() if pk in rows}
