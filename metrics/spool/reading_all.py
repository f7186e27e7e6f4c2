"""The files of a spool folder as they can be read beside who holds them: each opened once, damaged ones left alone."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metrics.spool.file import is_damage
from metrics.spool.folder import files
from metrics.spool.reading import SpoolView

logger = logging.getLogger(__name__)


class SpoolViews:
    """The folder's files. `known` are those that were opened, `damaged` those that are left alone, with the reason."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[Path, SpoolView] = {}
        self.damaged: dict[Path, str] = {}
        self.viewing = threading.Lock()

    def close(self) -> None:
        """Close every one."""
        for view in self.known.values():
            view.close()

    def files(self) -> list[Path]:
        """Every spool file, by number."""
        return files(self.folder)

    def all(self) -> list[SpoolView]:
        """Every file, but for those that cannot be read now."""
        views = []
        for path in self.files():
            try:
                view = self.view(path)
            except sqlite3.Error as error:
                self.note(path, error)
            else:
                views += [view] if view else []
        return views

    def view(self, path: Path) -> SpoolView | None:
        """The file as it can be read; None for one that is known to be damaged, or just being made. Raises sqlite3.Error where it cannot be read."""
        with self.viewing:
            if path in self.damaged:
                return None
            if path not in self.known:
                try:
                    self.known[path] = SpoolView(path)
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                        raise
                    return None  # it has no tables yet: no point can lie there
            return self.known[path]

    @contextmanager
    def reading(self, view: SpoolView) -> Iterator[None]:
        """Pass over a file that cannot be read, and say so."""
        try:
            yield
        except sqlite3.Error as error:
            self.note(view.path, error)

    def note(self, path: Path, error: sqlite3.Error) -> None:
        """Say that a file cannot be read."""
        if is_damage(error):
            self.note_damaged(path, str(error))
        else:
            logger.warning("The spool %s cannot be read just now: %s", path, error)

    def note_damaged(self, path: Path, reason: str) -> None:
        """Leave a file alone from here on, and say so once."""
        if path not in self.damaged:
            self.damaged[path] = reason
            logger.error("The spool %s is damaged and left alone: %s", path, reason)
