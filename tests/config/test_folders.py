"""The data directory is its owner's alone, whatever it was when the product came."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from config.environment import folders
from operations.apps import data_directory

ROOT: Path = settings.BASE_DIR


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def left_open(tmp_path: Path) -> Path:
    """A data directory as an earlier version left it in a folder that was there with 0755."""
    for name in ("platform.sqlite3", "platform.sqlite3-wal", "secret_key", "mine.txt"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    (tmp_path / "spool").mkdir()
    for folder in (tmp_path, tmp_path / "spool"):
        folder.chmod(0o755)
    return tmp_path


def test_what_an_earlier_version_left_open_is_closed_and_the_folder_is_told_of(left_open):
    said = folders.close(left_open)
    assert [mode(left_open / name) for name in ("platform.sqlite3", "platform.sqlite3-wal", "secret_key", "spool")] == [0o600, 0o600, 0o600, 0o700]
    assert said == f"DATA_DIR={left_open} is open to others on this machine (mode 755): chmod 700 {left_open}"
    assert mode(left_open / "mine.txt") == 0o644
    assert mode(left_open) == 0o755
    left_open.chmod(0o700)
    assert folders.close(left_open) == ""


def test_what_cannot_be_closed_is_named(left_open, monkeypatch):
    monkeypatch.setattr(Path, "chmod", lambda *_: (_ for _ in ()).throw(PermissionError()))
    names = ("platform.sqlite3", "platform.sqlite3-wal", "secret_key", "spool")
    assert folders.close(left_open).endswith(": chmod go-rwx " + " ".join(f"{left_open}/{name}" for name in names))


def test_a_link_is_left_as_it_is(left_open, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    elsewhere.chmod(0o755)
    (left_open / "clickhouse").symlink_to(elsewhere)
    folders.close(left_open)
    assert mode(elsewhere) == 0o755


def test_check_tells_of_an_open_folder(left_open, settings):
    settings.DATA_DIR = left_open
    assert "chmod go-rwx" in data_directory(None)[0].msg
    folders.close(left_open)
    assert "chmod 700" in data_directory(None)[0].msg
    left_open.chmod(0o700)
    assert data_directory(None) == []


WRITES = "import pathlib, os; pathlib.Path(os.environ['DATA_DIR'], 'new').write_text('x')"
PROCESSES = {
    "settings": f"from config import settings; {WRITES}",
    "celery": f"import config.celery; config.celery.app.conf.broker_url; {WRITES}",
    "wsgi": f"import config.wsgi; {WRITES}",
    "gunicorn": f"import runpy; runpy.run_path('gunicorn.conf.py'); {WRITES}",
}


@pytest.mark.parametrize("kind", PROCESSES)
def test_whatever_a_process_writes_is_its_owners_alone(tmp_path, kind):
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", f"import os; os.umask(0o022); {PROCESSES[kind]}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert mode(tmp_path / "new") == 0o600


def test_a_command_that_writes_the_record_makes_it_for_its_owner_alone(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder)}
    command = ["sh", "-c", f"umask 022; {sys.executable} manage.py migrate accounts --verbosity 0"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"chmod 700 {folder}" in done.stderr  # what `check` says
    assert {mode(path) for path in folder.iterdir() if path.is_file()} == {0o600}
