"""A machine or settings that are not ready: one sentence on stderr that says what to do, exit code 1, no traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.served import ROOT, Served, environment
from tests.ports import free_port

pytestmark = pytest.mark.faults


def refused(data_dir: Path, *arguments: str, **settings: str) -> str:
    """What `serve` says on stderr when it does not start, after checking that it is one sentence."""
    given = {"PORT": str(free_port()), "DATA_DIR": str(data_dir), **settings}
    command = [sys.executable, "manage.py", "serve", "--no-demo", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment(given), capture_output=True, text=True, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("port", ["70000", "-1"])
def test_a_port_that_does_not_exist_is_named(tmp_path: Path, port: str) -> None:
    said = refused(tmp_path / "data", PORT=port)
    assert port in said
    assert "port" in said.lower()


def test_a_port_in_use_is_named_and_nothing_is_touched(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refused(tmp_path / "data", "--port", port)
    assert port in said
    assert not (tmp_path / "data" / "credentials.json").exists()


def test_a_host_that_is_not_this_machine_is_named(tmp_path: Path) -> None:
    assert "203.0.113.7" in refused(tmp_path / "data", "--host", "203.0.113.7")


@pytest.mark.slow
def test_a_data_directory_that_another_process_owns_is_named_and_its_owner_goes_on(served: Callable[..., Served]) -> None:
    server = served()
    server.start()
    said = refused(server.data_dir, "--port", str(free_port()))
    assert str(server.data_dir) in said
    assert "in use" in said
    assert server.is_ready()
    assert server.stop() == 0


def test_a_file_in_the_place_of_the_data_directory_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "data"
    in_the_way.write_text("not a folder")
    assert str(in_the_way) in refused(in_the_way)
    assert str(in_the_way / "deeper") in refused(in_the_way / "deeper")


def test_with_a_secret_of_its_own_the_data_directory_is_made_too(tmp_path: Path, served: Callable[..., Served]) -> None:
    secret = "a secret that no file holds, long enough for every host: 0123456789"
    in_the_way = tmp_path / "data"
    in_the_way.write_text("not a folder")
    assert str(in_the_way / "deeper") in refused(in_the_way / "deeper", SECRET_KEY=secret)
    server = served(tmp_path / "new" / "deeper", SECRET_KEY=secret)
    server.start()
    assert server.stop() == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    assert str(tmp_path / "data") in refused(tmp_path / "data")


@pytest.mark.parametrize("name", ["platform.sqlite3", "spool/0.sqlite"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    damaged = tmp_path / "data" / name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"this is no database, and it never was one" * 100)
    assert str(damaged) in refused(tmp_path / "data")


@pytest.mark.parametrize("name", ["clickhouse", "spool"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_text("in the way")
    assert str(tmp_path / "data") in refused(tmp_path / "data")


def test_an_empty_host_is_refused(tmp_path: Path) -> None:
    assert "host" in refused(tmp_path / "data", "--host", "").lower()


@pytest.mark.slow
def test_a_full_disk_at_the_first_start_is_named_and_the_next_start_is_the_first_again(served: Callable[..., Served]) -> None:
    server = served(arguments=())
    server.spawn(DISK_FREE_MIN_BYTES=str(10**18))
    assert server.wait_for_death() == 1
    assert "Traceback" not in server.printed()
    server.start()
    assert server.call("GET", "/projects")[2]["count"] == 1
