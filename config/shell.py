"""What every page's frame shows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from accounts.access import caller


def shell(request: HttpRequest) -> dict[str, Any]:
    """The product's name, and the teams of whoever is signed in."""
    user = getattr(request, "user", None)
    teams = list(caller(request).teams()) if user is not None and user.is_authenticated else []
    return {"app_name": settings.APP_NAME, "app_version": settings.APP_VERSION, "teams": teams}
