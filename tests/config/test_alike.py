"""What people see hangs on no database: SQLite and PostgreSQL order, find and keep alike. Each test runs on both (TEST_FORM=server)."""

from __future__ import annotations

import math
from urllib.parse import quote

import pytest

from accounts.access import Caller
from config.databases.sqlite.base import like
from experiments.models import Experiment
from projects.models import Project, ProjectMetric
from projects.searching import search
from tests.security.matrix import ROUTES

pytestmark = pytest.mark.differs_on_servers("order, case and JSON are the database's: held alike here")
TABLE = "/projects/vision-team/digits/"


def test_text_is_ordered_by_code_point(api_for, alice, team):
    for name in ("beta", "Zeta", "alpha", "Äpfel", "_x", "10", "9"):
        Project.objects.create(team=team, name=name)
    rows = api_for(alice).get("/api/v1/projects?ordering=name").json()["results"]
    assert [row["name"] for row in rows] == ["10", "9", "Zeta", "_x", "alpha", "beta", "Äpfel"]


@pytest.mark.parametrize("asked", ["größe", "GRÖßE", "Größe", "ÖSS", "öß", "ΔΕΛΤΑ", "дельта", "50%", "a_b", "c:\\d", "%", "_b"])
def test_text_is_found_whatever_the_case_of_its_letters_and_as_it_stands(project, asked):
    names = ["Größe", "grösse", "δελτα", "Дельта", "50% dropout", "a_b", "axb", "c:\\d"]
    for name in names:
        Experiment.objects.create(project=project, name=name)
    found = set(Experiment.objects.filter(name__icontains=asked).values_list("name", flat=True))
    assert found == {name for name in names if asked.lower() in name.lower()}


def test_the_search_page_and_the_table_find_letters_of_other_alphabets(browser_for, alice, project):
    Experiment.objects.create(project=project, name="ein Versuch", notes="Δ größer", params={"Название": "ГЛУБОКО", "lr": 1e-05})
    ProjectMetric.objects.create(project=project, name="Präzision")
    browser = browser_for(alice)
    assert "Präzision" in browser.get("/search?q=PRÄZ").content.decode()
    for asked in ("GRÖßER", "δ", "1e-05", "ГЛУБОКО", "Название"):
        assert "ein Versuch" in browser.get(f"{TABLE}?q={quote(asked)}").content.decode(), asked


def test_params_come_back_as_they_were_sent(api_for, alice, project):
    params = {"zeta": 1, "a": 1e20, "learning_rate": 1e-05, "B": -0.0, "deep": {"y": 2.0, "x": [1.50, True, None]}, "ä": "ü", "long": 10**25}
    made = api_for(alice).post("/api/v1/experiments", {"project": "digits", "name": "kept", "params": params}, content_type="application/json").json()
    kept = Experiment.objects.get(pk=made["id"]).params
    assert list(kept) == list(params)
    assert list(kept["deep"]) == ["y", "x"]
    assert repr(kept) == repr(params)
    assert math.copysign(1, kept["B"]) == -1


def test_the_replicate_key_of_a_root_stays_when_its_row_is_read_and_saved_again(project):
    experiment = Experiment.objects.create(project=project, name="root", params={"b": 1e22, "a": -0.0, "c": 1e-9})
    before = experiment.replicate_key
    again = Experiment.objects.get(pk=experiment.pk)
    again.save()
    assert again.replicate_key == before


def test_none_comes_last_whichever_way_a_table_is_sorted(browser_for, alice, project):
    for name, seed in (("one", 1), ("none", None), ("two", 2)):
        Experiment.objects.create(project=project, name=name, seed=seed)
    for sort, expected in (("seed", ["one", "two", "none"]), ("-seed", ["two", "one", "none"])):
        page = browser_for(alice).get(f"{TABLE}?sort={sort}").content.decode()
        places = [page.index(f">{name}<") for name in expected]
        assert places == sorted(places), sort


def test_a_search_finds_no_more_than_it_should(alice, project):
    Experiment.objects.create(project=project, name="abc")
    assert search(Caller(alice), "B").count == 1
    assert [search(Caller(alice), text).count for text in ("a_c", "%")] == [0, 0]


@pytest.mark.parametrize("character", ["\x00", "\ud800", "\U0010ffff", "'", "%", "\\"])
def test_no_character_in_an_address_breaks_a_page(browser_for, api_for, alice, project, experiment, store, character):
    word = quote(character.encode("utf-8", "surrogatepass"))
    sessions = (browser_for(alice), api_for(alice))
    pages = [route for route, verbs in ROUTES.items() if "GET" in verbs and "<str" in route]
    assert len(pages) > 10
    broken = {}
    for route in pages:
        client = sessions[route.startswith("api/")]
        first, *rest = route.split("<")
        address = "/" + first + "".join(word + part.partition(">")[2] for part in rest)
        for asked in (
            address,
            f"{TABLE}?q={word}&tag={word}&sort={word}&columns={word}",
            f"/search?q={word}",
            f"/api/v1/experiments?search={word}&tag={word}&ordering={word}",
        ):
            status = client.get(asked).status_code
            if status >= 500:
                broken[asked] = status
    assert broken == {}


def test_a_cookie_with_a_nul_is_no_session(client, db):
    client.cookies["sessionid"] = "abcdefgh\x00"
    assert client.get("/").status_code in (302, 400)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("%B%", "abc", True),
        ("a_c", "ABC", True),
        ("a\\_c", "abc", False),
        ("a\\%", "A%", True),
        ("%", "", True),
        ("a%", "ba", False),
        ("", "", True),
        ("%a.c%", "abc", False),
    ],
)
def test_like_means_what_it_does_in_sql(pattern, text, fits):
    assert like(pattern, text, "\\") is fits
    assert like(None, text) is None
    assert like(pattern, None) is None
