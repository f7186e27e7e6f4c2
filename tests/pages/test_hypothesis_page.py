"""The pages of hypotheses: the verdict and what it rests on, the list, the form, the verbs, attribution, and all of it without the metric store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from experiments import lifecycle
from experiments.models import Experiment
from hypotheses.attribution.effects import RUNS_MOST
from hypotheses.claims.linking import link
from hypotheses.judgements import judge as judgements
from hypotheses.models import Hypothesis, Link, Target
from metrics import process
from projects.models import Project, ProjectMetric

pytestmark = pytest.mark.django_db(transaction=True)
JITTER = (0.0, 0.0011, -0.0009, 0.0006, -0.0012, 0.0008)


def text_of(html: str) -> str:
    """What a reader sees, without tags and doubled spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).replace("&quot;", '"').replace("&#x27;", "'").strip()


def address(project: Project, name: str, *more: str) -> str:
    return reverse(f"hypotheses:{name}", args=[project.team.slug, project.slug, *more])


def page_of(claim: Hypothesis, query: str = "") -> str:
    return address(claim.project, "hypothesis", claim.slug) + query


@pytest.fixture
def accuracy(project: Project) -> ProjectMetric:
    return ProjectMetric.objects.create(project=project, name="accuracy", direction="maximize")


@pytest.fixture
def loss(project: Project) -> ProjectMetric:
    return ProjectMetric.objects.create(project=project, name="loss", direction="minimize")


@pytest.fixture
def base(project: Project, accuracy, loss) -> list[Experiment]:
    """Five seeds of one root, planned."""
    return [lifecycle.create(project, by=None, name=f"base s{n}", params={"width": 32}, seed=n, command=f"python train.py --seed {n}") for n in range(1, 6)]


@pytest.fixture
def wide(base: list[Experiment]) -> list[Experiment]:
    """Five seeds of one change."""
    return [lifecycle.create(base[0].project, by=None, name=f"wide s{n}", parent=base[0], params={"width": 64}, seed=n) for n in range(1, 6)]


@pytest.fixture
def claim(project: Project, accuracy: ProjectMetric, loss: ProjectMetric) -> Hypothesis:
    made = Hypothesis.objects.create(project=project, title="Wider is better", claim="64 units raise accuracy.")
    Target.objects.create(hypothesis=made, metric=accuracy, smallest_effect=0.003)
    Target.objects.create(hypothesis=made, metric=loss, smallest_effect=0.0, position=1)
    return made


@pytest.fixture
def ran(log: Any) -> Callable[..., None]:
    """ran(runs, 0.95): each is logged towards the centre and complete."""

    def run(runs: list[Experiment], centre: float) -> None:
        for n, each in enumerate(runs):
            value = centre + JITTER[n % len(JITTER)]
            values = [value - 0.1, *[value + 1e-6 * k for k in range(10)]]
            log(each, {"accuracy": values, "loss": [1 - v for v in values]}, is_awaited=each is runs[-1])
        for each in runs:
            each.refresh_from_db()
            if not each.is_ended:
                lifecycle.complete(each, by=None)

    return run


@pytest.fixture
def supported(claim: Hypothesis, base, wide, ran) -> Hypothesis:
    """Linked before, run, and judged."""
    link(claim, wide, by=None)
    ran(base, 0.90)
    ran(wide, 0.93)
    judgements.judge(claim.pk)
    claim.refresh_from_db()
    assert claim.status == "supported", claim.sentence
    return claim


@pytest.fixture
def store_away() -> Iterator[None]:
    """This process does not own the metric store, like one that starts or stops."""
    kept = process.Running.parts, process.Running.engine
    process.Running.parts = process.Running.engine = None
    yield
    process.Running.parts, process.Running.engine = kept


@pytest.mark.differs_on_servers("judged from the metric store, written as JSON, and read back")
def test_the_page_says_the_verdict_and_all_it_rests_on(bob, browser_for, supported):
    html = browser_for(bob).get(page_of(supported)).content.decode()
    text = text_of(html)
    assert 'class="verdict supported"' in html
    assert "Supported since run" in text
    assert "5 runs v 5" in text
    for heading in ("Targets", "Effect by arm", "Over time", "Raw values", "Gates", "Replicates still needed", "Details", "Linked runs", "History"):
        assert f"<h2>{heading}</h2>" in html, heading
    for name in ("E+ and E−", "Anytime 95% CI", "Degrees of freedom", "Hedges g", "Baseline fixed", "Epoch", "Engine"):
        assert f"<dt>{name}</dt>" in html, name
    assert html.count('class="value"') == 10
    assert "The baseline (Each experiment's own root) is fixed" in text


def test_the_metric_of_the_address_is_the_one_drawn_and_better_stays_right(bob, browser_for, supported):
    html = browser_for(bob).get(page_of(supported, "?metric=loss")).content.decode()
    assert "loss ↓, last; improvement on the baseline" in text_of(html)
    pooled = text_of(html.split('class="pooled supported"')[1].split("</tr>")[0])
    assert "+0.03000" in pooled or "+0.0300" in pooled
    assert "smallest effect that matters is 0" in text_of(html)


def test_a_viewer_sees_no_button_that_changes_anything(bob, browser_for, supported):
    html = browser_for(bob).get(page_of(supported)).content.decode()
    assert 'method="post"' not in html
    assert "Judge again" not in html


def questions(browser: Client, url: str) -> int:
    """How many questions to the record a page asks, once what it caches is there."""
    browser.get(url)
    with CaptureQueriesContext(connection) as asked:
        assert browser.get(url).status_code == 200
        return len(asked)


@pytest.mark.differs_on_servers("how often a page asks hangs on the backend")
def test_the_page_asks_a_fixed_number_of_questions_however_many_runs(bob, browser_for, supported, base, ran):
    browser = browser_for(bob)
    few = questions(browser, page_of(supported))
    more = [lifecycle.create(supported.project, by=None, name=f"deep s{n}", parent=base[0], params={"width": 32, "deep": 1}, seed=n) for n in range(4)]
    link(supported, more, by=None)
    ran(more, 0.94)
    judgements.judge(supported.pk)
    assert questions(browser, page_of(supported)) == few
    assert few < 30


def test_runs_linked_after_they_ended_are_hollow_with_an_exploratory_score_and_what_starts_fresh_ones(bob, browser_for, claim, base, wide, ran):
    ran(base, 0.90)
    ran(wide, 0.93)
    link(claim, wide, by=None)
    judgements.judge(claim.pk)
    html = browser_for(bob).get(page_of(claim)).content.decode()
    text = text_of(html)
    assert "Exploratory score +" in text
    assert "these runs suggested the claim; they cannot confirm it" in text
    assert 'class="posthoc"' in html
    assert re.search(r"Fresh runs do: \d+ a side", text)
    assert "python train.py --seed 6" in text
    assert "rp.init(project='digits', name='wide s5', parent='base-s1'" in text
    assert "hypotheses=['wider-is-better']" in text


@pytest.mark.differs_on_servers("what is stored of a verdict is JSON")
def test_without_the_metric_store_the_stored_verdict_stands(bob, browser_for, supported, store_away):
    answer = browser_for(bob).get(page_of(supported))
    text = text_of(answer.content.decode())
    assert answer.status_code == 200
    assert "The metric store does not answer just now" in text
    assert "Supported" in text
    assert "5 runs v 5" in text
    assert browser_for(bob).get(address(supported.project, "list")).status_code == 200
    assert browser_for(bob).get(address(supported.project, "attribution")).status_code == 200


def test_a_claim_without_runs_says_how_they_are_linked(store, bob, browser_for, claim):
    text = text_of(browser_for(bob).get(page_of(claim)).content.decode())
    assert "No run tests it yet" in text
    assert 'hypotheses=["wider-is-better"]' in text


@pytest.mark.differs_on_servers("the list is ordered by the database")
def test_the_list_says_status_score_trend_and_what_is_missing(bob, browser_for, supported, project):
    other = Hypothesis.objects.create(project=project, title="Deeper is better", missing="2 more runs.", score=0.1)
    Target.objects.create(hypothesis=other, metric=project.metrics.get(name="loss"))
    html = browser_for(bob).get(address(project, "list")).content.decode()
    text = text_of(html)
    assert "What we know 1 supported, 1 testing" in text
    assert "2 more runs." in text
    assert html.count('class="spark"') == 1
    assert "e-BH" in text
    assert 'aria-current="page">Hypotheses<span class="count">2</span>' in html


@pytest.mark.differs_on_servers("words are found by the database")
def test_the_list_is_narrowed_by_words_and_status_of_its_address(bob, browser_for, supported, project):
    Hypothesis.objects.create(project=project, title="Deeper is better")
    browser = browser_for(bob)
    rows = browser.get(address(project, "list") + "?status=testing").content.decode().split("<tbody>")[1]
    assert "Deeper is better" in rows
    assert "Wider is better" not in rows
    part = browser.get(address(project, "list") + "?q=accuracy", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "Wider is better" in part
    assert "Deeper is better" not in part
    assert "No hypothesis fits" in text_of(browser.get(address(project, "list") + "?q=nothing-like-it").content.decode())


@pytest.mark.differs_on_servers("how often a page asks hangs on the backend")
def test_the_list_asks_the_same_number_of_questions_however_many_claims(bob, browser_for, supported, project):
    browser = browser_for(bob)
    few = questions(browser, address(project, "list"))
    for n in range(20):
        made = Hypothesis.objects.create(project=project, title=f"Claim {n}", score=0.1)
        Target.objects.create(hypothesis=made, metric=project.metrics.get(name="loss"))
    assert questions(browser, address(project, "list")) == few


def test_a_project_without_claims_says_how_to_make_one(bob, browser_for, project):
    assert "Nothing is claimed yet" in text_of(browser_for(bob).get(address(project, "list")).content.decode())


def form_of(**more: str) -> dict[str, str]:
    return {"title": "Wider helps", "require": "all", "baseline": "root", "metric_0": "accuracy", "effect_0": "0.01", "unit_0": "metric"} | more


def test_a_comparison_fills_the_form_with_its_runs_baseline_and_metrics(erin, browser_for, base, wide, ran, project):
    ran(base, 0.90)
    ran(wide, 0.93)
    browser = browser_for(erin)
    compare = browser.get(reverse("experiments:compare", args=[project.team.slug, project.slug]) + "?e=base-s1&e=base-s2&e=wide-s1&e=wide-s2&base=base-s1")
    href = re.search(r'href="([^"]*hypotheses/new[^"]*)"', compare.content.decode())
    assert href
    html = browser.get(href[1].replace("&amp;", "&")).content.decode()
    assert 'value="wide-s1, wide-s2"' in html
    assert 'value="base-s1"' in html
    assert '<option value="accuracy" selected>' in html
    assert '<option value="loss" selected>' in html
    text = text_of(html)
    assert "2 of the runs to link ended already" in text
    assert "Seen in 2 arms, 10 runs" in text


def test_the_preview_says_how_many_replicates_it_takes_and_saves_nothing(erin, browser_for, base, ran, project):
    ran(base, 0.90)
    browser = browser_for(erin)
    part = browser.post(address(project, "new"), form_of(preview="1"), headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert re.search(r"\d+ runs v \d+ tell \+0.01 from nothing", text_of(part))
    whole = browser.post(address(project, "new"), form_of(preview="1", title=""))
    assert whole.status_code == 200
    assert "from nothing" in text_of(whole.content.decode())
    assert Hypothesis.objects.count() == 0


@pytest.mark.differs_on_servers("rules are JSON")
def test_a_claim_is_proposed_with_its_runs_and_rule(erin, browser_for, base, wide, project):
    answer = browser_for(erin).post(address(project, "new"), form_of(experiments="wide-s1, wide-s2", feature="width", effect_1="", metric_1=""))
    made = Hypothesis.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == page_of(made)
    assert made.created_by == erin
    assert [(t.metric.name, t.smallest_effect) for t in made.targets.all()] == [("accuracy", 0.01)]
    assert made.links.count() == 5
    assert [rule.feature for rule in made.rules.all()] == ["width"]


@pytest.mark.differs_on_servers("what is refused is rolled back")
@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("title", "", "required"),
        ("metric_0", "nonsense", "Select a valid choice"),
        ("effect_0", "-1", "greater than or equal to 0"),
        ("experiments", "not-there", "There is no experiment not-there"),
        ("baseline", "experiment", "Name the experiment to compare with"),
    ],
)
def test_bad_input_is_told_and_nothing_is_saved(erin, browser_for, base, project, field, value, said):
    answer = browser_for(erin).post(address(project, "new"), form_of(**{field: value}))
    assert answer.status_code == 422
    assert said in text_of(answer.content.decode())
    assert Hypothesis.objects.count() == 0


def test_zero_percent_and_an_unsaid_direction_are_refused_in_a_sentence(erin, browser_for, base, project):
    browser = browser_for(erin)
    assert "An effect of 0% is any effect at all" in text_of(browser.post(address(project, "new"), form_of(effect_0="0", unit_0="percent")).content.decode())
    ProjectMetric.objects.create(project=project, name="odd")
    assert "which way" in text_of(browser.post(address(project, "new"), form_of(metric_0="odd")).content.decode())
    assert Hypothesis.objects.count() == 0


def test_other_terms_after_data_begin_an_epoch_and_the_form_warns(erin, browser_for, supported):
    browser = browser_for(erin)
    edit = address(supported.project, "edit", supported.slug)
    assert "begins epoch 2" in text_of(browser.get(edit).content.decode())
    fields = form_of(title="Wider is better", metric_1="loss", effect_0="0.004", unit_1="metric", claim="64 units raise accuracy.")
    assert browser.post(edit, fields).status_code == 302
    supported.refresh_from_db()
    assert supported.epoch == 2
    assert "Respecified after data" in text_of(browser.get(page_of(supported)).content.decode())


@pytest.mark.differs_on_servers("links rest on constraints")
def test_runs_are_linked_unlinked_and_invalidated_by_forms(erin, browser_for, claim, base, wide, project):
    browser = browser_for(erin)
    assert browser.post(address(project, "link", claim.slug), {"experiments": "wide-s1,wide-s2"}).status_code == 302
    assert browser.post(address(project, "unlink", claim.slug), {"experiment": "wide-s1"}).status_code == 302
    assert browser.post(address(project, "invalidate", claim.slug), {"experiment": "wide-s2", "reason": ""}).status_code == 422
    assert browser.post(address(project, "invalidate", claim.slug), {"experiment": "wide-s2", "reason": "wrong data"}).status_code == 302
    assert {(each.experiment.slug, bool(each.unlinked_at), each.reason) for each in Link.objects.all()} == {
        ("wide-s1", True, ""),
        ("wide-s2", False, "wrong data"),
    }
    assert "no: wrong data" in text_of(browser.get(page_of(claim)).content.decode())
    assert browser.post(address(project, "link", claim.slug), {"experiments": "nobody"}).status_code == 404


def test_rules_come_and_go_by_forms(erin, browser_for, claim, wide, project):
    browser = browser_for(erin)
    assert browser.post(address(project, "rule", claim.slug), {"feature": "width"}).status_code == 302
    assert claim.links.count() == 5
    assert browser.post(address(project, "rule", claim.slug), {"feature": "width", "remove": "1"}).status_code == 302
    assert claim.rules.count() == 0


def test_judge_again_judges_by_a_plain_form(erin, browser_for, claim, base, wide, ran, project):
    link(claim, wide, by=None)
    ran(base, 0.90)
    ran(wide, 0.93)
    answer = browser_for(erin).post(address(project, "judge", claim.slug))
    assert answer.status_code == 302
    claim.refresh_from_db()
    assert claim.status == "supported"


@pytest.mark.differs_on_servers("what goes along with a claim is decided by constraints")
def test_an_admin_deletes_and_the_runs_stay(alice, browser_for, supported):
    gone = address(supported.project, "delete", supported.slug)
    browser = browser_for(alice)
    assert "5 links" in text_of(browser.get(gone).content.decode())
    assert browser.post(gone).status_code == 302
    assert Hypothesis.objects.count() == 0
    assert Experiment.objects.count() == 10


def test_an_experiment_says_what_evidence_it_gave(bob, browser_for, supported, wide):
    html = browser_for(bob).get(reverse("experiments:experiment", args=[supported.project.team.slug, supported.project.slug, "wide-s1"])).content.decode()
    assert "Evidence it gave 1 hypothesis" in text_of(html)
    assert page_of(supported) in html


@pytest.mark.differs_on_servers("what was decided last is asked of the database")
def test_the_first_page_says_what_was_decided_last(bob, carol, browser_for, supported):
    assert "Decided last" in text_of(browser_for(bob).get("/").content.decode())
    assert "Wider is better" not in browser_for(carol).get("/").content.decode()


def test_names_are_never_markup(bob, browser_for, project, accuracy, base):
    bad = "<script>alert(1)</script>"
    made = Hypothesis.objects.create(project=project, title=bad, claim=bad, rationale=bad, description=bad, sentence=bad)
    Target.objects.create(hypothesis=made, metric=accuracy)
    Link.objects.create(hypothesis=made, experiment=lifecycle.create(project, by=None, name=bad), invalidated_at=timezone.now(), reason=bad)
    browser = browser_for(bob)
    for url in (page_of(made), address(project, "list"), address(project, "attribution")):
        assert bad not in browser.get(url).content.decode()


@pytest.mark.differs_on_servers("changes are told by params that are JSON")
def test_attribution_shows_steps_effects_and_what_was_never_run_again(bob, browser_for, base, wide, ran, project):
    once = lifecycle.create(project, by=None, name="deep", parent=wide[0], params={"width": 64, "deep": 1}, seed=1)
    twice = [lifecycle.create(project, by=None, name=f"cosine s{n}", parent=once, params={"width": 64, "deep": 1, "cosine": 1}, seed=n) for n in (1, 2)]
    ran(base, 0.90)
    ran(wide, 0.93)
    ran([once], 0.94)
    ran(twice, 0.95)
    html = browser_for(bob).get(address(project, "attribution") + "?metric=accuracy").content.decode()
    text = text_of(html)
    assert "Association, not cause" in text
    assert "From root to cosine" in text
    assert html.count("step better thin") == 2
    assert html.count('class="step better"') == 1
    assert "1 arm others were built on ran only once" in text
    assert "width 64" in text
    to = text_of(browser_for(bob).get(address(project, "attribution") + "?metric=accuracy&to=wide-s1").content.decode())
    assert "From root to wide" in to


@pytest.mark.differs_on_servers("runs are counted by the database")
def test_attribution_says_how_many_runs_it_leaves_out(bob, browser_for, api_for, accuracy, base, project, store):
    lifecycle.complete(base[0], by=None)
    more = [
        Experiment(
            project=project, name=f"more {n}", slug=f"more-{n}", replicate_key=f"m{n}", parent_experiment=base[0], root_experiment=base[0], status="complete"
        )
        for n in range(RUNS_MOST + 4)
    ]
    Experiment.objects.bulk_create(more)
    text = text_of(browser_for(bob).get(address(project, "attribution") + "?metric=accuracy").content.decode()).replace("\u202f", " ")
    assert "This lineage has 2 005 complete runs: the newest 2 000 are read, and 5 older ones left out of every number here." in text
    body = api_for(bob).get("/api/v1/projects/digits/attribution?metric=accuracy").json()
    assert body["runs"] == {"complete": 2005, "read": 2000, "left_out": 5, "with_value": 0}


def test_the_api_tells_the_same_steps_and_effects_as_the_page(bob, api_for, base, wide, ran):
    ran(base, 0.90)
    ran(wide, 0.95)
    client = api_for(bob)
    body = client.get("/api/v1/projects/digits/attribution?metric=accuracy").json()
    assert [(each["n"], each["change"] and round(each["change"], 3)) for each in body["steps"]] == [(5, None), (5, 0.05)]
    assert body["steps"][1]["changed"] == [{"feature": "width", "was": "32", "now": "64"}]
    (effect,) = body["effects"]
    assert effect["features"] == ["width 64"]
    assert effect["ci95"][0] < 0.05 < effect["ci95"][1]
    assert effect["score"] > 0.5
    refused = client.get("/api/v1/projects/digits/attribution?metric=nothing")
    assert refused.status_code == 404
    assert "There is no metric 'nothing' in digits" in refused.content.decode()


@pytest.mark.differs_on_servers("a judgement that fails is rolled back")
def test_a_claim_that_cannot_be_judged_says_so_on_its_page_and_shows_what_was_judged_last(erin, browser_for, supported):
    assert "Could not be judged" not in browser_for(erin).get(page_of(supported)).content.decode()
    Hypothesis.objects.filter(pk=supported.pk).update(require="none")
    text = text_of(browser_for(erin).post(page_of(supported) + "judge", follow=True).content.decode())
    assert "Could not be judged: This is a defect of the server, and its log says more." in text
    assert "It is tried again at" in text
    assert "Supported" in text
    assert "The metric store does not answer" not in text
