"""The WSGI application, for whichever server: its process opens its parts at the first request where no hook has (gunicorn.conf.py has)."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_wsgi_application()

from metrics import process  # noqa: E402  # Django has to be set up before
from metrics.ingest.shortcut import PointsFirst  # noqa: E402

points_first = PointsFirst(django_application)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:  # Any: as WSGI has them
    """The answer of a process that has its parts."""
    process.ensure_started()
    return points_first(environ, start_response)
