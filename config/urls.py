"""Every address. Pages first, then the API, then what machines ask."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.urls import include, path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from config.web.docs import ApiDocs, ApiSchema

admin.site.site_header = admin.site.site_title = settings.APP_NAME
admin.site.index_title = "Records"

api = [
    path("", include("accounts.api_urls")),
    path("", include("accounts.people.api_urls")),
    path("", include("accounts.invitations.api_urls")),
    path("", include("accounts.teams.api_urls")),
    path("", include("projects.api_urls")),
    path("", include("experiments.api_urls")),
    path("", include("hypotheses.api_urls")),
    path("metrics/", include("metrics.api_urls")),
    path("", include("alerts.api_urls")),
]

# The admin has a form of its own for this, which counts no wrong passwords, leaves no line, and asks of no token whether it shall end.
one_password_page = require_safe(login_required(RedirectView.as_view(pattern_name="people:password")))

urlpatterns = [
    path("", include("projects.urls")),
    path("", include("experiments.urls")),
    path("", include("hypotheses.urls")),
    path("", include("accounts.urls")),
    path("", include("accounts.people.urls")),
    path("", include("accounts.invitations.urls")),
    path("", include("accounts.teams.urls")),
    path("", include("alerts.urls")),
    path("client/", include("config.client_urls")),
    path("admin/password_change/", one_password_page),
    path("admin/", admin.site.urls),
    path("api/v1/", include(api)),
    path("api/schema", ApiSchema.as_view(), name="schema"),
    path("docs", ApiDocs.as_view(), name="docs"),
    path("", include("operations.urls")),
]

handler400 = "config.web.answers.bad_request"
handler403 = "config.web.answers.forbidden"
handler404 = "config.web.answers.not_found"
handler500 = "config.web.answers.server_error"
