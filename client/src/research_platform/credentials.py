"""Where the server is and which token to use: arguments, else the environment, else a credentials.json."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from research_platform.errors import ConfigurationError


@dataclass(frozen=True)
class Credentials:
    """An address without a trailing slash, and a token for it."""

    url: str
    token: str


def own_file() -> Path:
    """Where `research-platform login` keeps the credentials of this person."""
    return Path.home() / ".config" / "research-platform" / "credentials.json"


def credentials(url: str | None = None, token: str | None = None) -> Credentials:
    """The credentials to use. Raises ConfigurationError, which says what to do, where there are none."""
    url, token = url or os.environ.get("RP_URL"), token or os.environ.get("RP_TOKEN")
    if url and token:
        return Credentials(url.rstrip("/"), token)
    found, path = nearest()
    if found is None:
        raise ConfigurationError(missing(url, token))
    if url and url.rstrip("/") != found.url:  # the token of one server is never shown to another
        raise ConfigurationError(f"There is no token for {url}: {path} is for {found.url}. Set RP_TOKEN, or run: research-platform login {url}")
    return Credentials(found.url, token or found.token)


def missing(url: str | None, token: str | None) -> str:
    """What to do where no file was found."""
    lacking = " and ".join(word for word, value in (("no address", url), ("no token", token)) if not value)
    return (
        f"There is {lacking} of a Research Platform server. Run `research-platform login {url or 'http://ADDRESS'}`, or set RP_URL and RP_TOKEN, "
        "or start the script below a folder with data/credentials.json. To run without a server, set RP_MODE=disabled."
    )


def nearest() -> tuple[Credentials | None, Path | None]:
    """The first credentials file that is one, and its path. Raises ConfigurationError where RP_CREDENTIALS names one that is not."""
    named = os.environ.get("RP_CREDENTIALS")
    if named:
        found = stored(Path(named))
        if found is None:
            raise ConfigurationError(f"RP_CREDENTIALS is {named}, which is not a readable JSON file with url and token: correct or unset it.")
        return found, Path(named)
    # Files of that name belong to other tools too: those without url and token are passed over.
    return next(((found, path) for path in places() if (found := stored(path)) is not None), (None, None))


def places() -> Iterator[Path]:
    """Where to look, nearest first."""
    here = Path.cwd()
    yield here / "data" / "credentials.json"
    yield here / "credentials.json"
    for folder in here.parents:
        yield folder / "data" / "credentials.json"
        yield folder / "credentials.json"
    yield own_file()


def stored(path: Path) -> Credentials | None:
    """The credentials in the file at `path`, None where there is no such file or it holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    url, token = (content.get("url"), content.get("token")) if isinstance(content, dict) else (None, None)
    return Credentials(url.rstrip("/"), token) if isinstance(url, str) and isinstance(token, str) and url and token else None


def keep(kept: Credentials) -> Path:
    """Write `kept` to the person's own file, readable by nobody else. Returns its path. Raises OSError."""
    path = own_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"url": kept.url, "token": kept.token}, file)
    Path(draft).replace(path)
    return path
