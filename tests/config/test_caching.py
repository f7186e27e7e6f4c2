"""What may be kept of an answer, and by whom."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/sign-in", "/account", "/admin/login/"])
def test_pages_with_passwords_and_tokens_are_kept_by_nobody(browser_for, alice, path):
    assert "no-store" in browser_for(alice).get(path)["Cache-Control"]


def test_answers_with_jwts_and_tokens_are_kept_by_nobody(client, api_for, alice):
    from tests.conftest import PASSWORD

    answer = client.post("/api/v1/auth/token", {"username": alice.username, "password": PASSWORD}, content_type="application/json")
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert "no-store" in api_for(alice).get("/api/v1/tokens")["Cache-Control"]


@pytest.mark.parametrize("path", ["/", "/api/v1/projects"])
def test_what_did_not_change_is_not_sent_again_and_no_proxy_keeps_it(browser_for, alice, experiment, path):
    browser = browser_for(alice)
    first = browser.get(path)
    assert first["Cache-Control"] == "private, no-cache"
    again = browser.get(path, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    experiment.project.name = "another name"
    experiment.project.save()
    assert browser.get(path, headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_a_page_with_a_form_is_the_same_page_until_its_cookie_changes(browser_for, alice, experiment):
    browser, path = browser_for(alice), "/projects/new"
    first = browser.get(path)
    assert b"csrfmiddlewaretoken" in first.content
    second = browser.get(path)
    assert browser.get(path, headers={"If-None-Match": second["ETag"]}).status_code == 304
    assert second.content != first.content
    browser.cookies["csrftoken"] = "b" * 32
    assert browser.get(path, headers={"If-None-Match": second["ETag"]}).status_code == 200


def test_the_part_that_htmx_gets_is_not_kept_for_the_page(browser_for, alice):
    assert "HX-Request" in browser_for(alice).get("/")["Vary"]
