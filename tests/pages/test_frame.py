from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, Membership, Role, Team
from experiments.models import Experiment
from experiments.notation.numerals import decimals_of, number
from experiments.stalled import is_stalled
from experiments.templatetags.readings import ago, ahead, delta, duration
from projects.models import Project, ProjectMetric
from tests.conftest import PASSWORD

SIGN_IN = "/sign-in"
EVENT_ATTRIBUTE = re.compile(r"<[^>]+\s(on[a-z]+|style)=", re.IGNORECASE)


def page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, response.content[:500]
    return response.content.decode()


@pytest.mark.django_db
def test_a_stranger_to_the_server_is_sent_to_sign_in_and_back():
    answer = Client().get("/projects/a/b/?q=x")
    assert answer.status_code == 302
    assert answer["Location"] == "/sign-in?next=/projects/a/b/%3Fq%3Dx"


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("/teams/{team}/invitations", "/teams/{team}/"),
        ("/teams/{team}/members/1/role", "/teams/{team}/"),
        ("/account/profile", "/account"),
        ("/account/tokens/00000000-0000-4000-8000-000000000000/narrow", "/account"),
        ("/projects/{team}/digits/metrics/suggestions", "/projects/{team}/digits/metrics/"),
        ("/alerts/1/silence", "/alerts/"),
    ],
)
def test_who_opens_the_address_of_a_form_is_led_to_its_page(browser_for, alice, team, project, address, page):
    address, page = address.format(team=team.slug), page.format(team=team.slug)
    assert browser_for(alice).get(address, follow=True).redirect_chain[-1] == (page, 302)
    entered = Client().post(SIGN_IN, {"username": "alice", "password": PASSWORD, "next": address}, follow=True)
    assert entered.redirect_chain[-1] == (page, 302)


def test_another_verb_is_told_on_a_page_and_to_a_script_in_its_own_words(browser_for, alice):
    refused = browser_for(alice).put("/account")
    assert (refused.status_code, refused["Allow"], "Nothing takes PUT" in refused.content.decode()) == (405, "GET, HEAD", True)
    assert browser_for(alice).put("/api/v1/teams", content_type="application/json").json()["error"]["code"] == "method_not_allowed"


def test_who_is_signed_out_is_offered_to_sign_in_where_nothing_is(db):
    assert 'class="btn primary" href="/sign-in"' in Client().get("/nowhere").content.decode()


@pytest.mark.differs_on_servers("names are compared by the database")
@pytest.mark.parametrize("name", ["alice", "alice@example.com", "ALICE@example.com"])
def test_one_signs_in_with_username_or_address_and_goes_where_one_wanted(alice, name):
    answer = Client().post(SIGN_IN, {"username": name, "password": PASSWORD, "next": "/account"})
    assert (answer.status_code, answer["Location"]) == (302, "/account")


def test_a_wrong_password_is_said_without_saying_who_exists(alice):
    known = Client().post(SIGN_IN, {"username": "alice", "password": "wrong"}).content.decode()
    unknown = Client().post(SIGN_IN, {"username": "nobody", "password": "wrong"}).content.decode()
    assert "Name and password do not fit together" in known
    assert "Name and password do not fit together" in unknown


def test_sign_in_sends_nobody_to_another_site(alice):
    answer = Client().post(SIGN_IN, {"username": "alice", "password": PASSWORD, "next": "https://evil.example/"})
    assert answer["Location"] == "/"


@pytest.mark.differs_on_servers("sessions are in the record")
def test_signing_out_takes_a_post_and_ends_the_session(browser_for, alice):
    browser = browser_for(alice)
    assert browser.get("/sign-out")["Location"] == "/"
    assert browser.get("/account").status_code == 200
    assert browser.post("/sign-out").status_code == 302
    assert browser.get("/account").status_code == 302


def test_a_token_is_shown_once_with_lines_that_log_a_point(browser_for, alice, team):
    browser = browser_for(alice)
    made = browser.post("/account/tokens", {"name": "gpu7", "reach": team.pk})
    secret = re.search(r"rp_[\w-]{20,}", made.content.decode()).group()
    assert ApiToken.objects.usable(at=timezone.now()).get(digest=ApiToken.hashed(secret)).user == alice
    assert "import</span> research_platform" in made.content.decode()
    assert "no-store" in made["Cache-Control"]
    assert secret not in page(browser, "/account")


def test_a_token_ends_on_the_day_that_was_given(browser_for, alice, team):
    browser, today = browser_for(alice), timezone.now().date()
    assert browser.post("/account/tokens", {"name": "a", "reach": team.pk, "expires_on": str(today - timedelta(days=1))}).status_code == 422
    browser.post("/account/tokens", {"name": "b", "reach": team.pk, "expires_on": str(today + timedelta(days=1))})
    assert ApiToken.objects.get().expires_at.date() == today + timedelta(days=1)


def test_nobody_makes_a_token_for_a_team_of_others(browser_for, alice, carol):
    theirs = Team.objects.get(members=carol)
    assert browser_for(alice).post("/account/tokens", {"name": "x", "reach": theirs.pk}).status_code == 422
    assert not ApiToken.objects.exists()


def test_one_revokes_ones_own_token_and_no_other(browser_for, alice, bob, team):
    token, _ = ApiToken.issue(user=alice, team=team, name="gpu7")
    assert browser_for(bob).post(f"/account/tokens/{token.pk}/revoke").status_code == 404
    browser_for(alice).post(f"/account/tokens/{token.pk}/revoke")
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_the_account_page_names_teams_and_roles(browser_for, bob):
    text = page(browser_for(bob), "/account")
    assert "Vision team" in text
    assert "Viewer" in text


def test_no_page_holds_inline_script_style_or_handlers(browser_for, alice, experiment):
    ProjectMetric.objects.create(project=experiment.project, name="loss")
    browser, base = browser_for(alice), "/projects/vision-team/digits/"
    own = f"{base}experiments/{experiment.slug}/"
    for path in (
        "/",
        "/account",
        "/search?q=a",
        "/projects/new",
        base,
        f"{base}metrics/",
        f"{base}edit",
        f"{base}new-experiment",
        f"{own}edit",
        f"{own}delete",
    ):
        text = page(browser, path)
        assert not EVENT_ATTRIBUTE.search(text), (path, EVENT_ATTRIBUTE.search(text))
        assert "<style" not in text
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))


def test_every_page_carries_the_policy_and_htmx_without_eval(browser_for, alice):
    answer = browser_for(alice).get("/")
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    config = json.loads(re.search(r"name=\"htmx-config\" content='([^']+)'", answer.content.decode()).group(1))
    assert (config["allowEval"], config["includeIndicatorStyles"]) == (False, False)


def test_a_name_that_looks_like_markup_is_only_text(browser_for, alice, team):
    project = Project.objects.create(team=team, name="<script>alert(1)</script>", description="<b>bold</b>")
    Experiment.objects.create(project=project, name='"><img src=x onerror=alert(1)>', params={"<i>": "</td><script>"})
    browser = browser_for(alice)
    for path in ("/", f"/projects/{team.slug}/{project.slug}/", "/search?q=%3Cscript%3E"):
        text = page(browser, path)
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "<b>bold" not in text


def test_an_error_page_says_what_happened_and_where_to_go(browser_for, alice):
    answer = browser_for(alice).get("/projects/vision-team/nothing/")
    assert answer.status_code == 404
    assert b"There is no project" in answer.content
    assert b'href="/"' in answer.content


@pytest.mark.differs_on_servers("words are found by the database")
def test_search_finds_by_part_of_a_name_in_ones_own_teams_only(browser_for, alice, carol, experiment):
    ProjectMetric.objects.create(project=experiment.project, name="val/baseline_gap")
    Experiment.objects.create(project=Project.objects.create(team=Team.objects.get(members=carol), name="secret"), name="baseline of others")
    text = page(browser_for(alice), "/search?q=BASE")
    assert "val/baseline_gap" in text
    assert "/experiments/baseline/" in text
    assert "baseline of others" not in text
    assert "Nothing is called" in page(browser_for(alice), "/search?q=zzz")
    assert "Type a part of a name" in page(browser_for(alice), "/search?q=%00")


def test_a_user_without_a_team_is_told_what_to_do(browser_for, django_user_model):
    loner = django_user_model.objects.create_user("loner")
    assert "You are in no team yet" in page(browser_for(loner), "/")
    assert browser_for(loner).get("/projects/new").status_code == 403


def test_a_part_for_somebody_who_is_signed_out_is_a_refusal_and_no_sign_in_page(client):
    answer = client.get("/account", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.content) == (401, b"")
    assert client.get("/account", headers={"HX-Request": "true", "HX-Boosted": "true"}).status_code == 302


def test_the_header_names_the_one_team_or_counts_them(browser_for, alice):
    assert "Vision team" in page(browser_for(alice), "/")
    Membership.objects.create(user=alice, team=Team.objects.create(name="Second"), role=Role.VIEWER)
    assert "2 teams" in page(browser_for(alice), "/")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.96294, "0.9629"),
        (0.0193, "0.01930"),
        (0.0, "0"),
        (-0.0115, "−0.01150"),
        (1234.5, "1234"),
        (123456.7, "123\u202f457"),
        (1.2e-7, "1.2e-7"),
        (3e12, "3e12"),
        (float("nan"), "NaN"),
        (float("-inf"), "−Infinity"),
        (None, "–"),
        (12_346, "12\u202f346"),
    ],
)
def test_a_number_has_four_significant_digits(value, shown):
    assert number(value) == shown


def test_a_column_shares_its_decimals_but_hides_no_value():
    assert decimals_of([0.0412, 0.00412, 0.1643, None, float("nan")]) == 5
    assert decimals_of([None, float("inf")]) is None
    assert (number(0.00179, 5), number(0.0601, 5), number(2.0, 4)) == ("0.00179", "0.06010", "2.0000")
    assert number(0.000012, 2) == "1.2e-5"


@pytest.mark.parametrize(
    ("change", "direction", "verdict", "arrow"),
    [
        (0.1, "maximize", "better", "up"),
        (0.1, "minimize", "worse", "up"),
        (-0.1, "minimize", "better", "down"),
        (-1.0, "", "same", "down"),
        (0.0, "minimize", "same", "flat"),
    ],
)
def test_a_change_shows_where_it_went_and_whether_that_is_better(change, direction, verdict, arrow):
    text = delta(change, direction)
    assert f'class="delta {verdict}"' in text
    assert f'href="#{arrow}"' in text


@pytest.mark.parametrize(("seconds", "shown"), [(0.25, "250 ms"), (43, "43 s"), (65, "1 min 5 s"), (3600, "1 h"), (90_000, "1 d 1 h"), (None, "–")])
def test_a_duration_is_read_in_two_units(seconds, shown):
    assert duration(seconds) == shown


def test_how_long_ago_is_said_in_the_largest_unit():
    assert "3 min ago" in ago(timezone.now() - timedelta(seconds=190))
    assert ago(None) == "–"


@pytest.mark.parametrize(
    ("left", "said"),
    [(timedelta(days=7, minutes=-2), "in 7 d"), (timedelta(days=5, hours=3), "in 5 d"), (timedelta(hours=23), "in 23 h"), (timedelta(seconds=20), "in 1 min")],
)
def test_how_long_something_still_holds_does_not_jump_a_minute_after_it_was_made(left, said):
    assert f">{said}<" in ahead(timezone.now() + left)


def test_a_running_experiment_is_stalled_once_it_is_silent_for_ten_minutes(experiment):
    now = timezone.now()
    assert not is_stalled(experiment, at=now + timedelta(minutes=9))
    assert is_stalled(experiment, at=now + timedelta(minutes=11))
    experiment.heartbeat_at = now + timedelta(minutes=5)
    assert not is_stalled(experiment, at=now + timedelta(minutes=11))
    experiment.status = "complete"
    assert not is_stalled(experiment, at=now + timedelta(hours=9))
