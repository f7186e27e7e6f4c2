"""Addresses of experiments' pages."""

from django.urls import path

from experiments.compare import views as compare_views
from experiments.lineage import views as lineage_views
from experiments.page import edit_views, views
from experiments.scatter import views as scatter_views

app_name = "experiments"

PROJECT = "projects/<str:team_slug>/<str:project_slug>/"
EXPERIMENT = PROJECT + "experiments/<str:experiment_slug>/"

urlpatterns = [
    path(PROJECT + "compare", compare_views.compare, name="compare"),
    path(PROJECT + "new-experiment", edit_views.new, name="new"),
    path(EXPERIMENT, views.experiment, name="experiment"),
    path(EXPERIMENT + "edit", edit_views.edit, name="edit"),
    path(EXPERIMENT + "delete", edit_views.delete, name="delete"),
    path(EXPERIMENT + "status", edit_views.change_status, name="status"),
    path(EXPERIMENT + "archive", edit_views.archive, name="archive"),
    path(PROJECT + "lineage", lineage_views.lineage, name="lineage"),
    path(PROJECT + "explore", scatter_views.explore, name="explore"),
    path(PROJECT + "explore/data", scatter_views.data, name="explore_data"),
    path(EXPERIMENT + "parent", lineage_views.change_parent, name="parent"),
]
