"""The projects app."""

from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    """Lines of work and the metrics they define."""

    name = "projects"
