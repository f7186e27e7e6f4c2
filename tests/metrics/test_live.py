"""Charts that grow: what is told since a mark, merged, is what a fresh answer would be, whatever engine is below."""

from __future__ import annotations

import json
import math
import random
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from experiments.models import Experiment
from metrics.charts import live
from metrics.charts.series import Asked, Run
from metrics.models import Drop
from metrics.points.states import states
from metrics.store import freshness
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place
from tests.counting import Counting
from tests.metrics.conftest import NOW_US, Points
from tests.metrics.test_conformance import store_state

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = 1_000_000


def merged(answer: dict[str, Any], news: dict[str, Any], order: list[str]) -> dict[str, Any]:
    """What `merged` of charts/live.js does; tests/e2e/test_live.py holds the two against the same server."""
    kind, first, width = answer["frame"].split(".")[0], *map(int, answer["frame"].split(".")[1:3])
    unit = 1 if kind == "step" else SECOND

    def bucket(x: float) -> int:
        return (round(x * unit) - first) // width

    places = {bucket(x): x for x in answer["x"]}
    for one in news["series"]:
        for x in one.get("x", ()):
            places[bucket(x)] = min(x, places.get(bucket(x), math.inf))
    buckets = sorted(places)
    series = {}
    for one in answer["series"]:
        wide = {name: dict(zip(map(bucket, answer["x"]), one[name], strict=True)) for name in ("avg", "min", "max")}
        series[one["experiment"]] = one | {name: [values.get(b) for b in buckets] for name, values in wide.items()}
    for one in news["series"]:
        if "x" not in one:
            continue
        nothing = {name: [None] * len(buckets) for name in ("avg", "min", "max")} | {
            "nonfinite": 0,
            "nonfinite_at": None,
            "nonfinite_words": [],
            "repeated_steps": 0,
        }
        row = series.setdefault(one["experiment"], {name: one.get(name) for name in ("experiment", "name", "slug")} | nothing)
        for name in ("avg", "min", "max"):
            for x, value in zip(one["x"], one.get(name, one["avg"]), strict=True):
                row[name][buckets.index(bucket(x))] = value
        row |= {name: one[name] for name in ("nonfinite", "nonfinite_at", "nonfinite_words", "repeated_steps") if name in one}
    return answer | {
        "x": [places[b] for b in buckets],
        "count": answer["count"] + news["added"],
        "series": [series[one] for one in order if one in series],
        "marks": answer["marks"] | {one["experiment"]: one["mark"] for one in news["series"]},
    }


@dataclass
class Runs:
    """Some runs of a project, written to the store as their spools would."""

    repository: MetricRepository
    place: Place
    runs: list[Run]
    points: dict[tuple[uuid.UUID, str], list[tuple[int, int, float, int]]] = field(default_factory=dict)
    version: int = 0

    def add(self, run: int, steps: list[int], values: list[float], *, times: list[int] | None = None, metric: str = "loss", is_stated: bool = True) -> None:
        """Points of one run, a second a step where not said. Later ones have the higher point_id."""
        known = self.points.setdefault((self.runs[run].id, metric), [])
        times = times or [NOW_US + step * SECOND for step in steps]
        new = [(step, len(known) + i, value, at) for i, (step, value, at) in enumerate(zip(steps, values, times, strict=True))]
        known += new
        self.repository.insert_points(self.columns(run, metric, new).columns())
        if is_stated:
            self.state(run, metric)

    def columns(self, run: int, metric: str, points: list[tuple[int, int, float, int]]) -> Points:
        steps, ids, values, times = zip(*points, strict=True)
        return Points(self.place, self.runs[run].id, metric, values=values, steps=steps, ids=ids, times=times)

    def state(self, run: int, metric: str = "loss") -> None:
        """The summary of all points so far; caches forget."""
        self.version += 1
        columns = self.columns(run, metric, self.points[self.runs[run].id, metric]).columns()
        series = np.zeros(len(columns["step"]), dtype=np.int64)
        state = states(series, columns["step"], columns["timestamp"], columns["point_id"], columns["metric_value"], columns["logged_at"])[0]
        store_state(self.repository, self.place, self.runs[run].id, metric, state, version=self.version)
        freshness.touch([self.runs[run].id])

    @property
    def going(self) -> list[uuid.UUID]:
        """The first two go on."""
        return [run.id for run in self.runs[:2]]

    def fresh(self, asked: Asked, metric: str = "loss") -> dict[str, Any]:
        freshness.touch(self.going)
        return json.loads(live.chart(self.repository, self.place, self.runs, metric, asked, self.going))

    def mark(self, answer: dict[str, Any], metric: str = "loss") -> live.Mark:
        tracks = "_".join(answer["marks"].get(str(one), "") for one in self.going)
        return live.read_mark(f"{answer['frame']}:{tracks}:{metric}", self.going)

    def news(self, answer: dict[str, Any]) -> dict[str, Any] | None:
        """What is new for a reader of this answer; None where nothing is."""
        told = live.news(self.repository, self.place, [self.mark(answer)], {run.id: run for run in self.runs[:2]})
        return json.loads(live.msgspec.json.encode(told[0])) if told else None

    def grown(self, answer: dict[str, Any]) -> dict[str, Any] | None:
        """The answer with what is new in it; None where it must be asked anew."""
        news = self.news(answer)
        if news is None:
            return answer
        return None if news.get("anew") else merged(answer, news, [str(run.id) for run in self.runs])


@pytest.fixture
def runs(repository, place) -> Runs:
    return Runs(repository, place, [Run(uuid.uuid4(), name, name) for name in ("one", "two", "ended")])


KINDS = {
    "step": (Asked("step", max_points=64), Asked("step", 20, 45, 64), Asked("step", None, 70, 8), Asked("step", 30, None, 16), Asked("step", max_points=7))
}
KINDS["relative"] = tuple(Asked("relative", each.first, each.last, each.max_points) for each in KINDS["step"][:2])
KINDS["time"] = tuple(
    Asked("time", *(None if at is None else NOW_US / SECOND + at for at in (each.first, each.last)), each.max_points) for each in KINDS["step"][:2]
)
ASKED = {f"{kind} {n}": asked for kind, many in KINDS.items() for n, asked in enumerate(many)}


@pytest.mark.parametrize("name", list(ASKED))
def test_what_is_merged_is_what_a_fresh_answer_says(runs, name):
    asked, chance = ASKED[name], random.Random(name)
    runs.add(0, list(range(10)), [chance.gauss(0, 1) for _ in range(10)])
    runs.add(2, list(range(0, 90, 3)), [chance.gauss(0, 1) for _ in range(30)])
    answer, steps, merges = runs.fresh(asked), [9, -1], 0
    for turn in range(12):
        for run in (0, 1):
            if turn < 4 and run == 1:
                continue
            if chance.random() < 0.7:
                new = [steps[run] + 1 + i for i in range(chance.choice([1, 1, 2, 3]))]
                steps[run] = new[-1]
                if asked.x == "step" and chance.random() < 0.3:  # over time, a chart of steps with several values is asked anew
                    new.append(new[-1])
                if asked.x == "step" and chance.random() < 0.15:
                    new.append(chance.randint(0, max(0, new[-1] - 1)))
                runs.add(run, new, [math.nan if chance.random() < 0.1 else math.inf if chance.random() < 0.05 else chance.gauss(0, 1) for _ in new])
        grown, fresh = runs.grown(answer), runs.fresh(asked)
        if grown is not None:
            merges += grown != answer
            assert grown == fresh
        answer = fresh
    assert merges >= (1 if asked.max_points == 7 else 2)


def test_an_overwritten_step_shows_its_latest_value(runs):
    runs.add(0, [0, 1, 2], [1.0, 2.0, 3.0])
    answer = runs.fresh(Asked())
    runs.add(0, [2, 3], [9.0, 4.0])
    assert runs.grown(answer)["series"][0]["avg"] == [1.0, 2.0, 9.0, 4.0]


def test_an_overwritten_step_in_a_bucket_counts_once_and_is_told(runs):
    runs.add(0, list(range(17)), [1.0] * 17)
    answer = runs.fresh(Asked(max_points=3))
    assert (answer["width"], answer["series"][0]["repeated_steps"]) == (8, 0)
    runs.add(0, [17, 17, 17, 18], [90.0, 50.0, 3.0, 5.0])
    grown = runs.grown(answer)
    assert grown == runs.fresh(Asked(max_points=3))
    assert (grown["series"][0]["avg"][-1], grown["series"][0]["max"][-1], grown["series"][0]["repeated_steps"]) == (3.0, 5.0, 1)


@pytest.mark.parametrize("x", ["time", "relative"])
def test_over_time_an_overwritten_step_has_the_chart_asked_anew_where_it_shows_its_latest_value_alone(runs, x):
    runs.add(0, [0, 1, 2], [1.0, 2.0, 3.0])
    answer = runs.fresh(Asked(x))
    runs.add(0, [1, 3], [9.0, 4.0], times=[NOW_US + 10 * SECOND, NOW_US + 11 * SECOND])
    assert runs.grown(answer) is None
    fresh = runs.fresh(Asked(x))
    assert "marks" not in fresh
    assert (fresh["series"][0]["avg"], fresh["series"][0]["repeated_steps"]) == ([1.0, 3.0, 9.0, 4.0], 1)


@pytest.mark.parametrize("x", ["step", "time", "relative"])
def test_a_run_that_ended_shows_the_latest_values_beside_one_that_goes_on(runs, x):
    runs.add(0, [0, 1, 2], [1.0, 2.0, 3.0])
    runs.add(2, [0, 1, 2], [5.0, 6.0, 7.0])
    runs.add(2, [1], [9.0], times=[NOW_US + 10 * SECOND])
    answer = runs.fresh(Asked(x))
    assert "marks" in answer
    assert [value for value in answer["series"][1]["avg"] if value is not None] == ([5.0, 9.0, 7.0] if x == "step" else [5.0, 7.0, 9.0])
    assert [one["repeated_steps"] for one in answer["series"]] == [0, 1]
    assert answer["count"] == 7


@pytest.mark.parametrize("late", [1, -5])
def test_a_late_point_has_the_chart_asked_anew(runs, late):
    runs.add(0, [0, 1, 2], [1.0, 2.0, 3.0])
    answer = runs.fresh(Asked())
    runs.add(0, [late, 3], [9.0, 4.0])
    assert runs.grown(answer) is None


def test_a_late_point_within_the_last_bucket_is_merged(runs):
    runs.add(0, list(range(17)), [1.0] * 17)
    answer = runs.fresh(Asked(max_points=3))
    assert answer["width"] == 8
    runs.add(0, [20, 17], [5.0, 7.0])
    assert runs.grown(answer) == runs.fresh(Asked(max_points=3))


def test_a_chart_that_is_full_is_asked_anew_and_its_buckets_double(runs):
    runs.add(0, list(range(8)), [1.0] * 8)
    answer = runs.fresh(Asked(max_points=8))
    runs.add(0, [8], [2.0])
    assert runs.grown(answer) is None
    assert (answer["width"], runs.fresh(Asked(max_points=8))["width"]) == (1, 2)


def test_points_beyond_the_zoom_add_nothing_and_are_counted_once(runs):
    runs.add(0, list(range(50)), [1.0] * 50)
    answer = runs.fresh(Asked("step", 10, 20))
    for first in (50, 60, 70):
        runs.add(0, list(range(first, first + 10)), [2.0] * 10)
        news = runs.news(answer)
        assert [list(one) for one in news["series"]] == [["experiment", "mark"]]
        answer = merged(answer, news, [str(runs.runs[0].id)])
        assert live.parts_of(runs.mark(answer), dict.fromkeys(runs.going[:1]))[0].low == first + 9
    assert answer == runs.fresh(Asked("step", 10, 20))


def test_a_late_point_in_the_zoom_is_noticed_though_the_run_is_far_beyond(runs):
    runs.add(0, list(range(50)), [1.0] * 50)
    answer = runs.fresh(Asked("step", 10, 20))
    runs.add(0, [15, 50], [9.0, 1.0])
    assert runs.grown(answer) is None


def test_a_run_that_comes_into_the_zoom_is_drawn_there(runs):
    runs.add(0, [0, 1], [1.0, 1.0])
    runs.add(2, [10, 15], [1.0, 1.0])
    answer = runs.fresh(Asked("step", 10, 20))
    runs.add(0, [5, 12], [1.0, 3.0])
    assert runs.grown(answer) == runs.fresh(Asked("step", 10, 20))


def test_points_whose_summary_comes_a_moment_later_are_told_and_none_is_missed(runs):
    runs.add(0, [0, 1, 2], [1.0, 2.0, 3.0])
    answer = runs.fresh(Asked())
    runs.add(0, [3], [4.0], is_stated=False)
    grown = runs.grown(answer)
    assert grown["series"][0]["avg"] == [1.0, 2.0, 3.0, 4.0]
    runs.state(0)
    assert runs.grown(grown) == runs.fresh(Asked())


def test_a_late_point_cannot_hide_behind_one_whose_summary_is_late(runs):
    runs.add(0, [0, 1, 2], [1.0, 2.0, 3.0])
    answer = runs.fresh(Asked())
    runs.add(0, [1], [9.0])
    runs.add(0, [3], [4.0], is_stated=False)
    grown = runs.grown(answer)
    runs.state(0)
    assert grown is None or runs.grown(grown) is None


def test_a_summary_that_stays_behind_has_the_chart_asked_anew(runs):
    runs.add(0, [0, 1, 2], [1.0, 2.0, 3.0])
    answer = runs.fresh(Asked())
    for step in range(3, 7):
        runs.add(0, [step], [4.0], is_stated=False)
        answer = runs.grown(answer)
        if answer is None:
            break
    assert answer is None


def test_a_beginning_that_moves_has_a_chart_of_relative_time_asked_anew(runs):
    runs.add(0, [0, 1, 2], [1.0, 2.0, 3.0])
    answer = runs.fresh(Asked("relative"))
    runs.add(0, [0], [1.0], metric="other", times=[NOW_US - 10 * SECOND])
    assert runs.grown(answer) is None


def test_nothing_new_is_told_where_nothing_came(runs):
    runs.add(0, [0, 1, 2], [1.0, math.nan, 3.0])
    assert runs.news(runs.fresh(Asked())) is None


def test_what_cannot_be_told_exactly_has_no_mark(runs):
    assert "frame" not in runs.fresh(Asked())
    runs.add(0, [0, 2**60], [1.0, 2.0], times=[NOW_US, NOW_US])
    assert "frame" not in runs.fresh(Asked())
    runs.add(0, [3, 4], [1.0, 1.0], times=[NOW_US, NOW_US + 40 * 86_400 * SECOND], metric="long")
    assert "frame" not in runs.fresh(Asked("time"), metric="long")
    assert runs.fresh(Asked("step"), metric="long")["frame"]


def test_charts_of_many_metrics_are_one_question(runs):
    for metric in ("loss", "accuracy", "lr"):
        runs.add(0, [0, 1], [1.0, 2.0], metric=metric)
    marks = [runs.mark(runs.fresh(Asked(), metric), metric) for metric in ("loss", "accuracy", "lr")]
    for metric in ("loss", "lr"):
        runs.add(0, [2], [3.0], metric=metric)
    counting = Counting(runs.repository.engine)
    told = live.news(MetricRepository(counting, database=runs.repository.database), runs.place, marks, {run.id: run for run in runs.runs[:2]})
    assert len(counting.asked) == 1
    assert [one["chart"] for one in told] == [0, 2]


# The endpoint ----------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(store, bob, api_for):
    return api_for(bob)


@pytest.fixture
def running(project) -> Experiment:
    return Experiment.objects.create(project=project, name="goes on", status="running")


def whole(api, *runs: Experiment, metric: str = "loss", more: str = "") -> dict[str, Any]:
    return api.get(f"/api/v1/metrics/compare/digits?live=1&metric={metric}&experiments={','.join(run.slug for run in runs)}{more}").json()


def ask(api, answers: dict[str, dict[str, Any]], *runs: Experiment, seen: str = "") -> Any:
    marks = [f"{answer['frame']}:{'_'.join(answer['marks'].get(str(run.pk), '') for run in runs)}:{metric}" for metric, answer in answers.items()]
    return api.get("/api/v1/metrics/live/digits", {"experiments": ",".join(str(run.pk) for run in runs), "mark": marks} | ({"seen": seen} if seen else {}))


@pytest.mark.differs_on_servers("what is new is told from the metric store and the shared cache")
def test_three_new_points_are_told_in_under_2_kb(api, project, log):
    runs = [Experiment.objects.create(project=project, name=f"run {n}", status="running") for n in range(8)]
    for run in runs:
        log(run, {"loss": [n / 7 for n in range(3000)], "accuracy": [n / 9 for n in range(3000)]})
    answers = {metric: whole(api, *runs, metric=metric) for metric in ("loss", "accuracy")}
    for run in runs[:3]:
        log(run, {"loss": [1 / 3]}, steps=[3000])
    answer = ask(api, answers, *runs)
    assert [len(one["series"]) for one in answer.json()["charts"]] == [3]
    assert len(answer.content) < 2048
    log(runs[5], {"loss": [1 / 3, 2 / 3, 5 / 7]}, steps=[3000, 3001, 3002])
    assert len(ask(api, answers, *runs).content) < 2048


@pytest.mark.differs_on_servers("marks and answers are kept in the shared cache")
def test_nothing_changed_is_204_without_asking_the_store(api, running, log, counting):
    log(running, {"loss": [1.0, 2.0]})
    answers = {"loss": whole(api, running)}
    first = ask(api, answers, running)
    assert first.json()["charts"] == []
    counting.asked.clear()
    again = ask(api, answers, running, seen=first.json()["seen"])
    assert (again.status_code, again.content, counting.asked) == (204, b"", [])
    log(running, {"loss": [3.0]}, steps=[2])
    counting.asked.clear()
    assert ask(api, answers, running, seen=first.json()["seen"]).json()["charts"][0]["added"] == 1
    assert len(counting.asked) == 1


@pytest.mark.differs_on_servers("what is new is told from the metric store and the shared cache")
def test_the_end_of_a_run_is_told_once_its_last_points_have_had_time(api, running, log):
    log(running, {"loss": [1.0]})
    answers = {"loss": whole(api, running)}
    assert ask(api, answers, running).json()["ended"] == []
    Experiment.objects.filter(pk=running.pk).update(status="complete", finished_at=timezone.now())
    assert ask(api, answers, running).json()["ended"] == []
    Experiment.objects.filter(pk=running.pk).update(finished_at=timezone.now() - timedelta(minutes=2))
    assert ask(api, answers, running).json()["ended"] == [str(running.pk)]
    Experiment.objects.filter(pk=running.pk).delete()
    assert ask(api, answers, running).json() | {"seen": ""} == {"seen": "", "ended": [str(running.pk)], "charts": []}


@pytest.mark.differs_on_servers("what is new is told from the metric store and the shared cache")
def test_an_answer_without_runs_that_go_on_is_the_plain_one(api, experiment, log):
    log(experiment, {"loss": [1.0, 2.0]})
    Experiment.objects.filter(pk=experiment.pk).update(status="complete", finished_at=timezone.now() - timedelta(minutes=2))
    plain = api.get("/api/v1/metrics/compare/digits?metric=loss&experiments=baseline")
    assert api.get("/api/v1/metrics/compare/digits?live=1&metric=loss&experiments=baseline").content == plain.content


@pytest.mark.differs_on_servers("what is new is told from the metric store and the shared cache")
def test_a_chart_that_may_grow_has_the_numbers_of_the_plain_one(api, running, experiment, log):
    log(running, {"loss": [1.0, "NaN", 1 / 3]})
    log(experiment, {"loss": [1.0, 2.0, "Infinity", 4.0]})
    plain = api.get("/api/v1/metrics/compare/digits?metric=loss&experiments=baseline,goes-on").json()
    answer = whole(api, experiment, running)
    assert {name: answer[name] for name in plain} == plain


@pytest.mark.differs_on_servers("what is new is told from the metric store and the shared cache")
def test_in_a_project_that_dropped_points_every_chart_is_asked_anew(api, running, log):
    log(running, {"loss": [1.0]})
    answers = {"loss": whole(api, running)}
    Drop.objects.create(project_id=running.project_id, team_id=running.project.team_id, cut=timezone.now(), logged_until=timezone.now())
    assert ask(api, answers, running).json()["charts"] == [{"chart": 0, "anew": True}]


@pytest.mark.differs_on_servers("what is new is told from the metric store and the shared cache")
@pytest.mark.parametrize(
    "mark", ["", "nonsense", "step.0.1.9.9.0.0:x:loss", "step.0.0.9.9.0.0::loss", f"step.0.1.{2**63}.9.0.0::loss", "color.0.1.9.9.0.0::loss"]
)
def test_a_mark_that_is_none_is_named(api, running, mark):
    answer = api.get("/api/v1/metrics/live/digits", {"experiments": str(running.pk), "mark": mark})
    assert answer.status_code == 422
    assert answer.json()["error"]["errors"][0]["field"] == "mark"


@pytest.mark.differs_on_servers("who may see is asked of the record")
def test_a_stranger_is_told_nothing(store, api_for, carol, running):
    assert api_for(carol).get("/api/v1/metrics/live/digits", {"experiments": str(running.pk)}).status_code == 404


@pytest.mark.differs_on_servers("what is new is told from the metric store and the shared cache")
def test_an_experiment_of_another_project_is_not_told_of(api, running, team, log):
    other = Experiment.objects.create(project=running.project.__class__.objects.create(team=team, name="other"), name="theirs", status="running")
    log(other, {"loss": [1.0]})
    log(running, {"loss": [1.0]})
    answers = {"loss": whole(api, running)}
    answer = api.get("/api/v1/metrics/live/digits", {"experiments": str(other.pk), "mark": f"{answers['loss']['frame']}::loss"})
    assert answer.json()["charts"] == []
