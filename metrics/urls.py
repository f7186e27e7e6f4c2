"""Addresses of the pages of alerts."""

from django.urls import path

from metrics import views

app_name = "metrics"
urlpatterns = [
    path("alerts/", views.alert_list, name="alerts"),
    path("alerts/<int:alert_id>/acknowledge", views.acknowledge, name="acknowledge"),
    path("alerts/<int:alert_id>/silence", views.silence, name="silence"),
    path("projects/<str:team_slug>/<str:project_slug>/alerts/", views.project_alerts, name="project_alerts"),
]
