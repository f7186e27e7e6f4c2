"""The accounts app."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in

from accounts.signing_in.proof import signed_in


class AccountsConfig(AppConfig):
    """Who may come in, and what they may do."""

    name = "accounts"

    def ready(self) -> None:
        """Hear of sign-ins."""
        user_logged_in.connect(signed_in, dispatch_uid="accounts.signing_in.proof")
