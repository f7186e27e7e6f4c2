import pytest
from django.db import IntegrityError, transaction

from accounts.access import Caller
from accounts.models import Membership, Role, Team
from config.errors import Conflict, NotFound
from projects.models import Direction, Project, ProjectMetric

pytestmark = pytest.mark.differs_on_servers("constraints and uniqueness are the database's")


def test_a_slug_is_unique_in_its_team_only(team):
    other = Team.objects.create(name="Other")
    slugs = [Project.objects.create(team=owner, name="Größe").slug for owner in (team, team, other)]
    assert slugs == ["größe", "größe-2", "größe"]


def test_a_project_is_found_by_uuid_and_by_slug(project, bob):
    visible = Project.objects.visible_to(Caller(bob))
    assert visible.named(str(project.pk)) == visible.named("digits") == project
    with pytest.raises(NotFound, match="POST /api/v1/projects"):
        visible.named("nowhere")


def test_a_slug_of_two_teams_is_a_conflict_for_who_sees_both(project, bob):
    other = Team.objects.create(name="Other")
    Membership.objects.create(team=other, user=bob, role=Role.VIEWER)
    second = Project.objects.create(team=other, name="digits")
    with pytest.raises(Conflict, match=str(second.pk)):
        Project.objects.visible_to(Caller(bob)).named("digits")


def test_strangers_see_no_project(project, carol):
    assert not Project.objects.visible_to(Caller(carol)).exists()


def test_a_metric_is_defined_once_in_a_project(project):
    ProjectMetric.objects.create(project=project, name="loss")
    with pytest.raises(IntegrityError), transaction.atomic():
        ProjectMetric.objects.create(project=project, name="loss")


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("loss", "minimize"),
        ("val/cross_entropy_loss", "minimize"),
        ("valLoss", "minimize"),
        ("accuracy", "maximize"),
        ("eval/acc@5", "maximize"),
        ("lr", ""),
        ("", ""),
    ],
)
def test_a_name_suggests_which_way_is_better(name, direction):
    assert Direction.suggested(name) == direction
