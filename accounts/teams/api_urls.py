"""The address of the audit under /api/v1/."""

from django.urls import path

from accounts.teams import api

app_name = "teams-api"
urlpatterns = [path("audit", api.Audit.as_view({"get": "list"}), name="audit")]
