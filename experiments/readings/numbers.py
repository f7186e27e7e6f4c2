"""The metric store as a page asks it: where it is away, the page goes on without its numbers and says so."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from typing import TypeVar

from metrics import process
from metrics.clickhouse.errors import StoreError
from metrics.store.repository import MetricRepository

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Numbers:
    """What one page asks the store. `is_away` is true once a question went unanswered."""

    def __init__(self) -> None:
        self.is_away = False

    def ask(self, question: Callable[[MetricRepository], T], otherwise: T) -> T:
        """The answer, or `otherwise` where the store gives none. It is asked no second time by the same page."""
        if self.is_away:
            return otherwise
        try:
            return question(process.repository())
        except StoreError as error:
            logger.warning("A page goes without numbers: %s", error)
            self.is_away = True
            return otherwise

    def pending(self, experiments: Iterable[uuid.UUID]) -> int:
        """Points of these experiments that are safe on disk and cannot be shown yet."""
        return process.pending(experiments)
