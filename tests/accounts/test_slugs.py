"""What a name becomes in an address, and who is meant by a word that may be a name or a slug."""

import pytest

from accounts.access import Caller
from accounts.models import Membership, Role, Team
from accounts.services import team_named
from accounts.slugs import about_slug, base_slug
from config.errors import Conflict, NotFound
from experiments.models import Experiment
from hypotheses.models import Hypothesis
from projects.models import Project

pytestmark = pytest.mark.differs_on_servers("text is compared, and uniqueness kept, by the database")


@pytest.mark.parametrize(
    ("name", "slug", "is_whole"),
    [
        ("resnet-v1.1", "resnet-v1-1", True),
        ("org/llm", "org-llm", True),
        ("lr = 3e-4", "lr-3e-4", True),
        ("Größe & Tiefe", "größe-tiefe", True),
        ("学習率 v2", "学習率-v2", True),
        ("snake_case_", "snake_case_", True),
        ("C", "c", True),
        ("C++", "c", False),
        ("C#", "c", False),
        (".hidden", "hidden", False),
        ("a++b", "a-b", False),
        ("-x", "x", False),
        ("???", "project", True),
        ("12345678-1234-5678-1234-567812345678", "project-12345678-1234-5678-1234-567812345678", True),
    ],
)
def test_what_a_slug_cannot_hold_becomes_a_dash_and_what_is_lost_is_known(name, slug, is_whole):
    assert base_slug(name, "project") == (slug, is_whole)


def test_names_that_lose_a_character_never_get_the_slug_of_another_name(team):
    slugs = {name: Project.objects.create(team=team, name=name).slug for name in ("C++", "C#", "c", "C", "resnet-v1.1", "resnet-v11", "org/llm", "orgllm")}
    assert slugs == {
        "C++": "c-2",
        "C#": "c-3",
        "c": "c",
        "C": "c-4",
        "resnet-v1.1": "resnet-v1-1",
        "resnet-v11": "resnet-v11",
        "org/llm": "org-llm",
        "orgllm": "orgllm",
    }
    assert {name: team.projects.named(name).slug for name in slugs} == slugs
    assert all(team.projects.named(slug).slug == slug for slug in slugs.values())


@pytest.mark.parametrize("name", ["C++", "C#", "resnet-v1.1", "Größe"])
def test_teams_experiments_and_hypotheses_are_found_by_name_too(project, alice, name):
    for kind in (Experiment, Hypothesis):
        word = "title" if kind is Hypothesis else "name"
        made = kind.objects.create(project=project, **{word: name})
        assert kind.objects.filter(project=project).named(name) == kind.objects.filter(project=project).named(made.slug) == made
    team = Team.objects.create(name=name)
    Membership.objects.create(team=team, user=alice, role=Role.EDITOR)
    for reference in (name, team.slug, str(team.pk)):
        assert team_named(Caller(alice), reference) == team


def test_an_exact_name_comes_before_a_slug_among_projects(team):
    first, second = (Project.objects.create(team=team, name=name) for name in ("C", "c"))
    assert (first.slug, second.slug) == ("c", "c-2")
    assert [team.projects.named(word) for word in ("C", "c", "c-2", str(first.pk))] == [first, second, second, first]
    assert team.projects.addressed("c") == first, "a page's address is a slug"


def test_a_new_slug_is_never_the_name_of_another_project(team):
    old = Project.objects.create(team=team, name="org-llm", slug="renamed")
    new = Project.objects.create(team=team, name="org/llm")
    assert new.slug == "org-llm-2"
    assert [team.projects.named(word) for word in ("org-llm", "renamed", "org/llm", "org-llm-2")] == [old, old, new, new]


def test_a_project_with_a_slug_from_before_is_found_by_it_and_by_its_name(team):
    old = Project.objects.create(team=team, name="resnet-v1.1", slug="resnet-v11")
    assert team.projects.named("resnet-v11") == team.projects.named("resnet-v1.1") == old
    with pytest.raises(NotFound):
        team.projects.named("resnet-v1-1")


def test_several_projects_of_a_name_are_told_apart_by_the_slug_or_by_the_uuid(team):
    first, second = (Project.objects.create(team=team, name="digits") for _ in range(2))
    assert team.projects.named("digits") == first
    assert team.projects.named("digits-2") == second
    Project.objects.filter(pk__in=[first.pk, second.pk]).update(name="Digits")
    with pytest.raises(Conflict) as refusal:
        team.projects.named("Digits")
    assert str(first.pk) in str(refusal.value)
    assert str(second.pk) in str(refusal.value)


@pytest.mark.parametrize("kind", [Experiment, Hypothesis])
def test_a_run_of_the_name_of_anothers_slug_draws_nothing_away(project, kind):
    word = "title" if kind is Hypothesis else "name"
    first, second, third = (kind.objects.create(project=project, **{word: name}) for name in ("C", "c", "C"))
    rows = kind.objects.filter(project=project)
    assert [rows.named(slug) for slug in ("c", "c-2", "c-3")] == [first, second, third]
    with pytest.raises(Conflict, match=f"{first.pk} or {third.pk}"):
        rows.named("C")


@pytest.mark.parametrize("reference", ["  Größe  ", "Gro\u0308ße", "\u00a0Größe"])
def test_who_asks_spells_a_name_as_it_likes(project, reference):
    made = Experiment.objects.create(project=project, name="Größe")
    assert project.experiments.named(reference) == made
    Project.objects.filter(pk=project.pk).update(name="Größe")
    assert Project.objects.named(reference) == project


@pytest.mark.parametrize("name", [" Größe", "Gro\u0308ße", "Grö\u200bße"])
def test_a_name_from_before_names_were_tidied_is_found_as_it_is(project, name):
    new, old = (Experiment.objects.create(project=project, name=one) for one in ("Größe", name))
    assert project.experiments.named(name) == old
    assert project.experiments.named("Größe") == new


def test_an_answer_says_why_a_slug_is_not_what_the_name_gives():
    assert about_slug("resnet-v1.1", "resnet-v1-1", field="name") == []
    for name, slug in (("C++", "c-2"), ("???", "project"), ("12345678-1234-5678-1234-567812345678", "project-12345678-1234-5678-1234-567812345678")):
        assert f"No slug can be the whole of {name!r}: the slug is {slug}." in about_slug(name, slug, field="name")[0]["message"]
    assert "slug c is taken: the slug is c-2" in about_slug("c", "c-2", field="project")[0]["message"]
