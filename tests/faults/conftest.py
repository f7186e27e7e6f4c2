"""Servers that a test may break. Whatever it leaves running is killed, by its own process id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """served(**settings): a `serve` that is not started yet, on this test's data directory unless another is given."""
    made: list[Served] = []

    def serve(data_dir: Path | None = None, **options: str) -> Served:
        made.append(Served(data_dir or tmp_path / "data", **options))
        return made[-1]

    yield serve
    for one in made:
        one.end()
