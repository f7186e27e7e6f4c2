"""Asks again, without one scope, everything whose answer took the function that has it: another answer, or a row of others that changed, is seen."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from zlib import crc32

from tests.security.asking import Answer, Request, complaint, own_requests
from tests.security.mutations.scopes import Scope
from tests.security.mutations.taking_away import live_functions, noted, place_of, without
from tests.security.test_worlds import BY_TOKEN, LIMITED, LOGGING, Worlds, is_told, rows

KILLED, SURVIVED, NOT_ASKED = "killed", "survived", "not asked"
OF_RIGHTS = ("right", "claim", "token")  # kinds of scopes that say what a caller may do
MOVES_MOST = 20  # requests of one scope whose answers moved
LISTED = Path(__file__).parent / "survivors.toml"


@dataclass(frozen=True)
class Check:
    """A request, what it is answered, and the functions that this took."""

    request: Request
    answer: Answer
    ran: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Result:
    """What became of a scope that was taken away: `by` says what saw it."""

    scope: Scope
    verdict: str
    by: str = ""


@dataclass(frozen=True)
class Listed:
    """Scopes whose loss no answer shows, and why; `*` stands for any text."""

    path: str
    why: str
    function: str = "*"
    code: str = "*"

    def is_of(self, scope: Scope) -> bool:
        """Whether this is about the scope."""
        return all(fnmatchcase(one, pattern) for one, pattern in zip(scope.key, (self.path, self.function, self.code.replace("[", "[[]")), strict=True))


def listed() -> list[Listed]:
    """Those of the file."""
    return [Listed(**each) for each in tomllib.loads(LISTED.read_text())["survivor"]]


def half_of(scopes: Iterable[Scope]) -> list[Scope]:
    """The same half each time."""
    return [scope for scope in scopes if crc32("\n".join(scope.key).encode()) % 2 == 0]


def chosen(which: str, scopes: Iterable[Scope], known: Sequence[Listed]) -> list[Scope]:
    """All of them, half of them, those of rights, or those that are listed: what an answer shows by now can leave the list."""
    if which == "rights":
        return [scope for scope in scopes if scope.kind in OF_RIGHTS]
    if which == "listed":
        return [scope for scope in scopes if any(each.is_of(scope) for each in known)]
    return list(scopes) if which == "all" else half_of(scopes)


def is_of_itself(request: Request) -> bool:
    """Whether it leaves something behind, and is answered otherwise the next time."""
    return "/log" in request.route


class Trial:
    """The worlds, with every request that may see a scope's loss."""

    def __init__(self, worlds: Worlds, roles: Sequence[str]) -> None:
        self.worlds = worlds
        self.checks = list(self.checked(roles))
        self.live = live_functions()
        self.moved: dict[Request, Answer] = {}

    def checked(self, roles: Sequence[str]) -> Iterator[Check]:
        """Everything that is asked, once with all scopes in place."""
        worlds = self.worlds
        for request, nothing in worlds.swaps([0], [BY_TOKEN]):
            if not is_told(request):
                yield self.check(request, worlds.nothing(nothing))
        for request, answer in worlds.before.items():
            yield self.check(request, answer)
        for who in (*roles, LIMITED, LOGGING):
            for is_api in (False, True) if who in roles else (True,):
                for request in own_requests(worlds.ours, who, is_api=is_api):
                    if request.changes:
                        yield self.check(request, worlds.answer(request))

    def check(self, request: Request, answer: Answer) -> Check:
        """One request; its answer with all scopes in place is the one that is expected."""
        with noted() as ran:
            found = self.worlds.answer(request)
        assert not complaint(request, answer, found), complaint(request, answer, found)
        return Check(request, answer, frozenset(ran))

    def tried(self, scope: Scope) -> Result:
        """What becomes of one."""
        places = self.places(scope)
        asked = sorted((check for check in self.checks if check.ran & places), key=lambda check: len(check.ran))
        if not asked:
            return Result(scope, NOT_ASKED)
        check, said = self.seen(scope, asked)
        if is_of_itself(check.request):  # points stay
            self.worlds.all_rows = rows()
            self.worlds.theirs = {key: self.worlds.all_rows[key] for key in self.worlds.theirs if key in self.worlds.all_rows}
        return Result(scope, KILLED if said else SURVIVED, said or f"{len(asked)} requests")

    def seen(self, scope: Scope, asked: Sequence[Check]) -> tuple[Check, str]:
        """The first request that is answered otherwise without the scope, and how; the last one and "" where none is."""
        for _ in range(MOVES_MOST):
            with without(scope, self.live):
                for check in asked:
                    said = complaint(check.request, self.expected(check), self.worlds.answer(check.request))
                    if said:
                        break
            if not said or is_of_itself(check.request) or not self.has_moved(check):
                return check, said
        raise AssertionError(f"Without any scope taken away this is answered otherwise again and again: {said}")

    def expected(self, check: Check) -> Answer:
        """What a request is answered with all scopes in place, as far as is known."""
        return self.moved.get(check.request, check.answer)

    def has_moved(self, check: Check) -> bool:
        """Whether it is answered otherwise by now with all scopes in place: a judgement that one scope's loss let happen stays in the metric store."""
        found = self.worlds.answer(check.request)
        if not complaint(check.request, self.expected(check), found):
            return False
        self.moved[check.request] = found
        return True

    def places(self, scope: Scope) -> set[tuple[str, str]]:
        """The functions that use a scope."""
        if scope.kind != "sql":
            return {place_of(scope)}
        return {place for place, held in self.live.items() if "/metrics/store/" in place[0] and any(scope.function in each.__code__.co_names for each in held)}


def as_markdown(results: Sequence[Result], known: Sequence[Listed]) -> str:
    """The results as a page of the documentation."""
    counts = Counter((result.scope.path.partition("/")[0], result.verdict) for result in results)
    apps = sorted({app for app, _ in counts})
    lines = [
        "# Every scope was taken away once",
        "",
        "`python -m tests.security.mutations` finds in the code each expression that narrows a question to whose it is (conditions on a key that leads to a",
        "team, visibility, roles, the rows of a row, team and project in the metric store's statements), and each that narrows it to what a token or a person",
        "may (`caller.within(…)`, `caller.made(…)`, `logs_alone`, `is_operator`, whatever refuses a right), takes it away, and asks again what its function",
        "answers. This is what the last run of all of them said. One that survives is in `tests/security/mutations/survivors.toml`, with the reason why it",
        "changes no answer; one that is in no list fails `make test-slow` (half of them) and `make soak` (all).",
        "",
        "| app | taken away | seen by a request | no answer changed | in no request |",
        "|---|--:|--:|--:|--:|",
    ]
    for app in apps:
        each = [counts[app, verdict] for verdict in (KILLED, SURVIVED, NOT_ASKED)]
        lines.append(f"| {app} | {sum(each)} | {each[0]} | {each[1]} | {each[2]} |")
    total = [sum(counts[app, verdict] for app in apps) for verdict in (KILLED, SURVIVED, NOT_ASKED)]
    lines += [f"| all | {sum(total)} | {total[0]} | {total[1]} | {total[2]} |", "", "| not seen | what was taken away | why that is right |", "|---|---|---|"]
    for result in results:
        if result.verdict != KILLED:
            why = next((each.why for each in known if each.is_of(result.scope)), "**not listed**")
            lines.append(f"| `{result.scope.path}` {result.scope.function} | `{result.scope.code.replace('|', chr(92) + '|')[:90]}` | {why} |")
    return "\n".join(lines) + "\n"
