"""Addresses that machines ask. Without a namespace: proxies and probes know them by their paths."""

from django.urls import path

from operations import health, scrape

urlpatterns = [
    path("health", health.health, name="health"),
    path("ready", health.ready, name="ready"),
    path("metrics", scrape.scrape, name="scrape"),
]
