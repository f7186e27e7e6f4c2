"""What every page asks: of the record and of the metric store, as often for thirty rows of everything as for three.

A new page has its line in COSTS: `route: (questions to the record, questions to the metric store)`. A number that rises is a decision, not an accident.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import ApiToken
from alerts import lifecycle as alerts
from alerts.models import Channel
from alerts.sending import channels
from alerts.sending.allowance import CHANNELS
from experiments.models import Experiment, ExperimentEvent, Tag
from hypotheses.claims import stating
from hypotheses.claims.linking import link
from metrics import process
from metrics.drain.block import summary_columns
from metrics.points.states import states
from metrics.store import freshness
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place
from projects.models import Project, ProjectMetric, SavedView
from tests.counting import Counting
from tests.security.matrix import EXPERIMENT, HYPOTHESIS, PROJECT, ROUTES, TEAM

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.differs_on_servers("how often a page asks hangs on the backend and on what the shared cache keeps"),
]
REFUSED = 400
NAMES = ("loss", "accuracy", "train/loss")
RUNS = {"e": "run-0,run-1,run-2"}
# What programs ask, and the pages that Django and Swagger bring.
ELSEWHERE = ("api/", "admin/", "docs", "health", "ready", "metrics", "client/")
# Over more than twenty days, so that a chart of wall time reads hours.
MOMENTS = [1_763_856_000, 1_763_856_000 + 10 * 86_400, 1_763_856_000 + 60 * 86_400]
COSTS: dict[str, tuple[int, int]] = {
    "": (9, 0),
    "search": (8, 0),
    "projects/new": (6, 0),
    PROJECT: (23, 1),
    PROJECT + "attribution": (12, 1),
    PROJECT + "hypotheses/": (17, 1),
    PROJECT + "hypotheses/new": (13, 0),
    HYPOTHESIS: (24, 4),
    HYPOTHESIS + "edit": (17, 3),
    HYPOTHESIS + "delete": (15, 0),
    PROJECT + "edit": (6, 0),
    PROJECT + "metrics/": (13, 1),
    PROJECT + "compare": (14, 1),
    PROJECT + "new-experiment": (11, 0),
    EXPERIMENT: (17, 1),
    EXPERIMENT + "edit": (13, 0),
    EXPERIMENT + "parent": (4, 0),
    EXPERIMENT + "delete": (12, 1),
    PROJECT + "lineage": (12, 1),
    "sign-in": (2, 0),
    "account": (11, 0),
    "account/password": (6, 0),
    "password/forgotten": (4, 0),
    "teams/": (4, 0),
    "new-team": (5, 0),
    TEAM: (12, 0),
    TEAM + "rename": (6, 0),
    TEAM + "leave": (7, 0),
    TEAM + "audit": (9, 0),
    TEAM + "members/<int:membership_id>/remove": (7, 0),
    "alerts/": (9, 0),
    PROJECT + "alerts/": (14, 0),
    "alerts/channels/new": (9, 0),
    "alerts/channels/<uuid:channel_id>": (8, 0),
    "alerts/channels/<uuid:channel_id>/delete": (7, 0),
    PROJECT + "explore": (12, 0),
    PROJECT + "explore/data": (6, 1),
    PROJECT + "filter-words": (9, 0),
    PROJECT + "views/<int:view_id>": (5, 0),
}
# Of a cache that can be away the record is asked for the epoch, too: how often, by page.
EPOCHS = {EXPERIMENT: 2, HYPOTHESIS: 1, PROJECT + "compare": 1}
# Pages whose address is asked more than itself.
ASKED: dict[str, Mapping[str, Any]] = {
    "search": {"q": "run"},
    PROJECT + "compare": RUNS,
    PROJECT + "lineage": {"from": "run-1"},
    PROJECT + "explore/data": {"axis": ["param:width", "metric:loss", "metric:accuracy"]},
}


@pytest.fixture
def counting(store) -> Iterator[Counting]:
    """The engine of this process, counted for its pages."""
    engine = Counting(store.engine)
    process.Running.parts = dataclasses.replace(store, repository=MetricRepository(engine, database=store.repository.database))
    yield engine
    process.Running.parts = store


class World:
    """A project of which everything there is comes in as many rows as asked."""

    def __init__(self, store: process.Process, project: Project, user: Any) -> None:
        self.store, self.project, self.user, self.rows = store, project, user, 0
        ProjectMetric.objects.bulk_create([ProjectMetric(project=project, name=name, direction="minimize") for name in NAMES])
        Experiment.objects.create(project=project, name="root", params={"lr": 0.1})
        self.tag = Tag.objects.create(project=project, name="final")

    def grow(self, rows: int) -> None:
        """Until there are so many of each."""
        new = range(self.rows, rows)
        made = [self.run(number) for number in new]
        self.summarise(made)
        self.claims(made)
        for number, each in zip(new, made, strict=True):
            alerts.open_alert(kind="stalled", severity="mid", experiment=each, message="silent")
            SavedView.objects.create(project=self.project, name=f"view {number}", query="?q=loss", by=self.user)
            ApiToken.issue(user=self.user, team=self.project.team, name=f"token {number}")
            if number < CHANNELS:
                channels.create(self.project.team, name=f"channel {number}", kind=Channel.Kind.EMAIL)
            Project.objects.create(team=self.project.team, name=f"run project {number}")
        self.rows = rows

    def run(self, number: int) -> Experiment:
        """A child of the root, tagged, with a history."""
        root = Experiment.objects.get(project=self.project, slug="root")
        params = {"lr": 0.1, "width": number}
        named = {"name": f"run {number}", "params": params, "seed": number, "status": "complete" if number % 2 else "running"}
        made = Experiment.objects.create(project=self.project, parent_experiment=root, **named)
        Experiment.objects.create(project=self.project, name=f"child {number}", parent_experiment=Experiment.objects.get(slug="run-0"), params={"lr": number})
        made.tags.add(self.tag)
        ExperimentEvent.objects.create(experiment=made, kind="edited", detail="notes", by=self.user)
        return made

    def summarise(self, made: list[Experiment]) -> None:
        """One series of each metric for each, as the drain would write it; all of one length, as a claim asks once for each order of length."""
        ids = np.arange(len(made))
        found = states(ids, 0 * ids, ids + 10**15, ids.astype(np.uint64), 0.5 + ids / 100, ids)
        rows = [
            (each.pk.bytes, name, self.project.team_id.bytes, self.project.pk.bytes, 1, found[n].packed(), found[n].once, 0)
            for n, each in enumerate(made)
            for name in NAMES
        ]
        self.store.repository.insert_summaries(summary_columns(rows, spool=7))

    def claims(self, made: list[Experiment]) -> None:
        """A hypothesis for each run, and all runs for the first."""
        targets = [stating.TargetTerm("loss", direction="minimize")]
        for number, each in enumerate(made, self.rows):
            stating.propose(self.project, by=self.user, title=f"claim {number}", targets=targets, experiments=[each])
        link(self.project.hypotheses.get(slug="claim-0"), [each for each in made if each.slug != "run-0"], by=self.user)


@pytest.fixture
def world(store, project, alice) -> World:
    return World(store, project, alice)


def pages() -> list[str]:
    """The routes that a person reads."""
    return [route for route, verbs in ROUTES.items() if "GET" in verbs and verbs["GET"].codes[-1] < REFUSED and not route.startswith(ELSEWHERE)]


def address(world: World, route: str) -> str:
    """A page's address in this world."""
    project = world.project
    values = {
        "team_slug": project.team.slug, "project_slug": project.slug, "experiment_slug": "run-0", "hypothesis_slug": "claim-0",
        "membership_id": project.team.memberships.order_by("pk").first().pk,
        "view_id": project.views.order_by("pk").first().pk, "channel_id": channels.Channel.objects.order_by("created_at").first().pk,
    }  # fmt: skip
    path = "/" + route
    for name, value in values.items():
        for kind in ("str", "int", "uuid"):
            path = path.replace(f"<{kind}:{name}>", str(value))
    assert "<" not in path, f"Say in this file what stands for the parameter of {route}."
    return f"{path}?{urlencode(ASKED[route], doseq=True)}" if route in ASKED else path


def cost(browser: Client, path: str, counting: Counting) -> tuple[int, int]:
    """(questions to the record, to the metric store) of one page with empty caches."""
    for each in caches.settings:
        caches[each].clear()
    counting.asked.clear()
    with CaptureQueriesContext(connection) as made:
        answer = browser.get(path)
    assert answer.status_code in (200, 302), (path, answer.status_code)
    return len(made), len(counting.asked)


def test_every_page_asks_as_often_for_thirty_rows_as_for_three_and_as_often_as_is_said(
    world: World, counting: Counting, browser_for: Callable[..., Client], alice: Any
):
    found: list[dict[str, tuple[int, int]]] = []
    for rows in (3, 30):
        world.grow(rows)
        browser = browser_for(alice)
        browser.get("/")
        found.append({route: cost(browser, address(world, route), counting) for route in pages()})
    few, many = found
    grown = {route: (few[route], many[route]) for route in few if few[route] != many[route]}
    assert not grown, f"more rows, more questions: {grown}"
    costs = {route: (record + EPOCHS.get(route, 0) * freshness.can_be_away(), store) for route, (record, store) in COSTS.items()}
    otherwise = {route: f"{many.get(route)}, said {costs.get(route)}" for route in {*many, *costs} if many.get(route) != costs.get(route)}
    assert not otherwise, "\n".join(f"{route}: {found}" for route, found in otherwise.items())
    # A judgement, and the form that plans one, read the summaries of runs and then the tails of their series.
    assert {route for route, (_, of_store) in many.items() if of_store > 1} <= {HYPOTHESIS, HYPOTHESIS + "edit"}


@pytest.mark.parametrize("x", ["step", "relative", "time", "time with hours"])
@pytest.mark.parametrize("last", [1.0, "NaN"])
def test_a_chart_takes_one_question_and_how_far_all_charts_of_a_page_reach_and_whose_steps_come_twice_two_more(
    world: World, counting: Counting, browser_for: Callable[..., Client], alice: Any, log: Callable[..., None], x: str, last: Any
):
    world.grow(30)
    runs = list(Experiment.objects.filter(project=world.project, name__startswith="child").order_by("created_at"))
    for run in runs[:5]:
        log(run, {"loss": [3.0, 2.0, last], "accuracy": [last, 2.0, 3.0]}, timestamps=MOMENTS)
    if x == "time with hours":
        place = Place(world.project.team_id, world.project.pk)
        world.store.repository.rebuild_hours(place, [run.pk for run in runs], first=0, until=round(MOMENTS[2]) * 1_000_000)
    for many in (2, 30):
        counting.asked.clear()
        experiments = ",".join(str(run.pk) for run in runs[:many])
        for metric in ("loss", "accuracy"):
            query = urlencode({"metric": metric, "experiments": experiments, "x": x.split()[0]})
            answer = browser_for(alice).get(f"/api/v1/metrics/compare/{world.project.pk}?{query}")
            assert len(answer.json()["series"]) == min(many, 5)
            assert {series["nonfinite"] for series in answer.json()["series"]} == {int(last != 1.0)}
        assert len(counting.asked) == 2 + 2
