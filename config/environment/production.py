"""What ENVIRONMENT=production refuses to start with."""

from __future__ import annotations

from collections.abc import Collection

from config.errors import SetupError

SECRET_LENGTH = 32
# Top-level domains that nobody can buy a name in.
PRIVATE_DOMAINS = frozenset(("internal", "lan", "local", "localhost", "home", "corp", "intranet", "private", "test"))
SECRET_CHARACTERS = 10
# Words that stand in examples, with whatever parts their halves left out.
PLACEHOLDERS = ("changeme", "changethis", "replaceme", "insecure", "secretkey", "yoursecret", "example", "password", "placeholder")
MAKE_ONE = "make env writes one, or: python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"


def refuse_unsafe(*, secret: str, is_secret_shared: bool, debug: bool, origins: Collection[str], hosts: Collection[str]) -> None:
    """Raise SetupError for a secret that can be guessed or that each host would make for itself, for DEBUG, and for CORS or hosts open to all."""
    flaw = flaw_of(secret) if secret or not is_secret_shared else "is missing, and every process must have the same"
    if flaw:
        raise SetupError(f"ENVIRONMENT=production does not start while SECRET_KEY {flaw}: {MAKE_ONE}.")
    if debug:
        raise SetupError("ENVIRONMENT=production does not start with DEBUG=true, which shows settings to whoever causes an error: give DEBUG=false.")
    if "*" in origins:
        raise SetupError("ENVIRONMENT=production does not start with CORS_ALLOWED_ORIGINS=*, which lets every page call the API: name the origins.")
    for host in hosts:
        if is_any_host(host):
            raise SetupError(f"ENVIRONMENT=production does not start with ALLOWED_HOSTS={host}, under which anybody's name leads here: name the hosts.")


def refuse_mail_without_address(*, mail: str, site: str) -> None:
    """Raise SetupError where e-mails would be sent whose links lead to the reader's own machine: those of invitations and new passwords work nowhere else."""
    if mail and not site:
        raise SetupError(
            "ENVIRONMENT=production does not start with EMAIL_URL and without SITE_URL, which links in e-mails begin with: give SITE_URL=https://research.example.org."
        )


def is_any_host(host: str) -> bool:
    """Whether an entry of ALLOWED_HOSTS takes names that others may own: a *, a dot alone, or a whole top-level domain that is not a private one."""
    name = host.strip().strip(".").lower()
    is_top_level = host.strip().startswith(".") and "." not in name and name not in PRIVATE_DOMAINS
    return "*" in host or (bool(host) and not name) or is_top_level


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
