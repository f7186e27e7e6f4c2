"""Addresses of projects and their metrics under /api/v1/."""

from django.urls import path

from projects import api

app_name = "projects-api"
urlpatterns = [
    path("projects", api.Projects.as_view({"get": "list", "post": "create"}), name="projects"),
    path("projects/<str:project>", api.Projects.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}), name="project"),
    path("projects/<str:project>/metrics", api.ProjectMetrics.as_view({"get": "list", "post": "create"}), name="metrics"),
    # A metric's name may hold slashes: train/loss.
    path("projects/<str:project>/metrics/<path:metric>", api.ProjectMetrics.as_view({"patch": "partial_update", "delete": "destroy"}), name="metric"),
]
