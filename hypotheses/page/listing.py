"""What the list of hypotheses asks: status, score, trend, what is missing, and a project's knowledge in sentences."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.core.paginator import Page, Paginator
from django.db.models import Count, Q, QuerySet
from django.http import QueryDict

from experiments.readings.numbers import Numbers
from hypotheses.drawings import scales, score_timeline
from hypotheses.judgements import histories
from hypotheses.models import Hypothesis
from projects.models import Project

ROWS = 50
JUDGEMENTS_READ = 2_000  # of all claims on the page together
KNOWN_MOST = 12
Pasts = Mapping[uuid.UUID, Sequence[histories.Past]]


@dataclass(frozen=True, slots=True)
class Row:
    """One claim in the list. `spark` is the path of its score, empty below two judgements; `trend` the same in words."""

    claim: Hypothesis
    scores: Sequence[float]
    stands: bool

    @property
    def targets(self) -> str:
        """The metrics that must improve, with their better way."""
        return ", ".join(f"{target.metric.name} {target.metric.better.arrow}" for target in self.claim.targets.all())

    @property
    def spark(self) -> str:
        """The score's way through its judgements."""
        return score_timeline.spark(self.scores)

    @property
    def trend(self) -> str:
        """Where the score went, in words."""
        if len(self.scores) < 2:
            return "–"
        return f"{len(self.scores)} judgements, from {scales.score_text(self.scores[0])} to {scales.score_text(self.scores[-1])}"


class ClaimTable:
    """One page of a project's hypotheses, narrowed by `q` and `status` of the address."""

    def __init__(self, project: Project, query: QueryDict) -> None:
        self.project, self.numbers = project, Numbers()
        self.text = query.get("q", "").replace("\0", "").strip()
        self.status = query.get("status", "") if query.get("status") in Hypothesis.Status.values else ""
        self.page: Page[Hypothesis] = Paginator(self.found, ROWS).get_page(query.get("page"))

    @property
    def found(self) -> QuerySet[Hypothesis]:
        """Those that fit, decided last first, then the newest."""
        rows = Hypothesis.objects.filter(project=self.project).prefetch_related("targets__metric").annotate(link_count=Count("links", distinct=True))
        if self.status:
            rows = rows.filter(status=self.status)
        if self.text:
            of_metric = Q(pk__in=Hypothesis.objects.filter(project=self.project, targets__metric__name__icontains=self.text).values("pk"))
            rows = rows.filter(Q(title__icontains=self.text) | Q(claim__icontains=self.text) | of_metric)
        return rows.order_by("-created_at", "pk")

    @cached_property
    def rows(self) -> list[Row]:
        """The page's claims with their trends, in two questions to the store."""
        claims = list(self.page)
        nothing: Pasts = {}
        none: set[uuid.UUID] = set()
        pasts = self.numbers.ask(lambda _: histories.histories(claims, most=JUDGEMENTS_READ), nothing) if claims else nothing
        stand = self.numbers.ask(lambda _: histories.badges(self.project), none) if any(claim.status == "supported" for claim in claims) else none
        return [Row(claim, [past.score for past in pasts.get(claim.pk, ()) if past.epoch == claim.epoch], claim.pk in stand) for claim in claims]

    @property
    def is_away(self) -> bool:
        """Whether the metric store left a question unanswered."""
        return self.numbers.is_away


@dataclass(frozen=True, slots=True)
class Known:
    """What a project knows: the claims decided last, and how many stand where."""

    decided: list[Hypothesis]
    counts: Mapping[str, int]

    @property
    def open(self) -> int:
        """Claims without a verdict."""
        return self.counts.get("testing", 0) + self.counts.get("proposed", 0)

    @property
    def more(self) -> int:
        """Decided claims beyond those shown."""
        return self.counts.get("supported", 0) + self.counts.get("refuted", 0) - len(self.decided)

    @property
    def summary(self) -> str:
        """The counts in a sentence."""
        words = [f"{self.counts[status]} {status}" for status in ("supported", "refuted", "testing", "proposed") if self.counts.get(status)]
        return ", ".join(words)


def known(project: Project) -> Known:
    """A project's knowledge."""
    rows = Hypothesis.objects.filter(project=project)
    counts = dict(rows.order_by().values_list("status").annotate(n=Count("pk")))
    decided = rows.filter(status__in=(Hypothesis.Status.SUPPORTED, Hypothesis.Status.REFUTED)).order_by("-decided_at")[:KNOWN_MOST]
    return Known(list(decided), counts)
