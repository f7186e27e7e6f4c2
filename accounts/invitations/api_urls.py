"""Addresses of invitations under /api/v1/."""

from django.urls import path

from accounts.invitations import api

app_name = "invitations-api"
urlpatterns = [
    path("teams/<str:team>/invitations", api.Invitations.as_view({"get": "list", "post": "create"}), name="invitations"),
    path("teams/<str:team>/invitations/<uuid:invitation>", api.Invitations.as_view({"delete": "destroy"}), name="invitation"),
    path("teams/<str:team>/invitations/<uuid:invitation>/link", api.Invitations.as_view({"post": "renew"}), name="link"),
    path("invitations/accept", api.Accept.as_view(), name="accept"),
    path("invitations/join", api.Join.as_view(), name="join"),
]
