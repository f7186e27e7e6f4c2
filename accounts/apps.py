"""The accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who may come in, and what they may do."""

    name = "accounts"
