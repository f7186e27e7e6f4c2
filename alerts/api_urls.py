"""Addresses of alerts and channels under /api/v1/."""

from django.urls import path

from alerts import api

app_name = "alerts-api"
urlpatterns = [
    path("alerts", api.Alerts.as_view({"get": "list"}), name="alerts"),
    path("alerts/<int:alert>", api.Alerts.as_view({"get": "retrieve"}), name="alert"),
    path("alerts/<int:alert>/acknowledge", api.Alerts.as_view({"post": "acknowledge"}), name="acknowledge"),
    path("alerts/<int:alert>/silence", api.Alerts.as_view({"post": "silence"}), name="silence"),
    path("teams/<str:team>/channels", api.Channels.as_view({"get": "list", "post": "create"}), name="channels"),
    path("teams/<str:team>/channels/<uuid:channel>", api.Channels.as_view({"patch": "partial_update", "delete": "destroy"}), name="channel"),
    path("teams/<str:team>/channels/<uuid:channel>/test", api.Channels.as_view({"post": "test"}), name="channel-test"),
]
