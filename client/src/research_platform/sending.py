"""`research-platform send`: what runs could not send while they went on, and kept."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from research_platform.connection import CONFLICT, NOT_FOUND, Answer, Connection, packed
from research_platform.credentials import credentials_for
from research_platform.delivery import Delivery
from research_platform.errors import ConfigurationError, Refused, Unreachable
from research_platform.keeping import Destination, Keep, aside_of, files, folder, home_of, is_held, kept_batch, lines_of
from research_platform.losses import KEPT, REFUSED, Losses
from research_platform.pace import Pace
from research_platform.provenance import host
from research_platform.values import encoded
from research_platform.voice import Voice


def send(paths: Sequence[Path], token: str | None) -> int:
    """Send each file, all that are kept where none is given, and say what became of it. Returns the exit code: 1 where something is still kept."""
    asked = sorted({home_of(path) for path in paths or files()})
    if not asked:
        print(f"Nothing is kept in {folder()}.")
    return max([outcome(path, token) for path in asked], default=0)


def outcome(path: Path, token: str | None) -> int:
    """Send one file and say what became of it: 0 where it is gone, 1 where it still holds something."""
    if is_held(path):
        print(f"{path}: its run goes on, and sends it by itself.")
        return 0
    try:
        if not Sending(path, token).run():
            print(f"{path}: another process is at work on it.")
    except (ConfigurationError, Unreachable, Refused, OSError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    return 0


def destination_of(path: Path) -> Destination:
    """Where a file's points go. Raises OSError, and ConfigurationError where it is no such file."""
    first = {"host": host(), **next(lines_of(path if path.exists() else aside_of(path)), {})}  # older files do not say which machine's they are
    try:
        return Destination(**{name: str(first[name]) for name in Destination.__dataclass_fields__})
    except KeyError as error:
        raise ConfigurationError(f"This is no file of points that a run kept: {error} is missing in its first line.") from error


def endings_in(path: Path) -> list[dict[str, Any]]:
    """How the run ended, as its file says. Raises OSError."""
    return [line["ending"] for each in (path, aside_of(path)) if each.exists() for line in lines_of(each) if "ending" in line]


def points_in(path: Path) -> dict[str, int]:
    """How many points are kept there, by the reason, each batch once. Raises OSError."""
    batches = {str(line["key"]): line for each in (path, aside_of(path)) if each.exists() for line in lines_of(each) if "key" in line}
    found: dict[str, int] = {}
    for line in batches.values():
        kept = kept_batch(line)
        found[kept.reason] = found.get(kept.reason, 0) + kept.batch.points
    return found


def discard(paths: Sequence[Path]) -> int:
    """Delete what is kept in each file, and say how many points that were. Returns the exit code: 1 where one stays."""
    return max([discarded(home_of(path)) for path in paths], default=0)


def discarded(path: Path) -> int:
    """Delete one file: 0 where it is gone, 1 where it is not such a file, or somebody is at work on it."""
    try:
        keep = Keep(destination_of(path), path)
        if is_held(path) or not keep.hold():
            print(f"{path}: its run goes on, or it is being sent: it stays.", file=sys.stderr)
            return 1
        points = sum(points_in(path).values())
        for each in (path, aside_of(path)):
            with suppress(FileNotFoundError):
                each.unlink()
        keep.close()
    except (ConfigurationError, OSError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    print(f"{path}: {points:,} point{'' if points == 1 else 's'} deleted.")
    return 0


class Sending:
    """One file on its way. Raises ConfigurationError and OSError."""

    def __init__(self, path: Path, token: str | None) -> None:
        self._to = destination_of(path)
        self._endings: list[dict[str, Any]] = []
        found = credentials_for(self._to.url, token)
        self._connection = Connection(found.url, found.token)
        self._keep, self._path = Keep(self._to, path), path
        self._losses, self._settled = Losses(), 0
        self._delivery = Delivery(self._connection, self._to.points, self._keep, self._losses, pace=Pace(), voice=Voice(), settled=self._settle)

    def run(self) -> bool:
        """Send the points, then how the run ended, and tell the run what arrived. False where another process is at work on the file.

        Raises Unreachable and Refused; what did not arrive is kept.
        """
        if not self._keep.hold():
            return False
        try:
            self._send()
        finally:
            self._keep.close()
        return True

    def _send(self) -> None:
        self._endings = endings_in(self._path)
        before = self._known()
        try:
            self._send_points()
        finally:
            for batch in self._delivery.in_hand:
                self._delivery.keep(batch, "not_sent")
            if self._keep:
                for ending in self._endings:
                    self._keep.add_ending(ending)
        self._tell(before)
        if self._keep:
            raise Refused(f"{self._to.url} still does not take all of it. The rest is kept.", status=0)
        for ending in self._endings:
            self._end(ending)
        arrived = self._settled - self._losses.points(REFUSED)
        print(f"{self._path}: {arrived:,} point{'' if arrived == 1 else 's'} sent to {self._to.page}.")

    def _known(self) -> dict[tuple[str, str], int]:
        """What the run says of its missing points now. Raises Unreachable and Refused."""
        answer = self._connection.ask("GET", self._to.record)
        if answer.status == 0:
            raise Unreachable(f"{self._to.url} does not answer ({answer}): everything is kept.")
        if not answer.is_good:
            raise Refused(
                f"{self._to.url} does not take it ({answer}): everything is kept. Give another token by --token, or log in again{self._or_discard(answer)}.",
                status=answer.status,
            )
        told = answer.content.get("missing")
        return {(str(each["how"]), str(each["reason"])): int(each["points"]) for each in told if isinstance(each, Mapping)} if isinstance(told, list) else {}

    def _or_discard(self, answer: Answer) -> str:
        """What else can be done where there is no such run, or none for this token."""
        return f"; where the run was deleted, `research-platform send --discard {self._path}` deletes its points here" if answer.status == NOT_FOUND else ""

    def _send_points(self) -> None:
        """Every batch, until the server takes none."""
        with closing(self._keep.taken()) as waiting:
            for kept in waiting:
                self._delivery.take(kept.batch)
                self._delivery.deliver()
                if self._delivery.shut_outs:
                    return

    def _settle(self, points: int) -> None:
        self._settled += points

    def _tell(self, before: Mapping[tuple[str, str], int]) -> None:
        """The points that were kept and arrived are missing no more, those that are kept still are; those that were refused now are counted to those before."""
        left = points_in(self._path)
        said: list[dict[str, Any]] = [
            {"how": KEPT, "reason": why, "points": left.get(why, 0), **({"message": self._keep.where} if why in left else {})}
            for why in sorted({why for how, why in before if how == KEPT} | set(left))
            if left.get(why, 0) != before.get((KEPT, why), 0)
        ]
        said += [{**each, "points": int(each["points"]) + before.get((REFUSED, each["reason"]), 0)} for each in self._refused()]
        if said:
            self._patch({"missing": said})

    def _refused(self) -> list[dict[str, Any]]:
        return [each for each in self._losses.untold() if each["how"] == REFUSED]

    def _end(self, ending: Mapping[str, object]) -> None:
        answer = self._patch(ending)
        if not answer.is_good and answer.status != CONFLICT:  # it has ended meanwhile
            print(f"{self._to.slug} could not be marked as {ending.get('status')} ({answer}): mark it on its page, {self._to.page}.", file=sys.stderr)

    def _patch(self, content: Mapping[str, object]) -> Answer:
        return self._connection.ask("PATCH", self._to.record, packed(encoded(content)))
