"""What Prometheus asks: the counts of every web process of this host, and what the record says of alerts and tasks."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterator

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from accounts.access import Caller
from accounts.signing_in.authentication import bearer, bearer_of
from alerts.models import Alert, WebProcess
from config.errors import Forbidden, NotFound
from metrics import meters
from metrics.models import Occurrence

logger = logging.getLogger(__name__)
FORWARDED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")


@require_safe
def scrape(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for this machine itself and for operators' tokens. To everybody else it is not there."""
    refuse_strangers(request)
    registry = meters.all_processes()
    registry.register(RecordCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def refuse_strangers(request: HttpRequest) -> None:
    """Raise NotFound for who brings no token from elsewhere, Forbidden for a token that is no operator's."""
    if is_loopback(request):
        return
    secret = bearer(request.headers.get("Authorization", ""))
    known = bearer_of(secret) if secret else None
    if known is None:
        raise NotFound("There is nothing at this address, or it is not yours.")
    if not Caller(known.user, known.token).is_operator:
        raise Forbidden("This is for operators: send a superuser's token of the scope admin (Administer).")


def is_loopback(request: HttpRequest) -> bool:
    """Whether this machine asks, by itself. What came through a proxy on it did not, whatever the proxy says of where it came from."""
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    inner = getattr(address, "ipv4_mapped", None)
    return bool((inner or address).is_loopback)


class RecordCollector(Collector):
    """What the record knows: open alerts, when each task last ended, web processes. Without the record, that it is away."""

    def collect(self) -> Iterator[Metric]:
        """The families."""
        try:
            families = [open_alerts(), task_ends(), web_seen()]
        except DatabaseError as error:
            logger.warning("The record could not be read for a scrape: %s", error)
            families = []
        yield GaugeMetricFamily(f"{meters.PREFIX}_record_up", "Whether the record answers", value=bool(families))
        info = GaugeMetricFamily(f"{meters.PREFIX}_info", "Which version runs", labels=["version"])
        info.add_metric([settings.APP_VERSION], 1)
        yield from (info, *families)


def open_alerts() -> Metric:
    """Alerts whose condition holds, by kind and severity."""
    family = GaugeMetricFamily(f"{meters.PREFIX}_open_alerts", "Alerts that are open", labels=["kind", "severity"])
    for kind, severity, count in Alert.objects.open().values_list("kind", "severity").annotate(n=Count("pk")).order_by():
        family.add_metric([kind, severity], count)
    return family


def task_ends() -> Metric:
    """When each task of the schedule last ended, in seconds since 1970."""
    family = GaugeMetricFamily(f"{meters.PREFIX}_task_last_end_seconds", "When the task last ended", labels=["task"])
    for task, ended in Occurrence.objects.exclude(finished_at=None).values_list("task").annotate(at=Max("finished_at")).order_by():
        family.add_metric([task], ended.timestamp())
    return family


def web_seen() -> Metric:
    """When any web process last said that it lives."""
    family = GaugeMetricFamily(f"{meters.PREFIX}_web_last_seen_seconds", "When a web process was last seen", labels=["host"])
    for host, seen in WebProcess.objects.values_list("host").annotate(at=Max("seen_at")).order_by():
        family.add_metric([host], seen.timestamp())
    return family
