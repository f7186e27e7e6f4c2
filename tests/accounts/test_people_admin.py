"""The admin obeys the rules of everywhere else: the last admin and the last operator stay, rights are forgotten, and what is done leaves a line."""

import re

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.db import OperationalError
from django.test import Client

from accounts.audit.admin_lines import Audited
from accounts.models import ApiToken, AuditEntry, Membership, Role, Team, User
from accounts.people import passwords
from config.web.admin_pages import ReadOnlyAdmin
from metrics.ingest.grants import GRANTS
from projects.models import ProjectMetric
from tests.conftest import PASSWORD

pytestmark = pytest.mark.differs_on_servers("the last of something is held by a lock of the database")
USERS, TEAMS, MEMBERSHIPS = "/admin/accounts/user/", "/admin/accounts/team/", "/admin/accounts/membership/"


@pytest.fixture
def root(browser_for, operator) -> Client:
    return browser_for(operator)


@pytest.fixture
def staff(browser_for, bob) -> Client:
    """Bob, who may do everything in the admin, and is no operator."""
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.all())
    return browser_for(bob)


def inline(team, *rows: dict, initial: int = 0) -> dict:
    sent = {"name": team.name, "slug": team.slug, "memberships-TOTAL_FORMS": len(rows), "memberships-INITIAL_FORMS": initial}
    for number, row in enumerate(rows):
        sent |= {f"memberships-{number}-{name}": value for name, value in ({"team": team.pk} | row).items()}
    return sent


def row(membership: Membership, **more) -> dict:
    return {"id": membership.pk, "user": membership.user_id, "role": membership.role} | more


def person(user: User, **more) -> dict:
    sent = {
        "username": user.username,
        "email": user.email,
        "memberships-TOTAL_FORMS": 0,
        "memberships-INITIAL_FORMS": 0,
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
    }
    flags = {name: "on" for name in ("is_active", "is_staff", "is_superuser") if getattr(user, name)}
    return {name: value for name, value in (sent | flags | more).items() if value is not None}


def acts() -> list[str]:
    return [line.act for line in AuditEntry.objects.order_by("pk") if not line.act.startswith("sign_in")]


def test_a_teams_last_admin_stays_in_the_inline_too(root, alice, team):
    held = Membership.objects.get(user=alice)
    for change in ({"role": "viewer"}, {"DELETE": "on"}):
        assert root.post(f"{TEAMS}{team.pk}/change/", inline(team, row(held, **change), initial=1)).status_code == 409
    assert Membership.objects.get(user=alice).role == Role.ADMIN


def test_an_admin_may_be_followed_by_another_in_one_go(root, alice, erin, team):
    first, second = Membership.objects.get(user=alice), Membership.objects.get(user=erin)
    answer = root.post(f"{TEAMS}{team.pk}/change/", inline(team, row(first, role="viewer"), row(second, role="admin"), initial=2))
    assert answer.status_code == 302
    assert dict(team.memberships.values_list("user__username", "role")) == {"alice": "viewer", "erin": "admin"}
    assert acts().count("member.role") == 2


def test_a_membership_that_becomes_somebody_elses_ends_the_tokens_of_the_first(root, alice, erin, carol, team, token_for):
    token_for(erin)
    held = Membership.objects.get(user=erin)
    sent = inline(team, row(Membership.objects.get(user=alice)), row(held, user=carol.pk), initial=2)
    assert root.post(f"{TEAMS}{team.pk}/change/", sent).status_code == 302
    assert sorted(team.memberships.values_list("user__username", flat=True)) == ["alice", "carol"]
    assert not ApiToken.objects.filter(user=erin, revoked_at=None).exists()


def test_memberships_on_their_own_page_obey_too(root, alice, bob, carol, team):
    held = Membership.objects.get(user=alice)
    assert root.post(f"{MEMBERSHIPS}{held.pk}/change/", {"role": "viewer"}).status_code == 409
    assert root.post(f"{MEMBERSHIPS}{held.pk}/delete/", {"post": "yes"}).status_code == 409
    assert root.post(f"{MEMBERSHIPS}add/", {"user": carol.pk, "team": team.pk, "role": "editor"}).status_code == 302
    assert root.post(f"{MEMBERSHIPS}{Membership.objects.get(user=bob).pk}/delete/", {"post": "yes"}).status_code == 302
    assert acts() == ["member.added", "member.removed"]


def test_a_change_of_rights_is_forgotten_at_once(root, alice, bob, team, django_capture_on_commit_callbacks):
    GRANTS.known = {("a", "b", "c"): None}
    with django_capture_on_commit_callbacks(execute=True):
        root.post(f"{MEMBERSHIPS}{Membership.objects.get(user=bob).pk}/change/", {"role": "editor"})
    assert GRANTS.known == {}


def test_accounts_are_switched_off_and_on(root, erin, team):
    assert root.post(USERS, {"action": "switch_off", "_selected_action": [erin.pk]}).status_code == 302
    erin.refresh_from_db()
    assert not erin.is_active
    root.post(f"{USERS}{erin.pk}/change/", person(erin, is_active="on"))
    erin.refresh_from_db()
    assert erin.is_active
    assert [act for act in acts() if act.startswith("account.")] == ["account.switched_off", "account.switched_on"]


@pytest.mark.parametrize("change", [{"is_active": None}, {"is_superuser": None}])
def test_the_last_operator_stays(root, operator, change):
    assert root.post(f"{USERS}{operator.pk}/change/", person(operator, **change)).status_code == 409
    operator.refresh_from_db()
    assert operator.is_active
    assert operator.is_superuser


def test_who_becomes_operator_is_told(root, erin):
    assert root.post(f"{USERS}{erin.pk}/change/", person(erin, is_superuser="on")).status_code == 302
    assert AuditEntry.objects.get(act="account.rights").sentence == "changed the rights of erin: is_superuser False to True"


def test_the_last_admin_and_oneself_are_not_deleted(root, browser_for, operator, alice, bob):
    browser_for(bob)
    assert root.post(f"{USERS}{alice.pk}/delete/", {"post": "yes"}).status_code == 409
    assert root.post(f"{USERS}{operator.pk}/delete/", {"post": "yes"}).status_code == 409
    assert root.post(f"{USERS}{bob.pk}/delete/", {"post": "yes"}).status_code == 302
    assert "account.deleted" in acts()


def test_a_link_for_a_new_password_is_on_one_page_and_opens(root, erin):
    page = root.post(USERS, {"action": "password_link", "_selected_action": [erin.pk]})
    assert "no-store" in page["Cache-Control"]
    link = re.search(r"<pre>(\S+)</pre>", page.content.decode())[1]
    assert Client().get(link).status_code == 200
    assert link.partition("key=")[2] not in root.get(USERS).content.decode()


def test_a_password_that_an_operator_sets_signs_the_person_out(root, browser_for, erin):
    browser = browser_for(erin)
    sent = {"usable_password": "true", "password1": "another fine password", "password2": "another fine password"}
    assert root.post(f"{USERS}{erin.pk}/password/", sent).status_code == 302
    assert browser.get("/account").status_code == 302
    assert {"password.changed", "sessions.ended"} <= set(acts())


def test_a_password_that_an_operator_takes_away_signs_the_person_out_and_is_told(root, browser_for, erin):
    browser = browser_for(erin)
    assert root.post(f"{USERS}{erin.pk}/password/", {"usable_password": "false", "unset-password": "on"}).status_code == 302
    erin.refresh_from_db()
    assert not erin.has_usable_password()
    assert browser.get("/account").status_code == 302
    assert {"password.changed", "sessions.ended"} <= set(acts())


NEW = {"usable_password": "true", "password1": "another fine password", "password2": "another fine password"}


@pytest.mark.parametrize("spelled", ["{}", "0{}", " {}"])
def test_ones_own_password_changes_where_the_present_one_is_asked_for(root, operator, spelled):
    address = f"{USERS}{spelled.format(operator.pk)}/password/"
    answers = [root.get(address), root.post(address, NEW), root.post(address, {"usable_password": "false", "unset-password": "on"})]
    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(302, "/account/password")] * 3
    was = operator.password
    operator.refresh_from_db()
    assert operator.password == was


def test_ones_own_address_changes_where_the_password_is_asked_for(root, staff, operator, bob, erin):
    for browser, user in ((root, operator), (staff, bob)):
        assert browser.post(f"{USERS}{user.pk}/change/", person(user, email="new@lab.example", first_name="Someone")).status_code == 302
        assert (User.objects.get(pk=user.pk).email, User.objects.get(pk=user.pk).first_name) == (user.email, "Someone")
    assert root.post(f"{USERS}{erin.pk}/change/", person(erin, email="new@lab.example")).status_code == 302
    assert User.objects.get(pk=erin.pk).email == "new@lab.example"


def test_nobody_makes_a_link_for_the_own_password(root, operator):
    for answer in (root.post(USERS, {"action": "password_link", "_selected_action": [operator.pk]}), root.post("/api/v1/people/operator/password-link")):
        assert answer.status_code == 409
        assert "key=" not in answer.content.decode()
    assert "password.link" not in acts()


def test_a_password_that_an_operator_sets_stays_as_it_was_where_its_line_cannot_be_written(root, erin, monkeypatch):
    def away(*_: object, **__: object) -> None:
        raise OperationalError("the record is away")

    monkeypatch.setattr(passwords, "record", away)
    assert root.post(f"{USERS}{erin.pk}/password/", NEW).status_code == 503
    assert User.objects.get(pk=erin.pk).password == erin.password


def test_no_line_says_that_selected_rows_are_deleted_which_could_not_be(root, project, monkeypatch):
    metric = ProjectMetric.objects.create(project=project, name="loss")

    def away(*_: object) -> None:
        raise OperationalError("the record is away")

    monkeypatch.setattr(type(admin.site._registry[ProjectMetric]), "delete_queryset", away)
    sent = {"action": "delete_selected", "_selected_action": [metric.pk], "post": "yes"}
    assert root.post("/admin/projects/projectmetric/", sent).status_code == 503
    assert (acts(), LogEntry.objects.exists()) == ([], False)


def test_an_account_is_saved_without_undoing_what_happened_to_it_meanwhile(root, erin, monkeypatch):
    page = type(admin.site._registry[User])
    save = page.save_model

    def meanwhile(self, request, obj, form, change) -> None:
        passwords.give(User.objects.get(pk=erin.pk), "another fine password")
        save(self, request, obj, form, change)

    monkeypatch.setattr(page, "save_model", meanwhile)
    assert root.post(f"{USERS}{erin.pk}/change/", person(erin, first_name="Erin")).status_code == 302
    now = User.objects.get(pk=erin.pk)
    assert (now.first_name, now.times_signed_out, now.check_password("another fine password")) == ("Erin", 1, True)


def test_tokens_beyond_the_own_teams_end_for_good_with_an_operators_rights(root, erin, carol, team, token_for):
    other, theirs = Team.objects.create(name="Other"), token_for(carol)
    User.objects.filter(pk=erin.pk).update(is_superuser=True)
    secrets = [ApiToken.issue(user=erin, team=each, name="t")[1] for each in (team, other)]
    assert root.post(f"{USERS}{erin.pk}/change/", person(erin, first_name="Erin", is_superuser="on")).status_code == 302
    codes = [Client(headers={"Authorization": f"Bearer {secret}"}).get("/api/v1/teams").status_code for secret in secrets]
    assert codes == [200, 200]
    assert root.post(f"{USERS}{erin.pk}/change/", person(erin, is_superuser=None)).status_code == 302
    Membership.objects.create(team=other, user=erin, role=Role.VIEWER)
    codes = [Client(headers={"Authorization": f"Bearer {secret}"}).get("/api/v1/teams").status_code for secret in (*secrets, theirs)]
    assert codes == [200, 401, 200]
    assert acts().count("token.revoked") == 1


def test_what_no_verb_tells_of_is_told_by_the_page(root, project):
    root.post("/admin/projects/projectmetric/add/", {"project": project.pk, "name": "loss", "aggregation": "last"})
    metric = ProjectMetric.objects.get()
    root.post(f"/admin/projects/projectmetric/{metric.pk}/change/", {"project": project.pk, "name": "loss", "aggregation": "min"})
    root.post(f"/admin/projects/projectmetric/{metric.pk}/delete/", {"post": "yes"})
    assert acts() == ["admin.added", "admin.changed", "admin.deleted"]
    assert {line.project_id for line in AuditEntry.objects.filter(act__startswith="admin")} == {project.pk}
    assert "Aggregation" in AuditEntry.objects.get(act="admin.changed").details["changed"]


def test_groups_give_rights_and_are_told(root, db):
    root.post("/admin/auth/group/add/", {"name": "readers"})
    assert (Group.objects.count(), acts()) == (1, ["admin.added"])


def test_every_page_of_the_admin_that_changes_something_leaves_lines():
    clocks = {"CrontabSchedule", "IntervalSchedule", "SolarSchedule", "ClockedSchedule"}  # when something runs; what runs is told of
    pages = {model.__name__: page for model, page in admin.site._registry.items() if model.__name__ not in clocks}
    assert [name for name, page in pages.items() if not isinstance(page, Audited | ReadOnlyAdmin)] == []


def test_nobody_changes_a_line_in_the_admin(root, project):
    from accounts.audit.recording import record

    line = record("project.archived", on=project)
    address = f"/admin/accounts/auditentry/{line.pk}/"
    assert root.get(f"{address}change/").status_code == 200
    assert root.post(f"{address}change/", {"who": "nobody"}).status_code == 403
    assert root.post(f"{address}delete/", {"post": "yes"}).status_code == 403
    assert root.get("/admin/accounts/auditentry/add/").status_code == 403


def test_neither_keys_nor_digests_are_shown(root, erin, alice, team, browser_for):
    from accounts.invitations import inviting
    from accounts.models import BrowserSession

    browser_for(erin)
    invitation, _ = inviting.invite(team, name="dora", role="viewer", by=alice)
    session = BrowserSession.objects.get(user=erin)
    assert invitation.digest not in root.get(f"/admin/accounts/invitation/{invitation.pk}/change/").content.decode()
    assert session.session_key not in root.get(f"/admin/accounts/browsersession/{session.pk}/change/").content.decode()


# Staff who are no operators


def token(user: User, team) -> dict:
    return {"user": user.pk, "team": team.pk, "name": "gpu7", "scope": "admin", "expires_at_0": "", "expires_at_1": ""}


def test_staff_make_tokens_for_themselves_alone(staff, root, operator, bob, erin, team):
    address = "/admin/accounts/apitoken/add/"
    refused = [staff.post(address, token(user, team)).content.decode() for user in (operator, erin)]
    assert ["choose yourself" in page for page in refused] == [True, True]
    assert not ApiToken.objects.exists()
    staff.post(address, token(bob, team))
    root.post(address, token(erin, team))
    assert set(ApiToken.objects.values_list("user__username", flat=True)) == {"bob", "erin"}


def test_staff_give_nobody_rights(staff, bob, erin):
    group = Group.objects.create(name="readers")
    given = {"is_superuser": "on", "is_staff": "on", "groups": [group.pk], "user_permissions": [Permission.objects.first().pk], "first_name": "Someone"}
    for user in (bob, erin):
        before = (user.is_superuser, user.is_staff, user.user_permissions.count())
        assert staff.post(f"{USERS}{user.pk}/change/", person(user, **given)).status_code == 302
        user.refresh_from_db()
        assert user.first_name == "Someone"
        assert (user.is_superuser, user.is_staff, user.user_permissions.count()) == before
        assert not user.groups.exists()


def test_staff_change_neither_operators_nor_other_staff(staff, operator, alice):
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    new = {"usable_password": "true", "password1": "another fine password", "password2": "another fine password"}
    for user in (operator, alice):
        sent = person(User.objects.get(pk=user.pk), email="bob@lab.example")
        codes = [staff.post(f"{USERS}{user.pk}/{page}/", form).status_code for page, form in (("change", sent), ("password", new), ("delete", {"post": "yes"}))]
        codes += [staff.post(USERS, {"action": action, "_selected_action": [user.pk]}).status_code for action in ("switch_off", "switch_on")]
        assert codes == [403] * 5
        staff.post(USERS, {"action": "delete_selected", "_selected_action": [user.pk], "post": "yes"})
        now = User.objects.get(pk=user.pk)
        assert (now.is_active, now.email, now.password) == (True, user.email, user.password)


def test_staff_change_whoever_is_neither(staff, erin):
    new = {"usable_password": "true", "password1": "another fine password", "password2": "another fine password"}
    assert staff.post(f"{USERS}{erin.pk}/password/", new).status_code == 302
    assert staff.post(USERS, {"action": "switch_off", "_selected_action": [erin.pk]}).status_code == 302
    erin.refresh_from_db()
    assert (erin.is_active, erin.check_password("another fine password")) == (False, True)


def test_staff_enter_no_team_and_rise_in_none(staff, bob, alice, erin, carol, team):
    other = Team.objects.exclude(pk=team.pk).first() or Team.objects.create(name="Other", slug="other")
    other.memberships.filter(user=bob).delete()
    held, erins = Membership.objects.get(user=bob, team=team), Membership.objects.get(user=erin)
    was = held.role
    own = person(bob, **{"memberships-TOTAL_FORMS": 1, "memberships-0-user": bob.pk, "memberships-0-team": other.pk, "memberships-0-role": "admin"})
    tried = [
        (f"{MEMBERSHIPS}add/", {"user": bob.pk, "team": other.pk, "role": "admin"}),
        (f"{MEMBERSHIPS}{held.pk}/change/", {"role": "admin"}),
        (f"{TEAMS}{other.pk}/change/", inline(other, {"user": bob.pk, "role": "admin"})),
        (f"{TEAMS}{team.pk}/change/", inline(team, row(held, role="admin"), initial=1)),
        (f"{TEAMS}{team.pk}/change/", inline(team, row(erins, user=bob.pk, role="admin"), initial=1)),
        (f"{USERS}{bob.pk}/change/", own),
    ]
    assert [staff.post(address, sent).status_code for address, sent in tried] == [403] * len(tried)
    assert list(bob.memberships.values_list("team", "role")) == [(team.pk, was)]
    assert staff.post(f"{MEMBERSHIPS}add/", {"user": carol.pk, "team": team.pk, "role": "viewer"}).status_code == 302


def test_staff_see_groups_and_change_none(staff, bob):
    group = Group.objects.create(name="readers")
    address = f"/admin/auth/group/{group.pk}/"
    assert staff.get(f"{address}change/").status_code == 200
    sent = {"name": "all", "permissions": [Permission.objects.first().pk]}
    codes = [staff.post(page, sent).status_code for page in (f"{address}change/", "/admin/auth/group/add/", f"{address}delete/")]
    assert (codes, list(Group.objects.values_list("name", flat=True))) == ([403] * 3, ["readers"])


@pytest.mark.parametrize("verb", ["get", "post"])
def test_the_admin_has_no_form_of_its_own_for_ones_password(root, operator, verb):
    sent = {"old_password": PASSWORD, "new_password1": "another fine password", "new_password2": "another fine password"}
    answer = getattr(root, verb)("/admin/password_change/", sent)
    assert (answer.status_code, answer.get("Location")) == {"get": (302, "/account/password"), "post": (405, None)}[verb]
    was = operator.password
    operator.refresh_from_db()
    assert operator.password == was
