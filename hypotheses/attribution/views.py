"""The page that asks which change did it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from config.limits.lane import heavy
from experiments.readings.measured import in_order
from experiments.readings.numbers import Numbers
from hypotheses.attribution.effects import Attribution
from projects.opened import open_project


@login_required
@require_safe
@heavy
def attribution(request: HttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """Effects of changes over the runs of a lineage: `metric`, `root` and `to` say which."""
    opened = open_project(request, team_slug, project_slug)
    metrics = in_order(opened.project.metrics.all())
    metric = next((each for each in metrics if each.name == request.GET.get("metric")), metrics[0] if metrics else None)
    to = request.GET.get("to", "")
    found = Attribution(opened.project, metric, Numbers(), root=request.GET.get("root", ""), node=to) if metric else None
    content = {"opened": opened, "tab": "hypotheses", "metrics": metrics, "found": found, "to": to, "kinds": ("better", "worse", "same")}
    return render(request, "hypotheses/attribution.html", content)
