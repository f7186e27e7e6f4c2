"""The records behind a table's rows: whole for files, and for a page no more of each than its cells show."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any

from django.db.models import QuerySet, prefetch_related_objects

from experiments.models import Experiment
from projects.seeds import Seeds

AT_ONCE = 20  # a run may hold a megabyte of params
CHANGES_SHOWN = 3


def records(ids: Sequence[uuid.UUID]) -> list[Experiment]:
    """The experiments of these ids, in their order; those that are gone meanwhile are left out."""
    by_id = known().prefetch_related("tags").in_bulk(ids)
    return [by_id[pk] for pk in ids if pk in by_id]


def page_records(ids: Sequence[uuid.UUID], names: Collection[str], seeds: Seeds) -> list[Experiment]:
    """The same for a page: of params those of these names, of changes the first, and how many there are as `change_count`."""
    rows = known().filter(pk__in=list(ids)).order_by().iterator(chunk_size=AT_ONCE)
    by_id = {row.pk: slim(row, names, seeds) for row in rows}
    prefetch_related_objects(list(by_id.values()), "tags")
    return [by_id[pk] for pk in ids if pk in by_id]


def known() -> QuerySet[Experiment]:
    """Experiments without the texts that no table shows."""
    return Experiment.objects.defer("notes", "command")


def slim(row: Experiment, names: Collection[str], seeds: Seeds) -> Experiment:
    """A record of which only what its cells show is kept in memory; it is not to be saved. Its seed is the one that all its params told."""
    row.seed, changes = row.seed_by(seeds), row.features_diff
    row.params = {name: row.params[name] for name in names if name in row.params}
    row.features_diff = dict(islice(changes.items(), CHANGES_SHOWN))
    shown: Any = row  # Any: a number beside the model's fields
    shown.change_count = len(changes)
    return row
