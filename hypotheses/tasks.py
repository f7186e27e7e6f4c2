"""What judges in the background. Marks in the record say what is due; each task may be delivered twice or late without harm."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from config.celery import app
from hypotheses.claims import wanting
from hypotheses.judgements import judge as judgements
from hypotheses.judgements.failing import CouldNotBeJudged
from hypotheses.models import Hypothesis
from metrics import process
from metrics.clickhouse.errors import StoreError
from metrics.clock import schedule
from metrics.clock.occurrences import Turn, once

logger = logging.getLogger(__name__)
Task = Any  # Celery's task comes without types
ROUNDS = 3  # judgements of one hypothesis in a row, where runs end while it is judged
AWAY = "The metric store is away; it stays marked."


@app.task(name="hypotheses.tasks.judge")
def judge(hypothesis_id: str) -> str:
    """Judge one hypothesis, marked or not."""
    return judged(uuid.UUID(hypothesis_id))


@app.task(name="hypotheses.tasks.judge_wanted")
def judge_wanted() -> str:
    """Judge every hypothesis that waits for it."""
    return judged_all()


@app.task(name="hypotheses.tasks.judge_open", bind=True)
def judge_open(task: Task) -> str:
    """Once a night: judge everything that is not decided."""
    given = (task.request.headers or {}).get("slot")
    return once(schedule.JUDGE.name, judged_open, slot=datetime.fromisoformat(given).astimezone(UTC) if given else None)


def judged_open(turn: Turn) -> str:
    """Mark all that are open, and judge what is marked."""
    process.open_repository()
    wanting.want(Hypothesis.objects.undecided())
    return judged_all(turn)


def judged_all(turn: Turn | None = None) -> str:
    """Judge what waits, the longest waiting first; what cannot be judged now stays marked, and waits longer each time where it is itself the reason."""
    waiting = list(Hypothesis.objects.due(at=timezone.now()).values_list("pk", flat=True))
    for hypothesis_id in waiting:
        if turn is not None:
            turn.require_time()
        judged_apart(hypothesis_id)
    return f"Looked at {len(waiting)} hypotheses."


def judged_apart(hypothesis_id: uuid.UUID) -> None:
    """Judge one so that whatever is wrong with it keeps no other from being judged: it stays marked, and the log has the reason, whole the first time."""
    try:
        judged(hypothesis_id)
    except CouldNotBeJudged as error:
        logger.error("The judgement of %s failed; it stays marked: %s", hypothesis_id, error, exc_info=error.__cause__ if error.is_new else None)


def judged(hypothesis_id: uuid.UUID) -> str:
    """Judge one, again where that was asked for meanwhile; the sentence, or why not."""
    said = ""
    for _ in range(ROUNDS):
        said = judged_once(hypothesis_id)
        if not Hypothesis.objects.due(at=timezone.now()).filter(pk=hypothesis_id, claimed_at=None).exists() or said == AWAY:
            break
    return said


def judged_once(hypothesis_id: uuid.UUID) -> str:
    """Judge one; the sentence, or why not."""
    try:
        judgement = judgements.judge(hypothesis_id)
    except StoreError as error:
        logger.warning("The judgement of %s waits for the metric store: %s", hypothesis_id, error)
        return AWAY
    except Hypothesis.DoesNotExist:
        return "It was deleted."
    return judgement.sentence if judgement else "Being judged already, changed meanwhile, or deleted."
