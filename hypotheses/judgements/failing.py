"""A hypothesis whose judgement fails: its page says why, and it is tried again later and later, so that one defect keeps nobody busy."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db.models import F

from config.errors import Conflict, Refused
from hypotheses.models import Hypothesis

PAUSE, PAUSE_MOST = timedelta(minutes=1), timedelta(hours=6)
SENTENCE_MOST = 500


class CouldNotBeJudged(Conflict):
    """A judgement failed; the message says why. `is_new`: it did not fail for that reason the last time."""

    code = "not_judged"

    def __init__(self, message: str, *, is_new: bool = True) -> None:
        super().__init__(message)
        self.is_new = is_new


def sentence(error: Exception) -> str:
    """Why, for people: what we say ourselves as it stands, a defect as one."""
    said = str(error) if isinstance(error, Refused) else f"This is a defect of the server, and its log says more. {type(error).__name__}: {error}"
    return said if len(said) <= SENTENCE_MOST else f"{said[: SENTENCE_MOST - 2]} …"


def noted(hypothesis_id: uuid.UUID, error: Exception, *, at: datetime) -> CouldNotBeJudged:
    """Write down why it failed and when it is tried again: after a minute, then twice as long each time, at most six hours."""
    said = sentence(error)
    row = Hypothesis.objects.filter(pk=hypothesis_id)
    before, failures = row.values_list("failure", "failures").first() or ("", 0)
    pause = min(PAUSE_MOST, PAUSE * 2 ** min(failures, 20))
    row.update(failure=said, failures=F("failures") + 1, retry_at=at + pause)
    return CouldNotBeJudged(said, is_new=before != said)


def forgotten(hypothesis_id: uuid.UUID) -> None:
    """It was judged: what kept it from that is over."""
    Hypothesis.objects.filter(pk=hypothesis_id, failures__gt=0).update(failure="", failures=0, retry_at=None)
