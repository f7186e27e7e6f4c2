"""Addresses of accounts under /api/v1/."""

from django.urls import path

from accounts.people import api

app_name = "people-api"
urlpatterns = [
    path("account", api.OwnAccount.as_view(), name="account"),
    path("account/password", api.OwnPassword.as_view(), name="password"),
    path("account/sessions", api.Sessions.as_view({"get": "list", "delete": "end_all"}), name="sessions"),
    path("account/sessions/<int:session>", api.Sessions.as_view({"delete": "destroy"}), name="session"),
    path("auth/password/forgotten", api.Forgotten.as_view(), name="forgotten"),
    path("auth/password", api.NewPassword.as_view(), name="new_password"),
    path("people/<str:user>", api.OnePerson.as_view(), name="person"),
    path("people/<str:user>/password-link", api.LinkForPerson.as_view(), name="password_link"),
]
