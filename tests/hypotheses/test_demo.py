"""The demo's hypotheses are replayed on the real engine, and judged as anyone's would be."""

from __future__ import annotations

import gzip
import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import ApiToken, User
from experiments.models import Experiment
from hypotheses import judgements, recording
from hypotheses.gathering import place_of
from hypotheses.models import Hypothesis, HypothesisEvent, Link
from hypotheses.tasks import judge_wanted
from metrics.alert_models import Alert, Kind
from metrics.evidence_rows import POOLED, rows
from projects.models import Project

pytestmark = pytest.mark.django_db(transaction=True)

TRUE, FALSE, SMALL = "A second hidden layer learns faster", "Strong weight decay generalises better", "A wider hidden layer is more accurate"
SEEDS = 8
EFFECT = r"[+−][\d.]+% \(anytime 95% CI [+−][\d.]+ to [+−][\d.]+\)"


@pytest.fixture
def demo(store, alice: User, team) -> Project:
    _, secret = ApiToken.issue(user=alice, team=team, name="first start")
    return recording.load_demo(token=secret)


@pytest.fixture
def judged(demo: Project, store) -> dict[str, Hypothesis]:
    judge_wanted()
    return {hypothesis.title: hypothesis for hypothesis in demo.hypotheses.all()}


def test_one_is_supported_one_is_refuted_and_one_is_still_open(judged):
    assert {title: hypothesis.status for title, hypothesis in judged.items()} == {TRUE: "supported", FALSE: "refuted", SMALL: "testing"}
    assert judged[TRUE].score > 0.9
    assert judged[FALSE].score < -0.9
    assert abs(judged[SMALL].score) < 0.3
    assert judged[TRUE].decided_at < judged[TRUE].judged_at
    assert judged[SMALL].decided_at is None


def test_their_sentences_give_runs_effect_score_and_what_is_missing(judged):
    runs = rf"{SEEDS} runs v {SEEDS}"
    assert re.fullmatch(rf"Supported: {runs}, {EFFECT}, score 1\.00; its one target\.", judged[TRUE].sentence)
    assert re.fullmatch(rf"Refuted: {runs}, {EFFECT}, score −?-?1\.00; its one target\.", judged[FALSE].sentence)
    assert re.match(rf"Testing: {runs}, {EFFECT}, score −?-?0\.\d\d; its one target\. Not enough evidence yet: \d+ more linked and", judged[SMALL].sentence)
    assert re.search(r"would tell \+0\.002 from nothing \(chance 0\.8\)\.$", judged[SMALL].sentence)


def test_the_effects_are_those_of_the_recorded_values(judged):
    recorded = json.loads(gzip.decompress(recording.DEMO.read_bytes()))
    runs = recorded["experiments"]
    for claim, title, take in zip(recorded["hypotheses"], (TRUE, FALSE, SMALL), (lambda v: v[-1], min, max), strict=True):
        metric = claim["targets"][0]["metric"]
        linked = [take(runs[each["experiment"]]["metrics"][metric]) for each in claim["links"]]
        roots = [take(run["metrics"][metric]) for run in runs if run["parent"] is None]
        [reading] = judgements.read(judged[title]).readings
        assert reading.comparison.delta == pytest.approx(sum(linked) / len(linked) - sum(roots) / len(roots))


def test_claims_came_before_runs_and_links_before_their_ends(demo):
    links = Link.objects.select_related("hypothesis", "experiment")
    assert links.count() == 3 * SEEDS
    for link in links:
        assert link.hypothesis.created_at <= link.linked_at <= link.experiment.started_at < link.experiment.finished_at
        assert not link.is_post_hoc
        assert link.source == Link.Source.SCRIPT
    for hypothesis in demo.hypotheses.all():
        assert set(hypothesis.events.filter(at__gt=timezone.now() - timedelta(hours=1)).values_list("kind", flat=True)) == set()


def test_every_finished_run_is_a_point_of_the_history(judged):
    for hypothesis in judged.values():
        past = judgements.history(hypothesis)
        ends = Experiment.objects.filter(params__epochs=20, seed__gt=5).filter(hypothesis_links__hypothesis=hypothesis).count() * 2
        # Of the first two runs one side is still empty: there is nothing to compare, and no row.
        assert ends - 2 <= len(past) <= ends
        assert past[-1].status == hypothesis.status
        assert past[-1].score == pytest.approx(hypothesis.score)
        assert (past[-1].n_exp, past[-1].n_base) == (SEEDS, SEEDS)
        assert [each.at for each in past] == sorted(each.at for each in past)


def test_evidence_rows_were_written_pooled_and_by_arm(judged, store):
    for hypothesis in judged.values():
        found = rows(store.repository, place_of(hypothesis), [hypothesis.pk], limit=1000)
        assert {row.hypothesis_id for row in found} == {hypothesis.pk}
        assert sum(row.scope == POOLED for row in found) * 2 == len(found) >= 2 * (2 * SEEDS - 2)
        assert all(row.flags == () or "gate:replicates" in row.flags or row.scope != POOLED for row in found[:2])


def test_verdicts_are_told_in_the_history_and_by_an_alert(judged):
    for title in (TRUE, FALSE):
        event = judged[title].events.filter(kind=HypothesisEvent.Kind.STATUS).get()
        assert event.at == judged[title].decided_at
    assert Alert.objects.filter(kind=Kind.VERDICT).count() == 2


def test_a_run_of_the_demo_had_its_last_point_before_it_ended(demo, store):
    assert store.drain.wait_visible(store.spool.last_row(), timeout_s=20)
    for run in demo.experiments.all():
        assert run.started_at <= run.last_point_at <= run.finished_at + timedelta(milliseconds=1)
