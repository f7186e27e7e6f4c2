"""Puts a function without one of its scopes in the place of the real one, in this process and for a while; and knows which functions ran."""

from __future__ import annotations

import ast
import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, FunctionType
from typing import Any

from tests.security.mutations.scopes import APPS, ROOT, SQL, STATEMENTS, Scope, taken_away

PLACES = tuple(f"{ROOT / app}/" for app in APPS)
Called = frozenset[tuple[str, str]]  # (path, name of the outermost function) of what ran


def name_of(code: CodeType) -> str:
    """The name of the outermost function that a piece of code stands in."""
    return code.co_qualname.partition(".<locals>")[0]


@contextmanager
def noted() -> Iterator[set[tuple[str, str]]]:
    """Notes every function of the product that runs in this thread."""
    ran: set[tuple[str, str]] = set()

    def look(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PLACES):
            ran.add((code.co_filename, name_of(code)))

    sys.setprofile(look)
    try:
        yield ran
    finally:
        sys.setprofile(None)


def place_of(scope: Scope) -> tuple[str, str]:
    """How `noted` writes down the function that has the scope."""
    return str(ROOT / scope.path), scope.function


def live_functions() -> dict[tuple[str, str], list[FunctionType]]:
    """Every function of the product in this process, decorated ones too, by file and name."""
    found: dict[tuple[str, str], list[FunctionType]] = {}
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename.startswith(PLACES):
            found.setdefault((each.__code__.co_filename, each.__code__.co_qualname), []).append(each)
    return found


@contextmanager
def without(scope: Scope, live: dict[tuple[str, str], list[FunctionType]]) -> Iterator[None]:
    """The product without this scope. Raises LookupError where its function is not to be found."""
    if scope.kind == "sql":
        with without_sql(scope):
            yield
        return
    path, name = place_of(scope)
    changed = {(code.co_qualname, code.co_firstlineno): code for code in codes(compile(taken_away(scope), path, "exec"))}
    held = [(each, each.__code__) for each in live.get((path, name), []) if (name, each.__code__.co_firstlineno) in changed]
    held = [(each, code) for each, code in held if code.co_firstlineno <= scope.line]
    if not held:
        raise LookupError(f"{scope.path}:{scope.line} {name}")
    for each, code in held:
        each.__code__ = changed[name, code.co_firstlineno]
    try:
        yield
    finally:
        for each, code in held:
            each.__code__ = code


@contextmanager
def without_sql(scope: Scope) -> Iterator[None]:
    """The product with a statement that asks over all teams, wherever it is held."""
    home = importlib.import_module(scope.path.removesuffix(".py").replace("/", "."))
    plain: str = getattr(home, scope.function)
    wide = SQL.sub("1 = 1", plain)
    holders = [(module, name) for module in map(importlib.import_module, STATEMENTS) for name, value in vars(module).items() if value is plain]
    for module, name in holders:
        setattr(module, name, wide)
    try:
        yield
    finally:
        for module, name in holders:
            setattr(module, name, plain)


def codes(code: CodeType) -> Iterator[CodeType]:
    """A piece of code and all that stand in it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from codes(each)


__all__ = ["Called", "ast", "live_functions", "noted", "place_of", "without"]
