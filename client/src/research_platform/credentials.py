"""Where the server is and which token to use: arguments, else the environment, else a credentials.json.

Address and token belong together. What a file says is used whole or not at all: its token goes to no other address, and no other token goes to its address.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from research_platform import trust
from research_platform.errors import ConfigurationError
from research_platform.voice import Voice

voice = Voice()


@dataclass(frozen=True)
class Credentials:
    """An address without a trailing slash, and a token for it."""

    url: str
    token: str


def own_file() -> Path:
    """Where `research-platform login` keeps the credentials of this person."""
    return Path.home() / ".config" / "research-platform" / "credentials.json"


def credentials(url: str | None = None, token: str | None = None) -> Credentials:
    """The credentials to use. Raises ConfigurationError, which says what to do, where there are none.

    `url` and `token` are what the script says: it knows what it does, so that the environment may add the other half.
    """
    here, stated = os.environ.get("RP_URL"), os.environ.get("RP_TOKEN")
    if not token and stated and (here or url) and is_same(here or url, url or here):
        token = stated
    address = url or here
    if address and token:
        return Credentials(address.rstrip("/"), token)
    if token or (stated and not here):
        raise ConfigurationError(homeless("The argument `token` was given" if token else "RP_TOKEN is set"))
    return of_file(address)


def credentials_for(url: str, token: str | None = None) -> Credentials:
    """The same for an address that was read from a file: RP_TOKEN goes there only where RP_URL says the same address. Raises ConfigurationError."""
    if token or is_same(url, os.environ.get("RP_URL")):
        return credentials(url, token)
    if os.environ.get("RP_TOKEN") and not os.environ.get("RP_URL"):
        raise ConfigurationError(f"RP_TOKEN is set, and nothing says that it is for {url}: set RP_URL={url} too, or give --token.")
    return of_file(url)


def renewed(found: Credentials, url: str | None, token: str | None) -> str:
    """The token that stands by now where `found` came from; its own where another address stands there. Raises ConfigurationError."""
    now = credentials(url, token)
    return now.token if now.url == found.url else found.token


def of_file(url: str | None) -> Credentials:
    """The credentials of the nearest file, which is for `url` where one is given. Raises ConfigurationError."""
    found, path = nearest()
    if found is None:
        raise ConfigurationError(missing(url))
    if url and not is_same(url, found.url):
        raise ConfigurationError(f"There is no token for {url}: {path} is for {found.url}. Set RP_URL and RP_TOKEN, or run: research-platform login {url}")
    return found


def is_same(url: str | None, other: str | None) -> bool:
    """Whether both are one address."""
    return bool(url and other) and str(url).rstrip("/") == str(other).rstrip("/")


def homeless(what: str) -> str:
    """What to do with a token of which nothing says where it belongs."""
    return (
        f"{what}, and nothing says for which server: set RP_URL too, or give `url`. "
        "A token is never sent to the address in a credentials.json, which has a token of its own: to use that, leave this one away."
    )


def missing(url: str | None) -> str:
    """What to do where no file was found."""
    return (
        f"There is {'no token' if url else 'no address and no token'} of a Research Platform server. "
        f"Run `research-platform login {url or 'http://ADDRESS'}`, or set RP_URL and RP_TOKEN, "
        "or start the script below a folder with data/credentials.json. To run without a server, set RP_MODE=disabled."
    )


def nearest() -> tuple[Credentials | None, Path | None]:
    """The first credentials file that is one, and its path. Raises ConfigurationError where RP_CREDENTIALS names one that is not, or is not to be believed."""
    named = os.environ.get("RP_CREDENTIALS")
    if named:
        found, flaw = stored(Path(named))
        if found is None:
            raise ConfigurationError(f"RP_CREDENTIALS is {named}, which is not a readable JSON file with url and token: correct or unset it.")
        if flaw:
            raise ConfigurationError(f"RP_CREDENTIALS is {named}, which is not used, as {flaw}.")
        return found, Path(named)
    return next(((found, path) for path in places() if (found := believed(path)) is not None), (None, None))


def believed(path: Path) -> Credentials | None:
    """The credentials in a file that was found; None where it holds none (files of that name belong to other tools too), or others could have written it."""
    found, flaw = stored(path)
    if found is not None and flaw:
        voice.once(str(path), f"{path} is passed over, as {flaw}.")
        return None
    return found


def places() -> Iterator[Path]:
    """Where to look, nearest first."""
    here = Path.cwd()
    yield here / "data" / "credentials.json"
    yield here / "credentials.json"
    for folder in here.parents:
        yield folder / "data" / "credentials.json"
        yield folder / "credentials.json"
    yield own_file()


def stored(path: Path) -> tuple[Credentials | None, str]:
    """The credentials in the file at `path`, None where there is no such file or it holds something else; and why it is not to be believed."""
    try:
        content, flaw = trust.read(path)
        said = json.loads(content)
    except (OSError, ValueError, RecursionError):
        return None, ""
    url, token = (said.get("url"), said.get("token")) if isinstance(said, dict) else (None, None)
    return (Credentials(url.rstrip("/"), token) if isinstance(url, str) and isinstance(token, str) and url and token else None), flaw


def keep(kept: Credentials) -> Path:
    """Write `kept` to the person's own file, readable by nobody else. Returns its path. Raises OSError."""
    path = own_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"url": kept.url, "token": kept.token}, file)
    Path(draft).replace(path)
    return path
