"""/client/: the Python package as a wheel, and the page that says how to install it."""

from django.urls import path

from config.web import client_wheel

app_name = "client"
urlpatterns = [
    path("", client_wheel.index, name="index"),
    path("<str:name>", client_wheel.wheel, name="wheel"),
]
