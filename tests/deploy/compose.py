"""docker-compose.yml as data: each service with its variables put in, so that its own command can be run as a process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z_]+)(?:(?P<kind>:-|:\?)(?P<rest>[^}]*))?\}")


@cache
def document() -> dict[str, Any]:
    """The whole file, anchors resolved."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def filled(value: Any, given: Mapping[str, str]) -> Any:
    """A value with its variables put in, as `docker compose` does. Raises KeyError for one that is required and not given."""
    if isinstance(value, dict):
        return {key: filled(part, given) for key, part in value.items()}
    if isinstance(value, list):
        return [filled(part, given) for part in value]
    return VARIABLE.sub(lambda match: put_in(match, given), value).replace("$$", "$") if isinstance(value, str) else value


def put_in(match: re.Match[str], given: Mapping[str, str]) -> str:
    """What stands for one variable."""
    if given.get(match["name"]):
        return given[match["name"]]
    if match["kind"] == ":-":
        return match["rest"]
    raise KeyError(match["name"])


@dataclass(frozen=True)
class Service:
    """One service, as it would run with the secrets of a .env."""

    name: str
    command: list[str]
    environment: dict[str, str]
    health: list[str]


def service(name: str, given: Mapping[str, str]) -> Service:
    """A service of the file by its name."""
    found = filled(document()["services"][name], given)
    return Service(name, found.get("command", []), found.get("environment", {}), found.get("healthcheck", {}).get("test", []))


def read_env(path: Path) -> dict[str, str]:
    """The variables of a .env file."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)
