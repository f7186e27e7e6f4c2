"""The lane of heavy requests: two of a person at once, a few that wait, and a place that is given back whatever happens."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from config.errors import TooManyRequests
from config.limits import lane as lanes
from config.limits.lane import EACH_MOST, LANE, WAITING_MOST, Heavy, Lane, heavy
from experiments.models import Experiment
from hypotheses.claims import stating
from projects.models import Project, ProjectMetric
from tests.waiting import until

PAGES, API = "/projects/vision-team/digits", "/api/v1"
WAITS_S = 30.0


@pytest.fixture
def lane() -> Lane:
    return Lane(24, patience_s=WAITS_S)


def waiting(lane: Lane, who: str, count: int) -> list[threading.Thread]:
    """Requests that wait for a place, and leave it at once when they have it."""
    before = len(lane.waiting)
    threads = [threading.Thread(target=lambda: lane.enter(who).leave()) for _ in range(count)]
    for thread in threads:
        thread.start()
    until(lambda: len(lane.waiting) == before + count, "requests that wait")
    return threads


def test_the_third_request_of_a_person_waits_until_one_of_two_is_over(lane):
    first, _ = lane.enter("ann"), lane.enter("ann")
    (third,) = waiting(lane, "ann", 1)
    assert third.is_alive()
    first.leave()
    third.join(WAITS_S)
    assert not third.is_alive()


def test_another_person_begins_at_once(lane):
    held = [lane.enter("ann") for _ in range(EACH_MOST)]
    lane.enter("ben").leave()
    assert len(held) == lane.working.total() == EACH_MOST


def test_what_has_waited_for_longest_makes_way_for_a_new_request_of_the_same_person_and_is_told_when_to_come_again(lane):
    held = [lane.enter("ann") for _ in range(EACH_MOST)]
    told: list[TooManyRequests] = []

    def asks() -> None:
        try:
            lane.enter("ann").leave()
        except TooManyRequests as refused:
            told.append(refused)

    oldest = threading.Thread(target=asks)
    oldest.start()
    until(lambda: len(lane.waiting) == 1, "the oldest that waits")
    threads = waiting(lane, "ann", WAITING_MOST - 1)
    newest = threading.Thread(target=lambda: lane.enter("ann").leave())
    newest.start()
    oldest.join(WAITS_S)
    assert [(refused.code, refused.retry_after_s) for refused in told] == [("too_many_heavy_requests", 5)]
    assert "2 large requests of yours" in str(told[0])
    assert len(lane.waiting) == WAITING_MOST
    for place in held:
        place.leave()
    for thread in [*threads, newest]:
        thread.join(WAITS_S)
    assert not lane.working.total()


def test_who_waits_for_too_long_is_refused_too():
    lane = Lane(24, patience_s=0.01)
    held = [lane.enter("ann") for _ in range(EACH_MOST)]
    with pytest.raises(TooManyRequests):
        lane.enter("ann")
    assert len(held) == EACH_MOST
    assert not lane.waiting


@pytest.mark.parametrize("threads", [1, 2, 4, 24])
def test_all_persons_together_leave_a_quarter_of_the_threads(threads):
    lane = Lane(threads, patience_s=WAITS_S)
    held = [lane.enter(f"person {n}") for n in range(lane.working_most)]
    late = waiting(lane, "late", min(WAITING_MOST, lane.waiting_most)) + waiting(lane, "later", max(0, lane.waiting_most - WAITING_MOST))
    with pytest.raises(TooManyRequests, match="Too many large requests"):
        lane.enter("last")
    assert len(held) + len(late) <= max(1, threads * 3 // 4)
    for place in held:
        place.leave()
    for thread in late:
        thread.join(WAITS_S)


def test_a_place_is_given_back_once(lane):
    place, _ = lane.enter("ann"), lane.enter("ann")
    place.leave()
    place.leave()
    assert lane.working["ann"] == 1


# Views


def asked(who: int) -> Any:
    request = RequestFactory().get("/")
    request.user = SimpleNamespace(pk=who)  # type: ignore[assignment]
    return request


def held_by(who: int) -> int:
    return LANE.working[who]


def file_of(pieces: Iterator[bytes]) -> Any:
    return heavy(lambda request: StreamingHttpResponse(pieces))


def test_a_view_gives_its_place_back_when_it_has_answered_or_failed():
    assert heavy(lambda request: HttpResponse(str(held_by(-1))))(asked(-1)).content == b"1"
    assert held_by(-1) == 0
    with pytest.raises(ZeroDivisionError):
        heavy(lambda request: HttpResponse(1 // 0))(asked(-1))
    assert held_by(-1) == 0


def test_an_endpoint_holds_its_place_until_its_json_is_made():
    held = []

    class Counted(JSONRenderer):
        def render(self, *args: Any, **more: Any) -> bytes:
            held.append(held_by(-1))
            return super().render(*args, **more)

    class Large(Heavy, APIView):
        authentication_classes, permission_classes, renderer_classes = (), (), (Counted,)

        def get(self, request: Any) -> Response:
            return Response({"much": 1})

    request = APIRequestFactory().get("/")
    force_authenticate(request, user=SimpleNamespace(pk=-1))  # type: ignore[arg-type]
    assert Large.as_view()(request).render().content == b'{"much":1}'
    assert (held, held_by(-1)) == ([1], 0)


def test_a_file_holds_its_place_until_it_is_sent():
    response = file_of(iter([b"a", b"b"]))(asked(-1))
    sent = iter(response)
    assert (next(sent), held_by(-1)) == (b"a", 1)
    assert (list(sent), held_by(-1)) == ([b"b"], 0)


@pytest.mark.parametrize("is_begun", [True, False])
def test_a_file_whose_reader_is_gone_gives_its_place_back(is_begun):
    response = file_of(iter([b"a", b"b"]))(asked(-1))
    if is_begun:
        next(iter(response))
    response._resource_closers[-1]()  # what `close` does first; all of it would end the test's transaction
    assert held_by(-1) == 0


def test_a_file_that_nobody_reads_or_closes_gives_its_place_back():
    file_of(iter([b"a"]))(asked(-1))
    gc.collect()
    assert held_by(-1) == 0


def test_a_file_that_breaks_gives_its_place_back():
    def broken() -> Iterator[bytes]:
        yield b"a"
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011  # any
        list(file_of(broken())(asked(-1)))
    assert held_by(-1) == 0


# Which requests are heavy

HEAVY = [
    f"{PAGES}/compare?e=baseline,other",
    f"{PAGES}/explore",
    f"{PAGES}/explore/data?axis=param:lr",
    f"{PAGES}/lineage",
    f"{PAGES}/attribution",
    f"{PAGES}/?format=csv",
    f"{PAGES}/?q=baseline",
    f"{PAGES}/?q=params.lr+<+1",
    f"{PAGES}/?sort=name",
    f"{API}/experiments?project=digits&where=params.lr<1",
    f"{API}/experiments?project=digits&metrics=loss",
    f"{API}/experiments?project=digits&ordering=metrics.loss",
    f"{API}/experiments?search=baseline",
    f"{API}/metrics/compare/digits?experiments=baseline&metric=loss",
    f"{API}/metrics/points/digits?experiments=baseline&metric=loss",
    f"{API}/metrics/summary/digits",
    f"{API}/metrics/timeseries/digits/baseline/loss?format=csv",
    f"{API}/metrics/timeseries/digits/baseline/loss?max_points=1000000",
    f"{API}/metrics/timeseries/digits/baseline?metric=loss&max_points={'9' * 5000}",
    f"{API}/projects/digits/attribution?metric=loss",
]
LIGHT = [
    f"{PAGES}/",
    f"{PAGES}/experiments/baseline/",
    f"{API}/experiments?project=digits",
    f"{API}/metrics/timeseries/digits/baseline/loss",
    f"{API}/metrics/names/digits",
]


@pytest.fixture
def record(project: Project, store: Any) -> Project:
    ProjectMetric.objects.create(project=project, name="loss", direction="minimize")
    for name in ("baseline", "other"):
        Experiment.objects.create(project=project, name=name, params={"lr": 0.1})
    return project


@pytest.fixture
def crowd(bob, monkeypatch) -> Iterator[None]:
    """Bob's two places are taken, and nobody waits for long."""
    monkeypatch.setattr(lanes.LANE, "patience_s", 0.0)
    places = [LANE.enter(bob.pk) for _ in range(EACH_MOST)]
    yield
    for place in places:
        place.leave()


def test_what_takes_long_waits_in_the_lane_and_other_pages_and_people_do_not(record, bob, alice, browser_for, crowd):
    busy, free = browser_for(bob), browser_for(alice)
    for address in HEAVY:
        answer = busy.get(address)
        assert answer.status_code == 429, address
        assert answer["Retry-After"] == "5"
        assert b"were not begun" in answer.content or b"was not begun" in answer.content
        other = free.get(address)
        assert other.status_code in (200, 422), address  # the last but one asks for too many points
        assert other.streaming is False or list(other.streaming_content)
    for address in LIGHT:
        assert busy.get(address).status_code in (200, 404), address
    assert LANE.working[alice.pk] == 0


def test_a_judgement_on_request_waits_in_the_lane(record, erin, browser_for, monkeypatch):
    claim = stating.propose(record, by=erin, title="t", targets=[stating.TargetTerm("loss")])
    monkeypatch.setattr(lanes.LANE, "patience_s", 0.0)
    browser, places = browser_for(erin), [LANE.enter(erin.pk) for _ in range(EACH_MOST)]
    asked = (f"{API}/hypotheses/{claim.pk}/evaluate", f"{PAGES}/hypotheses/t/judge")
    assert [browser.post(address).status_code for address in asked] == [429, 429]
    for place in places:
        place.leave()
    assert [browser.post(address).status_code for address in asked] == [200, 302]
    assert LANE.working[erin.pk] == 0
