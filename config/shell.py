"""What every page's frame shows."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from accounts.access import caller
from alerts.models import Alert


def shell(request: HttpRequest) -> dict[str, Any]:
    """The product's name, and the teams of whoever is signed in, and how many alerts wait for somebody."""
    user = getattr(request, "user", None)
    teams = list(caller(request).teams()) if user is not None and user.is_authenticated else []
    return {"app_name": settings.APP_NAME, "app_version": settings.APP_VERSION, "teams": teams, "waiting_alerts": partial(waiting_alerts, request)}


def waiting_alerts(request: HttpRequest) -> int:
    """Alerts that wait for somebody, for the badge. Only a page that shows it asks."""
    return Alert.objects.visible_to(caller(request)).waiting(at=timezone.now()).count()
