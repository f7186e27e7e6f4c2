"""`research-platform send`: what runs could not send while they went on, and kept."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from research_platform.connection import CONFLICT, Answer, Connection, packed
from research_platform.credentials import credentials
from research_platform.delivery import Delivery
from research_platform.errors import ConfigurationError, Refused, Unreachable
from research_platform.keeping import Destination, Keep, aside_of, files, folder, home_of, is_held, lines_of
from research_platform.losses import KEPT, REFUSED, Losses
from research_platform.pace import Pace
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
    first = next(lines_of(path if path.exists() else aside_of(path)), {})
    try:
        return Destination(**{name: str(first[name]) for name in Destination.__dataclass_fields__})
    except KeyError as error:
        raise ConfigurationError(f"This is no file of points that a run kept: {error} is missing in its first line.") from error


def endings_in(path: Path) -> list[dict[str, Any]]:
    """How the run ended, as its file says. Raises OSError."""
    return [line["ending"] for each in (path, aside_of(path)) if each.exists() for line in lines_of(each) if "ending" in line]


class Sending:
    """One file on its way. Raises ConfigurationError and OSError."""

    def __init__(self, path: Path, token: str | None) -> None:
        self._to = destination_of(path)
        self._endings: list[dict[str, Any]] = []
        found = credentials(self._to.url, token)
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
                f"{self._to.url} does not take it ({answer}): everything is kept. Give another token by --token, or log in again.", status=answer.status
            )
        told = answer.content.get("missing")
        return {(str(each["how"]), str(each["reason"])): int(each["points"]) for each in told if isinstance(each, Mapping)} if isinstance(told, list) else {}

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
        """The points that were kept and arrived are missing no more; those that were refused now are counted to those before."""
        said: list[dict[str, Any]] = [{"how": how, "reason": why, "points": 0} for how, why in before if how == KEPT and not self._keep]
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
