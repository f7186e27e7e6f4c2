"""Addresses of signing in and of the account."""

from django.urls import path

from accounts import views
from accounts.tokens import views as tokens

app_name = "accounts"

urlpatterns = [
    path("sign-in", views.sign_in, name="sign_in"),
    path("sign-out", views.sign_out, name="sign_out"),
    path("account", views.account, name="account"),
    path("account/tokens", tokens.make_token, name="make_token"),
    path("account/tokens/<uuid:token_id>/revoke", tokens.revoke_token, name="revoke_token"),
    path("account/tokens/<uuid:token_id>/narrow", tokens.narrow_token, name="narrow_token"),
]
