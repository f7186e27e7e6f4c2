"""The states of a spool's series: what the spool says of each, which of them the store has, and how they get there."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from metrics.drain import record
from metrics.drain.block import Block, summary_columns
from metrics.points.states import State
from metrics.spool.batches import Series
from metrics.spool.queue import Spool
from metrics.store import freshness
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place

STATES_REMEMBERED = 100_000
# Fewer than UNSTORED reads at once, so that what is noted never fills a whole read.
NOTED_MOST = 10_000
FORGET = tuple(f"DELETE FROM {table} WHERE experiment = ?" for table in ("summaries", "names", "writers"))  # nosec B608  # made of our own words
UNSTORED = """
    SELECT experiment, name, team, project, version, state, once_at = version, last_logged FROM summaries INDEXED BY summaries_unstored
    WHERE stored < version LIMIT 20000
"""


class SeriesStates:
    """The states of one spool's series, of which only its drain's thread asks."""

    def __init__(self, spool: Spool, reading: sqlite3.Connection, repository: MetricRepository) -> None:
        self.spool, self.reading, self.repository = spool, reading, repository
        self.known: dict[tuple[uuid.UUID, str], tuple[int, State]] = {}
        # Versions of series' states that the store has and the spool does not know of yet: noted with the next block, so that nobody waits for it.
        self.noted: dict[tuple[bytes, str], int] = {}

    def remember(self, changed: Mapping[tuple[Series, str], tuple[int, State]]) -> None:
        """What the spool says of these from now on."""
        if len(self.known) > STATES_REMEMBERED:
            self.known.clear()
        self.known |= {(series.experiment_id, name): numbered for (series, name), numbered in changed.items()}

    def changed(self, stored: list[Block]) -> dict[tuple[Series, str], tuple[int, State]]:
        """(version, state) of every series that gained points. Where a client sent some of them again, the points themselves are counted."""
        changed: dict[tuple[Series, str], tuple[int, State]] = {}
        repeated = set[tuple[Series, str]]().union(*(block.repeated() for block in stored))
        for block in stored:
            for (series, name), gained in block.states().items():
                version, before = changed.get((series, name)) or self.known_state(series.experiment_id, name)
                changed[series, name] = (version + 1, before.joined(gained) if before else gained)
        for series, name in repeated:
            place = Place(series.team_id, series.project_id)
            own = self.repository.recounted(place, series.experiment_id, name, beside=self.spool.writer)
            changed[series, name] = (changed[series, name][0], own)
        return changed

    def known_state(self, experiment: uuid.UUID, name: str) -> tuple[int, State | None]:
        """(version, state) of a series as the spool has it; (0, None) for a new one."""
        known = self.known.get((experiment, name))
        if known is not None:
            return known
        asked = "SELECT version, state, once_at = version, last_logged FROM summaries WHERE experiment = ? AND name = ?"
        found = self.reading.execute(asked, (experiment.bytes, name)).fetchone()
        return (int(found[0]), State.unpacked(found[1], once=bool(found[2]), last_logged=found[3])) if found else (0, None)

    def store(self) -> None:
        """Bring every state that the metric store does not have yet into it; the spool forgets those of deleted experiments."""
        while found := self.unstored():
            kept = self.insert(found, writer=self.spool.writer)
            self.forget_experiments({uuid.UUID(bytes=row[0]) for row in found} - {uuid.UUID(bytes=row[0]) for row in kept})
            self.noted |= {(experiment, name): version for experiment, name, _, _, version, *_ in kept}
            if len(self.noted) >= NOTED_MOST:
                self.write_notes()

    def unstored(self) -> list[Any]:
        """Rows of UNSTORED that are not noted as stored either."""
        return [row for row in self.reading.execute(UNSTORED) if self.noted.get((row[0], row[1])) != row[4]]

    def write_notes(self) -> None:
        """Let the spool know now which states are stored."""
        if self.noted:
            self.transact_with_notes(lambda connection: None)

    def transact_with_notes(self, job: Callable[[sqlite3.Connection], object]) -> None:
        """Run `job` in one transaction that also notes which states are stored."""
        notes = [(version, experiment, name) for (experiment, name), version in self.noted.items()]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("UPDATE summaries SET stored = ? WHERE experiment = ? AND name = ?", notes)
            job(connection)

        self.spool.transact(write)
        self.noted = {}

    def insert(self, found: list[Any], *, writer: int) -> list[Any]:
        """Insert rows of a spool's summaries, those of deleted experiments left out; the rows that were inserted."""
        living = record.living({uuid.UUID(bytes=row[0]) for row in found})
        kept = [row for row in found if uuid.UUID(bytes=row[0]) in living]
        if kept:
            self.repository.insert_summaries(summary_columns(kept, spool=writer))
            self.forget_gone({uuid.UUID(bytes=row[0]): Place(uuid.UUID(bytes=row[2]), uuid.UUID(bytes=row[3])) for row in kept})
        return kept

    def forget_experiments(self, experiments: set[uuid.UUID]) -> None:
        """Drop what the spool knows of deleted experiments."""
        if not experiments:
            return
        self.known = {key: state for key, state in self.known.items() if key[0] not in experiments}
        keys = [(experiment.bytes,) for experiment in experiments]

        def write(connection: sqlite3.Connection) -> None:
            for forget in FORGET:
                connection.executemany(forget, keys)

        self.spool.transact(write)

    def forget_gone(self, places: Mapping[uuid.UUID, Place]) -> None:
        """Take out again what was inserted of experiments that were deleted meanwhile."""
        for experiment in places.keys() - record.living(places):
            self.forget(places[experiment], experiment)

    def forget(self, place: Place, experiment: uuid.UUID) -> None:
        """Take a deleted experiment's points out of the store."""
        self.repository.forget(place, [experiment])
        freshness.touch([experiment, place.project_id])
