"""The address that an invitation's link has."""

from django.urls import path

from accounts.invitations import views

app_name = "invitations"
urlpatterns = [path("join", views.join, name="join")]
