"""A page goes on without the words of its address that it does not know, and says which those were."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from config.web.ignored import ignored
from tests.pages.test_query_counts import World

pytestmark = pytest.mark.differs_on_servers("pages ask the record and the metric store")
PROJECT = "/projects/vision-team/digits/"
PAGES = ["", "compare?e=run-0,run-1", "compare", "lineage", "hypotheses/", "explore", "alerts/", "experiments/run-0/", "metrics/"]
FORMS = ["edit", "new-experiment", "experiments/run-0/edit"]
SAID = "Ignored in the address"


@pytest.fixture
def browser(store: Any, project: Any, alice: Any, browser_for: Any) -> Client:
    World(store, project, alice).grow(3)
    signed_in: Client = browser_for(alice)
    return signed_in


def test_words_that_are_known_are_not_told():
    assert ignored(["q", "sort"], ("q", "sort", "status")) == ""


def test_a_word_is_told_with_the_nearest_that_there_is():
    assert ignored(["stauts", "q", "xyzzy"], ("q", "status")) == "Ignored in the address: stauts= (did you mean status=?), xyzzy=."


def test_many_words_are_counted():
    assert ignored([f"w{number}" for number in range(7)], ()).endswith("w4=, and 2 more.")


@pytest.mark.parametrize("path", [*PAGES, *FORMS, "/alerts/", "/", "/search", "/projects/new"])
def test_a_page_says_which_words_of_its_address_it_ignored(browser: Client, path: str):
    address = path if path.startswith("/") else PROJECT + path
    assert SAID not in browser.get(address).content.decode()
    answer = browser.get(f"{address}{'&' if '?' in address else '?'}<b>xyzzy=1")
    assert answer.status_code == 200
    assert f"{SAID}: &lt;b&gt;xyzzy=." in answer.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_no_link_and_no_form_of_a_page_leads_to_words_that_are_ignored(browser: Client, path: str):
    found = browser.get(PROJECT + path).content.decode()
    links = {unescape(link) for link in re.findall(r'href="([^"#]*\?[^"#]*)"', found) if "/api/" not in link and "format=" not in link}
    followed = {link if link.startswith("/") else PROJECT + path.partition("?")[0] + link for link in links}
    for form, fields in re.findall(r"<form([^>]*)>(.*?)</form>", found, re.DOTALL):
        if "post" in form or "data-add-axis" in form:  # the second is the script's alone
            continue
        action = re.search(r'action="([^"]*)"', form)
        own = [tag for tag in re.findall(r"<[^>]+>", fields) if ' form="' not in tag and "formaction" not in tag]
        names = {name for tag in own for name in re.findall(r' name="([^"]+)"', tag)}
        followed.add((unescape(action[1]) if action else PROJECT + path.partition("?")[0]) + "?" + "&".join(f"{name}=" for name in sorted(names)))
    told = {}
    for link in sorted(followed):
        answer = browser.get(link, follow=True)
        if SAID in answer.content.decode():
            told[link] = re.search(SAID + "[^<]*", answer.content.decode())[0]  # type: ignore[index]  # it is there
    assert told == {}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("?status=runing", "status=runing (did you mean status=running?)"),
        ("?sort=foo", "sort=foo"),
        ("?sort=-creatd,name", "sort=creatd (did you mean sort=created?)"),
        ("?columns=zz&columns=status", "columns=zz"),
        ("?page=abc", "page=abc"),
        ("?page=999", "page=999"),
        ("hypotheses/?page=abc", "page=abc"),
        ("?columns=param:lrr", "columns=param:lrr (did you mean columns=param:lr?)"),
        ("hypotheses/?status=suported", "status=suported (did you mean status=supported?)"),
        ("explore?status=runing", "status=runing (did you mean status=running?)"),
        ("metrics/?page=999", "page=999"),
        ("compare?e=run-0,run-1&x=foo", "x=foo"),
        ("compare?e=run-0,run-1&base=nosuch", "base=nosuch"),
        ("compare?e=run-0,run-1&base=run-9", "base=run-9 (did you mean base=run-1?)"),
        ("compare?e=run-0,run-1&group=param:zz", "group=param:zz"),
        ("compare?e=run-0,run-1&group=sed", "group=sed (did you mean group=seed?)"),
        ("compare?e=run-0,run-1&hide=nosuch", "hide=nosuch"),
        ("compare?e=run-0,run-1&order=nosuch", "order=nosuch"),
        ("compare?e=run-0,run-1&smooth=abc", "smooth=abc"),
        ("compare?e=run-0,run-1&as=pie&band=<b>", "as=pie, band=&lt;b&gt;"),
        ("experiments/run-0/?x=tme", "x=tme (did you mean x=time?)"),
    ],
)
def test_a_page_says_which_values_of_its_address_it_ignored(browser: Client, asked: str, said: str):
    answer = browser.get(PROJECT + asked)
    assert answer.status_code == 200
    assert f"{SAID}: {said}." in answer.content.decode()


@pytest.mark.parametrize(
    "asked",
    [
        "?status=running&sort=-seed,name&columns=seed&columns=host&page=1",
        "?sort=param:lr&columns=param:lr&pin=param:lr",
        "compare?e=run-0,run-1&x=time&base=run-1&hide=run-1&group=seed&group=param:lr&smooth=0.5&as=dash&band=se&centre=median",
        "metrics/?page=1&q=",
    ],
)
def test_values_that_are_known_are_not_told(browser: Client, asked: str):
    assert SAID not in browser.get(PROJECT + asked).content.decode()
