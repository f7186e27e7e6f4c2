"""Who may do what: every address x verb x caller, with the status that each is answered.

A new address is one line in ROUTES: `"its/<str:route>": {"GET": READ}`. The order of callers is that of CALLERS. A verb that a line does not
name must be refused to everybody. `test_matrix.py` runs every cell and fails on an address that has no line here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CALLERS = ("anonymous", "stranger", "viewer", "editor", "admin")
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REFUSED = frozenset({401, 403, 404, 405})


@dataclass(frozen=True)
class Call:
    """The status for each of CALLERS, and what is sent: `body` as JSON or, on pages, as a form; `query` behind the address.

    "{team}" in a form stands for the id of the team that all but the stranger are in.
    """

    codes: tuple[int, ...]
    body: dict[str, Any] | None = None
    query: str = ""


def call(*codes: int, body: dict[str, Any] | None = None, query: str = "") -> Call:
    """A cell."""
    assert len(codes) == len(CALLERS)
    return Call(codes, body, query)


# A page sends who is not signed in to /sign-in (302); the API answers 401.
OPEN = call(200, 200, 200, 200, 200)
SIGN_IN = call(200, 302, 302, 302, 302)
OWN_PAGE = call(302, 200, 200, 200, 200)
PAGE = call(302, 404, 200, 200, 200)
EDITORS_PAGE = call(302, 404, 403, 200, 200)
ADMINS_PAGE = call(302, 404, 403, 403, 200)
NOBODY = call(404, 404, 404, 404, 404)
# A token of a script may not: these take a person's sign-in.
PERSON = call(401, 403, 403, 403, 403)
ADMINS = call(401, 404, 403, 403, 200)
READ = call(401, 404, 200, 200, 200)
LIST = call(401, 200, 200, 200, 200)
TARGET = {"metric": "loss", "direction": "minimize"}
POINT = {"metric_name": "loss", "metric_value": 0.5}


def change(**body: Any) -> Call:
    """A form that redirects editors to where they see the result."""
    return call(302, 404, 403, 302, 302, body=body)


def admins(**body: Any) -> Call:
    """A form that redirects admins to where they see the result."""
    return call(302, 404, 403, 403, 302, body=body)


TEAM = "teams/<str:team_slug>/"
PROJECT = "projects/<str:team_slug>/<str:project_slug>/"
EXPERIMENT = PROJECT + "experiments/<str:experiment_slug>/"
HYPOTHESIS = PROJECT + "hypotheses/<str:hypothesis_slug>/"
CHANNEL = {"team": "{team}", "name": "ops", "kind": "email", "least_severity": "low", "enabled": "on"}
CLAIM = {"title": "new", "require": "all", "baseline": "root", "metric_0": "loss", "effect_0": "0", "unit_0": "metric"}

ROUTES: dict[str, dict[str, Call]] = {
    # Pages
    "": {"GET": OWN_PAGE},
    "search": {"GET": OWN_PAGE},
    "projects/new": {"GET": call(302, 200, 403, 200, 200), "POST": call(302, 422, 403, 302, 302, body={"name": "new", "team": "{team}"})},
    PROJECT: {"GET": PAGE},
    PROJECT + "attribution": {"GET": PAGE},
    PROJECT + "hypotheses/": {"GET": PAGE},
    PROJECT + "hypotheses/new": {"GET": EDITORS_PAGE, "POST": change(**CLAIM)},
    HYPOTHESIS: {"GET": PAGE},
    HYPOTHESIS + "edit": {"GET": EDITORS_PAGE, "POST": change(**CLAIM)},
    HYPOTHESIS + "delete": {"GET": call(302, 404, 403, 403, 200), "POST": call(302, 404, 403, 403, 302)},
    HYPOTHESIS + "judge": {"POST": change()},
    HYPOTHESIS + "link": {"POST": change(experiments="baseline")},
    HYPOTHESIS + "unlink": {"POST": change(experiment="baseline")},
    HYPOTHESIS + "invalidate": {"POST": change(experiment="baseline", reason="broken")},
    HYPOTHESIS + "rule": {"POST": change(feature="width")},
    PROJECT + "edit": {"GET": EDITORS_PAGE, "POST": change(name="digits")},
    PROJECT + "metrics/": {"GET": PAGE, "POST": change(name="new", aggregation="last")},
    PROJECT + "metrics/suggestions": {"POST": change()},
    PROJECT + "metrics/<int:metric_id>": {"POST": change(direction="minimize")},
    PROJECT + "compare": {"GET": PAGE},
    PROJECT + "new-experiment": {"GET": EDITORS_PAGE, "POST": change(name="new", status="planned")},
    EXPERIMENT: {"GET": PAGE},
    EXPERIMENT + "edit": {"GET": EDITORS_PAGE, "POST": change(name="renamed")},
    EXPERIMENT + "delete": {"GET": call(302, 404, 403, 403, 200), "POST": call(302, 404, 403, 403, 302)},
    EXPERIMENT + "status": {"POST": change(status="complete")},
    EXPERIMENT + "archive": {"POST": change()},
    PROJECT + "lineage": {"GET": PAGE},
    EXPERIMENT + "parent": {"GET": call(302, 404, 302, 302, 302), "POST": change(parent="")},
    PROJECT + "explore": {"GET": PAGE},
    PROJECT + "explore/data": {"GET": PAGE},
    # Who is signed in is sent on, whatever the verb.
    "sign-in": {"GET": SIGN_IN, "POST": SIGN_IN, "PUT": SIGN_IN, "PATCH": call(405, 302, 302, 302, 302), "DELETE": call(405, 302, 302, 302, 302)},
    "sign-out": {"POST": call(302, 302, 302, 302, 302)},
    "account": {"GET": OWN_PAGE},
    "account/tokens": {"POST": call(302, 422, 200, 200, 200, body={"name": "gpu7", "reach": "{team}"})},
    "account/tokens/<uuid:token_id>/revoke": {"GET": call(302, 404, 404, 200, 404), "POST": call(302, 404, 404, 302, 404)},
    "account/tokens/<uuid:token_id>/narrow": {"POST": call(302, 404, 404, 302, 404, body={"scope": "read"})},
    "account/profile": {"POST": call(302, 422, 422, 422, 422, body={"name": "another address takes the password"})},
    "account/password": {"GET": OWN_PAGE, "POST": call(302, 422, 422, 422, 422)},
    "account/sessions/sign-out": {"POST": call(302, 302, 302, 302, 302)},
    "account/sessions/<int:session_id>/sign-out": {"POST": call(302, 404, 404, 302, 404)},
    "password/forgotten": {"GET": OPEN, "POST": call(200, 200, 200, 200, 200, body={"name": "nobody"})},
    # Whoever has the key is let in, and nobody else, signed in or not.
    "password/new": {"GET": NOBODY, "POST": NOBODY},
    "join": {"GET": NOBODY, "POST": NOBODY},
    "teams/": {"GET": call(302, 302, 302, 302, 302)},
    "new-team": {"GET": OWN_PAGE, "POST": call(302, 302, 302, 302, 302, body={"name": "new"})},
    "audit": {"GET": call(302, 403, 403, 403, 403)},
    TEAM: {"GET": PAGE},
    TEAM + "rename": {"GET": ADMINS_PAGE, "POST": admins(name="new")},
    TEAM + "leave": {"GET": PAGE, "POST": call(302, 404, 302, 302, 302)},
    TEAM + "audit": {"GET": ADMINS_PAGE},
    TEAM + "members/<int:membership_id>/role": {"POST": admins(role="editor")},
    TEAM + "members/<int:membership_id>/remove": {"GET": ADMINS_PAGE, "POST": admins()},
    TEAM + "invitations": {"POST": call(302, 404, 403, 403, 200, body={"name": "dora", "role": "viewer", "days": "7"})},
    TEAM + "invitations/<uuid:invitation_id>/link": {"POST": ADMINS_PAGE},
    TEAM + "invitations/<uuid:invitation_id>/take-back": {"POST": admins()},
    "alerts/": {"GET": OWN_PAGE},
    "alerts/<int:alert_id>/acknowledge": {"POST": change()},
    "alerts/<int:alert_id>/silence": {"POST": change(**{"for": "1d"})},
    PROJECT + "alerts/": {"GET": PAGE},
    "alerts/channels/new": {"GET": call(302, 200, 403, 403, 200), "POST": call(302, 422, 403, 403, 302, body=CHANNEL)},
    "alerts/channels/<uuid:channel_id>": {"GET": call(302, 404, 403, 403, 200), "POST": call(302, 404, 403, 403, 302, body=CHANNEL)},
    "alerts/channels/<uuid:channel_id>/test": {"POST": call(302, 404, 403, 403, 302)},
    "alerts/channels/<uuid:channel_id>/secret": {"POST": call(302, 404, 403, 403, 200)},
    "alerts/channels/<uuid:channel_id>/delete": {"GET": call(302, 404, 403, 403, 200), "POST": call(302, 404, 403, 403, 302)},
    PROJECT + "filter-words": {"GET": PAGE},
    PROJECT + "views/": {"POST": change(name="mine", query="?q=loss")},
    PROJECT + "views/<int:view_id>": {"GET": call(302, 404, 302, 302, 302)},
    PROJECT + "views/<int:view_id>/delete": {"POST": change()},
    "client/": {"GET": OPEN},
    "client/<str:name>": {},
    # Every other address of the admin asks for the same: is_staff.
    "admin/password_change/": {"GET": call(302, 302, 302, 302, 302)},
    "admin/": {"GET": call(302, 302, 302, 302, 302)},
    # Signing in; the answer hangs on what is sent alone
    "api/v1/auth/token": {"POST": call(401, 401, 401, 401, 401, body={"username": "nobody", "password": "a guess"})},
    "api/v1/auth/token/refresh": {"POST": call(401, 401, 401, 401, 401, body={"refresh": "not.one.ours"})},
    # Teams, members, tokens
    "api/v1/teams": {"GET": LIST, "POST": PERSON},
    "api/v1/teams/<str:team>": {"GET": READ, "PATCH": call(401, 404, 403, 403, 200, body={"name": "new"})},
    "api/v1/teams/<str:team>/leave": {"POST": PERSON},
    "api/v1/teams/<str:team>/invitations": {"GET": ADMINS, "POST": call(401, 404, 403, 403, 201, body={"name": "dora"})},
    "api/v1/teams/<str:team>/invitations/<uuid:invitation>": {"DELETE": call(401, 404, 403, 403, 204)},
    "api/v1/teams/<str:team>/invitations/<uuid:invitation>/link": {"POST": ADMINS},
    "api/v1/invitations/accept": {"POST": PERSON},
    "api/v1/invitations/join": {"POST": call(404, 404, 404, 404, 404, body={"key": "k", "username": "dora", "password": "long enough to pass"})},
    "api/v1/audit": {"GET": LIST},
    "api/v1/account": {"GET": LIST, "PATCH": PERSON},
    "api/v1/account/password": {"POST": PERSON},
    "api/v1/account/sessions": {"GET": PERSON, "DELETE": PERSON},
    "api/v1/account/sessions/<int:session>": {"DELETE": PERSON},
    "api/v1/auth/password/forgotten": {"POST": call(503, 503, 503, 503, 503, body={"name": "nobody"})},
    "api/v1/auth/password": {"POST": call(404, 404, 404, 404, 404, body={"key": "k", "new": "long enough to pass"})},
    "api/v1/people/<str:user>": {"GET": PERSON, "PATCH": PERSON},
    "api/v1/people/<str:user>/password-link": {"POST": PERSON},
    "api/v1/teams/<str:team>/members": {"GET": ADMINS, "POST": call(401, 404, 403, 403, 403, body={"user": "carol"})},
    "api/v1/teams/<str:team>/members/<str:user>": {
        "PATCH": call(401, 404, 403, 403, 200, body={"role": "editor"}),
        "DELETE": call(401, 404, 403, 403, 204),
    },
    "api/v1/tokens": {"GET": LIST, "POST": call(401, 201, 201, 201, 201, body={"name": "gpu7"})},
    "api/v1/tokens/<uuid:token>": {"PATCH": call(401, 404, 404, 200, 404, body={"name": "gpu8"}), "DELETE": call(401, 404, 404, 204, 404)},
    # Projects; a stranger makes one in a team of their own
    "api/v1/projects": {"GET": LIST, "POST": call(401, 201, 403, 201, 201, body={"name": "new"})},
    "api/v1/projects/<str:project>": {
        "GET": READ,
        "PATCH": call(401, 404, 403, 200, 200, body={"description": "d"}),
        "DELETE": call(401, 404, 403, 403, 204),
    },
    "api/v1/projects/<str:project>/metrics": {
        "GET": READ,
        "POST": call(401, 404, 403, 201, 201, body={"name": "new"}),
        "PATCH": call(401, 404, 403, 200, 200, body={"direction": "minimize"}, query="?metric=loss"),
        "DELETE": call(401, 404, 403, 409, 409, query="?metric=loss"),
    },
    "api/v1/projects/<str:project>/metrics/<path:metric>": {
        "PATCH": call(401, 404, 403, 200, 200, body={"direction": "minimize"}),
        "DELETE": call(401, 404, 403, 409, 409),
    },
    # Experiments
    "api/v1/experiments": {"GET": LIST, "POST": call(401, 404, 403, 201, 201, body={"project": "digits", "name": "new"})},
    "api/v1/experiments/<uuid:experiment>": {
        "GET": READ,
        "PATCH": call(401, 404, 403, 200, 200, body={"notes": "n"}),
        "DELETE": call(401, 404, 403, 403, 204),
    },
    "api/v1/experiments/<uuid:experiment>/heartbeat": {"POST": call(401, 404, 403, 204, 204)},
    # Points and series
    "api/v1/metrics/log/<str:project>/<str:experiment>": {"POST": call(401, 404, 403, 200, 200, body=POINT)},
    "api/v1/metrics/log-batch/<str:project>/<str:experiment>": {"POST": call(401, 404, 403, 200, 200, body={"metrics": [POINT]})},
    "api/v1/metrics/timeseries/<str:project>/<str:experiment>/<path:metric>": {"GET": READ},
    "api/v1/metrics/timeseries/<str:project>/<str:experiment>": {"GET": call(401, 404, 200, 200, 200, query="?metric=loss")},
    "api/v1/metrics/compare/<str:project>": {"GET": call(401, 404, 200, 200, 200, query="?metric=loss&experiments=baseline")},
    "api/v1/metrics/live/<str:project>": {"GET": call(401, 404, 200, 200, 200, query="?experiments=5b9a4d5e-0000-4000-8000-000000000001")},
    "api/v1/metrics/points/<str:project>": {"GET": call(401, 404, 200, 200, 200, query="?metric=loss&experiments=baseline")},
    "api/v1/metrics/summary/<str:project>": {"GET": READ},
    "api/v1/metrics/names/<str:project>": {"GET": READ},
    "api/v1/metrics/dead-letters": {"GET": call(401, 403, 403, 403, 403), "POST": call(401, 403, 403, 403, 403)},
    "api/v1/metrics/restore": {"POST": call(401, 403, 403, 403, 403)},
    # Hypotheses
    "api/v1/hypotheses": {"GET": LIST, "POST": call(401, 404, 403, 201, 201, body={"project": "digits", "title": "new", "targets": [TARGET]})},
    "api/v1/hypotheses/<uuid:hypothesis>": {
        "GET": READ,
        "PATCH": call(401, 404, 403, 200, 200, body={"claim": "c"}),
        "DELETE": call(401, 404, 403, 403, 204),
    },
    "api/v1/hypotheses/<uuid:hypothesis>/experiments": {"GET": READ, "POST": call(401, 404, 403, 200, 200, body={"experiments": ["baseline"]})},
    "api/v1/hypotheses/<uuid:hypothesis>/experiments/<str:experiment>": {"DELETE": call(401, 404, 403, 204, 204)},
    "api/v1/hypotheses/<uuid:hypothesis>/experiments/<str:experiment>/invalidate": {"POST": call(401, 404, 403, 204, 204, body={"reason": "broken"})},
    "api/v1/hypotheses/<uuid:hypothesis>/rules": {"GET": READ, "POST": call(401, 404, 403, 201, 201, body={"feature": "lr"})},
    "api/v1/hypotheses/<uuid:hypothesis>/rules/<int:rule>": {"DELETE": call(401, 404, 403, 204, 204)},
    "api/v1/hypotheses/<uuid:hypothesis>/evaluate": {"POST": call(401, 404, 403, 200, 200)},
    "api/v1/hypotheses/<uuid:hypothesis>/evidence": {"GET": READ},
    "api/v1/hypotheses/<uuid:hypothesis>/history": {"GET": READ},
    "api/v1/projects/<str:project>/attribution": {"GET": call(401, 404, 200, 200, 200, query="?metric=loss")},
    # Alerts, and where they are sent
    "api/v1/alerts": {"GET": LIST},
    "api/v1/alerts/<int:alert>": {"GET": READ},
    "api/v1/alerts/<int:alert>/acknowledge": {"POST": call(401, 404, 403, 200, 200)},
    "api/v1/alerts/<int:alert>/silence": {"POST": call(401, 404, 403, 200, 200, body={"until": None})},
    "api/v1/teams/<str:team>/channels": {
        "GET": call(401, 404, 403, 403, 200),
        "POST": call(401, 404, 403, 403, 201, body={"name": "ops", "kind": "email"}),
    },
    "api/v1/teams/<str:team>/channels/<uuid:channel>": {
        "PATCH": call(401, 404, 403, 403, 200, body={"enabled": False}),
        "DELETE": call(401, 404, 403, 403, 204),
    },
    "api/v1/teams/<str:team>/channels/<uuid:channel>/test": {"POST": call(401, 404, 403, 403, 200)},
    # What machines ask; tests ask from this machine itself, elsewhere /metrics takes an operator's token
    "api/schema": {"GET": OPEN},
    "docs": {"GET": OPEN},
    "health": {"GET": OPEN},
    "ready": {"GET": OPEN},
    "metrics": {"GET": OPEN},
}
