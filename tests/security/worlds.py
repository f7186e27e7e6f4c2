"""Worlds with an object of every kind, each with words of its own in every text.

Ours has what the others have, too: runs, metrics, claims, tags and views of the same names. So a query that forgot its team or project finds too many
of them, or the wrong one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.audit.recording import record
from accounts.invitations import inviting
from accounts.models import ApiToken, BrowserSession, Invitation, Membership, Role, Team, User
from alerts import lifecycle as alerts
from alerts.models import Alert, Channel, Delivery, Kind, Severity
from alerts.sending import channels
from experiments import lifecycle
from experiments.models import DeletedExperiment, Experiment, MovedArm
from hypotheses.claims import stating
from hypotheses.claims.linking import link
from hypotheses.judgements import judge
from hypotheses.models import Hypothesis
from projects.models import Direction, Project, ProjectMetric, SavedView

# Of one length, so that no answer differs by that; none is in a word of the product.
OURS, OTHER, SIBLING, NOWHERE = "Ourownzw", "Xenkgput", "Sibylqaz", "Qoxwuvyt"
FOREIGN = (OTHER, SIBLING)
SHARED_ARM = "an-arm-that-moved"
LONG_AGO = timedelta(days=40)
Logging = Callable[..., None]
Spellings = dict[str, tuple[Any, ...]]


@dataclass(frozen=True)
class World:
    """What may be named of a world, by kind, in every spelling: the key first. `mark` is in every word of its own."""

    mark: str
    team: Team
    project: Project
    names: Spellings


def people(mark: str, team: Team) -> dict[Role, User]:
    """A member of each role."""
    return {role: member(f"{mark.lower()}-{role}", team, role) for role in Role}


def member(name: str, team: Team, role: Role) -> User:
    """Somebody new in a team."""
    user = User.objects.create_user(name, email=f"{name}@example.com", password=f"{name} may enter")
    Membership.objects.create(team=team, user=user, role=role)
    return user


def world(mark: str, team: Team, project: Project, by: User, log: Logging) -> World:
    """Fill a project, and its team where nobody has yet."""
    named = fill(project, mark, by, log)
    channel, token = Channel.objects.filter(team=team).first(), ApiToken.objects.filter(team=team, name__endswith="Token").first()
    if channel is None or token is None:
        channel = channels.create(team, name="ops", kind=Channel.Kind.EMAIL)
        token = ApiToken.issue(user=by, team=team, name=f"{mark}Token")[0]
        Delivery.objects.create(channel=channel, event=Delivery.Event.TEST, state=Delivery.State.DONE, last_error=f"{mark}Error")
        inviting.invite(team, name=f"{mark}Guest", role=Role.VIEWER, by=by)
        browser(mark, by)
    DeletedExperiment.objects.create(experiment_id=uuid.uuid4(), project_id=project.pk, team_id=team.pk, name=f"{mark}Gone", purged_at=timezone.now())
    named |= {
        "team": (team.pk, team.slug, team.name),
        "project": (project.pk, project.slug, project.name),
        "user": (by.username, by.email),
        "channel": (channel.pk,),
        "email": (by.email,),
        "token": (token.pk,),
        "invitation": (Invitation.objects.get(team=team).pk,),
        "session": (BrowserSession.objects.get(user=by, device__endswith="Device").pk,),
        "membership": (Membership.objects.get(team=team, role=Role.EDITOR).pk,),
    }
    return World(mark, team, project, named)


def browser(mark: str, user: User) -> None:
    """One in which somebody is signed in."""
    Session.objects.create(session_key=f"{mark}Session", session_data="", expire_date=timezone.now() + timedelta(days=14))
    BrowserSession.objects.create(session_key=f"{mark}Session", user=user, device=f"{mark}Device", address=f"{mark}Address")
    record("sign_in.done", on=user, by=user, details={"way": "on a page"})  # a line of no team, for who administers that person's


def fill(project: Project, mark: str, by: User, log: Logging) -> Spellings:
    """Objects of every kind in a project: those of shared names, and those with the mark."""
    root = lifecycle.create(project, by=by, name="root", params={"lr": 0.1, "width": 64}, seed=1, tags=["sweep"])
    run = lifecycle.create(project, by=by, name="baseline", parent=root, params={"lr": 0.1, "width": 128}, seed=1, tags=["sweep"], notes=f"{mark}Notes")
    again = lifecycle.create(project, by=by, name="Again", parent=root, params={"lr": 0.1, "width": 128}, seed=2, tags=["sweep"])
    own = lifecycle.create(
        project, by=by, name=f"{mark}Run", parent=run, params={"lr": 0.1, f"{mark}Param": f"{mark}Value"}, seed=3, tags=[f"{mark}Tag"],
        notes=f"{mark}Notes", host=f"{mark}Host", command=f"{mark}Command", git_commit=f"{mark}Commit", replicate_group=f"{mark}Group",
        features_diff={f"{mark}Feature": {"from": 1, "to": 2}},
    )  # fmt: skip
    put_away = lifecycle.create(project, by=by, name=f"{mark}Archived", parent=own)
    for n, each in enumerate((root, run, again, own)):
        log(each, {"loss": [1.0, 0.5 - n / 10], f"{mark}Metric": [1.0 + n, 2.0 + n]}, is_awaited=n == 3)
    ProjectMetric.objects.filter(project=project).update(direction="minimize")
    claims = [claim(project, title, metric, feature, runs, by) for title, metric, feature, runs in (
        ("less loss", "loss", "width", [run, again]), (f"{mark}Claim", f"{mark}Metric", f"{mark}Feature", [own]))]  # fmt: skip
    for each in (root, run, again):
        lifecycle.move(each, "complete", "", by=by)
    lifecycle.archive(put_away, by=by)
    for each in claims:
        judge.judge(each.pk)
    Hypothesis.objects.filter(pk=claims[1].pk).update(status="supported", score=3.0, sentence=f"{mark}Sentence", decided_at=timezone.now())
    SavedView.objects.create(project=project, name="losses", query="?q=loss", by=by)
    view = SavedView.objects.create(project=project, name=f"{mark}View", query=f"?q={mark}", by=by)
    alert = alerts.open_alert(kind=Kind.STALLED, severity=Severity.MID, experiment=own, message=f"{mark}Alert")
    alerts.open_alert(kind=Kind.DIVERGED, severity=Severity.HIGH, experiment=own, metric="loss", message=f"{mark}Again")
    if mark == SIBLING:  # then the badge of the whole team, which is on every page, counts as before
        for each in Alert.objects.filter(project=project):
            alerts.acknowledge(each, by=by)
        Delivery.objects.filter(alert__project=project).delete()
    if mark != OURS:
        differ(project, run, again)
    make_old(project)
    return {
        "experiment": (own.pk, own.slug, own.name),
        "hypothesis": (claims[1].pk, claims[1].slug, claims[1].title),
        "metric": (f"{mark}Metric",),
        "metric_pk": (ProjectMetric.objects.get(project=project, name=f"{mark}Metric").pk,),
        "rule": (claims[1].rules.get().pk,),
        "alert": (alert.pk,),
        "view": (view.pk,),
        "tag": (f"{mark}Tag",),
        "feature": (f"{mark}Feature",),
        "param": (f"{mark}Param",),
        "text": (mark,),
        "arm": (Experiment.objects.get(pk=own.pk).replicate_key,),
        "group": (f"{mark}Group",),
        "view_name": (f"{mark}View",),
        "host": (f"{mark}Host",),
    }


def differ(project: Project, run: Experiment, again: Experiment) -> None:
    """What has the same name as ours is read otherwise in the other worlds, and stands in an arm of ours: whoever asks for too much gets another answer."""
    ProjectMetric.objects.filter(project=project).update(direction="maximize", aggregation="max")
    ProjectMetric.objects.filter(project=project).exclude(name="loss").update(direction=Direction.UNSET)
    Experiment.objects.filter(pk=again.pk).update(replicate_key=Experiment.objects.get(name=f"{OURS}Run").replicate_key)
    key = Experiment.objects.get(pk=run.pk).replicate_key
    for old in (SHARED_ARM, Experiment.objects.get(project=project, name="root").replicate_key):
        MovedArm.objects.create(project=project, old_key=old, new_key=key)


def claim(project: Project, title: str, metric: str, feature: str, runs: list[Experiment], by: User) -> Hypothesis:
    """A claim with a target, a rule, linked runs and a rationale."""
    made = stating.propose(project, by=by, title=title, rationale=f"{title} because", targets=[stating.TargetTerm(metric, direction="minimize")])
    link(made, runs, by=by)
    stating.add_rule(made, feature, by=by)
    return made


def make_old(project: Project) -> None:
    """As if all of it were from days ago, so that no page counts its age in seconds; and no run falls silent while much is asked, and reads as stalled."""
    at = timezone.now() - LONG_AGO
    runs = Experiment.objects.filter(project=project)
    runs.update(created_at=at, started_at=at, heartbeat_at=timezone.now() + timedelta(days=1))
    runs.exclude(finished_at=None).update(finished_at=at + timedelta(days=30))
    Alert.objects.filter(project=project).update(opened_at=at, last_seen_at=at)
    Hypothesis.objects.filter(project=project).update(created_at=at)


def nowhere(like: World) -> World:
    """What a world would be that is not there: the same words with another mark, keys that nothing has."""
    names = {kind: tuple(unknown(value, kind, like.mark) for value in spelled) for kind, spelled in like.names.items()}
    return World(NOWHERE, like.team, like.project, names)


def unknown(value: Any, kind: str, mark: str) -> Any:
    """A value of the same form that names nothing."""
    if isinstance(value, uuid.UUID):
        return uuid.uuid5(uuid.NAMESPACE_OID, kind)
    if isinstance(value, int):
        return 2_000_000_000
    return value.replace(mark, NOWHERE).replace(mark.lower(), NOWHERE.lower())
