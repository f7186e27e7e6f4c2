"""The alert of a verdict: at most one is open for a hypothesis, and it says what holds now."""

from __future__ import annotations

from alerts import lifecycle as alerts
from alerts.models import Kind, Severity
from hypotheses.models import Hypothesis
from hypotheses.weighing.cases import Judgement

MESSAGE = 1000


def tell(hypothesis: Hypothesis, was: str, judgement: Judgement) -> None:
    """A verdict came or went: the alert of the one before is over, and a new one, that nobody has acknowledged yet, says how it is now."""
    retract(hypothesis, why=f"It is {judgement.status} now. {judgement.sentence}")
    message = f"{hypothesis.title}: {was} → {judgement.status}. {judgement.sentence}"
    alerts.open_alert(kind=Kind.VERDICT, severity=Severity.LOW, message=message[:MESSAGE], project=hypothesis.project, part=hypothesis.slug)


def retract(hypothesis: Hypothesis, *, why: str) -> None:
    """What the open alert says holds no longer; nothing where none is open."""
    alerts.resolve(kind=Kind.VERDICT, project=hypothesis.project, part=hypothesis.slug, why=why)
