"""Addresses of experiments under /api/v1/."""

from django.urls import path

from experiments import api

app_name = "experiments-api"
urlpatterns = [
    path("experiments", api.Experiments.as_view({"get": "list", "post": "create"}), name="experiments"),
    path("experiments/<uuid:experiment>", api.Experiments.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}), name="experiment"),
    path("experiments/<uuid:experiment>/heartbeat", api.Experiments.as_view({"post": "heartbeat"}), name="heartbeat"),
]
