"""The pages that change an experiment: new, edit, end, resume, archive, delete."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import caller
from accounts.models import Role, User
from config.errors import Invalid
from config.web.ignored import ignored
from experiments import deletion, lifecycle
from experiments.models import Experiment
from experiments.page.forms import ExperimentForm, NewExperimentForm
from experiments.readings.numbers import Numbers
from metrics.store.shapes import Summaries
from projects.opened import OpenProject, open_project

CHILDREN_SHOWN = 20


@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """Plan an experiment, or begin one."""
    opened = open_project(request, team_slug, project_slug, role=Role.EDITOR)
    form = NewExperimentForm(opened.project, request.POST or None)
    if "parent" in request.GET:
        form.initial["parent"] = request.GET["parent"]
    if request.method == "POST" and form.is_valid() and (made := created(form, opened, by=caller(request).user)):
        return redirect(opened.experiment_url(made))
    content = {"opened": opened, "tab": "experiments", "form": form, "ignored": ignored(request.GET, ("parent",))}
    return render(request, "experiments/page/experiment_new.html", content, status=422 if form.errors else 200)


def created(form: NewExperimentForm, opened: OpenProject, *, by: User) -> Experiment | None:
    """The new experiment; None where the form now says what is wrong."""
    try:
        return lifecycle.create(opened.project, by=by, status=form.cleaned_data["status"], tags=form.cleaned_data["tags"], **form.fields_given())
    except Invalid as error:
        complain(form, error)
        return None


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, team_slug: str, project_slug: str, experiment_slug: str) -> HttpResponse:
    """Change an experiment's record."""
    opened, experiment = open_experiment(request, team_slug, project_slug, experiment_slug, role=Role.EDITOR)
    name, form = experiment.name, ExperimentForm(opened.project, request.POST or None, experiment=experiment)
    if request.method == "POST" and form.is_valid() and is_edited(form, experiment, by=caller(request).user):
        messages.success(request, "Saved.")
        return redirect(opened.experiment_url(experiment))
    content = {"opened": opened, "tab": "experiments", "form": form, "experiment": experiment, "name": name, "ignored": ignored(request.GET, ())}
    return render(request, "experiments/page/experiment_edit.html", content, status=422 if form.errors else 200)


def is_edited(form: ExperimentForm, experiment: Experiment, *, by: User) -> bool:
    """Whether the change was made; where not, the form now says what is wrong."""
    try:
        lifecycle.edit(experiment, by=by, tags=form.cleaned_data["tags"], **form.fields_given())
    except Invalid as error:
        complain(form, error)
        return False
    return True


def complain(form: ExperimentForm, error: Invalid) -> None:
    """Show a refusal at the fields it names; one without fields is about the parent."""
    for fault in error.faults:
        form.add_error(fault.field if fault.field in form.fields else None, fault.message)
    if not error.faults:
        form.add_error("parent", str(error))


@login_required
@require_POST
def change_status(request: HttpRequest, team_slug: str, project_slug: str, experiment_slug: str) -> HttpResponse:
    """Start, complete, fail or resume a run: `status` is running, complete or failed, `failure_kind` says why it failed."""
    opened, experiment = open_experiment(request, team_slug, project_slug, experiment_slug, role=Role.EDITOR)
    status, kind = request.POST.get("status", ""), request.POST.get("failure_kind", "")
    if status not in Experiment.Status.values or kind not in Experiment.FailureKind.values:
        raise Invalid(f"{status!r} {kind!r} is no state: give running, complete or failed, and diverged, crashed or interrupted with the last.")
    lifecycle.move(experiment, status, kind, by=caller(request).user)
    messages.success(request, f"{experiment} is {experiment.state}.")
    return redirect(opened.experiment_url(experiment))


@login_required
@require_POST
def archive(request: HttpRequest, team_slug: str, project_slug: str, experiment_slug: str) -> HttpResponse:
    """Put an experiment away, or bring it back where `restore` is sent."""
    opened, experiment = open_experiment(request, team_slug, project_slug, experiment_slug, role=Role.EDITOR)
    verb = lifecycle.restore if "restore" in request.POST else lifecycle.archive
    verb(experiment, by=caller(request).user)
    messages.success(request, f"{experiment} is {'archived: it takes no more points' if experiment.archived else 'back from the archive'}.")
    return redirect(opened.experiment_url(experiment))


@login_required
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, team_slug: str, project_slug: str, experiment_slug: str) -> HttpResponse:
    """Say what goes; on POST delete it."""
    opened, experiment = open_experiment(request, team_slug, project_slug, experiment_slug, role=Role.ADMIN)
    if request.method == "POST":
        deletion.delete([experiment], by=caller(request).user)
        messages.success(request, f"{experiment} is deleted, with its points.")
        return redirect(opened.url)
    children = list(experiment.children.values_list("name", flat=True))
    content = {"opened": opened, "tab": "experiments", "experiment": experiment, "children": children[:CHILDREN_SHOWN], "child_count": len(children)}
    return render(request, "experiments/page/experiment_delete.html", content | {"points": point_count(opened, experiment)})


def point_count(opened: OpenProject, experiment: Experiment) -> int | None:
    """How many points the experiment has, waiting ones too; None where the metric store is away."""
    numbers = Numbers()
    nothing: Summaries = {}
    found = numbers.ask(lambda store: store.summaries(opened.place, experiments=[experiment.pk]), nothing)
    return None if numbers.is_away else sum(summary.count for summary in found.get(experiment.pk, {}).values()) + numbers.pending([experiment.pk])


def open_experiment(request: HttpRequest, team_slug: str, project_slug: str, experiment_slug: str, *, role: Role) -> tuple[OpenProject, Experiment]:
    """The project and the experiment at an address. Raises NotFound or Forbidden."""
    opened = open_project(request, team_slug, project_slug, role=role)
    experiment = Experiment.objects.filter(project=opened.project).select_related("project__team", "parent_experiment").named(experiment_slug)
    return opened, experiment
