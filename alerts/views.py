"""The page of alerts: what needs a person, what is over, and for operators how the server's parts and its schedule are."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from accounts.access import Caller, caller
from accounts.models import Role, Team
from alerts import lifecycle as alerts
from alerts import parts
from alerts.models import Alert, AlertQuerySet, Severity
from alerts.sending import channels
from config.errors import Forbidden, Invalid, NotFound
from config.web.going_back import asked_page
from config.web.htmx import HtmxHttpRequest
from config.web.ignored import ignored
from metrics.clock import pulse
from metrics.models import Occurrence
from projects.opened import open_project

SHOWN = 200
RECENT, RECENT_DAYS = 20, 7
SILENCES = {"1h": timedelta(hours=1), "8h": timedelta(hours=8), "1d": timedelta(days=1), "1w": timedelta(days=7)}
SILENCE_WORDS = {"1h": "for 1 h", "8h": "for 8 h", "1d": "for 1 day", "1w": "for 1 week"}
END = "end"


@login_required
@require_safe
@vary_on_headers("HX-Request")
def alert_list(request: HtmxHttpRequest) -> HttpResponse:
    """Every alert of the caller's teams; those of the server too for operators. HTMX gets the part that lives."""
    asking = caller(request)
    content = of(Alert.objects.visible_to(asking), asking) | sent_to(asking)
    if asking.user.is_superuser:
        now = timezone.now()
        content |= {"parts": parts.parts(at=now), "runs": pulse.runs(at=now)}
    return render(
        request, "alerts/_alerts.html" if is_part(request) else "alerts/alerts.html", content | {"here": request.path, "ignored": ignored(request.GET, ())}
    )


@login_required
@require_safe
@vary_on_headers("HX-Request")
def project_alerts(request: HtmxHttpRequest, team_slug: str, project_slug: str) -> HttpResponse:
    """The alerts of one project."""
    opened = open_project(request, team_slug, project_slug)
    asking = caller(request)
    content = of(Alert.objects.filter(project=opened.project), asking) | sent_to(asking, team=opened.project.team)
    content |= {"opened": opened, "tab": "health", "here": request.path, "ignored": ignored(request.GET, ())}
    return render(request, "alerts/_alerts.html" if is_part(request) else "alerts/project_alerts.html", content)


def is_part(request: HtmxHttpRequest) -> bool:
    """Whether HTMX asks for the part that lives."""
    return bool(request.htmx and not request.htmx.boosted and not request.htmx.history_restore_request)


def of(mine: AlertQuerySet, asking: Caller) -> dict[str, Any]:  # Any: a template's context
    """What a page of alerts shows of `mine`: open ones, those that need somebody first; what was resolved lately; when it was last looked."""
    now = timezone.now()
    rows = mine.select_related("team", "project__team", "experiment__project__team", "acknowledged_by")
    shown = list(in_order(rows.open(), at=now)[:SHOWN])
    lately = rows.resolved().filter(resolved_at__gte=now - timedelta(days=RECENT_DAYS)).order_by("-resolved_at")[:RECENT]
    return {
        "open": [(alert, may_change(asking, alert)) for alert in shown],
        "open_count": mine.open().count() if len(shown) == SHOWN else len(shown),
        "waiting_count": sum(alert.acknowledged_at is None and not alert.is_silenced for alert in shown),
        "recent": list(lately),
        "checked_at": Occurrence.objects.filter(task=pulse.CHECK).order_by("-slot").values_list("finished_at", flat=True).first(),
        "silences": SILENCE_WORDS,
    }


def in_order(rows: AlertQuerySet, *, at: datetime) -> QuerySet[Alert]:
    """Those that need somebody first, the worst first, the newest first."""
    rank = Case(*(When(severity=one, then=Value(one.rank)) for one in Severity), default=Value(0), output_field=IntegerField())
    needs = Case(When(acknowledged_at__isnull=False, then=Value(0)), When(silenced_until__gt=at, then=Value(0)), default=Value(1), output_field=IntegerField())
    return rows.order_by(needs.desc(), rank.desc(), "-opened_at", "-pk")


def may_change(asking: Caller, alert: Alert) -> bool:
    """Whether the caller may acknowledge and silence it."""
    if alert.team_id is None:
        return asking.user.is_superuser
    held = asking.roles.get(alert.team_id)
    return held is not None and held.allows(Role.EDITOR)


def sent_to(asking: Caller, *, team: Team | None = None) -> dict[str, Any]:  # Any: a template's context
    """Where alerts are sent, for who may change that: of one team or of all of the caller's."""
    mine = channels.of(asking)
    may_add = asking.user.is_superuser or bool(channels.administered(asking))
    if team is not None:
        mine, may_add = mine.filter(team=team), team.pk in channels.administered(asking)
    return {"channels": mine, "may_add_channel": may_add}


# Changing --------------------------------------------------------------------------------------------------------------------------------


@login_required
@require_POST
def acknowledge(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Somebody sees to it."""
    alerts.acknowledge(changeable(caller(request), alert_id), by=caller(request).user)
    return back(request)


@login_required
@require_POST
def silence(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Hear nothing of it for a while: `for` is 1h, 8h, 1d, 1w, or end."""
    alert, span = changeable(caller(request), alert_id), request.POST.get("for", "")
    if span not in SILENCES and span != END:
        raise Invalid(f"for={span!r} is not known: give one of {', '.join(SILENCES)}, or {END}.")
    alerts.silence(alert, until=None if span == END else timezone.now() + SILENCES[span])
    return back(request)


def changeable(asking: Caller, alert_id: int) -> Alert:
    """The open alert that the caller may change. Raises NotFound or Forbidden."""
    alert = Alert.objects.visible_to(asking).select_related(*alerts.RELATED).filter(pk=alert_id).first()
    if alert is None:
        raise NotFound("There is no such alert, or it is not yours.")
    if not may_change(asking, alert):
        raise Forbidden("This takes the role editor in the team. An admin of the team can give it.")
    return alert


def back(request: HttpRequest) -> HttpResponse:
    """To the page of alerts that the form was on."""
    return redirect(asked_page(request, otherwise="alerts:alerts"))
