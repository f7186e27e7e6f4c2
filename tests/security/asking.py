"""What is asked of the product by whom, and what an answer says when everything is taken out of it that no two answers share."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.cache import caches
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client

from metrics.ingest.grants import GRANTS
from tests.security.matrix import ROUTES
from tests.security.references import ASKS, PARAMETERS, Ask
from tests.security.worlds import FOREIGN, NOWHERE, World, nowhere

API = "api/v1/"
PARAMETER = re.compile(r"<(\w+):(\w+)>")
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?"
# What differs from one answer to the next, whatever is in the record.
PASSING = [
    (re.compile(r"(\"seen\": ?\"|\"X-Seen\": \"\d+\.|seen=)[0-9a-f]{16,32}|(data-version=\")[^\"]*"), r"\1\2"),
    (re.compile(r'(csrfmiddlewaretoken" value="|"X-CSRFToken": ?"|csrf-token" content=")[^"]*'), r"\1"),
    (re.compile(r"nonce=\"[^\"]*\""), "nonce"),
    (re.compile(r"rp_[\w-]{7,}…?"), "rp"),
    (re.compile(r"\"(request_id|secret|token|access|refresh|batch_id)\": ?\"[^\"]*\""), r'"\1"'),
    (re.compile(r'"replicate_key": ?"[0-9a-f]{32}"'), "arm"),  # of a project's own key, which is new each time
    (re.compile(r"key=[\w-]{43}|\"key\": ?\"[\w-]{43}\""), "key"),
    (re.compile(r"W/\"[0-9a-f]{32}\""), "hash"),  # of a body, which is compared itself
    (re.compile(r"(?<=,)[0-9a-f]{32}(?=,)"), "request"),  # in a file of the audit
    (re.compile(r"eyJ[\w.-]+"), "jwt"),
    (re.compile(TIME), "time"),
    (re.compile(r"\d{4}\.\d{6}|\d{10}\.\d+"), "version"),
    (re.compile(r"\d\d:\d\d(:\d\d)? UTC"), "clock"),
    (re.compile(r"\{\"id\": ?\d+"), '{"id"'),
    (re.compile(r'id="secret">[^<]*'), "secret"),
    (re.compile(r"\b[\d.]+\s?(s|ms|min|h|d) ago|\b(just )?now\b"), "ago"),
]
KEPT_HEADERS = (
    "Location",
    "Content-Type",
    "Content-Disposition",
    "HX-Push-Url",
    "HX-Reswap",
    "HX-Refresh",
    "ETag",
    "X-Pending-Points",
    "WWW-Authenticate",
    "Allow",
)


@dataclass(frozen=True)
class Request:
    """One request of one caller, as it can be repeated. `swapped` is what stands in it that is not ours."""

    who: str
    verb: str
    route: str
    address: str
    body: Mapping[str, Any] | None = field(default=None, hash=False)
    part: str = ""  # the id of the part that HTMX asks for, "*" for one without
    swapped: tuple[str, ...] = ()
    swap: str = ""

    @property
    def is_api(self) -> bool:
        """Whether it goes to the API, with JSON."""
        return self.route.startswith(API)

    @property
    def changes(self) -> bool:
        """Whether its verb may change something."""
        return self.verb != "GET"

    def __str__(self) -> str:
        said = f" {dict(self.body)}" if self.body else ""
        return f"{self.who}: {self.verb} {self.address}{said}{' part ' + self.part if self.part else ''}{' (' + self.swap + ')' if self.swap else ''}"


@dataclass(frozen=True)
class Answer:
    """A status, everything else that was said, as one text, and what was done to the record."""

    status: int
    text: str
    done: str = ""


@dataclass
class Asker:
    """Sends requests: each caller by session on pages and by what it carries to the API. Nothing of them stays in the record."""

    carried: dict[str, str]  # who: the Authorization to the API
    sessions: dict[str, str]  # who: the session on pages
    client: Client

    def answer(self, request: Request, *, known: frozenset[str] = frozenset(), look: Callable[[], str] = str) -> Answer:
        """What it is answered, in the form in which answers can be compared, and what `look` finds then. `known` are UUIDs that stay as they are."""
        # A POST of points gives the connection back, and its key makes a repeat of it.
        with nullcontext() if "/log" in request.route else transaction.atomic():
            wrote: list[str] = []
            with connection.execute_wrapper(partial(noted, wrote)):
                answer = self.raw(request)
            said = spoken(answer, request.swapped, known)
            done = look() if request.changes and (wrote or "/log" in request.route) else ""
            if "/log" not in request.route:
                transaction.set_rollback(True)
        return Answer(answer.status_code, said, done)

    def raw(self, request: Request) -> HttpResponse:
        """What it is answered."""
        GRANTS.forget()
        for each in caches.settings:
            caches[each].clear()
        client = self.client
        client.cookies.clear()
        headers = {"HX-Request": "true", "HX-Target": request.part} if request.part else {}
        if request.is_api:
            headers |= {"Authorization": self.carried[request.who]} if request.who in self.carried else {}
            headers |= {"Idempotency-Key": "matrix"} if "/log" in request.route else {}
            return client.generic(request.verb, request.address, json.dumps(request.body or {}), content_type="application/json", headers=headers)
        if request.who in self.sessions:
            client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[request.who]
        if request.verb == "POST":
            return client.post(request.address, dict(request.body or {}), headers=headers)
        return client.generic(request.verb, request.address, headers=headers)


def noted(wrote: list[str], execute: Callable[..., Any], sql: str, *more: Any) -> Any:  # Any: Django's own signature
    """Run a statement, and note one that may change something: who wrote nothing has changed no row."""
    if not sql.lstrip(" (").startswith(("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK")):
        wrote.append(sql)
    return execute(sql, *more)


def spoken(answer: HttpResponse, swapped: tuple[str, ...], known: frozenset[str]) -> str:
    """Headers and body, without what passes and with one word for whatever was swapped."""
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
    text = "\n".join(f"{name}: {answer[name]}" for name in KEPT_HEADERS if answer.has_header(name) and not (name == "ETag" and swapped))
    text += "\n" + content.decode("utf-8", "replace")
    for word in sorted(swapped, key=len, reverse=True):
        text = re.sub(re.escape(word), "¤", text, flags=re.IGNORECASE)
    for pattern, instead in PASSING:
        text = pattern.sub(instead, text)
    return re.sub(UUID, lambda found: found[0] if found[0] in known else "uuid", text)


# From the tables to requests -------------------------------------------------------------------------------------------------------------


def own_requests(world: World, who: str, *, is_api: bool) -> Iterator[Request]:
    """Every address and verb of the tables with what is ours, pages and API apart."""
    for route, verb, ask, _ in asks(is_api=is_api):
        yield from parts(filled_in(Request(who, verb, route, ""), ask, world, {}, {}))


def asks(*, is_api: bool) -> Iterator[tuple[str, str, Ask, bool]]:
    """Every way to ask that the tables know, and whether it is the first of its address and verb."""
    for route, verbs in ROUTES.items():
        if route.startswith(API) is is_api and route not in UNSHARED:
            for verb, call in verbs.items():
                yield route, verb, Ask(call.query, call.body), True
                yield from ((route, verb, ask, False) for ask in ASKS.get((route, verb), []))


def filled_in(request: Request, ask: Ask, world: World, path: Mapping[str, Any], said: Mapping[str, Any]) -> Request:
    """The request with what is the world's, but for what `path` and `said` put in its place."""
    address = "/" + route_of(request.route, world, path) + query_of(ask.query, world, said)
    return replace(request, address=address, body=None if ask.body is None else deeply(ask.body, world, said))


# Signing in and out is no matter of worlds; of the server itself machines ask, and a schema is everybody's.
UNSHARED = ("sign-in", "sign-out", "api/v1/auth/token", "api/v1/auth/token/refresh", "api/schema", "docs", "health", "ready", "metrics", "client/", "admin/")
TARGETS = {"compare": ("metrics", "arms", "compare-live"), "experiments/<str:experiment_slug>/": ("metrics",)}


def parts(request: Request) -> Iterator[Request]:
    """The request, and of a page the parts that HTMX asks for."""
    yield request
    if (not request.is_api and request.verb == "GET" and request.route.startswith(("projects/", "alerts/"))) or request.route == "":
        yield replace(request, part="*")
        yield from (replace(request, part=part) for end, all_ in TARGETS.items() if request.route.endswith(end) for part in all_)


def swaps(ours: World, other: World, who: str, *, is_api: bool, spelled: Collection[int], is_limited: bool = False) -> Iterator[tuple[Request, Request]]:
    """Each reference of each request swapped for the other world's, one at a time: the request, and the same for what is nowhere.

    Of another project of the same team the caller may name everything, but not together with what is in ours; one limited to a project may not.
    """
    unknown = nowhere(other)
    for route, verb, ask, is_first in asks(is_api=is_api):
        places = [("path", name, kind_of(name), converter) for converter, name in PARAMETER.findall(route)] if is_first else []
        for where, place, kind, converter in [*places, *(("said", kind, kind, "str") for kind in sorted(placeholders(ask)))]:
            if other.team == ours.team and not is_limited and not is_held(route, ask, place if where == "path" else "", kind):
                continue
            for n in spellings(kind, converter, ours, other, [n or 1 for n in spelled] if has_slugs(route, place) else spelled):
                about = Request(who, verb, route, "", swapped=words_of(kind, n, other, unknown), swap=f"{where} {place} of {other.mark}, spelling {n}")
                one, nothing = ({place: theirs.names[kind][n]} for theirs in (other, unknown))
                is_path = where == "path"
                yield tuple(filled_in(about, ask, ours, each if is_path else {}, {} if is_path else each) for each in (one, nothing))  # type: ignore[misc]
        if len(places) > 1 and other.team != ours.team:
            words = tuple(word for *_, kind, _ in places for n in range(len(other.names.get(kind, ()))) for word in words_of(kind, n, other, unknown))
            about = Request(who, verb, route, "", swapped=words, swap=f"all of {other.mark}")
            yield filled_in(about, Ask(), other, {}, {}), filled_in(about, Ask(), unknown, {}, {})


HOLDERS = ("project", "hypothesis", "experiment")  # each may stand in those before it


def is_held(route: str, ask: Ask, place: str, kind: str) -> bool:
    """Whether a request names our project, or something of it that holds what is swapped. `place` is the parameter that is, "" in a query or a body."""
    beside = [kind_of(name) for _, name in PARAMETER.findall(route) if name != place]
    literally = "project=digits" in ask.query or (ask.body or {}).get("project") == "digits"
    holding = HOLDERS[: HOLDERS.index(kind)] if place and kind in HOLDERS else HOLDERS
    return kind != "project" and (literally or any(each in holding for each in beside))


def spellings(kind: str, converter: str, ours: World, other: World, spelled: Collection[int]) -> list[int]:
    """Which spellings of a kind can stand in a place and are not ours as well."""
    there = range(len(other.names.get(kind, ())) if converter == "str" else 1) if kind in other.names else ()
    return [n for n in there if n in spelled and other.names[kind][n] != ours.names[kind][n]]


def has_slugs(route: str, place: str) -> bool:
    """Whether an address takes a slug in this place, and no key: another world's key would be refused for its form."""
    return route.startswith("teams/") and place == "team_slug"


def words_of(kind: str, n: int, *worlds: World) -> tuple[str, ...]:
    """What an answer may echo of what was asked for, so as to be compared without it."""
    values = [str(world.names[kind][n]) for world in worlds if kind in world.names]
    long = [value for value in values if not value.isdigit()]
    return tuple(dict.fromkeys((*long, *map(quote, long), *(f"/{value}" for value in values), *(world.mark for world in worlds))))


def kind_of(parameter: str) -> str:
    """What a parameter of a route names."""
    return PARAMETERS[parameter]


def route_of(route: str, world: World, instead: Mapping[str, Any]) -> str:
    """The route with its parameters filled in: pages by their slugs."""

    def filled(found: re.Match[str]) -> str:
        converter, name = found.groups()
        kind = kind_of(name)
        spelled = world.names.get(kind, ("no.whl",))
        value = instead.get(name, spelled[1] if name.endswith("_slug") else spelled[0])
        return quote(str(value), safe="@" if converter == "str" else "/")

    return PARAMETER.sub(filled, route)


def placeholders(ask: Ask) -> set[str]:
    """The kinds of things that a query and a body name."""
    return {name for text in texts(ask) for _, name, _, _ in string.Formatter().parse(text) if name}


def texts(ask: Ask) -> Iterator[str]:
    """Every text of an ask that may name something."""
    yield ask.query
    yield from leaves(ask.body)


def leaves(value: Any) -> Iterator[str]:
    """The texts in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)


def query_of(query: str, world: World, instead: Mapping[str, Any]) -> str:
    """A query with its references filled in and its values quoted."""
    if not query:
        return ""
    pairs = [pair.partition("=") for pair in query.removeprefix("?").split("&")]
    return "?" + "&".join(f"{word}={quote(filled(value, world, instead), safe=',')}" for word, _, value in pairs)


def deeply(value: Any, world: World, instead: Mapping[str, Any]) -> Any:
    """A value of JSON with its references filled in."""
    if isinstance(value, str):
        return filled(value, world, instead)
    if isinstance(value, list):
        return [deeply(each, world, instead) for each in value]
    return {name: deeply(each, world, instead) for name, each in value.items()} if isinstance(value, Mapping) else value


def filled(text: str, world: World, instead: Mapping[str, Any]) -> str:
    """A text with its references filled in: each by its key, but where another spelling is asked for."""
    names = {kind: str(instead.get(kind, spelled[0])) for kind, spelled in world.names.items()}
    return text.format(**names) if "{" in text else text


def complaint(request: Request, expected: Answer, found: Answer) -> str:
    """Why two answers that should be one are not; "" where they are."""
    if found == expected:
        return ""
    if found.done != expected.done:
        return f"{request}: {found.status}, and did {found.done or 'nothing'} instead of {expected.done or 'nothing'}"
    if found.status != expected.status:
        return f"{request}: {found.status} instead of {expected.status}: {found.text[:200]!r}"
    at = next((n for n, (one, other) in enumerate(zip(found.text, expected.text, strict=False)) if one != other), min(len(found.text), len(expected.text)))
    begin = max(0, at - 60)
    return f"{request}: …{found.text[begin : at + 80]!r} instead of …{expected.text[begin : at + 80]!r}"


def foreign_words(text: str) -> list[str]:
    """The marks of other worlds that stand in an answer."""
    return [mark for mark in (*FOREIGN, NOWHERE) if mark.lower() in text.lower()]
