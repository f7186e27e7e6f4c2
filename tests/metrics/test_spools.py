"""Many processes on one folder of spool files: who holds which, who takes care of what the dead left, and what all of them know together."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.db import DatabaseError

from config.errors import InFlight, Invalid, SetupError, Unavailable
from experiments.models import Experiment
from metrics import process
from metrics.drain import host as spools
from metrics.drain.host import Spools
from metrics.drain.storing import Timing
from metrics.points.states import State
from metrics.points.valid import Points
from metrics.process import Process
from metrics.spool import folder as spool_folder
from metrics.spool.batches import Series
from metrics.spool.file import InUse, is_free, own, reader, set_meta
from metrics.spool.keys import Keys
from metrics.spool.queue import Caps, Spool
from metrics.store.shapes import Place
from tests import waiting

pytestmark = [pytest.mark.slow, pytest.mark.differs_on_servers("files are drained by processes that race, into the metric store")]

CAPS = Caps(spool_bytes=1 << 40, disk_free_bytes=1, names=10_000)
QUICK = Timing(batch_points=100, interval_s=0.05, block_points=100_000, keep_s=86_400, keep_bytes=256_000_000)
NEVER = replace(QUICK, batch_points=1 << 40, interval_s=1e9)
DEADLINE_S = 60.0
Host = Callable[..., Spools]


until = partial(waiting.until, within_s=DEADLINE_S)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def host(store: Process, folder: Path) -> Iterator[Host]:
    """host(**options): one more process on the folder, played by this one; flock keeps them apart as it does processes."""
    running: list[Spools] = []

    def started(where: Path = folder, **options: object) -> Spools:
        given = {"caps": CAPS, "timing": QUICK, "register": process.register} | options
        running.append(Spools(where, store.repository, **given))
        running[-1].start()
        return running[-1]

    yield started
    for one in running:
        if not one.stopping.is_set():
            one.stop(within_s=20)


@pytest.fixture
def target(experiment: Experiment) -> Series:
    return Series(experiment.project.team_id, experiment.project_id, experiment.pk, experiment.created_month)


def points(*values: float, first: int = 0, writer: int | None = None, ordinal: int | None = None, metric: str = "loss") -> Points:
    codes, steps = np.zeros(len(values), "u4"), np.arange(first, first + len(values))
    times = 1_763_900_000_000_000 + steps
    return Points([metric], codes, steps, times, np.array(values, "f8"), [""], codes, writer=writer, ordinal=ordinal)


def left_by_the_dead(folder: Path, number: int, target: Series, *batches: Points, **options: object) -> Path:
    """A spool file with batches that nobody drained, and nobody who holds it."""
    spool_folder.make(folder)
    spool = Spool(folder / f"{number}.sqlite", caps=CAPS, register=process.register)
    for place, batch in enumerate(batches):
        spool.append(target, batch, key=f"{number} {place}" if options.get("keyed") else None, body_hash=b"same")
    spool.close()
    return spool.path


def values(store: Process, target: Series, metric: str = "loss") -> list[float]:
    return store.repository.series(place_of(target), target.experiment_id, metric).value.tolist()


def place_of(target: Series) -> Place:
    return Place(target.team_id, target.project_id)


def assert_summaries_are_right(store: Process, target: Series) -> None:
    until(lambda: store.repository.summaries(place_of(target)) == store.repository.recomputed(place_of(target)))


def numbers(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.sqlite"))


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(reader(path)) as reading:
        return reading.execute(sql).fetchall()


# Who holds which


def test_processes_hold_a_file_each_and_a_new_one_takes_what_an_ended_one_left(host, folder):
    first, second = host(), host()
    assert [one.here().spool.path.stem for one in (first, second)] == ["0", "1"]
    first.stop(within_s=20)
    third, fourth = host(), host()
    assert [one.here().spool.path.stem for one in (third, fourth)] == ["0", "2"]
    for one in (second, third, fourth):
        one.stop(within_s=20)
    for _ in range(3):
        host()
    assert numbers(folder) == ["0", "1", "2"]


def test_every_file_has_a_writer_number_of_its_own(host):
    writers = [host().here().spool.writer for _ in range(3)]
    assert len(set(writers)) == 3


def test_a_file_that_is_held_cannot_be_opened_by_another_process(host, folder):
    held = host().here().spool.path
    code = f"import pathlib, metrics.spool.queue as s; s.own(pathlib.Path({str(held)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=60)
    assert "InUse" in done.stderr
    with pytest.raises(InUse):
        own(held)


def away(path: Path) -> int:
    raise DatabaseError("the record is away")


def test_without_the_record_a_process_starts_on_a_file_that_is_there(host, folder, store, target):
    left_by_the_dead(folder, 0, target)
    spool = host(register=away).here().spool
    assert spool.append(target, points(1.0)).accepted == 1
    until(lambda: values(store, target) == [1.0])


def test_without_the_record_and_a_free_file_a_process_refuses_points_until_it_has_one(host, target, store):
    answers = iter([away, away, process.register])
    late = host(register=lambda path: next(answers)(path))
    with pytest.raises(Unavailable) as refused:
        late.append(target, points(1.0))
    assert refused.value.retry_after_s
    until(lambda: late.own is not None)
    late.append(target, points(1.0))
    until(lambda: values(store, target) == [1.0])


def test_a_file_whose_maker_died_before_it_was_registered_is_used_by_the_next(host, folder):
    spool_folder.make(folder)
    with pytest.raises(DatabaseError):
        Spool(folder / "0.sqlite", caps=CAPS, register=away)
    assert host().here().spool.path.stem == "0"
    assert numbers(folder) == ["0"]


def test_a_damaged_file_is_left_alone_by_who_runs_and_refused_by_who_starts(host, folder, target, store):
    (folder).mkdir(parents=True)
    (folder / "0.sqlite").write_bytes(b"this is no database" * 1000)
    with pytest.raises(SetupError, match=r"0\.sqlite"):
        spool_folder.check(folder)
    one = host()
    assert one.here().spool.path.stem == "1"
    assert [path.stem for path in one.views.damaged] == ["0"]
    one.append(target, points(1.0), key="k", body_hash=b"h")
    assert one.append(target, points(1.0), key="k", body_hash=b"h").replayed
    assert one.dead_count() == 0
    until(lambda: values(store, target) == [1.0])


# What the dead left


def test_what_a_dead_process_left_is_adopted_drained_and_let_go(host, folder, target, store):
    host()
    path = left_by_the_dead(folder, 7, target, points(1.0, 2.0), points(3.0, first=2))
    began = time.monotonic()
    until(lambda: values(store, target) == [1.0, 2.0, 3.0])
    assert time.monotonic() - began > spools.GRACE_S, "a worker that replaces the dead one had no chance"
    until(lambda: is_free(path) and ask(path, "SELECT count(*) FROM summaries WHERE stored < version") == [(0,)])
    assert ask(path, "SELECT count(*) FROM blocks WHERE drained_us IS NULL") == [(0,)]
    assert_summaries_are_right(store, target)


def test_a_file_that_somebody_holds_is_not_adopted(host, folder, target, store):
    host()
    path = left_by_the_dead(folder, 7, target, points(1.0))
    lock = own(path)
    time.sleep(spools.GRACE_S + 2)
    assert values(store, target) == []
    os.close(lock)
    until(lambda: values(store, target) == [1.0])


def test_states_that_were_not_stored_are_enough_to_adopt_a_file(host, folder, target, store):
    host()
    path = left_by_the_dead(folder, 7, target, points(1.0, 2.0))
    until(lambda: values(store, target) == [1.0, 2.0])
    until(lambda: is_free(path))
    store.repository.forget(place_of(target), [target.experiment_id])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE summaries SET stored = 0")
    until(lambda: store.repository.summaries(place_of(target)))


def test_fifty_files_are_drained_by_processes_that_race_for_them_each_point_once(host, folder, target, store):
    wanted = []
    for number in range(10, 60):
        left_by_the_dead(folder, number, target, points(*range(number), first=number * 100), points(0.5, first=number))
        wanted += [0.5, *range(number)]
    for _ in range(3):
        host()
    until(lambda: len(values(store, target)) == len(wanted))
    assert sorted(values(store, target)) == sorted(wanted)
    assert_summaries_are_right(store, target)
    # Those who came took three of them as their own; no file was made.
    assert numbers(folder) == [str(number) for number in range(10, 60)]


def test_while_the_store_is_away_nothing_is_adopted_and_a_new_process_takes_the_file(host, folder, target, store):
    one = host()
    store.engine.is_closed = True
    try:
        one.append(target, points(1.0))
        until(lambda: one.here().drain.failures)
        path = left_by_the_dead(folder, 7, target, points(2.0, first=1))
        time.sleep(spools.GRACE_S + 1)
        assert host().here().spool.path == path
    finally:
        store.engine.is_closed = False
    until(lambda: values(store, target) == [1.0, 2.0])


def test_receipts_past_their_day_go_from_a_file_that_nobody_holds(host, folder, target, store):
    host()
    path = left_by_the_dead(folder, 7, target, points(1.0), keyed=True)
    until(lambda: values(store, target) == [1.0] and is_free(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE receipts SET at_us = 1")
    until(lambda: ask(path, "SELECT count(*) FROM receipts") == [(0,)])


def test_a_process_that_stops_in_the_middle_of_an_adoption_leaves_the_rest_to_the_next(host, folder, target, store):
    batches = [points(float(number), first=number) for number in range(20)]
    left_by_the_dead(folder, 7, target, *batches)
    stops: list[Spools] = []

    def stop_soon(name: str) -> None:
        if name == "adopted-after-mark":
            stops[0].stopping.set()

    left_by_the_dead(folder, 0, target)
    stops.append(host(timing=replace(QUICK, block_points=1), failpoint=stop_soon))
    until(lambda: stops[0].stopping.is_set())
    stops[0].watcher.join(DEADLINE_S)
    assert 0 < len(values(store, target)) < 20
    stops[0].stop(within_s=20)
    second = host()
    assert second.here().spool.path.stem == "0"
    until(lambda: len(values(store, target)) == 20)
    assert_summaries_are_right(store, target)


# What all know together


def test_a_key_is_answered_by_the_first_receipt_from_every_process(host, target, store):
    one, other = host(), host()
    first = one.append(target, points(1.0, 2.0), key="team:k", body_hash=b"body")
    again = other.append(target, points(1.0, 2.0), key="team:k", body_hash=b"body")
    assert (again.batch_id, again.accepted, again.replayed) == (first.batch_id, 2, True)
    with pytest.raises(Invalid):
        other.append(target, points(9.0), key="team:k", body_hash=b"another body")
    assert other.wait_visible(again, target, timeout_s=DEADLINE_S)
    assert values(store, target) == [1.0, 2.0]
    assert ask(other.here().spool.path, "SELECT count(*) FROM batches") == [(0,)]


def test_a_process_that_came_just_now_is_asked_for_its_receipts_too(host, target):
    one = host()
    one.append(target, points(1.0), key="first look at the folder", body_hash=b"")
    first = host().append(target, points(2.0), key="k", body_hash=b"h")
    assert one.append(target, points(2.0), key="k", body_hash=b"h").batch_id == first.batch_id


def test_receipts_survive_adoption(host, folder, target, store):
    one = host()
    path = left_by_the_dead(folder, 7, target, points(1.0), keyed=True)
    until(lambda: values(store, target) == [1.0] and is_free(path))
    again = one.append(target, points(1.0), key="7 0", body_hash=b"same")
    assert again.replayed
    assert one.wait_visible(again, target, timeout_s=DEADLINE_S)
    assert values(store, target) == [1.0]


def test_a_receipt_that_cannot_be_read_now_refuses_the_batch_and_loses_nothing(host, target, monkeypatch):
    one, other = host(), host()
    first = other.append(target, points(1.0), key="k", body_hash=b"h")
    view = next(view for view in one.others() if view.path == other.here().spool.path)
    with closing(reader(view.path)) as broken:
        kept, view.connection = view.connection, broken
        broken.set_progress_handler(lambda: 1, 1)
        with pytest.raises(Unavailable) as refused:
            one.append(target, points(1.0), key="k", body_hash=b"h")
        assert refused.value.retry_after_s
        view.connection = kept
    assert one.append(target, points(1.0), key="k", body_hash=b"h").batch_id == first.batch_id


HOLD = """
import sys, time
from pathlib import Path
from metrics.spool.keys import Keys
with Keys(Path(sys.argv[1])).alone(sys.argv[2]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_key_in_flight_in_another_process_is_refused_here_until_that_process_is_done_or_dead(tmp_path):
    path = tmp_path / "keys.lock"
    keys = Keys(path)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path), "team:k"], cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InFlight), keys.alone("team:k"):
            pass
        with keys.alone("team:another"):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait(60)
    with keys.alone("team:k"), pytest.raises(InFlight), keys.alone("team:k"):
        pass
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path), "team:k"], cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
    finally:
        holder.kill()
        holder.wait(60)


def test_points_that_wait_anywhere_on_the_host_are_pending(host, target):
    one, other = host(timing=NEVER), host(timing=NEVER)
    one.append(target, points(1.0))
    other.append(target, points(2.0, 3.0, first=1))
    until(lambda: [spool.pending([target.experiment_id, uuid.uuid4()]) for spool in (one, other)] == [3, 3])
    assert one.waiting_points() == other.waiting_points() == 3
    other.hurry()
    until(lambda: [spool.pending([target.experiment_id]) for spool in (one, other)] == [0, 0])


def test_the_cap_is_for_the_folder(host, target):
    one = host(timing=NEVER)
    other = host(timing=NEVER, caps=replace(CAPS, spool_bytes=1_000_000))
    other.append(target, points(1.0))
    for batch in range(40):
        one.append(target, points(*np.random.default_rng(batch).normal(size=2000), first=batch * 2000))
    other.here().spool.looked_at = 0.0
    with pytest.raises(Unavailable) as refused:
        other.append(target, points(2.0))
    assert (refused.value.code, refused.value.retry_after_s) == ("spool_full", 10)
    assert other.size_bytes() > 1_000_000
    one.append(target, points(3.0))


def refuse_rows(path: Path, target: Series, count: int) -> None:
    """Set rows of a file aside, as the drain does with what the store refuses."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for number in range(count):
            ids = (target.team_id.bytes, target.project_id.bytes, target.experiment_id.bytes, target.month)
            connection.execute(
                "INSERT INTO dead (team, project, experiment, month, points, writer, ordinal, received_us, payload, reason, at_us, request_id)"
                " VALUES (?,?,?,?,1,?,?,1,?,'no','5','r')",
                (*ids, 4242, number, points(float(number), first=number).encoded()),
            )


def test_refused_rows_of_every_file_are_shown_and_replayed_from_any_process(host, folder, target, store):
    one, other = host(), host()
    orphan = left_by_the_dead(folder, 7, target)
    refuse_rows(orphan, target, 2)
    assert one.dead_count() == other.dead_count() == 2
    assert [row["spool"] for row in one.dead_letters()] == ["7", "7"]
    assert one.dead_letters()[0].items() >= {"metrics": ["loss"], "reason": "no", "request_id": "r"}.items()
    assert one.replay_dead() == 2
    until(lambda: values(store, target) == [0.0, 1.0])
    until(lambda: one.dead_count() == 0 and not spool_folder.replay_mark(orphan).exists())
    assert_summaries_are_right(store, target)


def test_refused_rows_in_a_file_that_another_process_holds_are_replayed_by_that_process(host, target, store):
    one, other = host(), host()
    refused = points(4.0)
    ids = (target.team_id.bytes, target.project_id.bytes, target.experiment_id.bytes, target.month)
    row = (*ids, 4242, 0, refused.encoded())
    sql = (
        "INSERT INTO dead (team, project, experiment, month, points, writer, ordinal, received_us, payload, reason, at_us) VALUES (?,?,?,?,1,?,?,1,?,'no','5')"
    )
    other.here().spool.transact(lambda c: c.execute(sql, row).rowcount)
    assert one.replay_dead() == 1
    until(lambda: values(store, target) == [4.0])
    until(lambda: one.dead_count() == 0)


def test_a_damaged_store_gets_back_what_every_file_kept_from_one_process(host, folder, target, store):
    one, other = host(), host()
    one.append(target, points(1.0))
    other.append(target, points(2.0, first=1))
    left_by_the_dead(folder, 7, target, points(3.0, first=2))
    until(lambda: values(store, target) == [1.0, 2.0, 3.0])
    assert_summaries_are_right(store, target)
    before = store.repository.summaries(place_of(target))
    store.repository.forget(place_of(target), [target.experiment_id])
    assert one.restore() == 3
    assert values(store, target) == [1.0, 2.0, 3.0]
    assert store.repository.summaries(place_of(target)) == before == store.repository.recomputed(place_of(target))


# Several hosts


def test_a_client_s_batch_that_reaches_two_hosts_lands_once(host, tmp_path, target, store):
    one, other = host(tmp_path / "one"), host(tmp_path / "other")
    for spool in (one, other, one):
        receipt = spool.append(target, points(1.0, 2.0, writer=1, ordinal=0))
        assert spool.wait_visible(receipt, target, timeout_s=DEADLINE_S)
    assert values(store, target) == [1.0, 2.0]


def test_plain_points_of_two_hosts_are_kept_apart_and_their_summaries_add_up(host, tmp_path, target, store):
    one, other = host(tmp_path / "one"), host(tmp_path / "other")
    for spool in (one, other):
        assert spool.wait_visible(spool.append(target, points(1.0, 2.0)), target, timeout_s=DEADLINE_S)
    assert values(store, target) == [1.0, 1.0, 2.0, 2.0]
    assert_summaries_are_right(store, target)


def test_a_repeat_within_one_file_is_counted_once_beside_what_other_files_count(host, target, store):
    one, other = host(), host()
    for spool, batch in (
        (one, points(1.0, 2.0, writer=1, ordinal=0)),
        (other, points(3.0, float("nan"), first=2, writer=1, ordinal=2)),
        (one, points(1.0, 2.0, writer=1, ordinal=0)),
    ):
        assert spool.wait_visible(spool.append(target, batch), target, timeout_s=DEADLINE_S)
    until(lambda: store.repository.summaries(place_of(target)).keys() == {target.experiment_id})
    counts = [summary["loss"].count for summary in store.repository.summaries(place_of(target)).values()]
    assert counts == [4]
    kept, recomputed = (ask(place_of(target))[target.experiment_id]["loss"] for ask in (store.repository.summaries, store.repository.recomputed))
    assert (kept.count, kept.nonfinite, kept.total, kept.low, kept.high, kept.last_step) == (4, 1, 6.0, 1.0, 3.0, 3)
    assert kept.total == recomputed.total


# From request to log line, and from version to version


def test_the_drain_s_log_names_the_requests_of_a_block(host, target, caplog):
    one = host(timing=NEVER)
    until(lambda: one.here().drain.swept_at)  # the first round of a drain, in which it would take what comes meanwhile
    for number in range(7):
        one.append(target, points(1.0, first=number), request_id=f"request-{number}")
    with caplog.at_level(logging.INFO, logger="metrics.drain"):
        one.hurry()
        until(lambda: any(record.message.startswith("Stored 7 points") for record in caplog.records))
    record = next(record for record in caplog.records if record.message.startswith("Stored 7 points"))
    assert record.request_ids == [f"request-{number}" for number in range(5)]
    assert record.requests == 7


EARLIER = """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE batches (
        id INTEGER PRIMARY KEY AUTOINCREMENT, team BLOB NOT NULL, project BLOB NOT NULL, experiment BLOB NOT NULL, month INTEGER NOT NULL,
        points INTEGER NOT NULL, writer INTEGER NOT NULL, ordinal INTEGER NOT NULL, received_us INTEGER NOT NULL,
        repeats INTEGER NOT NULL DEFAULT 0, payload BLOB NOT NULL
    );
    CREATE TABLE dead (
        id INTEGER PRIMARY KEY, team BLOB NOT NULL, project BLOB NOT NULL, experiment BLOB NOT NULL, month INTEGER NOT NULL, points INTEGER NOT NULL,
        writer INTEGER NOT NULL, ordinal INTEGER NOT NULL, received_us INTEGER NOT NULL, payload BLOB NOT NULL, reason TEXT NOT NULL, at_us INTEGER NOT NULL
    );
    CREATE TABLE summaries (
        experiment BLOB, name TEXT, team BLOB NOT NULL, project BLOB NOT NULL, version INTEGER NOT NULL, stored INTEGER NOT NULL DEFAULT 0,
        state BLOB NOT NULL, PRIMARY KEY (experiment, name)
    ) WITHOUT ROWID;
"""


def test_a_file_of_the_version_before_opens_with_all_that_it_holds(host, folder, target, store):
    spool_folder.make(folder)
    writer = process.register(folder / "0.sqlite")
    ids = (target.team_id.bytes, target.project_id.bytes, target.experiment_id.bytes, target.month)
    with closing(sqlite3.connect(folder / "0.sqlite", isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL;" + EARLIER)
        set_meta(connection, "writer", writer)
        connection.execute(
            "INSERT INTO batches (team, project, experiment, month, points, writer, ordinal, received_us, payload) VALUES (?,?,?,?,2,?,0,1763900000000000,?)",
            (*ids, writer, points(1.0, 2.0).encoded()),
        )
        before = State(2, 0, 9.0, 4.0, 5.0, 5.0, -1, 0, 0, -2, 0)
        connection.execute("INSERT INTO summaries VALUES (?, 'loss', ?, ?, 3, 3, ?)", (ids[2], ids[0], ids[1], before.packed()))
    one = host(register=away)
    assert one.here().spool.writer == writer
    one.append(target, points(3.0, first=2), request_id="new")
    until(lambda: values(store, target) == [1.0, 2.0, 3.0])
    assert ask(folder / "0.sqlite", "SELECT request_id, ordinal FROM batches") == [("", 0), ("new", 2)]
    (version, once_at, state) = ask(folder / "0.sqlite", "SELECT version, once_at, state FROM summaries")[0]
    assert (version > 3, State.unpacked(state, once=False, last_logged=0).count) == (True, 5)
    assert once_at == 0, "of what an earlier version stored nobody knows whether a step came twice"
