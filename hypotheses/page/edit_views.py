"""The pages that change a hypothesis: new, edit, judge again, link, unlink, invalidate, rules, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from accounts.access import caller
from accounts.models import Role, User
from accounts.slugs import with_slug_or
from config.errors import Invalid, NotFound
from config.limits.lane import heavy
from config.web.htmx import HtmxHttpRequest, partial
from experiments.models import Experiment
from experiments.readings.numbers import Numbers
from experiments.readings.selection import select
from hypotheses.claims import linking, stating, wanting
from hypotheses.judgements import judge as judgements
from hypotheses.judgements.failing import CouldNotBeJudged
from hypotheses.models import Hypothesis, Link, Target
from hypotheses.page.forms import HypothesisForm, initial_of
from hypotheses.page.prospects import Prospect, prospect, seen_in
from hypotheses.page.views import open_hypothesis
from metrics.clickhouse.errors import StoreError
from projects.models import Project
from projects.opened import OpenProject, open_project


@login_required
@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
def new(request: HtmxHttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """State a claim; `experiments`, `baseline` and `metric` of the address fill the form, as a comparison does. Preview saves nothing."""
    opened = open_project(request, team_slug, project_slug, role=Role.EDITOR)
    form = HypothesisForm(opened.project, request.POST or None, initial=carried(opened.project, request.GET))
    is_preview = "preview" in request.POST
    if request.method == "POST" and not is_preview and form.is_valid():
        source = Link.Source.COMPARISON if "experiments" in request.GET else Link.Source.HAND
        if made := proposed(form, by=caller(request).user, source=source):
            return redirect(address(opened, made))
    return shown(request, opened, form, back=opened.address("hypotheses:list"), is_preview=is_preview)


@login_required
@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
def edit(request: HtmxHttpRequest, team_slug: str, project_slug: str, hypothesis_slug: str) -> HttpResponse:
    """Change a claim. Other terms after data begin a new epoch."""
    opened, claim = open_hypothesis(request, team_slug, project_slug, hypothesis_slug, role=Role.EDITOR)
    name, form = claim.title, HypothesisForm(opened.project, request.POST or None, initial=initial_of(claim), is_new=False)
    is_preview = "preview" in request.POST
    if request.method == "POST" and not is_preview and form.is_valid() and is_edited(form, claim, by=caller(request).user):
        messages.success(request, "Saved.")
        return redirect(address(opened, claim))
    return shown(request, opened, form, back=address(opened, claim), is_preview=is_preview, hypothesis=claim, name=name, base=address(opened, claim))


def shown(request: HtmxHttpRequest, opened: OpenProject, form: HypothesisForm, *, is_preview: bool, **more: Any) -> HttpResponse:  # Any: a template's context
    """The form with what the claim will take; its right half alone where HTMX asks after a change."""
    numbers = Numbers()
    content = {"opened": opened, "tab": "hypotheses", "form": form, "prospects": prospects_of(form, numbers), "is_away": numbers.is_away}
    content["ended"] = sum(run.is_ended for run in runs_in(form))
    if is_preview:
        return render(request, partial("hypotheses/hypothesis_form.html", "preview", request), content | more)
    return render(request, "hypotheses/hypothesis_form.html", content | more, status=422 if form.is_bound and form.errors else 200)


def runs_in(form: HypothesisForm) -> list[Experiment]:
    """The runs that the form names; none where what it names is refused."""
    if "experiments" not in form.fields:
        return []
    try:
        return select(form.project, [form["experiments"].value() or ""]).experiments
    except Invalid:
        return []


def prospects_of(form: HypothesisForm, numbers: Numbers) -> list[Prospect]:
    """What each target that can be read would take."""
    reference = form["baseline_experiment"].value() or ""
    found = with_slug_or("name", Experiment.objects.filter(project=form.project), reference)
    key = found[0].replicate_key if len(found) == 1 else ""
    return [
        prospect(metric, seen_in(form.project, metric, numbers), effect=effect, is_percent=unit == Target.Unit.PERCENT, baseline_key=key)
        for metric, effect, unit in form.wanted()
    ]


def carried(project: Project, query: QueryDict) -> dict[str, Any]:  # Any: a form's initial values
    """What a comparison's address brings along: its runs without the baseline's arm, the baseline, and its metrics."""
    chosen = select(project, query.getlist("experiments")).experiments
    base = next((run for run in select(project, query.getlist("baseline")[:1]).experiments), None)
    tested = [run for run in chosen if base is None or run.replicate_key != base.replicate_key]
    found: dict[str, Any] = {"experiments": ", ".join(run.slug for run in tested)}  # Any: a form's initial values
    if base is not None:
        found |= {"baseline": Hypothesis.Baseline.EXPERIMENT, "baseline_experiment": base.slug}
    metrics = [name for text in query.getlist("metric") for name in [text] if name]
    found |= {f"metric_{index}": name for index, name in enumerate(metrics)}
    changed = dict.fromkeys(change.feature for run in tested for change in run.changes)
    if metrics and changed:
        found["title"] = f"{', '.join(list(changed)[:3])} improves {metrics[0]}"[:255]
    return found


def proposed(form: HypothesisForm, *, by: User, source: str) -> Hypothesis | None:
    """The new claim, its runs and rule linked; None where the form now says what is wrong."""
    made = form.cleaned_data
    try:
        return stating.propose(
            form.project, by=by, experiments=made["experiments"], source=source, rules=[made["feature"]] if made["feature"] else [], **form.terms()
        )
    except Invalid as error:
        complain(form, error)
        return None


def is_edited(form: HypothesisForm, claim: Hypothesis, *, by: User) -> bool:
    """Whether the change was made; where not, the form now says what is wrong."""
    try:
        stating.edit(claim, by=by, **form.terms())
    except Invalid as error:
        complain(form, error)
        return False
    return True


def complain(form: HypothesisForm, error: Invalid) -> None:
    """Show a refusal at the fields it names, at the top where the form has none of that name."""
    for fault in error.faults:
        field = form.target_field(fault.index) if fault.field == "targets" else fault.field
        form.add_error(field if field in form.fields else None, fault.message)
    if not error.faults:
        form.add_error(None, str(error))


@login_required
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, team_slug: str, project_slug: str, hypothesis_slug: str) -> HttpResponse:
    """Say what goes; on POST delete it."""
    opened, claim = open_hypothesis(request, team_slug, project_slug, hypothesis_slug, role=Role.ADMIN)
    if request.method == "POST":
        stating.delete(claim, by=caller(request).user)
        messages.success(request, f"“{claim}” is deleted. Its runs stay.")
        return redirect(opened.address("hypotheses:list"))
    content = {"opened": opened, "tab": "hypotheses", "hypothesis": claim, "base": address(opened, claim)}
    return render(request, "hypotheses/hypothesis_delete.html", content | {"links": claim.links.count(), "events": claim.events.count()})


@login_required
@require_POST
@heavy
def judge(request: HttpRequest, team_slug: str, project_slug: str, hypothesis_slug: str) -> HttpResponse:
    """Judge now; where that cannot be, it is marked and follows."""
    opened, claim = open_hypothesis(request, team_slug, project_slug, hypothesis_slug, role=Role.EDITOR)
    wanting.want(Hypothesis.objects.filter(pk=claim.pk))
    try:
        judgement = judgements.judge(claim.pk)
    except StoreError:
        judgement = None
    except CouldNotBeJudged as error:
        messages.error(request, f"Could not be judged: {error}")
        return redirect(address(opened, claim))
    messages.success(request, "Judged." if judgement else "A judgement is due: it comes as soon as it can be made.")
    return redirect(address(opened, claim))


@login_required
@require_POST
def link(request: HttpRequest, team_slug: str, project_slug: str, hypothesis_slug: str) -> HttpResponse:
    """Link runs by slug or UUID, with commas between."""
    opened, claim = open_hypothesis(request, team_slug, project_slug, hypothesis_slug, role=Role.EDITOR)
    runs = runs_named(opened.project, request.POST.getlist("experiments"))
    linking.link(claim, runs, source=Link.Source.HAND, by=caller(request).user)
    messages.success(request, f"{len(runs)} run{'' if len(runs) == 1 else 's'} linked.")
    return redirect(address(opened, claim))


@login_required
@require_POST
def unlink(request: HttpRequest, team_slug: str, project_slug: str, hypothesis_slug: str) -> HttpResponse:
    """Take a link back; a run that had ended still counts."""
    opened, claim = open_hypothesis(request, team_slug, project_slug, hypothesis_slug, role=Role.EDITOR)
    run = runs_named(opened.project, request.POST.getlist("experiment"))[0]
    stating.unlink(claim, run, by=caller(request).user)
    counts = "It had ended, so it still counts: invalidate it, with a reason, if it must not." if run.is_ended else "It does not count."
    messages.success(request, f"{run} is unlinked. {counts}")
    return redirect(address(opened, claim))


@login_required
@require_POST
def invalidate(request: HttpRequest, team_slug: str, project_slug: str, hypothesis_slug: str) -> HttpResponse:
    """Let a run not count, for a reason that stays in the history."""
    opened, claim = open_hypothesis(request, team_slug, project_slug, hypothesis_slug, role=Role.EDITOR)
    run = runs_named(opened.project, request.POST.getlist("experiment"))[0]
    stating.invalidate(claim, run, reason=request.POST.get("reason", ""), by=caller(request).user)
    messages.success(request, f"{run} does not count any more.")
    return redirect(address(opened, claim))


@login_required
@require_POST
def rule(request: HttpRequest, team_slug: str, project_slug: str, hypothesis_slug: str) -> HttpResponse:
    """Link every run that changes a feature, now and later; `remove` ends the rule."""
    opened, claim = open_hypothesis(request, team_slug, project_slug, hypothesis_slug, role=Role.EDITOR)
    feature, verb = request.POST.get("feature", ""), stating.remove_rule if "remove" in request.POST else stating.add_rule
    verb(claim, feature, by=caller(request).user)
    messages.success(request, "The rule is removed." if "remove" in request.POST else f"Runs that change {feature} are linked from now on.")
    return redirect(address(opened, claim))


def runs_named(project: Project, references: Sequence[str]) -> list[Experiment]:
    """The runs that a form names, one at least. Raises NotFound."""
    found = select(project, references)
    if found.unknown or not found.experiments:
        raise NotFound(f"There is no experiment {', '.join(found.unknown) or '…'} in this project: give the slug that stands in its address.")
    return found.experiments


def address(opened: OpenProject, claim: Hypothesis) -> str:
    """The page of a claim."""
    return opened.address("hypotheses:hypothesis", hypothesis_slug=claim.slug)
