"""Addresses of the pages of teams and of the audit."""

from django.urls import path

from accounts.teams import audit_views, views

app_name = "teams"
urlpatterns = [
    path("teams/", views.teams, name="teams"),
    path("new-team", views.new_team, name="new"),
    path("audit", audit_views.of_all, name="audit_of_all"),
    path("teams/<str:team_slug>/", views.team, name="team"),
    path("teams/<str:team_slug>/rename", views.rename, name="rename"),
    path("teams/<str:team_slug>/leave", views.leave, name="leave"),
    path("teams/<str:team_slug>/audit", audit_views.of_team, name="audit"),
    path("teams/<str:team_slug>/members/<int:membership_id>/role", views.change_role, name="role"),
    path("teams/<str:team_slug>/members/<int:membership_id>/remove", views.remove, name="remove"),
    path("teams/<str:team_slug>/invitations", views.invite, name="invite"),
    path("teams/<str:team_slug>/invitations/<uuid:invitation_id>/link", views.new_link, name="link"),
    path("teams/<str:team_slug>/invitations/<uuid:invitation_id>/take-back", views.take_back, name="take_back"),
]
