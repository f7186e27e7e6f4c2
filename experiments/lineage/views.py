"""The lineage of a project, and the form that gives an experiment another parent."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import caller
from accounts.models import Role
from config.errors import Invalid, NotFound
from config.limits.lane import heavy
from config.web.ignored import ignored
from experiments import lifecycle
from experiments.lineage.address import WORDS, view
from experiments.lineage.tree import DEEPEST, Lineage
from experiments.models import Experiment
from experiments.page.edit_views import open_experiment
from projects.opened import OpenProject, open_project


@login_required
@require_safe
@heavy
def lineage(request: HttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """The tree, all of the view in the address. With `with=path` on to the comparison of the ways from the root to what is picked."""
    opened = open_project(request, team_slug, project_slug)
    asked = view(request.GET)
    tree = Lineage(opened.project, asked)
    if request.GET.get("with") == "path":
        return redirect(opened.address("experiments:compare") + "?" + urlencode({"e": ",".join(tree.path_slugs())}))
    return tree_page(request, opened, tree)


def tree_page(request: HttpRequest, opened: OpenProject, tree: Lineage, *, reference: str | None = None, refusal: str = "") -> HttpResponse:
    """The page; 422 with the `refusal` of a parent, and what was asked for still in the field."""
    page = {
        "opened": opened,
        "tab": "lineage",
        "tree": tree,
        "reference": reference,
        "refusal": refusal,
        "deepest": DEEPEST,
        "ignored": ignored(request.GET, WORDS),
    }
    page["tree_url"] = opened.address("experiments:lineage")  # links of a refusal lead to the tree, not to where the form was sent
    return render(request, "experiments/lineage/lineage.html", page, status=422 if refusal else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def change_parent(request: HttpRequest, team_slug: str, project_slug: str, experiment_slug: str) -> HttpResponse:
    """Hang an experiment under another one, named by slug or UUID; with nothing said it becomes a root.

    The address says how the tree is looked at, as the tree's own does. A refusal leaves a browser there, so that GET leads back to the form.
    """
    asked = replace(view(request.GET), here=experiment_slug)
    if request.method != "POST":
        return redirect(open_project(request, team_slug, project_slug).address("experiments:lineage") + asked.link())
    opened, experiment = open_experiment(request, team_slug, project_slug, experiment_slug, role=Role.EDITOR)
    reference = request.POST.get("parent", "").strip()
    try:
        lifecycle.edit(experiment, by=caller(request).user, parent=parent_named(opened, reference))
    except Invalid as error:
        return tree_page(request, opened, Lineage(opened.project, asked), reference=reference, refusal=str(error))
    messages.success(request, f"{experiment} comes from {experiment.parent_experiment} now." if reference else f"{experiment} is a root now.")
    return redirect(opened.address("experiments:lineage") + replace(asked, here=experiment.slug).link())


def parent_named(opened: OpenProject, reference: str) -> Experiment | None:
    """The experiment of this project that is meant; None where nothing is said. Raises Invalid where there is none."""
    if not reference:
        return None
    try:
        return Experiment.objects.filter(project=opened.project).named(reference)
    except NotFound as error:
        raise Invalid(f"There is no experiment {reference!r} in this project: give the slug of one that is, as it stands in its address.") from error
