from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.test import RequestFactory
from django.utils import timezone

from accounts.audit.acts import ACTS, KINDS
from accounts.audit.models import AuditEntry
from accounts.audit.recording import NOBODY, SERVER, AskingMiddleware, Subject, changes, record
from metrics.upkeep.expiry import expire

pytestmark = pytest.mark.differs_on_servers("the database itself keeps the lines from being changed")


def test_a_line_says_who_did_what_on_what(project, alice):
    entry = record("project.made", on=project, by=alice)
    assert (entry.who, entry.user_id, entry.team_id, entry.project_id) == ("alice", alice.pk, project.team_id, project.pk)
    assert (entry.on_kind, entry.on_id, entry.on_name, entry.sentence) == ("project", str(project.pk), "digits", "made the project digits")


def test_a_line_knows_who_asks_from_where_and_in_which_request(project, alice):
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.14", HTTP_X_REQUEST_ID="r-1")
    request.user = alice
    AskingMiddleware(lambda _: record("project.archived", on=project))(request)
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.address, entry.request_id) == ("alice", "192.0.2.14", "r-1")
    assert record("project.archived", on=project).who == SERVER


def test_whoever_is_not_signed_in_is_named_so(db, client):
    request = RequestFactory().get("/")
    AskingMiddleware(lambda _: record("sign_in.failed", on=Subject("user", "mallory")))(request)
    assert AuditEntry.objects.get().who == NOBODY


def test_a_line_goes_with_the_transaction_of_its_act(project):
    with transaction.atomic():
        record("project.archived", on=project)
        transaction.set_rollback(True)
    assert not AuditEntry.objects.exists()


def test_a_line_outlives_what_it_tells_of(project, alice, team):
    record("project.made", on=project, by=alice)
    project.delete()
    alice.delete()
    team.delete()
    entry = AuditEntry.objects.get(act="project.made")
    assert (entry.who, entry.project, entry.team) == ("alice", "digits", "Vision team")


def test_the_database_refuses_to_change_a_line(project):
    entry = record("project.made", on=project)
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        AuditEntry.objects.filter(pk=entry.pk).update(who="nobody")


def test_an_act_that_nobody_gave_words_is_refused(project):
    with pytest.raises(ValueError, match="There is no act"):
        record("project.painted", on=project)


def test_every_act_reads_as_a_sentence_and_has_a_kind(db):
    for name, act in ACTS.items():
        assert act.kind in KINDS, name
        assert AuditEntry(act=name, on_name="x").sentence.count("{") == 0, name


def test_a_line_of_a_later_version_is_still_read():
    assert AuditEntry(act="moon.seen", on_name="x").sentence == "moon.seen x"


def test_lines_are_kept_as_long_as_the_setting_says(project, settings):
    settings.AUDIT_KEEP_DAYS = 30
    now = timezone.now()
    record("project.made", on=project)
    AuditEntry.objects.create(act="project.made", at=now - timedelta(days=31))
    AuditEntry.objects.create(act="project.made", at=now - timedelta(days=29))
    assert "1 lines of the audit" in expire(None)
    assert AuditEntry.objects.count() == 2


def test_only_what_changes_is_told(project):
    assert changes(project, {"name": "digits", "archived": True}) == {"archived": [False, True]}
