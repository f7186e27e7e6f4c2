"""The WSGI application."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_wsgi_application()

from metrics.shortcut import PointsFirst  # noqa: E402  # Django has to be set up before

application = PointsFirst(django_application)
