"""What ENVIRONMENT=production refuses to start with."""

from __future__ import annotations

from collections.abc import Collection

from config.errors import SetupError

SECRET_LENGTH = 32
SECRET_CHARACTERS = 10
# Words that stand in examples, with whatever parts their halves left out.
PLACEHOLDERS = ("changeme", "changethis", "replaceme", "insecure", "secretkey", "yoursecret", "example", "password", "placeholder")
MAKE_ONE = "make env writes one, or: python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"


def refuse_unsafe(*, secret: str, is_secret_shared: bool, debug: bool, origins: Collection[str]) -> None:
    """Raise SetupError for a secret that can be guessed or that each host would make for itself, for DEBUG, and for CORS open to all."""
    flaw = flaw_of(secret) if secret or not is_secret_shared else "is missing, and every process must have the same"
    if flaw:
        raise SetupError(f"ENVIRONMENT=production does not start while SECRET_KEY {flaw}: {MAKE_ONE}.")
    if debug:
        raise SetupError("ENVIRONMENT=production does not start with DEBUG=true, which shows settings to whoever causes an error: give DEBUG=false.")
    if "*" in origins:
        raise SetupError("ENVIRONMENT=production does not start with CORS_ALLOWED_ORIGINS=*, which lets every page call the API: name the origins.")


def flaw_of(secret: str) -> str:
    """What makes a secret weak; "" where nothing does, or where there is none: the first start makes a strong one."""
    plain = "".join(c for c in secret.lower() if c.isalnum())
    if not secret:
        return ""
    if any(word in plain for word in PLACEHOLDERS):
        return "is one from an example"
    if len(secret) < SECRET_LENGTH:
        return f"has {len(secret)} characters, fewer than {SECRET_LENGTH}"
    if len(set(secret)) < SECRET_CHARACTERS:
        return f"has {len(set(secret))} different characters, fewer than {SECRET_CHARACTERS}"
    return ""
