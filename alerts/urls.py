"""Addresses of the pages of alerts."""

from django.urls import path

from alerts import channel_views, views

app_name = "alerts"
urlpatterns = [
    path("alerts/", views.alert_list, name="alerts"),
    path("alerts/channels/new", channel_views.add, name="channel_new"),
    path("alerts/channels/<uuid:channel_id>", channel_views.edit, name="channel"),
    path("alerts/channels/<uuid:channel_id>/test", channel_views.test, name="channel_test"),
    path("alerts/channels/<uuid:channel_id>/secret", channel_views.renew_secret, name="channel_secret"),
    path("alerts/channels/<uuid:channel_id>/delete", channel_views.delete, name="channel_delete"),
    path("alerts/<int:alert_id>/acknowledge", views.acknowledge, name="acknowledge"),
    path("alerts/<int:alert_id>/silence", views.silence, name="silence"),
    path("projects/<str:team_slug>/<str:project_slug>/alerts/", views.project_alerts, name="project_alerts"),
]
