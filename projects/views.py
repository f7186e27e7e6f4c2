"""The first page, a project's pages, and search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh, push_url, reswap

from accounts.access import caller
from accounts.audit.recording import record
from accounts.models import Role
from accounts.slugs import about_slug
from config.errors import Conflict, Invalid, NotFound, Unavailable
from config.limits.lane import heavy_where
from config.web import files
from config.web.client_wheel import wheels
from config.web.going_back import asked_page
from config.web.htmx import HtmxHttpRequest, partial
from config.web.ignored import ignored, odd
from experiments.language.names import as_typed, completions
from experiments.language.terms import LONGEST
from experiments.readings.numbers import Numbers
from experiments.table import files as exporting
from experiments.table.filtering import Insistent, known
from experiments.table.query import NEWEST_FIRST, STATUSES, WORDS, SortKey, TableQuery, clean
from experiments.table.rows import FIRST, ExperimentTable
from hypotheses.models import Hypothesis
from metrics.clickhouse.errors import StoreError
from projects import overview, services
from projects.forms import MetricChangeForm, NewMetricForm, NewProjectForm, ProjectForm, SavedViewForm, require_writable_team, writable_teams
from projects.models import Direction, ProjectMetric, SavedView
from projects.opened import OpenProject, open_project
from projects.searching import search as find

METRICS_A_PAGE = 100
UNDECIDED_SHOWN = 3
UNDECIDED_READ = 100
LIVE = "live"
PAGE_WORDS = (*WORDS, "format", "of", "compare")


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
        "ignored": ignored(request.GET, ()),
    }
    return render(request, partial("projects/project_list.html", "lines", request), content | first_steps(request))


@login_required
@require_http_methods(["GET", "POST"])
def new_project(request: HttpRequest) -> HttpResponse:
    """Make a project."""
    require_writable_team(caller(request))
    form = NewProjectForm(caller(request), request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = form.make()
        for said in about_slug(made.name, made.slug, field="name"):
            messages.info(request, said["message"])
        return redirect(OpenProject(made, Role.EDITOR).url)
    return render(request, "projects/project_form.html", {"form": form, "ignored": ignored(request.GET, ())}, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def edit_project(request: HttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """Change a project's name and description, or put it away. The slug stays, so that scripts and links keep working."""
    opened = open_project(request, team_slug, project_slug, role=Role.EDITOR)
    form = ProjectForm(request.POST or None, instance=opened.project, may_delete=opened.may_delete)
    if request.method == "POST" and form.is_valid():
        services.edit(opened.project, by=caller(request).user, **form.cleaned_data)
        return redirect(opened.url)
    content = {"form": form, "opened": opened, "ignored": ignored(request.GET, ())}
    return render(request, "projects/project_form.html", content, status=422 if form.errors else 200)


def is_large(request: HtmxHttpRequest) -> bool:
    """Whether a table is asked for as a file, or reads every experiment of its project to find its rows."""
    asked = TableQuery.read(request.GET)
    return "format" in request.GET or bool(asked.text) or asked.sort != NEWEST_FIRST


@login_required
@require_safe
@vary_on_headers("HX-Request")
@heavy_where(is_large)
def project(request: HtmxHttpRequest, team_slug: str, project_slug: str) -> HttpResponse | StreamingHttpResponse:
    """The table of a project's experiments."""
    opened = open_project(request, team_slug, project_slug)
    if not opened.project.experiments.exists():
        return empty_project(request, opened)
    if request.htmx.trigger == "waiting":
        return HttpResponseClientRefresh()
    query, numbers = TableQuery.read(request.GET), Numbers()
    if "format" in request.GET:
        return exported(opened, query, request.GET)
    table = ExperimentTable(opened.project, query, numbers)
    if request.GET.get("compare", "") in [str(count) for count in FIRST]:
        return compared(opened, table, int(request.GET["compare"]))
    content = {"opened": opened, "tab": "experiments", "table": table, "rows": table.rows, "numbers": numbers, "statuses": STATUSES}
    content["ignored"] = ignored(request.GET, PAGE_WORDS, odd_values(request.GET, table))
    content["explore_url"] = opened.address("experiments:explore")
    content |= {"is_part": bool(request.htmx), "is_added": "add" in request.GET or ("arrange" in request.GET and request.htmx.trigger != LIVE)}
    if request.htmx and table.trouble:
        return push_url(reswap(render(request, "projects/_filter_error.html", content), "none"), False)
    content |= undecided(opened) | view_menu(opened)
    response = render(request, partial("projects/project.html", "table", request), content)
    if request.htmx and request.htmx.trigger != LIVE:
        push_url(response, opened.url + table.query.string())
    return response


def odd_values(asked: QueryDict, table: ExperimentTable) -> list[str]:
    """What the address gives to words that the table knows, and that means nothing there."""
    columns, sorts = table.columns, [str(replace(key, is_descending=False)) for key in table.asked.sort_keys]
    shown = [key for key in (*asked.getlist("columns"), *asked.getlist("pin")) if columns.column(columns.resolved(clean(key)))]
    sortable = {key.key for key in table.sort_keys} | {key for key, column in columns.menu.items() if column.is_sortable} | {"name"}
    return [
        *odd("status", asked.getlist("status"), STATUSES),
        *odd("sort", sorts if asked.get("sort") else (), {*map(str, map(SortKey, sortable))}),
        *odd("columns", asked.getlist("columns"), {*shown, *columns.menu}),
        *odd("pin", asked.getlist("pin"), {*shown, *columns.menu}),
        *odd("page", asked.getlist("page"), (str(table.query.page),)),
    ]


def compared(opened: OpenProject, table: ExperimentTable, count: int) -> HttpResponse:
    """On to the comparison of the first `count` rows."""
    return redirect(f"{opened.address('experiments:compare')}?e={quote(','.join(table.first_references(count)), safe=',')}")


def view_menu(opened: OpenProject) -> dict[str, Any]:  # Any: a template's context
    """The saved views, and where filters are completed and views saved."""
    addresses = {"words_url": opened.address("projects:filter_words"), "views_url": opened.address("projects:save_view")}
    return addresses | {"views": opened.project.views.select_related("by")}


def exported(opened: OpenProject, query: TableQuery, asked: QueryDict) -> StreamingHttpResponse:
    """Every row of the filtered table as a file in `format`: its shown columns, or with `of` everything.

    Raises Invalid for another format or a filter that is not understood, Unavailable without the metric store.
    """
    kind, table = files.known_kind(asked.get("format", "")), ExperimentTable(opened.project, query, Insistent())
    try:
        columns = exporting.everything(table) if asked.get("of") == "everything" else table.columns.shown
        content = exporting.table_file(table, columns, kind)
    except StoreError as error:
        raise Unavailable(files.AWAY) from error
    record("export.made", on=opened.project, details={"what": "the table", "format": kind})
    return files.answer(content, kind, opened.project.slug)


@login_required
@require_safe
def filter_words(request: HttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """What completes the filter that is being typed, as the options of its list."""
    opened = open_project(request, team_slug, project_slug)
    text = request.GET.get("q", "")[:LONGEST].replace("\x00", "")
    words = [(whole, as_typed(text, whole)) for whole in completions(text, known(opened.project))]
    return render(request, "projects/_filter_words.html", {"words": words})


@login_required
@require_POST
def save_view(request: HttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """Keep the table as it is asked for under a name. A name that is taken is refused, on the table that was to be saved."""
    opened = open_project(request, team_slug, project_slug, role=Role.EDITOR)
    form = SavedViewForm(opened.project, request.POST)
    query = TableQuery.read(QueryDict(request.POST.get("query", "").removeprefix("?")))
    if not form.is_valid():
        messages.error(request, " ".join(str(text) for texts in form.errors.values() for text in texts))
        return redirect(opened.url + query.string())
    made, is_new = SavedView.objects.get_or_create(
        project=opened.project, name=form.cleaned_data["name"], defaults={"query": replace(query, page=1).string(), "by": caller(request).user}
    )
    if not is_new:
        raise Conflict(f"Somebody saved a view {made} at the same moment: choose another name.")
    messages.success(request, f"The view {made} is saved: everybody in the team finds it under Views.")
    return redirect(opened.url + made.query)


@login_required
@require_safe
def view(request: HttpRequest, team_slug: str, project_slug: str, view_id: int) -> HttpResponse:
    """The link of a saved view: leads to the table that it names."""
    opened = open_project(request, team_slug, project_slug)
    return redirect(opened.url + saved_view(opened, view_id).query)


@login_required
@require_POST
def delete_view(request: HttpRequest, team_slug: str, project_slug: str, view_id: int) -> HttpResponse:
    """Forget a saved view."""
    opened = open_project(request, team_slug, project_slug, role=Role.EDITOR)
    found = saved_view(opened, view_id)
    services.delete_view(found, by=caller(request).user)
    messages.success(request, f"The view {found} is deleted.")
    return redirect(opened.url)


def saved_view(opened: OpenProject, view_id: int) -> SavedView:
    """A view of the project. Raises NotFound."""
    found = opened.project.views.filter(pk=view_id).first()
    if found is None:
        raise NotFound("There is no such view in this project: it may have been deleted.")
    return found


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
    return {
        "lines": lines,
        "page": page,
        "q": text,
        "numbers": numbers,
        "ignored": ignored(request.GET, ("q", "page"), odd("page", request.GET.getlist("page"), (str(page.number),))),
    }


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
    tell_epochs(request, services.redefine(metric, by=caller(request).user, **form.said()))
    if request.htmx:
        experiments = experiment_counts(opened, Numbers()).get(metric.name, 0)
        return render(request, "projects/metrics.html#choices", {"metric": metric, "opened": opened, "experiments": experiments})
    return redirect(next_page(request, opened))


@login_required
@require_POST
def accept_suggestions(request: HttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """Set every direction that a metric's name suggests, where nobody set one."""
    opened = open_project(request, team_slug, project_slug, role=Role.EDITOR)
    said, begun = services.accept_suggestions(opened.project, by=caller(request).user)
    tell_epochs(request, begun)
    messages.success(request, f"{len(said)} metrics now say which way is better." if len(said) != 1 else f"{said[0].name}: {said[0].direction}.")
    return redirect(next_page(request, opened))


def tell_epochs(request: HttpRequest, begun: Sequence[Hypothesis]) -> None:
    """Say which hypotheses begin again because a metric of theirs is read another way now."""
    if begun:
        names = ", ".join(f"“{each}”" for each in begun[:3]) + (f" and {len(begun) - 3} more" if len(begun) > 3 else "")
        messages.warning(request, f"Respecified after data, so that only runs that end from now on count: {names}.")


def next_page(request: HttpRequest, opened: OpenProject) -> str:
    """Where the form asked to go back to; else the metrics."""
    return asked_page(request, otherwise=opened.address("projects:metrics"))


@login_required
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Experiments, projects and metrics by name."""
    return render(request, "projects/search.html", {"found": find(caller(request), request.GET.get("q", "")), "ignored": ignored(request.GET, ("q",))})
