"""What may be named in queries and bodies, address by address: each `{kind}` is a reference, and is swapped for another world's, one at a time.

A word that an address takes and that stands neither here nor in PLAIN fails `test_worlds.py`: say what kind of thing it names, or that it names none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.security.matrix import CHANNEL, CLAIM, EXPERIMENT, HYPOTHESIS, POINT, PROJECT, TEAM

# What stands for each parameter of a route; `name` is a file of the client, which is everybody's.
PARAMETERS = {
    "team_slug": "team",
    "project_slug": "project",
    "experiment_slug": "experiment",
    "hypothesis_slug": "hypothesis",
    "metric_id": "metric_pk",
    "alert_id": "alert",
    "channel_id": "channel",
    "token_id": "token",
    "view_id": "view",
    "membership_id": "membership",
    "invitation_id": "invitation",
    "invitation": "invitation",
    "session_id": "session",
    "session": "session",
    "team": "team",
    "user": "user",
    "token": "token",
    "project": "project",
    "metric": "metric",
    "experiment": "experiment",
    "hypothesis": "hypothesis",
    "rule": "rule",
    "alert": "alert",
    "channel": "channel",
    "name": "",
}
# Words that name nothing of anybody's: numbers, choices, texts of one's own, what a page looks like.
PLAIN = frozenset(
    """
    page page_size cursor ordering fields format status archived created_after created_before kind severity max_points from to x live frame mark seen wait
    name title claim rationale description require baseline paired reason until enabled target secret least_severity expires_at expires_on role
    features_diff params seed notes host git_commit command failure_kind missing every_s tags retention_days seed_params create_project direction
    aggregation watch_divergence smallest_effect unit targets effect_# unit_# metric_name metric_value step timestamp metrics steps timestamps of compare
    how best arrange add pin sort columns draw regex open fold hide base rows tip order log clip smooth group as centre band table sx sy sc sxhow syhow
    schow pc lg axes br pcol after top with preview restore remove for next query csrfmiddlewaretoken limit offset message points lists
    act since days scope is_active present new again password key username
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Ask:
    """One way to ask: what stands behind the question mark, and what is sent."""

    query: str = ""
    body: dict[str, Any] | None = None


def with_claim(**more: str) -> Ask:
    """The form of a claim with something said."""
    return Ask(body=CLAIM | more)


API, ONE = "api/v1/", "api/v1/hypotheses/<uuid:hypothesis>"
SERIES = API + "metrics/"
PASSWORD, NEXT, WRONG = "ourownzw-admin may enter", "another one, as long", "a guess"
TARGETS = [{"metric": "{metric}", "direction": "minimize"}]
NEW_RUN = {"project": "digits", "name": "new"}
NEW_CLAIM = {"project": "digits", "title": "new", "targets": [{"metric": "loss", "direction": "minimize"}]}

ASKS: dict[tuple[str, str], list[Ask]] = {
    # Pages
    ("search", "GET"): [Ask("?q={text}"), Ask("?q={tag}"), Ask("?q={metric}"), Ask("?q=loss"), Ask("?q=sweep"), Ask("?q=baseline"), Ask("?q=digits")],
    ("projects/new", "POST"): [Ask(body={"name": "new", "team": "{team}"})],
    (PROJECT, "GET"): [
        *map(Ask, (
            "?q={text}", "?q=name = '{experiment}'", "?q=params.{param} = 1", "?q=metrics.{metric}.last > 0", "?q=metrics.loss.last > 0",
            "?q=metrics.loss > 0.4", "?q=tags has '{tag}'",
            "?tag={tag}", "?tag=sweep", "?sort=last:{metric}", "?columns=last:{metric}", "?columns=param:{param}", "?sort=-last:loss",
            "?format=csv", "?format=csv&of=everything", "?compare=2", "?status=archived", "?best={metric}",
        )),
    ],
    (PROJECT + "filter-words", "GET"): [Ask("?q=params."), Ask("?q=metrics."), Ask("?q=tags has "), Ask("?q={text}"), Ask("?q=params.{param}")],
    (PROJECT + "attribution", "GET"): [*map(Ask, ("?metric=loss", "?metric={metric}", "?metric=loss&root={experiment}", "?metric=loss&to={experiment}"))],
    (PROJECT + "hypotheses/", "GET"): [Ask("?q={text}"), Ask("?q=loss"), Ask("?status=supported")],
    (PROJECT + "hypotheses/new", "GET"): [Ask("?experiments={experiment}&metric=loss"), Ask("?baseline={experiment}&metric=loss"), Ask("?metric={metric}")],
    (PROJECT + "hypotheses/new", "POST"): [
        with_claim(baseline="experiment", baseline_experiment="{experiment}"), with_claim(experiments="{experiment}"), with_claim(metric_0="{metric}"),
        with_claim(feature="{feature}"), Ask("?metric={metric}&experiments={experiment}", {"title": ""}),
        with_claim(baseline="experiment", baseline_experiment="{experiment}", preview="1"),
    ],
    (HYPOTHESIS, "GET"): [Ask("?metric={metric}")],
    (HYPOTHESIS + "edit", "POST"): [with_claim(baseline="experiment", baseline_experiment="{experiment}"), with_claim(metric_0="{metric}")],
    (HYPOTHESIS + "link", "POST"): [Ask(body={"experiments": "{experiment}"})],
    (HYPOTHESIS + "unlink", "POST"): [Ask(body={"experiment": "{experiment}"})],
    (HYPOTHESIS + "invalidate", "POST"): [Ask(body={"experiment": "{experiment}", "reason": "broken"})],
    (HYPOTHESIS + "rule", "POST"): [Ask(body={"feature": "{feature}"}), Ask(body={"feature": "{feature}", "remove": "1"})],
    (PROJECT + "metrics/", "GET"): [Ask("?q={metric}"), Ask("?q=loss")],
    (PROJECT + "metrics/", "POST"): [Ask("?q={metric}", {"name": ""}), Ask(body={"name": "{metric}", "aggregation": "last"})],
    (PROJECT + "compare", "GET"): [
        *map(Ask, (
            "?e=baseline,again", "?e=baseline,Again", "?e=baseline,again&group=tag:sweep",
        "?e=baseline,{experiment}", "?e=baseline,again&base={experiment}", "?e=baseline,again&x=metric&x_metric={metric}",
            "?e=baseline,again&metric={metric}", "?e=baseline,again&tip={param}", "?e=baseline,again&group=param:{param}",
            "?e=baseline,again&format=csv&table=summary",
            "?e=baseline,again&hide={experiment}", "?e=baseline,root&format=csv&table=side",
        )),
    ],
    (PROJECT + "new-experiment", "GET"): [Ask("?parent={experiment}")],
    (PROJECT + "new-experiment", "POST"): [Ask(body={"name": "new", "status": "planned", "parent": "{experiment}", "tags": "sweep"}),
        Ask(body={"name": "new", "replicate_group": "{group}"})],
    (EXPERIMENT + "edit", "POST"): [Ask(body={"name": "renamed", "parent": "{experiment}"}), Ask(body={"name": "renamed", "replicate_group": "{group}"})],
    (EXPERIMENT + "parent", "GET"): [Ask("?e={experiment}&metric={metric}")],
    (EXPERIMENT + "parent", "POST"): [Ask(body={"parent": "{experiment}"}), Ask("?e={experiment}&metric={metric}", {"parent": "none there"})],
    (EXPERIMENT, "GET"): [Ask("?metric={metric}"), Ask("?x=metric&x_metric={metric}")],
    (PROJECT + "lineage", "GET"): [
        *map(Ask, (
            "?metric={metric}", "?from={experiment}", "?top={experiment}", "?open={experiment}", "?fold={experiment}", "?e={experiment}",
            "?e={experiment}&with=path", "?metric=loss",
        )),
    ],
    (PROJECT + "explore", "GET"): [Ask("?tag={tag}"), Ask("?sx=last:{metric}"), Ask("?sx=param:{param}"), Ask("?q=params.{param} = 1"), 
        Ask("?sx=last:loss"), Ask("?sx=metric:loss")],
    (PROJECT + "explore/data", "GET"): [
        *map(Ask, (
            "?axis=last:loss", "?axis=metric:loss", "?axis=last:{metric}", "?axis=param:{param}", "?e={experiment}&axis=last:loss",
            "?axis=param:lr&format=csv", "?tag={tag}&axis=param:lr",
            "?q=params.{param} = 1&axis=param:lr",
        )),
    ],
    (PROJECT + "views/", "POST"): [Ask(body={"name": "{view_name}", "query": "?q=loss"}), Ask(body={"name": "mine", "query": "?tag={tag}&q={text}"})],
    ("account/tokens", "POST"): [Ask(body={"name": "gpu7", "reach": "{team}"}), Ask(body={"name": "gpu7", "reach": "{project}"})],
    ("account/profile", "POST"): [Ask(body={"name": "Me", "email": "{email}", "present": PASSWORD})],
    ("account/password", "POST"): [Ask(body={"present": PASSWORD, "new": NEXT, "again": NEXT, "end": "{token}"})],
    ("password/forgotten", "POST"): [Ask(body={"name": "{user}"})],
    ("audit", "GET"): [Ask("?by={user}")],
    (TEAM, "GET"): [Ask("?q={user}")],
    (TEAM + "invitations", "POST"): [Ask("?q={user}", {"name": "dora", "role": "viewer", "days": "7"})],
    (TEAM + "invitations/<uuid:invitation_id>/link", "POST"): [Ask("?q={user}", {})],
    (TEAM + "audit", "GET"): [Ask("?by={user}"), Ask("?by={user}&format=csv"), Ask("?format=csv"), Ask("?kind=projects")],
    ("alerts/channels/new", "GET"): [Ask("?team={team}")],
    ("alerts/channels/new", "POST"): [Ask(body=CHANNEL | {"team": "{team}"})],
    # The API
    (API + "account", "PATCH"): [Ask(body={"email": "{email}", "present": PASSWORD}), Ask(body={"email": "new@example.com", "present": WRONG})],
    (API + "account/password", "POST"): [Ask(body={"present": WRONG, "new": NEXT}), Ask(body={"present": PASSWORD, "new": NEXT, "end_tokens": ["{token}"]})],
    (API + "auth/password/forgotten", "POST"): [Ask(body={"name": "{user}"})],
    (API + "invitations/join", "POST"): [Ask(body={"key": "k", "username": "new", "password": NEXT, "email": "{email}"})],
    (API + "audit", "GET"): [Ask("?by={user}"), Ask("?team={team}"), Ask("?kind=projects")],
    (API + "teams/<str:team>/members", "POST"): [Ask(body={"user": "{user}"}), Ask(body={"user": "visitor"})],
    (API + "tokens", "POST"): [Ask(body={"name": "gpu7", "team": "{team}"}), Ask(body={"name": "gpu7", "project": "{project}"})],
    (API + "tokens/<uuid:token>", "PATCH"): [Ask(body={"project": "{project}"})],
    (API + "projects", "GET"): [Ask("?team={team}"), Ask("?search={text}"), Ask("?search=digits"), Ask("?archived=false&page_size=1")],
    (API + "projects", "POST"): [Ask(body={"name": "new", "team": "{team}"}), Ask(body={"name": "digits"}), Ask(body={"name": "{text}Project"})],
    (API + "projects/<str:project>", "PATCH"): [Ask(body={"retention_days": 30}), Ask(body={"seed_params": ["seed", "fold"]}), Ask(body={"archived": True})],
    (API + "projects/<str:project>/metrics", "PATCH"): [Ask("?metric={metric}", {"direction": "maximize"})],
    (API + "projects/<str:project>/metrics", "DELETE"): [Ask("?metric={metric}")],
    (API + "projects/<str:project>/metrics", "POST"): [Ask(body={"name": "{metric}"})],
    (API + "projects/<str:project>/attribution", "GET"): [
        *map(Ask, ("?metric={metric}", "?metric=loss&root={experiment}", "?metric=loss&to={experiment}")),
    ],
    (API + "experiments", "GET"): [
        *map(Ask, (
            "?project={project}", "?parent={experiment}", "?root={experiment}", "?tag={tag}", "?tag=sweep", "?replicate_key={arm}", "?search={text}",
            "?replicate_key=an-arm-that-moved", "?project=digits&where=name = '{experiment}'", "?project=digits&where=params.{param} = 1",
            "?project=digits&where=metrics.loss.last > 0", "?project=digits&metrics={metric}", "?project=digits&metrics=loss&fields=name",
            "?project=digits&ordering=metrics.{metric}.last", "?project=digits&ordering=-metrics.loss.last", "?status=running", "?parent=root",
        )),
    ],
    (API + "experiments", "POST"): [
        Ask(body={"project": "{project}", "name": "new"}), Ask(body=NEW_RUN | {"parent": "{experiment}"}), Ask(body=NEW_RUN | {"hypotheses": ["{hypothesis}"]}),
        Ask(body=NEW_RUN | {"replicate_group": "{group}"}), Ask(body={"project": "{project}", "name": "new", "create_project": True}),
        Ask(body=NEW_RUN | {"name": "{text}Run"}), Ask(body={"project": "{text}Project", "name": "new", "create_project": True}),
        Ask(body=NEW_RUN | {"tags": ["{tag}", "sweep"], "params": {"lr": 0.1, "width": 128}, "parent": "root"}),
    ],
    (API + "experiments/<uuid:experiment>", "PATCH"): [
        Ask(body={"parent": "{experiment}"}), Ask(body={"replicate_group": "{group}"}), Ask(body={"tags": ["sweep"]}), Ask(body={"status": "complete"}),
    ],
    (SERIES + "timeseries/<str:project>/<str:experiment>", "GET"): [Ask("?metric={metric}"), Ask("?metric=loss&format=csv")],
    (SERIES + "compare/<str:project>", "GET"): [
        *map(Ask, (
            "?metric=loss&experiments={experiment}", "?metric={metric}&experiments=baseline", "?metric=loss&experiments=baseline&x=metric&x_metric={metric}",
            "?metric=loss&experiments=baseline,again&live=1",
        )),
    ],
    (SERIES + "live/<str:project>", "GET"): [Ask("?experiments={experiment}")],
    (SERIES + "points/<str:project>", "GET"): [Ask("?metric=loss&experiments={experiment}"), Ask("?metric={metric}&experiments=baseline")],
    (SERIES + "summary/<str:project>", "GET"): [
        *map(Ask, ("?experiments={experiment}", "?metrics={metric}", "?where=name = '{experiment}'", "?where=metrics.loss.last > 0", "?format=csv")),
    ],
    (SERIES + "names/<str:project>", "GET"): [Ask("?experiments={experiment}")],
    (API + "hypotheses", "GET"): [
        *map(Ask, ("?project={project}", "?metric={metric}", "?metric=loss", "?experiment={experiment}", "?experiment=baseline", "?search={text}")),
    ],
    (API + "hypotheses", "POST"): [
        Ask(body=NEW_CLAIM | {"project": "{project}"}), Ask(body=NEW_CLAIM | {"targets": TARGETS}), Ask(body=NEW_CLAIM | {"title": "{text}Claim"}),
        Ask(body=NEW_CLAIM | {"baseline": "experiment", "baseline_experiment": "{experiment}"}),
    ],
    (ONE, "PATCH"): [Ask(body={"baseline": "experiment", "baseline_experiment": "{experiment}"}), Ask(body={"targets": TARGETS})],
    (ONE + "/experiments", "POST"): [Ask(body={"experiments": ["{experiment}"]})],
    (ONE + "/rules", "POST"): [Ask(body={"feature": "{feature}"})],
    (API + "alerts", "GET"): [Ask("?project={project}"), Ask("?experiment={experiment}"), Ask("?status=open"), Ask("?status=waiting"), Ask("?kind=stalled")],
    (SERIES + "log/<str:project>/<str:experiment>", "POST"): [Ask(body=POINT)],
}  # fmt: skip
# What is answered differently to who names somebody else's than to who names nothing: (address, verb, kind) and why that is so.
TOLD: dict[tuple[str, str, str], str] = {
    ("account/profile", "POST", "email"): "Nobody gets an address that another signs in with: who gave the password is told that it cannot be used.",
    (API + "account", "PATCH", "email"): "As on the page.",
}
