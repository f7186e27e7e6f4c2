"""One row that the metric store refuses is set aside; it blocks nobody, it is shown, and it can be sent again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from accounts.models import User
from experiments.models import Experiment
from metrics import process
from metrics.process import Process
from metrics.store.shapes import Place

pytestmark = pytest.mark.differs_on_servers("a refused row is told by the metric store in its own words")
POISON = 666.25


@pytest.fixture
def poisoned(store: Process) -> Iterator[Callable[[], None]]:
    """The store refuses the value POISON until the test calls what this gives."""
    store.engine.execute(f"ALTER TABLE metrics.metrics ADD CONSTRAINT no_poison CHECK metric_value != {POISON}")
    yield lambda: store.engine.execute("ALTER TABLE metrics.metrics DROP CONSTRAINT IF EXISTS no_poison")
    store.engine.execute("ALTER TABLE metrics.metrics DROP CONSTRAINT IF EXISTS no_poison")
    store.drain.replay_dead()


@pytest.fixture
def operator(alice: User, api_for: Callable[[User], Client]) -> Client:
    """An API client of a superuser."""
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    alice.refresh_from_db()
    return api_for(alice)


def send(client: Client, experiment: Experiment, values: list[float], *, first: int = 0) -> dict[str, object]:
    body = {"steps": list(range(first, first + len(values))), "metrics": {"loss": values}}
    answer = client.post(f"/api/v1/metrics/log-batch/digits/{experiment.slug}?wait=visible", json.dumps(body), content_type="application/json")
    assert answer.status_code == 200, answer.content
    parts = process.start()
    parts.drain.wait_visible(parts.spool.last_row(), timeout_s=120)  # finding the bad rows takes many inserts: more than a request waits for
    found: dict[str, object] = answer.json()
    return found


def values(store: Process, experiment: Experiment) -> list[float]:
    place = Place(experiment.project.team_id, experiment.project_id)
    return store.repository.series(place, experiment.pk, "loss").value.tolist()


def assert_summary_is_right(store: Process, experiment: Experiment) -> None:
    place = Place(experiment.project.team_id, experiment.project_id)
    kept, recomputed = (ask(place, experiments=[experiment.pk]) for ask in (store.repository.summaries, store.repository.recomputed))
    assert kept == recomputed


def test_a_refused_row_is_set_aside_and_every_other_point_is_visible(store, poisoned, operator, project, experiment):
    other = Experiment.objects.create(project=project, name="other")
    answer = send(operator, experiment, [*range(50), POISON, *range(49)])
    assert send(operator, other, [1.0, 2.0])["visible"] is True
    assert answer["visible"] is False
    assert values(store, experiment) == [*range(50), *range(49)]
    assert values(store, other) == [1.0, 2.0]
    for one in (experiment, other):
        assert_summary_is_right(store, one)


def test_a_refused_row_is_shown_to_operators_with_the_reason(store, poisoned, operator, project, experiment, erin, api_for):
    send(operator, experiment, [1.0, POISON, 3.0])
    shown = operator.get("/api/v1/metrics/dead-letters").json()
    assert shown["count"] == 1
    assert shown["rows"][0]["experiment"] == str(experiment.pk)
    assert shown["rows"][0]["metrics"] == ["loss"]
    assert "no_poison" in shown["rows"][0]["reason"]
    assert api_for(erin).get("/api/v1/metrics/dead-letters").status_code == 403


def test_a_refused_row_comes_in_once_when_it_is_sent_again(store, poisoned, operator, project, experiment):
    send(operator, experiment, [1.0, POISON, 3.0])
    poisoned()
    for replayed in (1, 0):
        assert operator.post("/api/v1/metrics/dead-letters").json() == {"replayed": replayed}
    send(operator, experiment, [9.0], first=3)
    assert values(store, experiment) == [1.0, POISON, 3.0, 9.0]
    assert operator.get("/api/v1/metrics/dead-letters").json()["count"] == 0
    assert_summary_is_right(store, experiment)


def test_a_row_that_is_refused_again_is_set_aside_again(store, poisoned, operator, project, experiment):
    send(operator, experiment, [POISON, 2.0])
    assert operator.post("/api/v1/metrics/dead-letters").json() == {"replayed": 1}
    send(operator, experiment, [3.0], first=2)
    assert operator.get("/api/v1/metrics/dead-letters").json()["count"] == 1
    assert values(store, experiment) == [2.0, 3.0]
    assert_summary_is_right(store, experiment)


def test_many_refused_rows_among_many_batches_are_found_one_by_one(store, poisoned, operator, project, experiment):
    for batch in range(5):
        send(operator, experiment, [POISON if step % 7 == 0 else float(step) for step in range(30)], first=batch * 30)
    assert operator.get("/api/v1/metrics/dead-letters").json()["count"] == 25
    assert values(store, experiment) == [float(step) for _ in range(5) for step in range(30) if step % 7]
    assert_summary_is_right(store, experiment)


def test_a_repeat_of_the_batch_is_not_visible_either(store, poisoned, operator, project, experiment):
    body = json.dumps({"steps": [0, 1], "metrics": {"loss": [POISON, 1.0]}})
    path, key = f"/api/v1/metrics/log-batch/digits/{experiment.slug}?wait=visible", {"Idempotency-Key": str(experiment.pk)}
    said = [operator.post(path, body, content_type="application/json", headers=key).json()["visible"] for _ in range(2)]
    assert said == [False, False]
