"""The page of one experiment."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from config.web.htmx import HtmxHttpRequest, partial
from config.web.ignored import ignored
from experiments.compare.outlook import WORDS as OUTLOOK_WORDS
from experiments.compare.outlook import odd_values, outlook
from experiments.models import Experiment
from experiments.page.overview import Overview
from experiments.readings.parts import UNCHANGED, is_for_metrics, metrics_part
from projects.opened import open_project

WORDS = (*OUTLOOK_WORDS, "seen")


@login_required
@require_safe
@vary_on_headers("HX-Request", "HX-Target")
def experiment(request: HtmxHttpRequest, team_slug: str, project_slug: str, experiment_slug: str) -> HttpResponse:
    """One run: its numbers, curves, lineage, params and history. Its live part answers 204 while nothing changed since `seen`; METRICS is a part too."""
    opened = open_project(request, team_slug, project_slug)
    rows = Experiment.objects.filter(project=opened.project).select_related("project__team", "parent_experiment", "root_experiment", "created_by").with_writer()
    look = outlook(request.GET)
    overview = Overview(rows.prefetch_related("tags").named(experiment_slug), look.sought)
    page = {"opened": opened, "tab": "experiments", "overview": overview, "experiment": overview.experiment, "look": look, "found": overview.found}
    page["ignored"] = ignored(request.GET, WORDS, odd_values(request.GET))
    if is_for_metrics(request):
        return metrics_part(request, "experiments/page/_metrics.html", page, overview.found)
    template, seen = partial("experiments/page/experiment.html", "live", request), request.GET.get("seen", "")
    is_part = "#" in template
    if is_part and seen == overview.version:
        return HttpResponse(status=UNCHANGED)
    return render(request, template, page | {"brings_head": is_part and not overview.has_state_of(seen)})
