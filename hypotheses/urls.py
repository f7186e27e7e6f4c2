"""Addresses of hypotheses' pages."""

from django.urls import path

from hypotheses.attribution import views as attribution_views
from hypotheses.page import edit_views, views

app_name = "hypotheses"

PROJECT = "projects/<str:team_slug>/<str:project_slug>/"
HYPOTHESIS = PROJECT + "hypotheses/<str:hypothesis_slug>/"

urlpatterns = [
    path(PROJECT + "hypotheses/", views.hypotheses, name="list"),
    path(PROJECT + "hypotheses/new", edit_views.new, name="new"),
    path(PROJECT + "attribution", attribution_views.attribution, name="attribution"),
    path(HYPOTHESIS, views.hypothesis, name="hypothesis"),
    path(HYPOTHESIS + "edit", edit_views.edit, name="edit"),
    path(HYPOTHESIS + "delete", edit_views.delete, name="delete"),
    path(HYPOTHESIS + "judge", edit_views.judge, name="judge"),
    path(HYPOTHESIS + "link", edit_views.link, name="link"),
    path(HYPOTHESIS + "unlink", edit_views.unlink, name="unlink"),
    path(HYPOTHESIS + "invalidate", edit_views.invalidate, name="invalidate"),
    path(HYPOTHESIS + "rule", edit_views.rule, name="rule"),
]
