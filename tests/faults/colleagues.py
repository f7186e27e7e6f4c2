"""What somebody with a token and a place in a team sends to starve the others, or to hear of what is none of his: each attack small, and bounded in time.

Each returns what it was answered: a status, 0 where there was none, or a sentence on what should not have been.
"""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.faults.attacks import all_at_once
from tests.faults.clocked import asked
from tests.faults.served import Served

PATIENCE_S = 60.0
TEAM, WIDE = "research-team", "wide"
RUNS, PARAMS = 10, 1_000
GUESSES_MOST, TESTS_MOST, CHANNELS_MOST = 10, 3, 20
# Each condition reads the params of every run.
FILTER = " and ".join(f"params.k{n} < 1e9" for n in range(60))
BEFORE_TIME, AFTER_TIME = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"
PEOPLE = """
import json
from rest_framework_simplejwt.tokens import AccessToken
from accounts.models import ApiToken, Membership, Role, Team, User
from experiments.models import Experiment
from projects.models import Project
here, others = Team.objects.get(), Team.objects.create(name="Others")
mallory = User.objects.create_user("mallory", email="mallory@example.com", password="a password of mallory's")
erin = User.objects.create_user("erin", email="erin@example.com", password="a password of erin's")
Membership.objects.create(team=here, user=mallory, role=Role.ADMIN)
Membership.objects.create(team=others, user=erin, role=Role.ADMIN)
run = Experiment.objects.create(project=Project.objects.create(team=others, name="hidden"), name="theirs")
odd = AccessToken()
odd["user_id"] = [mallory.pk]
print(json.dumps({
    "token": ApiToken.issue(user=mallory, team=here, name="t")[1], "theirs": ApiToken.issue(user=erin, team=others, name="t")[1],
    "hidden_run": str(run.pk), "odd_jwt": str(odd),
}))
"""
Answers = list[int | str]


@dataclass(frozen=True)
class Colleague:
    """Mallory: an admin of one team with a token, and what is not hers: a run of another team, and the token of the one who logs to it."""

    port: int
    token: str
    theirs: str
    hidden_run: str
    odd_jwt: str
    run: str = ""
    channel: str = ""

    def ask(self, method: str, path: str, body: Any = None, *, token: str = "") -> tuple[int, Any]:
        """(status, JSON) of one request on a connection of its own; 0 and why where there was no answer."""
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        finally:
            connection.close()
        return answer.status, json.loads(content) if content else None

    def statuses(self, *requests: tuple[str, str, Any], times: int = 1, token: str = "") -> Answers:
        """The status of each of these requests, all of them that many times and at once."""
        every = list(requests) * times
        with ThreadPoolExecutor(len(every)) as together:
            return list(together.map(lambda request: self.ask(*request, token=token)[0], every))


def colleague(server: Served) -> Colleague:
    """Her place on a server that runs: runs with many params, a channel, and another team that is none of hers."""
    made = json.loads(asked(server.data_dir, PEOPLE, **server.settings))
    her = Colleague(server.port, **made)
    params = {f"k{n}": n + 0.5 for n in range(PARAMS)}
    for n in range(RUNS):
        status, run = her.ask("POST", "/experiments", {"project": WIDE, "create_project": True, "name": f"run {n}", "params": params})
        assert status == 201, run
    status, channel = her.ask("POST", f"/teams/{TEAM}/channels", {"name": "nowhere", "kind": "webhook", "target": "https://nowhere.invalid/hook"})
    assert status == 201, channel
    return Colleague(server.port, run=run["id"], channel=channel["id"], **made)


def run_of(**fields: Any) -> tuple[str, str, Any]:
    """A request for a new run."""
    return "POST", "/experiments", {"project": WIDE, "name": f"n {uuid.uuid4()}", **fields}


def long_texts(her: Colleague) -> Answers:
    """Notes and commands that would make each list of runs a page of megabytes, on new runs and on one that is there."""
    long = "x" * 200_000
    return her.statuses(run_of(notes=long), run_of(command=long[:9_000]), ("PATCH", f"/experiments/{her.run}", {"notes": long}), times=2)


def large_params(her: Colleague) -> Answers:
    """Params of a megabyte and more, of forty thousand keys; more tags than a run may have."""
    keys = {f"key {n}": n for n in range(40_000)}
    return her.statuses(run_of(params={"text": "x" * 1_200_000}), run_of(params=keys), run_of(features_diff=keys), run_of(tags=[f"t{n}" for n in range(101)]))


def unknown_names(her: Colleague) -> Answers:
    """Filters for names that are not there, each of which is looked for among all that are."""
    return her.statuses(*(("GET", f"/experiments?project={WIDE}&where={quote(f'params.{letter * 60}k999 < 1')}", None) for letter in "abcdefgh"))


def many_tags(her: Colleague) -> Answers:
    """One word of a query again and again."""
    tags = [f"tag=t{n}" for n in range(140)]
    few, many = (f"/experiments?project={WIDE}&{'&'.join(tags[:count])}" for count in (70, 140))
    return her.statuses(("GET", few, None), ("GET", many, None), times=3)


def large_questions(her: Colleague) -> Answers:
    """One person's questions that take a processor for long, more of them than there are threads."""
    answers = her.statuses(("GET", f"/experiments?project={WIDE}&fields=id&where={quote(FILTER)}", None), times=24)
    return answers if 429 in answers else [*answers, "all of them were begun"]


def guessed_passwords(her: Colleague) -> Answers:
    """Guesses of one account by name and by address, all at once; then the cache is flooded, and again."""
    guesses = [("POST", "/auth/token", {"username": name, "password": "a guess"}) for name in ("erin", "erin@example.com", "ERIN@example.com")]
    flood = [("GET", f"/metrics/names/{uuid.uuid4()}", None) for _ in range(60)]
    return her.statuses(*guesses, times=8) + her.statuses(*flood[:20], *flood[20:]) + her.statuses(*guesses, times=8)


def anothers_activity(her: Colleague) -> Answers:
    """Whether a run of another team gets points, by what `live` says of it."""
    live = f"/metrics/live/{WIDE}?experiments={her.hidden_run}"
    before = her.ask("GET", live)
    point = {"metric_name": "loss", "metric_value": 1, "step": time.monotonic_ns()}
    while her.ask("POST", "/metrics/log/hidden/theirs?wait=visible", point, token=her.theirs)[0] == 503:
        time.sleep(0.1)
    return ["nothing heard" if her.ask("GET", live) == before else "it was heard that another team's run got a point"]


def tests_of_a_channel(her: Colleague) -> Answers:
    """Messages, as fast as they can be asked for."""
    answers = her.statuses(("POST", f"/teams/{TEAM}/channels/{her.channel}/test", None), times=8)
    return [*answers, f"{answers.count(200)} tests at one moment"] if answers.count(200) > TESTS_MOST else answers


def many_channels(her: Colleague) -> Answers:
    """More channels than a team may have, all at once."""
    channel = {"name": "c", "kind": "webhook", "target": "https://example.com/hook"}
    answers = her.statuses(*(("POST", f"/teams/{TEAM}/channels", channel | {"name": f"c {uuid.uuid4()}"}) for _ in range(24)))
    _, listed = her.ask("GET", f"/teams/{TEAM}/channels?page_size=100")
    return [*answers, f"{listed['count']} channels"] if listed["count"] > CHANNELS_MOST else answers


def ends_of_time(her: Colleague) -> Answers:
    """Moments that UTC has no date for."""
    requests: list[tuple[str, str, Any]] = []
    for moment in (BEFORE_TIME, AFTER_TIME):
        requests += [
            ("GET", f"/experiments?created_after={quote(moment)}", None),
            ("GET", f"/experiments?project={WIDE}&where={quote(f'created > {moment}')}", None),
            ("POST", "/tokens", {"name": "t", "expires_at": moment}),
            ("POST", f"/metrics/log/{WIDE}/{quote('run 0')}", {"metric_name": "loss", "metric_value": 1, "timestamp": moment}),
        ]
    return her.statuses(*requests)


def odd_jwts(her: Colleague) -> Answers:
    """A JWT that names a list as its user."""
    point = {"metric_name": "loss", "metric_value": 1}
    return her.statuses(("GET", "/teams", None), ("POST", f"/metrics/log/{WIDE}/{quote('run 0')}", point), times=2, token=her.odd_jwt)


# What each may be answered. 429: what else she asks just then is heavy, too; 503: what others send is large, too.
ATTACKS: Sequence[tuple[Callable[[Colleague], Answers], set[int | str]]] = (
    (long_texts, {422}),
    (large_params, {422, 503}),
    (unknown_names, {422, 429}),
    (many_tags, {200, 422}),
    (large_questions, {200, 429}),
    (guessed_passwords, {401, 404, 429, 503}),
    (anothers_activity, {"nothing heard"}),
    (tests_of_a_channel, {200, 429}),
    (many_channels, {201, 422}),
    (ends_of_time, {422, 429}),
    (odd_jwts, {401}),
)


def keep_attacking(her: Colleague, seconds: float) -> Mapping[str, Answers]:
    """All attacks at once, again and again; what each was answered."""
    return all_at_once([attack for attack, _ in ATTACKS], her, seconds)
