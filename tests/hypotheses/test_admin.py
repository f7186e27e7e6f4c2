"""Operators see the whole record of hypotheses, and change of it only what the verbs would."""

from __future__ import annotations

import pytest
from django.test import Client

from experiments import lifecycle
from experiments.models import Experiment
from hypotheses.claims import stating
from hypotheses.claims.linking import link
from hypotheses.models import Hypothesis, HypothesisEvent, Link, Target
from projects.models import Project, ProjectMetric

pytestmark = pytest.mark.differs_on_servers("search and lists of the admin are queries that each database answers in its own way")
TABLE = "/admin/hypotheses/hypothesis/"


@pytest.fixture
def browser(operator, browser_for) -> Client:
    return browser_for(operator)


@pytest.fixture
def accuracy(project: Project) -> ProjectMetric:
    return ProjectMetric.objects.create(project=project, name="accuracy", direction="maximize")


@pytest.fixture
def claim(project: Project, accuracy: ProjectMetric, erin) -> Hypothesis:
    made = stating.propose(project, by=erin, title="wider is better", targets=[stating.TargetTerm("accuracy", 0.01)])
    root = lifecycle.create(project, by=erin, name="root", params={"width": 1})
    run = lifecycle.create(project, by=erin, name="wide", parent=root, params={"width": 2})
    link(made, [run], by=erin)
    stating.add_rule(made, "width", by=erin)
    return made


def targets(*rows: tuple[Target | None, ProjectMetric, float], known: int) -> dict[str, object]:
    sent: dict[str, object] = {"targets-TOTAL_FORMS": len(rows), "targets-INITIAL_FORMS": known, "targets-MIN_NUM_FORMS": 1, "targets-MAX_NUM_FORMS": 1000}
    for n, (target, metric, effect) in enumerate(rows):
        sent |= {f"targets-{n}-metric": metric.pk, f"targets-{n}-smallest_effect": effect, f"targets-{n}-unit": "metric", f"targets-{n}-position": n}
        sent |= {f"targets-{n}-id": target.pk} if target else {}
    return sent | {f"{inline}-{part}_FORMS": 0 for inline in ("links", "rules", "events") for part in ("TOTAL", "INITIAL", "MIN_NUM", "MAX_NUM")}


def form(claim: Hypothesis, *rows: tuple[Target | None, ProjectMetric, float], **changes: object) -> dict[str, object]:
    """The change page's fields as a browser would send them back, with some changed."""
    names = ("title", "claim", "rationale", "description", "require", "baseline")
    kept = rows or tuple((target, target.metric, target.smallest_effect) for target in claim.targets.all())
    return {name: getattr(claim, name) for name in names} | targets(*kept, known=sum(target is not None for target, *_ in kept)) | changes


def post(browser: Client, claim: Hypothesis, *rows: tuple[Target | None, ProjectMetric, float], **changes: object):
    return browser.post(f"{TABLE}{claim.pk}/change/", form(claim, *rows, **changes))


def test_every_page_opens_and_shows_the_record(browser, claim):
    page = browser.get(f"{TABLE}{claim.pk}/change/")
    assert page.status_code == 200
    text = page.content.decode()
    for shown in ("wide", "width", "Linked by hand: wide.", "Stated: accuracy better by more than 0.01"):
        assert shown in text
    for table in ("hypothesis", "hypothesisevent", "link", "baselinerun"):
        assert browser.get(f"/admin/hypotheses/{table}/").status_code == 200
    assert browser.get(f"{TABLE}add/").status_code == 200


def test_a_change_goes_through_the_verbs(browser, claim, operator):
    assert post(browser, claim, title="wider helps").status_code == 302
    event = claim.events.order_by("pk").last()
    assert (event.kind, event.sentence, event.by) == ("edited", "Edited: title.", operator)


def test_terms_changed_after_data_begin_an_epoch_here_too(browser, claim, accuracy):
    lifecycle.complete(Experiment.objects.get(name="wide"), by=None)
    assert post(browser, claim, (claim.targets.get(), accuracy, 0.05), paired="on").status_code == 302
    claim.refresh_from_db()
    assert (claim.epoch, claim.paired, claim.targets.get().smallest_effect) == (2, True, 0.05)
    assert claim.events.filter(kind="respecified").count() == 1


def test_saving_without_a_change_leaves_no_line(browser, claim):
    before = HypothesisEvent.objects.count()
    assert post(browser, claim).status_code == 302
    assert HypothesisEvent.objects.count() == before


def test_what_could_not_be_judged_is_refused_on_the_form(browser, claim, project, accuracy, team):
    speed = ProjectMetric.objects.create(project=project, name="speed")
    other = Project.objects.create(team=team, name="other")
    strange = ProjectMetric.objects.create(project=other, name="strange", direction="maximize")
    elsewhere = Experiment.objects.create(project=other, name="elsewhere")
    known = claim.targets.get()
    for rows, changes, said in (
        ([(known, accuracy, -1)], {}, "0 or more"),
        ([(known, speed, 0)], {}, "Nobody said which way speed is better"),
        ([(known, strange, 0)], {}, "There is no metric"),
        ([], {"baseline": "experiment"}, "Name the experiment to compare with"),
        ([], {"baseline": "experiment", "baseline_experiment": elsewhere.pk}, "belongs to another project"),
        ([], {"baseline": "experiment", "baseline_experiment": Experiment.objects.get(name="wide").pk}, "A cycle"),
    ):
        page = post(browser, claim, *rows, **changes)
        assert page.status_code == 200, said
        assert said in page.content.decode()
    claim.refresh_from_db()
    assert (claim.baseline, claim.targets.get().metric, claim.targets.get().smallest_effect) == ("root", accuracy, 0.01)


def test_a_hypothesis_is_stated_here_with_its_targets(browser, project, accuracy, operator):
    sent = {"project": project.pk, "title": "new", "require": "all", "baseline": "root", **targets((None, accuracy, 0.5), known=0)}
    page = browser.post(f"{TABLE}add/", sent)
    assert page.status_code == 302
    made = Hypothesis.objects.get()
    assert (made.title, made.slug, made.created_by, made.targets.get().smallest_effect) == ("new", "new", operator, 0.5)
    assert [event.kind for event in made.events.all()] == ["created"]
    assert browser.post(f"{TABLE}add/", sent | targets(known=0)).status_code == 200
    assert Hypothesis.objects.count() == 1


def test_verdict_links_and_history_cannot_be_written(browser, claim):
    run = claim.links.get()
    forged = {"status": "supported", "score": "1", "epoch": "9", "slug": "x", "links-0-id": run.pk, "links-0-is_post_hoc": "on", "links-TOTAL_FORMS": 1}
    post(browser, claim, **forged)
    claim.refresh_from_db()
    run.refresh_from_db()
    assert (claim.status, claim.score, claim.epoch, claim.slug, run.is_post_hoc) == ("testing", None, 1, "wider-is-better", False)
    for table, row in (("link", run), ("hypothesisevent", claim.events.first())):
        assert browser.get(f"/admin/hypotheses/{table}/add/").status_code == 403
        assert browser.post(f"/admin/hypotheses/{table}/{row.pk}/change/", {"reason": "x"}).status_code == 403
        assert browser.post(f"/admin/hypotheses/{table}/{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_selected_ones_are_judged_again_or_deleted(browser, claim):
    Hypothesis.objects.update(wanted_at=None)
    browser.post(TABLE, {"action": "judge_again", "_selected_action": [claim.pk]})
    assert Hypothesis.objects.get().wanted_at is not None
    browser.post(TABLE, {"action": "delete_selected", "_selected_action": [claim.pk], "post": "yes"})
    assert not Hypothesis.objects.exists()
    assert not Link.objects.exists()
    assert Experiment.objects.count() == 2


def test_a_long_table_costs_the_same_questions_as_a_short_one(browser, project, django_assert_max_num_queries):
    Hypothesis.objects.bulk_create(Hypothesis(project=project, title=f"c{n}", slug=f"c{n}") for n in range(200))
    with django_assert_max_num_queries(8):
        page = browser.get(TABLE)
    assert page.content.count(b'name="_selected_action"') == 50
