"""Addresses of teams, members and tokens under /api/v1/."""

from django.urls import path

from accounts import api

app_name = "accounts-api"
urlpatterns = [
    path("auth/token", api.SignIn.as_view(), name="sign_in"),
    path("auth/token/refresh", api.Refresh.as_view(), name="refresh"),
    path("teams", api.Teams.as_view({"get": "list", "post": "create"}), name="teams"),
    path("teams/<str:team>", api.Teams.as_view({"get": "retrieve", "patch": "partial_update"}), name="team"),
    path("teams/<str:team>/leave", api.Teams.as_view({"post": "leave"}), name="leave"),
    path("teams/<str:team>/members", api.Members.as_view({"get": "list", "post": "create"}), name="members"),
    path("teams/<str:team>/members/<str:user>", api.Members.as_view({"patch": "partial_update", "delete": "destroy"}), name="member"),
    path("tokens", api.Tokens.as_view({"get": "list", "post": "create"}), name="tokens"),
    path("tokens/<uuid:token>", api.Tokens.as_view({"patch": "partial_update", "delete": "destroy"}), name="token"),
]
