"""What one team is answered hangs on nothing of another's, and no request of it reaches anything there; the same for two projects of one team."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection, models
from django.http import QueryDict
from django.test import Client
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from drf_spectacular.generators import SchemaGenerator
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.models import ApiToken, Membership, Role, Scope, Team, User
from experiments.models import Experiment
from metrics import process
from metrics.points import decoding
from metrics.points.valid import Limits
from metrics.spool.batches import Series
from projects.models import Project
from tests.conftest import empty_patiently
from tests.security.asking import PARAMETER, UNSHARED, Answer, Asker, Request, asks, complaint, leaves, own_requests, swaps
from tests.security.matrix import PERSON, ROUTES, TEAM
from tests.security.references import PLAIN, TOLD
from tests.security.worlds import OTHER, OURS, SIBLING, Logging, World, member, people, world

pytestmark = pytest.mark.differs_on_servers("what another team's rows do to an answer is asked of the record, the shared cache and the store")
# What a team's projects have together; every other answer is one project's.
OF_THE_TEAM = (
    "", "search", "alerts/", "account", "account/tokens",
    *(TEAM + end for end in ("", "audit", "invitations", "invitations/<uuid:invitation_id>/link")),
    "api/v1/projects", "api/v1/experiments", "api/v1/hypotheses", "api/v1/alerts", "api/v1/audit",
)  # fmt: skip
OWN_ALONE = "account/tokens/<uuid:token_id>/revoke"  # an operator has no part in another's tokens on these pages
PAGES, EDITOR, VIEWER, BY_TOKEN, BY_JWT, OPERATOR = "admin", "editor", "viewer", "of both teams", "by JWT", "operator"
LIMITED, LOGGING = "of one project", "that logs alone"
Rows = dict[tuple[str, Any], tuple[Any, ...]]


@dataclass
class Worlds:
    """Ours, another team's, and another project of our team; what was answered before the others were there; and their rows."""

    asker: Asker
    ours: World
    others: list[World]
    before: dict[Request, Answer]
    theirs: Rows
    all_rows: Rows
    known: frozenset[str]
    read: set[tuple[str, str, str]]
    refusals: dict[Request, Answer] = field(default_factory=dict)

    def answer(self, request: Request) -> Answer:
        """What a request is answered, and what it does to the rows of the others. Nothing of it stays."""
        return self.asker.answer(request, known=self.known, look=self.done)

    def nothing(self, request: Request) -> Answer:
        """What is answered to who names what is not there, asked once."""
        key = replace(request, swap="")
        if key not in self.refusals:
            self.refusals[key] = self.answer(request)
        return self.refusals[key]

    def swaps(self, spelled: Collection[int], carried: Collection[str]) -> Iterator[tuple[Request, Request]]:
        """Each request with one reference of another world in it, and the same with what is not there: pages by session, the API as `carried`."""
        for other in self.others:
            yield from swaps(self.ours, other, PAGES, is_api=False, spelled=spelled)
            for who in carried:
                yield from swaps(self.ours, other, who, is_api=True, spelled=spelled)
            if other.team == self.ours.team:
                yield from swaps(self.ours, other, LIMITED, is_api=True, spelled=spelled, is_limited=True)
            if BY_JWT not in carried:
                yield from (each for each in swaps(self.ours, other, BY_JWT, is_api=True, spelled=spelled) if takes_a_person(each[0]))

    def done(self) -> str:
        """What a request did to the record; before all else what it did to the rows of the others, and whether a new row leads to them."""
        found = rows()
        changed = [key for key, row in self.theirs.items() if found.get(key) != row]
        beside = [key for key in found.keys() - self.all_rows.keys() if points_at(key, found[key], self.theirs)]
        return f"OTHERS changed {changed[:5]}, put beside {beside[:5]}" if changed or beside else effects(self.all_rows, found)


def takes_a_person(request: Request) -> bool:
    """Whether it is one that no token of a script may do."""
    return ROUTES[request.route][request.verb].codes == PERSON.codes


# What changes by itself: when a token was used, who is signed in, what the process says of itself.
BY_ITSELF = ("sessions.Session", "metrics.WebProcess", "metrics.Spool", "metrics.CacheEpoch", "metrics.Occurrence", "accounts.SignInCount")


def effects(before: Rows, after: Rows) -> str:
    """How many rows of which tables are new or gone, and which columns changed."""
    found: Counter[str] = Counter()
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new or key[0] in BY_ITSELF:
            continue
        if old is None or new is None:
            found[f"{'new' if old is None else 'gone'} {key[0]}"] += 1
            continue
        names = [each.attname for each in apps.get_model(key[0])._meta.concrete_fields]
        found.update(f"{key[0]}.{name}" for name, one, other in zip(names, old, new, strict=True) if one != other)
    return ", ".join(f"{name} {count}" for name, count in sorted(found.items()))


LATE = ("last_point_at", "last_used_at", "seen_at", "device", "address")  # written by others, when they come to it


def rows() -> Rows:
    """Every row of every table."""
    found: Rows = {}
    for model in apps.get_models(include_auto_created=True):
        names = [each.attname for each in model._meta.concrete_fields]
        place, late = names.index(model._meta.pk.attname), [n for n, name in enumerate(names) if name in LATE]
        for row in model._base_manager.values_list(*names):
            found[model._meta.label, row[place]] = tuple(None if n in late else value for n, value in enumerate(row)) if late else row
    return found


def points_at(key: tuple[str, Any], row: tuple[Any, ...], theirs: Rows) -> bool:
    """Whether a row leads to one of theirs, by a foreign key or a bare UUID."""
    model = apps.get_model(key[0])
    uuids = {pk for _, pk in theirs}
    for each, value in zip(model._meta.concrete_fields, row, strict=True):
        related = each.related_model if isinstance(each, models.ForeignKey) else None
        if (related._meta.label, value) in theirs if related else isinstance(each, models.UUIDField) and value in uuids:
            return True
    return False


@pytest.fixture(scope="module")
def worlds(_process: process.Process, django_db_blocker: Any) -> Iterator[Worlds]:
    """Made once for all tests here: each takes back what it did."""
    with django_db_blocker.unblock():
        yield made(_process)
        assert _process.drain.wait_visible(_process.spool.last_row(), timeout_s=60), _process.drain.last_error
        empty_patiently(connection)


def made(store: process.Process, roles: Collection[str] = ()) -> Worlds:
    """The worlds: ours first, asked what there is to ask, then the others. `roles` carry a token, too."""
    log = partial(written, store)
    team = Team.objects.create(name="Vision team")
    ours_by = people(OURS, team)
    both, visitor = member("dora", team, Role.ADMIN), User.objects.create_user("visitor")
    ours = world(OURS, team, Project.objects.create(team=team, name="digits"), ours_by[Role.ADMIN], log)
    users = {
        BY_TOKEN: both,
        PAGES: ours_by[Role.ADMIN],
        EDITOR: ours_by[Role.EDITOR],
        VIEWER: ours_by[Role.VIEWER],
        OPERATOR: User.objects.create_superuser("operator"),
    }
    sessions = {who: session_of(user) for who, user in users.items()}
    token = ApiToken.issue(user=both, team=team, name="scripts")[1]
    jwt = RefreshToken.for_user(ours_by[Role.ADMIN]).access_token
    of_all = RefreshToken.for_user(users[OPERATOR]).access_token
    asker = Asker({BY_TOKEN: f"Bearer {token}", BY_JWT: f"Bearer {jwt}", OPERATOR: f"Bearer {of_all}"}, sessions, Client(raise_request_exception=False))
    asker.carried[LIMITED] = f"Bearer {ApiToken.issue(user=users[PAGES], team=team, name='limited', project=ours.project)[1]}"
    asker.carried[LOGGING] = f"Bearer {ApiToken.issue(user=users[PAGES], team=team, name='logging', scope=Scope.INGEST)[1]}"
    asker.carried |= {who: f"Bearer {ApiToken.issue(user=users[who], team=team, name=who)[1]}" for who in roles}
    ApiToken.objects.update(last_used_at=timezone.now())  # otherwise a page says which were used in between
    known = frozenset(str(pk) for _, pk in rows())
    requests = [*own_requests(ours, PAGES, is_api=False), *own_requests(ours, BY_TOKEN, is_api=True)]
    requests += filter(takes_a_person, own_requests(ours, BY_JWT, is_api=True))
    requests += [request for who in (LIMITED, LOGGING) for request in own_requests(ours, who, is_api=True) if not request.changes]
    for request in requests:  # whoever asks the first time leaves traces: when a token was used, which points came
        if "/log" in request.route:
            asker.raw(request)
    settled(store)
    with words_read() as read:
        before, first = {}, rows()
        for request in requests:
            read.place = request
            before[request] = asker.answer(request, known=known, look=lambda: effects(first, rows()))
    had = rows()
    others = [world(SIBLING, team, Project.objects.create(team=team, name=f"{SIBLING}Project"), ours_by[Role.ADMIN], log)]
    settled(store)
    second = rows()
    again = [request for request in requests if request.route in OF_THE_TEAM and request.who not in (LIMITED, LOGGING)]
    before |= {request: asker.answer(request, known=known, look=lambda: effects(second, rows())) for request in again}
    others.append(another_team(both, visitor, log))
    settled(store)
    all_rows = rows()
    theirs = {key: row for key, row in all_rows.items() if key not in had and not key[0].startswith("sessions.")}
    return Worlds(asker, ours, others, before, theirs, all_rows, known, read.words)


@dataclass
class Read:
    """Which words of queries and forms the product looked at: (route, verb, word)."""

    words: set[tuple[str, str, str]] = field(default_factory=set)
    place: Request | None = None


@contextmanager
def words_read() -> Iterator[Read]:
    """Watches what is read of queries and forms."""
    read, patch = Read(), pytest.MonkeyPatch()

    def watched(name: str) -> Callable[..., Any]:
        plain = getattr(MultiValueDict, name)

        def look(values: MultiValueDict, word: str, *more: Any) -> Any:
            if read.place is not None and isinstance(values, QueryDict):
                read.words.add((read.place.route, read.place.verb, re.sub(r"_\d+$", "_#", str(word))))
            return plain(values, word, *more)

        return look

    with patch.context() as patched:
        for name in ("get", "getlist", "__getitem__", "__contains__"):
            patched.setattr(QueryDict, name, watched(name), raising=False)
        yield read


def another_team(both: User, visitor: User, log: Logging) -> World:
    """A team with two projects: one named as ours is, and one of its own. Somebody of ours is its admin, too."""
    team = Team.objects.create(name=f"{OTHER}Team")
    Membership.objects.create(team=team, user=both, role=Role.ADMIN)
    Membership.objects.create(team=team, user=visitor, role=Role.VIEWER)
    ApiToken.issue(user=both, team=team, name=f"{OTHER}Scripts")
    admin = people(OTHER, team)[Role.ADMIN]
    world(OTHER, team, Project.objects.create(team=team, name="digits"), admin, log)
    return world(OTHER, team, Project.objects.create(team=team, name=f"{OTHER}Project"), admin, log)


def session_of(user: User) -> str:
    """The session of somebody who has signed in."""
    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def written(store: process.Process, experiment: Experiment, metrics: dict[str, list[float]], *, is_awaited: bool = True) -> None:
    """Points of an experiment, through the spool."""
    steps = range(len(next(iter(metrics.values()))))
    body = json.dumps({"steps": [*steps], "metrics": metrics}).encode()
    place = Series(experiment.project.team_id, experiment.project_id, experiment.pk, experiment.created_month)
    store.spools.append(place, decoding.many(body, now_us=1_790_000_000_000_000, limits=Limits()), key=None, body_hash=b"", request_id="")
    if is_awaited:
        settled(store)


def settled(store: process.Process) -> None:
    """Every point is where it can be read."""
    assert store.drain.wait_visible(store.spool.last_row(), timeout_s=60), store.drain.last_error


def refuse(found: Iterable[tuple[Request, Answer, Answer]]) -> None:
    """Fail where answers that should be one are not, a line for each."""
    lines = [text for each in found if (text := complaint(*each))]
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def test_no_answer_hangs_on_what_another_team_has(worlds):
    refuse((request, answer, worlds.answer(request)) for request, answer in worlds.before.items())


def test_what_another_team_has_is_refused_as_what_is_not_there(worlds):
    refuse((request, worlds.nothing(nothing), worlds.answer(request)) for request, nothing in worlds.swaps([0], [BY_TOKEN]) if not is_told(request))


@pytest.mark.slow
def test_it_is_refused_by_whatever_name_it_is_called_and_whatever_the_caller_carries(worlds):
    refuse(
        (request, worlds.nothing(nothing), worlds.answer(request)) for request, nothing in worlds.swaps([0, 1, 2], [BY_TOKEN, BY_JWT]) if not is_told(request)
    )


def test_what_is_refused_is_there_for_who_may_see_it(worlds):
    places = {request.route: PARAMETER.findall(request.route) for request in worlds.before}
    whole = [
        replace(request, who=OPERATOR)
        for request, _ in worlds.swaps([0], [BY_TOKEN])
        if request.verb == "GET"
        and request.route != OWN_ALONE
        and (request.swap.startswith("all of") or (len(places[request.route]) == 1 and request.swap.startswith("path")))
    ]
    needs_more = 422  # a query that the address alone does not have
    assert len(whole) > 30
    assert [(str(request), code) for request in whole if (code := worlds.answer(request).status) >= 400 and code != needs_more] == []


def is_told(request: Request) -> bool:
    """Whether the table says why this answer tells something."""
    return any((request.route, request.verb) == (route, verb) and f" {kind} of" in request.swap for route, verb, kind in TOLD)


def test_every_word_that_a_page_reads_is_in_the_table(worlds):
    known = {(route, verb): words_of_asks(route, verb) for route, verb, *_ in asks(is_api=False)}
    unknown = {
        (route, verb, word) for route, verb, word in worlds.read if not route.startswith("api/") and word not in PLAIN and word not in known[route, verb]
    }
    assert unknown == set(), "Say in tests/security/references.py what each of these names, or that it names nothing."


def test_every_word_that_the_api_takes_is_in_the_table(db):
    schema = SchemaGenerator().get_schema(public=True)
    unknown = set()
    for path, verbs in schema["paths"].items():
        for verb, operation in verbs.items():
            route = next(route for route in ROUTES if PARAMETER.sub(r"{\2}", "/" + route) == path)
            words = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"} | set(body_words(schema, operation))
            if route not in UNSHARED:
                unknown |= {(route, verb, word) for word in words - PLAIN - words_of_asks(route, verb.upper())}
    assert unknown == set(), "Say in tests/security/references.py what each of these names, or that it names nothing."


def words_of_asks(route: str, verb: str) -> set[str]:
    """The words of an address that its asks give a reference to."""
    said = [ask for each, verb_, ask, _ in [*asks(is_api=True), *asks(is_api=False)] if (each, verb_) == (route, verb)]
    pairs = [pair.partition("=") for ask in said for pair in ask.query.removeprefix("?").split("&")]
    pairs += [pair.partition("=") for ask in said for text in leaves(ask.body) if text.startswith("?") for pair in text[1:].split("&")]
    pairs += [(name, "", " ".join(leaves(value))) for ask in said for name, value in named_leaves(ask.body)]
    return {re.sub(r"_\d+$", "_#", word) for word, _, value in pairs if "{" in value}


def named_leaves(body: Any) -> Iterator[tuple[str, Any]]:
    """Every name of a body with its value, those of objects in it too."""
    for value in body if isinstance(body, list) else []:
        yield from named_leaves(value)
    for name, value in body.items() if isinstance(body, dict) else []:
        yield name, value
        yield from named_leaves(value)


def body_words(schema: dict[str, Any], operation: dict[str, Any]) -> Iterator[str]:
    """The fields that an operation takes, those of the objects in it too."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    yield from field_names(schema, content)


def field_names(schema: dict[str, Any], part: dict[str, Any]) -> Iterator[str]:
    """The names of the properties of a part of a schema."""
    if "$ref" in part:
        part = schema["components"]["schemas"][part["$ref"].rpartition("/")[2]]
    for inner in [*part.get("allOf", []), *part.get("oneOf", []), *([part["items"]] if "items" in part else [])]:
        yield from field_names(schema, inner)
    for name, value in part.get("properties", {}).items():
        if not value.get("readOnly"):
            yield name
            yield from field_names(schema, value)
