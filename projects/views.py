"""The first page, a project's pages, and search."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh, push_url

from accounts.access import caller
from accounts.models import Role
from config.client_wheel import wheels
from config.errors import Invalid, NotFound
from config.htmx import HtmxHttpRequest, partial
from experiments.numbers import Numbers
from experiments.tables import STATUSES, ExperimentTable, TableQuery
from hypotheses import wanting
from projects import overview, services
from projects.forms import MetricChangeForm, NewMetricForm, NewProjectForm, ProjectForm, require_writable_team, writable_teams
from projects.models import Direction, ProjectMetric
from projects.opened import OpenProject, open_project
from projects.searching import search as find

METRICS_A_PAGE = 100
UNDECIDED_SHOWN = 3
UNDECIDED_READ = 100
LIVE = "live"


@login_required
@require_safe
@vary_on_headers("HX-Request")
def project_list(request: HtmxHttpRequest) -> HttpResponse:
    """Every project of the caller's teams: what runs, what is stalled, what came last."""
    asking = caller(request)
    content = {
        "projects": overview.projects(asking, at=timezone.now()),
        "running": overview.running(asking),
        "recent": overview.recent(asking),
        "decided": overview.decided(asking),
        "may_make": bool(writable_teams(asking)),
    }
    return render(request, partial("projects/project_list.html", "lines", request), content | first_steps(request))


@login_required
@require_http_methods(["GET", "POST"])
def new_project(request: HttpRequest) -> HttpResponse:
    """Make a project."""
    require_writable_team(caller(request))
    form = NewProjectForm(caller(request), request.POST or None)
    if request.method == "POST" and form.is_valid():
        return redirect(OpenProject(form.make(), Role.EDITOR).url)
    return render(request, "projects/project_form.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def edit_project(request: HttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """Change a project's name and description, or put it away. The slug stays, so that scripts and links keep working."""
    opened = open_project(request, team_slug, project_slug, role=Role.EDITOR)
    form = ProjectForm(request.POST or None, instance=opened.project, may_delete=opened.may_delete)
    if request.method == "POST" and form.is_valid():
        services.edit(opened.project, **form.cleaned_data)
        return redirect(opened.url)
    return render(request, "projects/project_form.html", {"form": form, "opened": opened}, status=422 if form.errors else 200)


@login_required
@require_safe
@vary_on_headers("HX-Request")
def project(request: HtmxHttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """The table of a project's experiments."""
    opened = open_project(request, team_slug, project_slug)
    if not opened.project.experiments.exists():
        return empty_project(request, opened)
    if request.htmx.trigger == "waiting":
        return HttpResponseClientRefresh()
    numbers = Numbers()
    table = ExperimentTable(opened.project, TableQuery.read(request.GET), numbers)
    content = {"opened": opened, "tab": "experiments", "table": table, "rows": table.rows, "numbers": numbers, "statuses": STATUSES}
    content |= {"is_part": bool(request.htmx), "is_added": "add" in request.GET}
    response = render(request, partial("projects/project.html", "table", request), content | undecided(opened))
    if request.htmx and request.htmx.trigger != LIVE:
        push_url(response, opened.url + table.query.string())
    return response


def empty_project(request: HtmxHttpRequest, opened: OpenProject) -> HttpResponse:
    """The page of a project without experiments: how to log the first point. It listens for that point."""
    if request.htmx:
        return HttpResponse(status=204)
    return render(request, "projects/project_empty.html", {"opened": opened, "tab": "experiments"} | first_steps(request))


def first_steps(request: HttpRequest) -> dict[str, Any]:  # Any: a template's context
    """What the first commands need to know: this server's address, and the client's wheel."""
    return {"origin": request.build_absolute_uri("/")[:-1], "wheel": next(reversed(wheels()), "")}


def undecided(opened: OpenProject) -> dict[str, Any]:  # Any: a template's context
    """The first metrics of which nobody said which way is better, and how many there are."""
    waiting = opened.project.metrics.filter(direction=Direction.UNSET) if opened.may_edit else ProjectMetric.objects.none()
    first = sorted(waiting[:UNDECIDED_READ], key=lambda metric: not metric.suggestion)
    return {"undecided": first[:UNDECIDED_SHOWN], "undecided_count": waiting.count() if len(first) == UNDECIDED_READ else len(first)}


@login_required
@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
def metrics(request: HtmxHttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """The metrics of a project: which way is better, and which number stands for a series. POST defines one."""
    opened = open_project(request, team_slug, project_slug, role=Role.EDITOR if request.method == "POST" else Role.VIEWER)
    form = NewMetricForm(opened.project, request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, f"{form.instance.name} is defined.")
        return redirect(opened.address("projects:metrics"))
    content = {"opened": opened, "tab": "metrics", "form": form} | metric_lines(request, opened) | undecided(opened)
    return render(request, partial("projects/metrics.html", "lines", request), content, status=422 if form.errors else 200)


def metric_lines(request: HttpRequest, opened: OpenProject) -> dict[str, Any]:  # Any: a template's context
    """One page of the project's metrics, each with the number of experiments that have it."""
    numbers, text = Numbers(), request.GET.get("q", "").replace("\x00", "").strip()
    mine = opened.project.metrics.filter(name__icontains=text) if text else opened.project.metrics.all()
    page = Paginator(mine, METRICS_A_PAGE).get_page(request.GET.get("page"))
    names = experiment_counts(opened, numbers)
    lines = [(metric, None if numbers.is_away else names.get(metric.name, 0)) for metric in page]
    return {"lines": lines, "page": page, "q": text, "numbers": numbers}


def experiment_counts(opened: OpenProject, numbers: Numbers) -> dict[str, int]:
    """How many experiments have each metric; empty where the store is away."""
    nothing: dict[str, int] = {}
    return numbers.ask(lambda store: store.names(opened.place), nothing)


@login_required
@require_POST
@vary_on_headers("HX-Request")
def change_metric(request: HtmxHttpRequest, team_slug: str, project_slug: str, metric_id: int) -> HttpResponse:
    """Set a metric's direction or aggregation, by one click."""
    opened = open_project(request, team_slug, project_slug, role=Role.EDITOR)
    metric = opened.project.metrics.filter(pk=metric_id).first()
    if metric is None:
        raise NotFound("There is no such metric in this project.")
    form = MetricChangeForm(request.POST)
    if not form.is_valid():
        raise Invalid("Not valid: a direction is minimize or maximize, an aggregation last, min, max or avg.")
    with transaction.atomic():
        form.apply(metric)
        wanting.redefined([metric])
    if request.htmx:
        experiments = experiment_counts(opened, Numbers()).get(metric.name, 0)
        return render(request, "projects/metrics.html#choices", {"metric": metric, "opened": opened, "experiments": experiments})
    return redirect(next_page(request, opened))


@login_required
@require_POST
def accept_suggestions(request: HttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """Set every direction that a metric's name suggests, where nobody set one."""
    opened = open_project(request, team_slug, project_slug, role=Role.EDITOR)
    waiting = [metric for metric in opened.project.metrics.filter(direction=Direction.UNSET) if metric.suggestion]
    for metric in waiting:
        metric.direction = metric.suggestion
    with transaction.atomic():
        ProjectMetric.objects.bulk_update(waiting, ["direction"], batch_size=500)
        wanting.redefined(waiting)
    messages.success(request, f"{len(waiting)} metrics now say which way is better." if len(waiting) != 1 else f"{waiting[0].name}: {waiting[0].direction}.")
    return redirect(next_page(request, opened))


def next_page(request: HttpRequest, opened: OpenProject) -> str:
    """Where the form asked to go back to, if that is a page of this server; else the metrics."""
    wanted = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else opened.address("projects:metrics")


@login_required
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Experiments, projects and metrics by name."""
    return render(request, "projects/search.html", {"found": find(caller(request), request.GET.get("q", ""))})
