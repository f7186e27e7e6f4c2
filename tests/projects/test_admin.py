import pytest
from django.test import Client

from accounts.models import User
from projects.models import Project, ProjectMetric, SavedView

pytestmark = pytest.mark.differs_on_servers("search and lists of the admin are queries that each database answers in its own way")


@pytest.fixture
def browser(browser_for) -> Client:
    return browser_for(User.objects.create_superuser("operator", password="long enough to pass"))


def test_long_tables_cost_the_same_queries_as_short_ones(browser, team, project, django_assert_max_num_queries):
    Project.objects.bulk_create(Project(team=team, name="p", slug=f"p{number}") for number in range(300))
    ProjectMetric.objects.bulk_create(ProjectMetric(project=project, name=f"m{number}") for number in range(300))
    SavedView.objects.bulk_create(SavedView(project=project, name=f"v{number}") for number in range(300))
    for table in ("project", "projectmetric", "savedview"):
        with django_assert_max_num_queries(8):
            assert browser.get(f"/admin/projects/{table}/").status_code == 200


def test_actions_archive_and_restore(browser, project):
    for action, archived in (("archive", True), ("restore", False)):
        browser.post("/admin/projects/project/", {"action": action, "_selected_action": [project.pk]})
        project.refresh_from_db()
        assert project.archived is archived


def test_a_project_stays_in_its_team(browser, project, carol):
    sent = {"name": "new", "slug": "digits", "team": carol.teams.get().pk}
    assert browser.post(f"/admin/projects/project/{project.pk}/change/", sent).status_code == 302
    before = project.team
    project.refresh_from_db()
    assert (project.name, project.team) == ("new", before)
