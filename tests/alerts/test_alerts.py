"""The life of an alert: it opens once, repeats, grows worse, resolves, and people acknowledge and silence it."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from alerts import lifecycle as alerts
from alerts.models import Alert, Channel, Delivery, Kind, Severity
from alerts.sending import outbox

pytestmark = pytest.mark.differs_on_servers("one alert is open at a time by a constraint, and times are compared by the database")
WHAT = {"kind": Kind.STALLED, "severity": Severity.MID, "message": "silent"}


@pytest.fixture
def channel(team) -> Channel:
    return Channel.objects.create(team=team, name="ops", kind=Channel.Kind.EMAIL, least_severity=Severity.MID)


def events() -> list[str]:
    return list(Delivery.objects.order_by("created_at").values_list("event", flat=True))


def test_an_alert_opens_once_and_then_repeats(experiment):
    first = alerts.open_alert(experiment=experiment, **WHAT)
    again = alerts.open_alert(experiment=experiment, **(WHAT | {"message": "silent for longer"}))
    assert first.pk == again.pk
    kept = Alert.objects.get()
    assert (kept.count, kept.message, kept.project, kept.team) == (2, "silent for longer", experiment.project, experiment.project.team)
    assert kept.last_seen_at > kept.opened_at


def test_two_subjects_and_two_kinds_are_alerts_of_their_own(experiment):
    alerts.open_alert(experiment=experiment, **WHAT)
    alerts.open_alert(experiment=experiment, metric="loss", **WHAT)
    alerts.open_alert(experiment=experiment, **(WHAT | {"kind": Kind.NO_DATA}))
    alerts.open_alert(project=experiment.project, **WHAT)
    alerts.open_alert(team=experiment.project.team, **WHAT)
    alerts.open_alert(part="disk of web1", **WHAT)
    assert Alert.objects.open().count() == 6


def test_an_alert_resolves_and_opens_anew(experiment):
    alerts.open_alert(experiment=experiment, **WHAT)
    assert alerts.resolve(kind=Kind.STALLED, experiment=experiment, why="It was heard again.") is True
    assert alerts.resolve(kind=Kind.STALLED, experiment=experiment) is False
    alerts.open_alert(experiment=experiment, **WHAT)
    assert [alert.is_open for alert in Alert.objects.order_by("pk")] == [False, True]
    assert Alert.objects.order_by("pk")[0].resolution == "It was heard again."


def test_many_that_see_one_thing_at_the_same_moment_open_one_alert(transactional_db, experiment, channel):
    together = threading.Barrier(4)
    failed = []

    def see() -> None:
        try:
            together.wait(timeout=20)
            alerts.open_alert(experiment=experiment, **WHAT)
        except Exception as error:  # a thread's own error would be lost
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=see) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failed == []
    assert (Alert.objects.count(), Delivery.objects.count()) == (1, 1)


def test_what_is_to_be_sent_is_written_with_the_alert_or_not_at_all(experiment, channel):
    with transaction.atomic():
        alerts.open_alert(experiment=experiment, **WHAT)
        transaction.set_rollback(True)
    assert (Alert.objects.count(), Delivery.objects.count()) == (0, 0)
    alerts.open_alert(experiment=experiment, **WHAT)
    alerts.open_alert(experiment=experiment, **WHAT)
    assert events() == ["opened"]
    alerts.resolve(kind=Kind.STALLED, experiment=experiment)
    assert events() == ["opened", "resolved"]


def test_only_channels_of_the_team_that_care_hear_of_it(experiment, channel, carol):
    Channel.objects.create(team=carol.teams.get(), name="strangers", kind=Channel.Kind.EMAIL)
    Channel.objects.create(team=None, name="operators", kind=Channel.Kind.EMAIL)
    Channel.objects.create(team=channel.team, name="off", kind=Channel.Kind.EMAIL, enabled=False)
    urgent = Channel.objects.create(team=channel.team, name="pager", kind=Channel.Kind.EMAIL, least_severity=Severity.HIGH)
    alerts.open_alert(experiment=experiment, **WHAT)
    assert [delivery.channel for delivery in Delivery.objects.all()] == [channel]
    alerts.open_alert(experiment=experiment, **(WHAT | {"severity": Severity.HIGH}))
    assert {delivery.channel for delivery in Delivery.objects.all()} == {channel, urgent}
    alerts.open_alert(part="disk", **WHAT)
    assert Delivery.objects.filter(channel__name="operators").count() == 1


def test_only_who_heard_of_the_beginning_hears_of_the_end(experiment, channel):
    pager = Channel.objects.create(team=channel.team, name="pager", kind=Channel.Kind.EMAIL, least_severity=Severity.HIGH)
    alerts.open_alert(experiment=experiment, **WHAT)
    alerts.resolve(kind=Kind.STALLED, experiment=experiment)
    assert not Delivery.objects.filter(channel=pager).exists()
    assert events() == ["opened", "resolved"]


def test_what_somebody_sees_to_leaves_the_badge_and_stays_open(experiment, erin):
    alert = alerts.open_alert(experiment=experiment, **WHAT)
    alerts.acknowledge(alert, by=erin)
    first = Alert.objects.get().acknowledged_at
    alerts.acknowledge(alert, by=erin)
    kept = Alert.objects.get()
    assert (kept.acknowledged_by, kept.acknowledged_at, kept.is_open) == (erin, first, True)
    assert not Alert.objects.waiting(at=timezone.now()).exists()


def test_a_silence_outlives_the_alert_and_ends_with_a_message(experiment, channel):
    now = timezone.now()
    alert = alerts.open_alert(experiment=experiment, **WHAT)
    alerts.silence(alert, until=now + timedelta(hours=1))
    alerts.resolve(kind=Kind.STALLED, experiment=experiment)
    Delivery.objects.all().delete()
    again = alerts.open_alert(experiment=experiment, **WHAT)
    assert again.is_silenced
    assert events() == []
    assert not Alert.objects.waiting(at=now).exists()
    alerts.end_silences(at=now + timedelta(minutes=59))
    assert events() == []
    alerts.end_silences(at=now + timedelta(minutes=61))
    assert events() == ["opened"]
    assert Alert.objects.waiting(at=now).get() == again


def test_a_silence_can_be_ended_early(experiment, channel):
    alert = alerts.open_alert(experiment=experiment, **WHAT)
    alerts.silence(alert, until=timezone.now() + timedelta(hours=1))
    alerts.silence(alert, until=None)
    assert not Alert.objects.get().is_silenced
    assert events() == ["opened"]


def test_settling_judges_only_the_kinds_it_is_told(experiment):
    alerts.open_alert(experiment=experiment, **WHAT)
    alerts.open_alert(experiment=experiment, **(WHAT | {"kind": Kind.VERDICT}))
    alerts.settle([Kind.STALLED], [], at=timezone.now())
    assert set(Alert.objects.open().values_list("kind", flat=True)) == {Kind.VERDICT}


def test_an_experiment_takes_its_alerts_along(experiment, channel):
    alerts.open_alert(experiment=experiment, **WHAT)
    experiment.delete()
    assert (Alert.objects.count(), Delivery.objects.count()) == (0, 0)


def test_a_name_with_line_breaks_and_markup_cannot_change_the_message(experiment, channel):
    experiment.name = "a\r\nBcc: everybody@example.com <!channel> *b*"
    experiment.save()
    alert = alerts.open_alert(experiment=experiment, **WHAT)
    body = outbox.body(alert, Delivery.Event.OPENED)
    assert body["text"].splitlines()[0] == "Stalled: digits / a Bcc: everybody@example.com <!channel> *b*"
    assert "<!channel>" not in body["blocks"][0]["text"]["text"]
