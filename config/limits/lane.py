"""The lane of heavy requests: two of a person work at once, a few wait a moment. Each process has its own.

A thread that waits or works is one that answers nobody else, so all persons together hold three quarters of a process's threads at most: the others
are there for pages, for points and for /health. A file that is made while it is sent holds its place until it is sent, or its reader is gone.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse

from config.errors import TooManyRequests

EACH_MOST = 2
WAITING_MOST = 4  # with those that work as many as one browser asks at once
PATIENCE_S = 10.0
RETRY_AFTER_S = 5
CODE = "too_many_heavy_requests"
CROWDED = f"{EACH_MOST} large requests of yours are being answered, and others wait: this one was not begun. Send it again in a moment, one after the other."
FULL = "Too many large requests are being answered just now: this one was not begun. Send it again in some seconds."
Given = ParamSpec("Given")
Request = TypeVar("Request", bound=HttpRequest)
Answer = TypeVar("Answer", bound=HttpResponseBase)


class Place:
    """One place in the lane. It is given back once, however often that is asked."""

    def __init__(self, lane: Lane, who: object) -> None:
        self.lane, self.who, self.is_held = lane, who, True

    def leave(self) -> None:
        """Give it back."""
        with self.lane.changed:
            if self.is_held:
                self.is_held = False
                self.lane.forget(self.who)


@dataclass(eq=False)
class Waiter:
    """One request of `who` that waits for a place."""

    who: object
    is_sent_away: bool = False


class Lane:
    """Who works and who waits, of a process with `threads` threads."""

    def __init__(self, threads: int, *, patience_s: float = PATIENCE_S) -> None:
        self.working_most, self.waiting_most, self.patience_s = max(1, threads // 2), threads // 4, patience_s
        self.changed = threading.Condition()
        self.working: Counter[object] = Counter()
        self.waiting: list[Waiter] = []

    def enter(self, who: object) -> Place:
        """A place for one request of `who`, waited for where it must be. Raises TooManyRequests where there is none, and no room to wait."""
        with self.changed:
            if not self.has_room(who):
                self.wait(who)
            self.working[who] += 1
        return Place(self, who)

    def has_room(self, who: object) -> bool:
        """Whether a request of `who` may begin."""
        return self.working[who] < EACH_MOST and self.working.total() < self.working_most

    def wait(self, who: object) -> None:
        """Wait for room. Raises TooManyRequests."""
        said = CROWDED if self.working[who] >= EACH_MOST else FULL
        self.make_room(who)
        if len(self.waiting) >= self.waiting_most or not self.has_come(Waiter(who)):
            raise TooManyRequests(said, retry_after_s=RETRY_AFTER_S, code=CODE)

    def make_room(self, who: object) -> None:
        """Where as many of somebody wait as may, send away the one that has waited for longest: it may be of a page that was left."""
        own = [waiter for waiter in self.waiting if waiter.who == who]
        if len(own) >= WAITING_MOST:
            own[0].is_sent_away = True
            self.waiting.remove(own[0])
            self.changed.notify_all()

    def has_come(self, waiter: Waiter) -> bool:
        """Whether room came in time."""
        self.waiting.append(waiter)
        try:
            self.changed.wait_for(lambda: waiter.is_sent_away or self.has_room(waiter.who), timeout=self.patience_s)
        finally:
            if not waiter.is_sent_away:
                self.waiting.remove(waiter)
        return not waiter.is_sent_away and self.has_room(waiter.who)

    def forget(self, who: object) -> None:
        """One request of `who` is over; the lane is held."""
        self.working[who] -= 1
        self.working += Counter()
        self.changed.notify_all()


LANE = Lane(settings.SERVER_THREADS)


class Held:
    """The pieces of a file that is sent, and the place that it holds meanwhile."""

    def __init__(self, pieces: Iterator[bytes], place: Place) -> None:
        self.pieces, self.place = pieces, place

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self.pieces)
        except BaseException:
            self.place.leave()
            raise

    def close(self) -> None:
        """The server has sent it, or its reader is gone."""
        self.place.leave()

    def __del__(self) -> None:
        self.place.leave()


def answered(place: Place, answer: Callable[[], Answer]) -> Answer:
    """What `answer` gives, the place given back when it is made, or once it is sent where it is made meanwhile."""
    try:
        response = answer()
        if isinstance(response, SimpleTemplateResponse):  # DRF's too: its JSON is large where the answer is
            response.render()
    except BaseException:
        place.leave()
        raise
    if isinstance(response, StreamingHttpResponse):
        response.streaming_content = Held(iter(response.streaming_content), place)  # type: ignore[arg-type]  # no view here is asynchronous
    else:
        place.leave()
    return response


def always(request: HttpRequest) -> bool:
    """Every request of a view is heavy."""
    return True


def heavy(view: Callable[Concatenate[Request, Given], Answer], *, where: Callable[[Request], bool] = always) -> Callable[Concatenate[Request, Given], Answer]:
    """A page whose requests wait in the lane, those alone that are heavy by `where`. Goes behind `login_required`: the lane asks who it is."""

    @wraps(view)
    def waits(request: Request, /, *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        if not where(request):
            return view(request, *args, **kwargs)
        return answered(LANE.enter(request.user.pk), lambda: view(request, *args, **kwargs))

    return waits


def heavy_where(where: Callable[[Any], bool]) -> Callable[[Callable[Concatenate[Request, Given], Answer]], Callable[Concatenate[Request, Given], Answer]]:
    """The same as a decorator that says which requests are heavy. Any: a request of either kind."""
    return lambda view: heavy(view, where=where)


class Heavy:
    """An endpoint whose requests wait in the lane, once it is known who asks. Stands before the other parents of the view."""

    place: Place | None = None

    def is_heavy(self, request: Any) -> bool:  # Any: DRF's own request
        """Whether this request is."""
        return True

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:  # Any: DRF's own signature
        """Wait for a place. Raises TooManyRequests."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]  # of the view that this stands before
        if self.is_heavy(request):
            self.place = LANE.enter(request.user.pk)

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:  # Any: DRF's own signature
        """Answer, and give the place back."""
        try:
            response = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]  # as above
        except BaseException:
            if self.place is not None:
                self.place.leave()
            raise
        return response if self.place is None else answered(self.place, lambda: response)
