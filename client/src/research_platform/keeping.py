"""Points that cannot be delivered now, in a file of their run: they outlive the process, and `research-platform send` sends them.

The first line says where they go. Each of the others is a batch with its key, so that sending it again harms nothing, or how the run ended.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from research_platform.connection import Body
from research_platform.parts import Batch

try:
    import fcntl
except ImportError:  # Windows, where nobody is kept from sending the file of a run that goes on: it does no harm
    fcntl = None  # type: ignore[assignment]

ENDING = ".jsonl"
BEING_SENT = ".sending"
LOCK = ".lock"
SLUG_LENGTH = 60


@dataclass(frozen=True)
class Destination:
    """Where a run's points go: the server's address, and the paths of its points, its record and its page there.

    `host` is this machine as the run tells of it, "" where it does not.
    """

    url: str
    points: str
    record: str
    page: str
    slug: str
    id: str
    host: str = ""


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
    """The file of one run, made when the first batch comes. For many threads.

    From then on until `close` it is this process's alone, also while it is set aside: a lock beside it says so.
    """

    def __init__(self, destination: Destination, path: Path | None = None) -> None:
        """`path` is where it is already."""
        self._destination = destination
        self._guard = threading.RLock()
        self._file: IO[bytes] | None = None
        self._lock: IO[bytes] | None = None
        self._home, self.path = path, path
        self._is_over = False
        # The keys of what was taken out, and whether it has to stay aside, as there was no room to put one of them back.
        self._out: set[str] = set()
        self._is_staying = False

    def __bool__(self) -> bool:
        return self.path is not None

    @property
    def where(self) -> str:
        """The file and the machine, for people; nothing where the run tells nothing of its machine."""
        return f"{self.path} on {self._destination.host}" if self._destination.host else ""

    def add(self, batch: Batch, reason: str) -> None:
        """Put a batch into the file. Raises OSError where that cannot be."""
        try:
            self._write([line_of(batch, reason)])
        except OSError:
            if batch.key not in self._out:
                raise
            self._out.discard(batch.key)
            self._is_staying, self.path = True, self._home

    def add_ending(self, content: Mapping[str, object]) -> None:
        """Note how the run ended. Raises OSError where that cannot be."""
        self._write([{"ending": dict(content)}])

    def hold(self) -> bool:
        """Have the file, which is there, for this process alone; False where another has it. Raises OSError."""
        self._lock = self._lock or (lock_of(self._home) if self._home else None)
        return self._lock is not None

    def close(self) -> None:
        """The run is over: let go of the file, so that others may send it. What comes later is still added."""
        with self._guard:
            self._is_over = True
            self._let_go()

    def _let_go(self) -> None:
        release(self._file)
        self._file = None
        if self._lock is not None and self._home is not None:
            with suppress(OSError):
                lock_beside(self._home).unlink()
        release(self._lock)
        self._lock = None

    def taken(self) -> Generator[KeptBatch, None, None]:
        """Every batch out of the file; those that were not asked for stay there. Raises OSError."""
        with self._guard:
            path, self.path = self.path, None
            release(self._file)
            self._file = None
        if path is None:
            return
        try:
            aside = set_aside(path)
        except OSError:
            self.path = path
            raise
        waiting = lines_of(aside)
        self._is_staying, self._out = False, set()
        try:
            for line in waiting:
                if "key" in line:
                    self._out.add(str(line["key"]))
                    yield kept_batch(line)
        finally:
            self._put_back([line for line in waiting if "key" in line], aside)

    def _put_back(self, lines: Sequence[Mapping[str, Any]], aside: Path) -> None:
        """Leave in the file what was not asked for. Where there is no room all stays aside, under its keys, and is found there."""
        try:
            if lines and not self._is_staying:
                self._write(lines)
        except OSError:
            self.path = home_of(aside)
            raise
        if not self._is_staying:
            with suppress(FileNotFoundError):
                aside.unlink()

    def _write(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Add whole lines, or none of them. Raises OSError."""
        content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        with self._guard:
            try:
                file = self._file or self._opened()
                append(file, content if os.fstat(file.fileno()).st_size else json.dumps(asdict(self._destination)).encode() + b"\n" + content)
            finally:
                self._forget_empty()
                if self._is_over:
                    self._let_go()

    def _opened(self) -> IO[bytes]:
        path = self._home or folder() / f"{self._destination.slug[:SLUG_LENGTH]}-{self._destination.id}{ENDING}"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._home = path
        if not self._is_over and not self.hold():
            raise BlockingIOError(f"{path} is being sent by another process")
        self._file, self.path = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0), path
        return self._file

    def _forget_empty(self) -> None:
        """A file into which nothing could be written is none."""
        if self._file is None or os.fstat(self._file.fileno()).st_size:
            return
        release(self._file)
        self._file = None
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink()
            self.path = self.path if aside_of(self.path).exists() else None


def release(file: IO[bytes] | None) -> None:
    """Let go of a file, and of the lock on it in children that were forked meanwhile."""
    if file is None:
        return
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(file.fileno(), fcntl.LOCK_UN)
    with suppress(OSError):  # a full network folder says so when it is closed; what was to be written is known to be there
        file.close()


def append(file: IO[bytes], content: bytes) -> None:
    """Add all of `content` and have it on disk, or nothing of it. Raises OSError."""
    before = os.fstat(file.fileno()).st_size
    left = memoryview(content)
    try:
        while left:
            left = left[file.write(left) :]
        os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            os.ftruncate(file.fileno(), before)
        raise


def line_of(batch: Batch, reason: str) -> dict[str, Any]:
    """A batch as a line."""
    body = {"headers": dict(batch.body.headers), "body": base64.b64encode(batch.body.content).decode()}
    return {"key": batch.key, "points": batch.points, "reason": reason, **body}


def lock_beside(path: Path) -> Path:
    """The file whose lock says that somebody is at work on `path`: it stays where it is when that is set aside."""
    return path.with_name(path.name + LOCK)


def lock_of(path: Path) -> IO[bytes] | None:
    """The lock on `path`, None where another process has it. Raises OSError."""
    beside = lock_beside(path)
    while True:
        file = os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT, 0o600), "wb", buffering=0)
        if not held(file):
            file.close()
            return None
        if is_same(file, beside):
            return file
        file.close()  # whoever had it has just removed it


def is_same(file: IO[bytes], path: Path) -> bool:
    """Whether the open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


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
    for each in (lock_beside(home_of(path)), path):  # a client of before holds the file itself
        with suppress(OSError), each.open("rb") as file:
            if not held(file):
                return True
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
