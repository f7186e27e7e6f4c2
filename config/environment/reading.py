"""How a setting is read: as a number within bounds, a switch or one of some words; anything else is refused in a sentence."""

from __future__ import annotations

import os
from typing import Any, TypeVar

import environ
from django.core.exceptions import ImproperlyConfigured

from config.errors import SetupError

env = environ.Env()
T = TypeVar("T", int, float)
SWITCH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False, "": False}


def number(read: Any, name: str, default: T, *, least: float = 0, most: float = float("inf")) -> T:
    """A setting as `read` (env.int, env.float) understands it. Raises SetupError with the value and what to give."""
    try:
        value: T = read(name, default=default)
    except (ValueError, ImproperlyConfigured) as error:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise SetupError(f"{name}={os.environ.get(name)!r} is not {kind}: correct it in the environment or in .env.") from error
    if value < least:
        raise SetupError(f"{name}={value} is too small: give {least} or more.")
    if value > most:
        raise SetupError(f"{name}={value} is too large: give {most} or less.")
    return value


def switch(name: str, default: bool) -> bool:
    """A setting that is true or false. Raises SetupError for any other word."""
    value: str = env.str(name, default=str(default))
    if value.lower() not in SWITCH:
        raise SetupError(f"{name}={value!r} is not known: give true or false.")
    return SWITCH[value.lower()]


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    """A setting that is one of `choices`. Raises SetupError otherwise."""
    value: str = env.str(name, default=default)
    if value not in choices:
        raise SetupError(f"{name}={value!r} is not known: give one of {', '.join(choices)}.")
    return value
