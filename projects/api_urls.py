"""Addresses of projects and their metrics under /api/v1/."""

from django.urls import path

from projects import api

app_name = "projects-api"
urlpatterns = [
    path("projects", api.Projects.as_view({"get": "list", "post": "create"}), name="projects"),
    path("projects/<str:project>", api.Projects.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}), name="project"),
    # A metric's name may hold slashes: train/loss. `.` and `..` cannot be a part of a path: ?metric=
    path(
        "projects/<str:project>/metrics",
        api.ProjectMetrics.as_view({"get": "list", "post": "create", "patch": "named_update", "delete": "named_destroy"}),
        name="metrics",
    ),
    path("projects/<str:project>/metrics/<path:metric>", api.ProjectMetrics.as_view({"patch": "partial_update", "delete": "destroy"}), name="metric"),
]
