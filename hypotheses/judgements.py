"""The verbs of judging: read what a hypothesis's runs say now, judge it for the record, and look back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from hypotheses.cases import Judgement
from hypotheses.models import Hypothesis
from projects.models import Project


@dataclass(frozen=True, slots=True)
class PastReading:
    """One target metric at a past judgement, in the metric's unit; better is positive. Intervals are None where they had no end."""

    metric: str
    n_exp: int
    n_base: int
    improvement: float
    anytime_ci95: tuple[float, float] | None
    e_pos: float
    e_neg: float
    score: float


@dataclass(frozen=True, slots=True)
class Past:
    """One judgement as its evidence rows tell it. `score` and `status` are the hypothesis's, after gates; `gates`: names of those closed."""

    id: uuid.UUID
    at: datetime
    epoch: int
    score: float
    status: str
    gates: tuple[str, ...]
    readings: tuple[PastReading, ...]


def read(hypothesis: Hypothesis) -> Judgement:
    """What its runs say now. Writes nothing; cached until points, links, terms or the record of a run change. Raises StoreUnavailable."""
    raise NotImplementedError


def judge(hypothesis_id: uuid.UUID, *, force: bool = False) -> Judgement | None:
    """Judge for the record: evidence rows, status, score, sentence, history, alert. None where it was not wanted, is gone, or somebody judges it now.

    `force`: also where nothing asked for it. Raises StoreUnavailable with the mark left in place, so that the sweep tries again.
    """
    raise NotImplementedError


def history(hypothesis: Hypothesis) -> list[Past]:
    """Every judgement of it, oldest first, read back from evidence rows. Raises StoreUnavailable."""
    raise NotImplementedError


def badges(project: Project) -> set[uuid.UUID]:
    """Supported hypotheses of the project that stand when all are read together (e-BH at 5%), from the e-values of their last judgements."""
    raise NotImplementedError
