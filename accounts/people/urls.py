"""Addresses of what somebody changes about the own account."""

from django.urls import path

from accounts.people import views

app_name = "people"
urlpatterns = [
    path("account/profile", views.profile, name="profile"),
    path("account/password", views.password, name="password"),
    path("account/sessions/sign-out", views.sign_out_elsewhere, name="sign_out_elsewhere"),
    path("account/sessions/<int:session_id>/sign-out", views.sign_out_one, name="sign_out_one"),
    path("password/forgotten", views.forgotten, name="forgotten"),
    path("password/new", views.new_password, name="new_password"),
]
