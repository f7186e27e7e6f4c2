"""The accounts app."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in

from accounts.signing_in.proof import signed_in as note_proof


class AccountsConfig(AppConfig):
    """Who may come in, and what they may do."""

    name = "accounts"

    def ready(self) -> None:
        """Hear of sign-ins: that the password was given, which browser it was, and for the audit and the list of sessions."""
        from accounts.people.signs import listen  # models can be imported from here on alone
        from accounts.signing_in import devices

        user_logged_in.connect(note_proof, dispatch_uid="accounts.signing_in.proof")
        user_logged_in.connect(devices.signed_in, dispatch_uid="accounts.signing_in.devices")
        listen()
