"""Where the browser's files are found, here and in libraries; the source maps of libraries, of up to four megabytes each, are nobody's to ask for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.staticfiles.finders import AppDirectoriesFinder, FileSystemFinder

LEFT_OUT = ("*.map",)


class OurFiles(FileSystemFinder):
    """Those of STATICFILES_DIRS."""

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterable[Any]:
        """Each file that is served, and `collectstatic` copies: (path, storage)."""
        return super().list([*(ignore_patterns or ()), *LEFT_OUT])


class LibrariesFiles(AppDirectoriesFinder):
    """Those that applications bring along."""

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterable[Any]:
        """As above."""
        return super().list([*(ignore_patterns or ()), *LEFT_OUT])
