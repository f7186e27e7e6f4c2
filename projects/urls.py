"""Addresses of the first page, of projects, and of search."""

from django.urls import path

from projects import views

app_name = "projects"

PROJECT = "projects/<str:team_slug>/<str:project_slug>/"

urlpatterns = [
    path("", views.project_list, name="list"),
    path("search", views.search, name="search"),
    path("projects/new", views.new_project, name="new"),
    path(PROJECT, views.project, name="project"),
    path(PROJECT + "edit", views.edit_project, name="edit"),
    path(PROJECT + "metrics/", views.metrics, name="metrics"),
    path(PROJECT + "metrics/suggestions", views.accept_suggestions, name="accept_suggestions"),
    path(PROJECT + "metrics/<int:metric_id>", views.change_metric, name="change_metric"),
    path(PROJECT + "filter-words", views.filter_words, name="filter_words"),
    path(PROJECT + "views/", views.save_view, name="save_view"),
    path(PROJECT + "views/<int:view_id>", views.view, name="view"),
    path(PROJECT + "views/<int:view_id>/delete", views.delete_view, name="delete_view"),
]
