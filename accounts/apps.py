"""The accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who may come in, and what they may do."""

    name = "accounts"

    def ready(self) -> None:
        """Hear of sign-ins, for the audit and the list of sessions."""
        from accounts.people.signs import listen  # models can be imported from here on alone

        listen()
