"""The demo's hypotheses are replayed on the real engine, and judged as anyone's would be."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import ApiToken, User
from alerts.models import Alert, Kind
from hypotheses.judgements import histories
from hypotheses.judgements import judge as judgements
from hypotheses.judgements.gathering import place_of
from hypotheses.models import Hypothesis, HypothesisEvent, Link
from hypotheses.tasks import judge_wanted
from metrics.store.evidence_rows import ARM, POOLED, rows
from operations.demo import claims
from operations.demo.runs import content
from projects.models import Project
from tests.faults.served import Served

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.differs_on_servers("a whole recording goes through record, metric store and judgement")]

TRUE, FALSE, SMALL = "A second hidden layer learns faster", "Strong weight decay generalises better", "A wider hidden layer is more accurate"
SEEDS = 8
EFFECT = r"[+−][\d.]+% \(anytime 95% CI [+−][\d.]+ to [+−][\d.]+\)"


@pytest.fixture
def demo(store, alice: User, team) -> Project:
    _, secret = ApiToken.issue(user=alice, team=team, name="first start")
    return claims.load_demo(token=secret)


@pytest.fixture
def judged(demo: Project, store) -> dict[str, Hypothesis]:
    judge_wanted()
    return {hypothesis.title: hypothesis for hypothesis in demo.hypotheses.all()}


def test_one_claim_is_supported_one_refuted_and_one_still_open_and_their_sentences_say_why(judged):
    runs = rf"{SEEDS} runs v {SEEDS}"
    assert {title: hypothesis.status for title, hypothesis in judged.items()} == {TRUE: "supported", FALSE: "refuted", SMALL: "testing"}
    assert re.fullmatch(rf"Supported: {runs}, {EFFECT}, score [+]?(1\.00|0\.9\d); its one target\.", judged[TRUE].sentence)
    assert re.fullmatch(rf"Refuted: {runs}, {EFFECT}, score [-−](1\.00|0\.9\d); its one target\.", judged[FALSE].sentence)
    assert re.match(rf"Testing: {runs}, {EFFECT}, score [-−+]?0\.[0-2]\d; its one target\. Not enough evidence yet: ", judged[SMALL].sentence)
    needed = re.search(r"yet: (\d+) more linked and (\d+) more baseline runs would tell \+0\.002 from nothing \(chance 0\.8\)\.$", judged[SMALL].sentence)
    assert min(int(count) for count in needed.groups()) > 3 * SEEDS

    assert judged[TRUE].decided_at < judged[TRUE].judged_at
    assert judged[FALSE].decided_at < judged[FALSE].judged_at
    assert judged[SMALL].decided_at is None
    for title in (TRUE, FALSE):
        event = judged[title].events.filter(kind=HypothesisEvent.Kind.STATUS).get()
        assert event.at == judged[title].decided_at
    assert Alert.objects.filter(kind=Kind.VERDICT).count() == 2


def test_the_effects_are_those_of_the_recorded_values_and_every_ended_run_wrote_evidence(judged, store):
    recorded = content(claims.DEMO)
    for claim, title, take in zip(recorded["hypotheses"], (TRUE, FALSE, SMALL), (lambda values: values[-1], min, max), strict=True):
        [reading] = judgements.read(judged[title]).readings
        assert reading.comparison.delta == pytest.approx(delta(claim, recorded["experiments"], take))
        check_past(judged[title], store.repository)


def delta(claim, runs, take):
    """Linked minus baseline, from the file alone."""
    metric = claim["targets"][0]["metric"]
    linked = [take(runs[each["experiment"]]["metrics"][metric]) for each in claim["links"]]
    roots = [take(run["metrics"][metric]) for run in runs if run["parent"] is None]
    return sum(linked) / len(linked) - sum(roots) / len(roots)


def check_past(hypothesis, repository):
    """A judgement for each run that ended once there was one on both sides, each with its rows, pooled and by arm."""
    past = histories.history(hypothesis)
    assert len(past) == 2 * SEEDS - 1
    assert [each.at for each in past] == sorted(each.at for each in past)
    assert (past[-1].status, past[-1].n_exp, past[-1].n_base) == (hypothesis.status, SEEDS, SEEDS)
    assert past[-1].score == pytest.approx(hypothesis.score)
    found = rows(repository, place_of(hypothesis), [hypothesis.pk], limit=1000)
    assert sum(row.scope == POOLED for row in found) == sum(row.scope == ARM for row in found) == len(past)
    assert all("gate:replicates" in row.flags for row in found if row.scope == POOLED and min(row.n_exp, row.n_base) < 2)


def test_claims_came_before_runs_and_links_before_their_ends_and_points_have_their_own_time(demo):
    links = Link.objects.select_related("hypothesis", "experiment")
    assert links.count() == 3 * SEEDS
    for link in links:
        assert link.hypothesis.created_at <= link.linked_at <= link.experiment.started_at < link.experiment.finished_at
        assert (link.is_post_hoc, link.source) == (False, Link.Source.SCRIPT)
    assert not HypothesisEvent.objects.filter(at__gt=timezone.now() - timedelta(hours=1)).exists()
    for run in demo.experiments.all():
        assert run.started_at <= run.last_point_at <= run.finished_at


@pytest.mark.slow
def test_a_first_start_judges_them_by_itself(tmp_path):
    served = Served(tmp_path, arguments=(), DATABASE_URL="", REDIS_URL="", CLICKHOUSE_HOST="")  # its worker is a thread of it
    try:
        served.start()
        deadline, found = time.monotonic() + 120, []
        while not found or any(each["is_waiting"] for each in found):
            assert time.monotonic() < deadline, found
            time.sleep(0.2)
            found = served.call("GET", "/hypotheses?project=digits")[2]["results"]
        assert {each["title"]: each["status"] for each in found} == {TRUE: "supported", FALSE: "refuted", SMALL: "testing"}
        assert all(f"{SEEDS} runs v {SEEDS}" in each["sentence"] for each in found)
        assert served.stop() == 0
    finally:
        served.end()
