"""Points that cannot be delivered now, in a file of their run: they outlive the process, and `research-platform send` sends them.

The first line says where they go. Each of the others is a batch with its key, so that sending it again harms nothing, or how the run ended.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from research_platform import provenance
from research_platform.connection import Body
from research_platform.parts import Batch

try:
    import fcntl
except ImportError:  # Windows, where nobody is kept from sending the file of a run that goes on: it does no harm
    fcntl = None  # type: ignore[assignment]

ENDING = ".jsonl"
BEING_SENT = ".sending"
SLUG_LENGTH = 60


@dataclass(frozen=True)
class Destination:
    """Where a run's points go: the server's address, and the paths of its points, its record and its page there."""

    url: str
    points: str
    record: str
    page: str
    slug: str
    id: str


@dataclass(frozen=True)
class KeptBatch:
    """A batch, and the word for why it was kept."""

    batch: Batch
    reason: str


def folder() -> Path:
    """Where such files are: `RP_UNSENT_DIR`, else below the person's home."""
    chosen = os.environ.get("RP_UNSENT_DIR")
    return Path(chosen) if chosen else Path.home() / ".local" / "share" / "research-platform" / "unsent"


def files() -> list[Path]:
    """Every file there."""
    with suppress(OSError, RuntimeError):  # RuntimeError: nobody knows where the home is
        return sorted(path for path in folder().iterdir() if path.name.endswith((ENDING, ENDING + BEING_SENT)))
    return []


class Keep:
    """The file of one run, made when the first batch comes. For many threads."""

    def __init__(self, destination: Destination, path: Path | None = None) -> None:
        """`path` is where it is already."""
        self._destination = destination
        self._lock = threading.RLock()
        self._file: IO[bytes] | None = None
        self._home, self.path = path, path
        self._is_over = False

    def __bool__(self) -> bool:
        return self.path is not None

    @property
    def where(self) -> str:
        """The file and the machine, for people."""
        return f"{self.path} on {provenance.host()}"

    def add(self, batch: Batch, reason: str) -> None:
        """Put a batch into the file. Raises OSError where that cannot be."""
        body = {"headers": dict(batch.body.headers), "body": base64.b64encode(batch.body.content).decode()}
        self._write({"key": batch.key, "points": batch.points, "reason": reason, **body})

    def add_ending(self, content: Mapping[str, object]) -> None:
        """Note how the run ended. Raises OSError where that cannot be."""
        self._write({"ending": dict(content)})

    def close(self) -> None:
        """The run is over: let go of the file, so that others may send it. What comes later is still added."""
        with self._lock:
            self._is_over = True
            self._let_go()

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def taken(self) -> Generator[KeptBatch, None, None]:
        """Every batch out of the file; those that were not asked for stay there. Raises OSError."""
        with self._lock:
            path, self.path = self.path, None
            self._let_go()
        if path is None:
            return
        aside = set_aside(path)
        waiting = lines_of(aside)
        try:
            for line in waiting:
                if "key" in line:
                    yield kept_batch(line)
        finally:
            for line in waiting:
                if "key" in line:
                    self._write(line)
            with suppress(FileNotFoundError):
                aside.unlink()

    def _write(self, line: Mapping[str, Any]) -> None:
        with self._lock:
            file = self._file or self._opened()
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            if self._is_over:
                self._let_go()

    def _opened(self) -> IO[bytes]:
        path = self._home or folder() / f"{self._destination.slug[:SLUG_LENGTH]}-{self._destination.id}{ENDING}"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
        held(file)
        self._file, self.path = file, path
        if not os.fstat(file.fileno()).st_size:
            file.write(json.dumps(asdict(self._destination)).encode() + b"\n")
        return file


def held(file: IO[Any]) -> bool:
    """Hold the file until it is closed; False where another process does."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def aside_of(path: Path) -> Path:
    """Where a file is while it is sent, and stays where its process is killed meanwhile."""
    return path.with_name(path.name + BEING_SENT)


def home_of(path: Path) -> Path:
    """The file that this one is, or was set aside from."""
    return path.with_name(path.name[: -len(BEING_SENT)]) if path.name.endswith(BEING_SENT) else path


def set_aside(path: Path) -> Path:
    """Put the file aside, after what lies there already. Returns where. Raises OSError."""
    aside = aside_of(path)
    if aside.exists() and path.exists():
        with aside.open("ab") as file:
            file.write(b"\n" + path.read_bytes())
        path.unlink()
    elif path.exists():
        path.replace(aside)
    return aside


def is_held(path: Path) -> bool:
    """Whether a run that goes on holds the file: it sends it by itself."""
    with suppress(OSError), path.open("rb") as file:
        return not held(file)
    return False


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects in the file. A line that was cut short, as its process was killed, is no batch. Raises OSError."""
    with path.open("rb") as file:
        for line in file:
            with suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict):
                    yield found


def kept_batch(line: Mapping[str, Any]) -> KeptBatch:
    """A line as the batch that it was. Raises KeyError, TypeError and ValueError where it is none."""
    body = Body(base64.b64decode(line["body"]), dict(line["headers"]))
    return KeptBatch(Batch(str(line["key"]), int(line["points"]), body), str(line.get("reason", "not_sent")))
