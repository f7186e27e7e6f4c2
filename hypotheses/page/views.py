"""The pages that show hypotheses: the list, one of them, and which change did it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from accounts.models import Role
from config.web.htmx import HtmxHttpRequest, partial
from config.web.ignored import ignored, odd
from experiments.models import Experiment
from experiments.readings.numbers import Numbers
from experiments.readings.selection import MOST
from hypotheses.judgements import histories
from hypotheses.judgements import judge as judgements
from hypotheses.judgements.failing import CouldNotBeJudged
from hypotheses.models import Hypothesis
from hypotheses.page.dossier import Dossier
from hypotheses.page.listing import ClaimTable, known
from hypotheses.page.past import moments
from hypotheses.weighing.cases import Judgement
from projects.opened import OpenProject, open_project

CANDIDATES = 200
LIST_WORDS = ("q", "status", "page")
NOTHING: list[histories.Past] = []


@login_required
@require_safe
@vary_on_headers("HX-Request")
def hypotheses(request: HtmxHttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """Every claim of a project, and what it knows by them."""
    opened = open_project(request, team_slug, project_slug)
    table = ClaimTable(opened.project, request.GET)
    content = {"opened": opened, "tab": "hypotheses", "table": table, "statuses": Hypothesis.Status.choices}
    statuses = odd("status", request.GET.getlist("status"), Hypothesis.Status.values)
    content["ignored"] = ignored(request.GET, LIST_WORDS, [*statuses, *odd("page", request.GET.getlist("page"), (str(table.page.number),))])
    template = partial("hypotheses/hypotheses.html", "claims", request)
    return render(request, template, content | ({} if "#" in template else {"known": known(opened.project)}))


@login_required
@require_safe
def hypothesis(request: HttpRequest, team_slug: str, project_slug: str, hypothesis_slug: str) -> HttpResponse:
    """One claim: the verdict, and everything that it rests on."""
    opened, claim = open_hypothesis(request, team_slug, project_slug, hypothesis_slug)
    numbers = Numbers()
    judgement, failure = judgement_of(claim, numbers)
    past = numbers.ask(lambda _: histories.history(claim), NOTHING)
    none: set[Any] = set()  # Any: ids
    stands = numbers.ask(lambda _: histories.badges(opened.project), none) if claim.status == Hypothesis.Status.SUPPORTED else none
    metric = request.GET.get("metric", "")
    dossier = Dossier(claim, judgement, moments(claim, past, metric), metric=metric)
    content = {
        "opened": opened,
        "tab": "hypotheses",
        "hypothesis": claim,
        "dossier": dossier,
        "stands": claim.pk in stands,
        "failure": failure or claim.failure,
    }
    return render(request, "hypotheses/hypothesis.html", content | around(opened, claim, dossier))


def judgement_of(claim: Hypothesis, numbers: Numbers) -> tuple[Judgement | None, str]:
    """What the runs say now, None where the store is away; and why it cannot be said, "" where it can."""
    try:
        return numbers.ask(lambda _: judgements.read(claim), None), ""
    except CouldNotBeJudged as error:
        return None, str(error)


def around(opened: OpenProject, claim: Hypothesis, dossier: Dossier) -> dict[str, Any]:  # Any: a template's context
    """What the page needs beside the dossier: rules, runs to offer, thresholds, addresses."""
    slugs = [run.slug for run in dossier.baseline[:1]] + [link.experiment.slug for link in dossier.links if not link.invalidated_at]
    return {
        "rules": list(claim.rules.all()),
        "candidates": Experiment.objects.filter(project=opened.project).current().values_list("slug", "name")[:CANDIDATES] if opened.may_edit else [],
        "support": settings.HYPOTHESIS_SUPPORT_THRESHOLD,
        "refute": settings.HYPOTHESIS_REFUTE_THRESHOLD,
        "base": opened.address("hypotheses:hypothesis", hypothesis_slug=claim.slug),
        "compared": urlencode([("e", slug) for slug in dict.fromkeys(slugs[:MOST])]) if len(slugs) > 1 else "",
        "false_share": f"{histories.FALSE_DISCOVERY_RATE:.0%}",
    }


def open_hypothesis(
    request: HttpRequest, team_slug: str, project_slug: str, hypothesis_slug: str, *, role: Role = Role.VIEWER
) -> tuple[OpenProject, Hypothesis]:
    """The project and the hypothesis at an address. Raises NotFound or Forbidden."""
    opened = open_project(request, team_slug, project_slug, role=role)
    rows = Hypothesis.objects.filter(project=opened.project).select_related("project__team", "baseline_experiment").prefetch_related("targets__metric")
    return opened, rows.named(hypothesis_slug)
