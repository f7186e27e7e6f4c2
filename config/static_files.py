"""The browser's files, here and in libraries: where they are found, and how they are sent. Source maps, of megabytes each, are nobody's to ask for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.staticfiles.finders import AppDirectoriesFinder, BaseFinder, FileSystemFinder
from django.http import HttpRequest
from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]

LEFT_OUT = ("*.map",)
PIECE = 262_144


class WithoutMaps(BaseFinder):
    """Stands before a finder of Django's."""

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterable[Any]:
        """Each file that is served, and `collectstatic` copies: (path, storage)."""
        return super().list([*(ignore_patterns or ()), *LEFT_OUT])


class OurFiles(WithoutMaps, FileSystemFinder):
    """Those of STATICFILES_DIRS."""


class LibrariesFiles(WithoutMaps, AppDirectoriesFinder):
    """Those that applications bring along."""


class LargePieces(WhiteNoiseMiddleware):  # type: ignore[misc]  # it comes without types
    """Sends files in large pieces: each costs a turn of a thread, and Django's own have four kilobytes."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> Any:  # Any: as above
        """The answer to one request for a file."""
        response = WhiteNoiseMiddleware.serve(static_file, request)
        response.block_size = PIECE
        return response
