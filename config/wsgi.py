"""The WSGI application, for whichever server: its process opens its parts at the first request where no hook has (gunicorn.conf.py has)."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

answered = get_wsgi_application()

from metrics import process  # noqa: E402  # Django has to be set up before


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:  # Any: as WSGI has them
    """Django's answer, in a process that has its parts."""
    process.ensure_started()
    return answered(environ, start_response)
