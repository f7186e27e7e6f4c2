import csv
import io

import pytest
from django.utils import timezone

from accounts.audit.recording import Subject, record
from accounts.models import AuditEntry, Membership
from accounts.teams import lines
from projects.models import Project

pytestmark = pytest.mark.differs_on_servers("which lines somebody may read is a query that each database answers in its own way")


@pytest.fixture
def theirs(carol) -> Project:
    return Project.objects.create(team=Membership.objects.get(user=carol).team, name="theirs-alone")


def test_an_admin_reads_the_lines_of_the_own_team_alone(browser_for, alice, team, project, theirs):
    record("project.archived", on=project, by=alice)
    record("project.archived", on=theirs)
    page = browser_for(alice).get(f"/teams/{team.slug}/audit").content.decode()
    assert "digits" in page
    assert "theirs-alone" not in page
    rows = browser_for(alice).get("/api/v1/audit").json()["results"]
    assert "digits" in {row["on_name"] for row in rows}
    assert "theirs-alone" not in {row["on_name"] for row in rows}


@pytest.mark.parametrize("who", ["erin", "bob"])
def test_members_who_are_no_admins_read_none(browser_for, erin, bob, alice, team, project, who):
    record("project.archived", on=project, by=alice)
    browser = browser_for({"erin": erin, "bob": bob}[who])
    assert browser.get(f"/teams/{team.slug}/audit").status_code == 403
    assert browser.get("/api/v1/audit").json()["count"] == 0


def test_an_operator_reads_all(browser_for, operator, project, theirs):
    record("project.archived", on=project)
    record("project.archived", on=theirs)
    page = browser_for(operator).get("/audit").content.decode()
    assert "digits" in page
    assert "theirs-alone" in page
    assert browser_for(operator).get("/api/v1/audit?kind=record").json()["count"] == 2


def test_an_admin_reads_sign_ins_of_members_from_when_they_joined(alice, team, carol):
    record("sign_in.done", on=carol, by=carol, details={"way": "on a page"})
    Membership.objects.create(team=team, user=carol, created_at=timezone.now())
    record("sign_in.failed", on=carol)
    assert [line.act for line in lines.of_team(team).filter(about_id=carol.pk)] == ["sign_in.failed"]


def test_a_line_of_an_older_day_tells_the_hour_too(browser_for, alice, team, project):
    record("project.archived", on=project, by=alice)
    at = AuditEntry.objects.get(act="project.archived").at
    assert f">{at:%Y-%m-%d %H:%M} UTC</time>" in browser_for(alice).get(f"/teams/{team.slug}/audit").content.decode()


def test_lines_about_nobody_and_no_team_are_the_operators(alice, team):
    record("sign_in.failed", on=Subject("user", "nobody"))
    assert not lines.of_team(team).exists()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("by=alice", 1),
        ("by=erin", 1),
        ("kind=exports", 1),
        ("kind=record", 1),
        ("since=2200-01-01", 0),
        ("until=1970-01-01", 0),
        ("until=9999-12-31", 2),
        ("since=nonsense", 2),
    ],
)
def test_lines_are_narrowed_by_who_kind_and_day(browser_for, alice, erin, team, project, query, found):
    record("project.archived", on=project, by=alice)
    record("export.made", on=project, by=erin, details={"what": "the table"})
    AuditEntry.objects.filter(act__startswith="sign_in").delete()
    browser = browser_for(alice)
    AuditEntry.objects.filter(act__startswith="sign_in").delete()
    page = browser.get(f"/teams/{team.slug}/audit?{query}").context["page"]
    assert page.paginator.count == found


def test_the_csv_holds_what_the_page_shows_and_runs_nothing(browser_for, alice, team):
    mean = Project.objects.create(team=team, name="=cmd()")
    record("project.made", on=mean, by=alice)
    answer = browser_for(alice).get(f"/teams/{team.slug}/audit?format=csv&kind=record")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [(row["who"], row["act"], row["on_name"]) for row in rows] == [("alice", "project.made", "'=cmd()")]
    assert "no-store" in answer["Cache-Control"]
    assert browser_for(alice).get(f"/teams/{team.slug}/audit?format=xls").status_code == 422


def test_pages_of_lines_follow_each_other(browser_for, alice, team, project, monkeypatch):
    monkeypatch.setattr(lines, "SHOWN", 2)
    for _ in range(3):
        record("project.archived", on=project, by=alice)
    page = browser_for(alice).get(f"/teams/{team.slug}/audit?kind=record")
    assert "page=2" in page.content.decode()
    assert len(browser_for(alice).get(f"/teams/{team.slug}/audit?kind=record&page=2").context["page"].object_list) == 1


def test_the_api_narrows_by_team_act_and_time(api_for, alice, team, project):
    record("project.archived", on=project, by=alice)
    client = api_for(alice)
    assert client.get(f"/api/v1/audit?team={team.slug}&act=project.archived&since=2020-01-01T00:00:00Z").json()["count"] == 1
    assert client.get("/api/v1/audit?act=project.painted").status_code == 422
    assert client.get("/api/v1/audit?team=strangers").status_code == 404
    for time in ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"):
        assert client.get(f"/api/v1/audit?since={time}").status_code in (200, 422)
