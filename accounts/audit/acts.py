"""Every act that the record keeps a line of: its kind, and how the line reads after the name of whoever did it."""

from __future__ import annotations

from dataclasses import dataclass

PEOPLE, ACCESS, RECORD, CLAIMS, ALERTS, EXPORTS, DELETIONS = "people", "access", "record", "claims", "alerts", "exports", "deletions"
KINDS = {
    PEOPLE: "Members and roles",
    ACCESS: "Tokens and sign-ins",
    RECORD: "Projects and runs",
    CLAIMS: "Hypotheses",
    ALERTS: "Channels",
    EXPORTS: "Exports",
    DELETIONS: "Deletions",
}


@dataclass(frozen=True)
class Act:
    """One kind of act. `words` may name {on}, and what `details` hold."""

    kind: str
    words: str


ACTS = {
    # Members and roles
    "team.made": Act(PEOPLE, "made the team {on}"),
    "team.renamed": Act(PEOPLE, "renamed the team {was} to {on}"),
    "team.changed": Act(PEOPLE, "changed the team {on}: {changed}"),
    "member.added": Act(PEOPLE, "added {on} as {role}"),
    "member.role": Act(PEOPLE, "changed the role of {on}: {was} to {role}"),
    "member.removed": Act(PEOPLE, "removed {on}"),
    "member.left": Act(PEOPLE, "left the team"),
    "invitation.made": Act(PEOPLE, "invited {on} as {role}"),
    "invitation.renewed": Act(PEOPLE, "made a new link for the invitation of {on}"),
    "invitation.taken_back": Act(PEOPLE, "took back the invitation of {on}"),
    "invitation.accepted": Act(PEOPLE, "accepted the invitation of {on} as {role}"),
    "account.made": Act(PEOPLE, "made the account {on}"),
    "account.changed": Act(PEOPLE, "changed the account {on}: {changed}"),
    "account.rights": Act(PEOPLE, "changed the rights of {on}: {changed}"),
    "account.switched_off": Act(PEOPLE, "switched off the account {on}"),
    "account.switched_on": Act(PEOPLE, "switched on the account {on}"),
    # Tokens and sign-ins
    "sign_in.done": Act(ACCESS, "signed in {way}"),
    "sign_in.failed": Act(ACCESS, "gave a wrong password for {on}"),
    "sign_in.ended": Act(ACCESS, "signed out"),
    "sessions.ended": Act(ACCESS, "signed out {count} sessions of {on}"),
    "password.changed": Act(ACCESS, "changed the password of {on}"),
    "password.link": Act(ACCESS, "made a link for a new password of {on}"),
    "password.asked": Act(ACCESS, "asked for a new password of {on} by e-mail"),
    "token.made": Act(ACCESS, "made the token {on}"),
    "token.changed": Act(ACCESS, "changed the token {on}: {changed}"),
    "token.revoked": Act(ACCESS, "revoked the token {on}"),
    # Projects and runs
    "project.made": Act(RECORD, "made the project {on}"),
    "project.changed": Act(RECORD, "changed the project {on}: {changed}"),
    "project.archived": Act(RECORD, "archived the project {on}"),
    "project.restored": Act(RECORD, "restored the project {on}"),
    "metric.changed": Act(RECORD, "changed the metric {on}: {changed}"),
    "run.archived": Act(RECORD, "archived the run {on}"),
    "run.restored": Act(RECORD, "restored the run {on}"),
    "store.restored": Act(RECORD, "had kept points stored again"),
    "admin.added": Act(RECORD, "added {on} in the admin"),
    "admin.changed": Act(RECORD, "changed {on} in the admin"),
    "admin.acted": Act(RECORD, "{what} {on} in the admin"),
    # Hypotheses
    "hypothesis.stated": Act(CLAIMS, "stated the hypothesis {on}"),
    "hypothesis.changed": Act(CLAIMS, "changed the hypothesis {on}: {changed}"),
    "hypothesis.epoch": Act(CLAIMS, "changed the terms of the hypothesis {on}: version {epoch} begins"),
    # Channels
    "channel.made": Act(ALERTS, "made the channel {on}"),
    "channel.changed": Act(ALERTS, "changed the channel {on}: {changed}"),
    "channel.secret": Act(ALERTS, "made a new secret for the channel {on}"),
    "channel.tested": Act(ALERTS, "sent a test to the channel {on}"),
    "channel.removed": Act(ALERTS, "removed the channel {on}"),
    # Exports
    "export.made": Act(EXPORTS, "downloaded {what} of {on}"),
    # Deletions
    "team.deleted": Act(DELETIONS, "deleted the team {on}: {projects} projects, {runs} runs"),
    "project.deleted": Act(DELETIONS, "deleted the project {on}: {runs} runs, {hypotheses} hypotheses"),
    "metric.deleted": Act(DELETIONS, "deleted the definition of the metric {on}"),
    "view.deleted": Act(DELETIONS, "deleted the saved view {on}"),
    "run.deleted": Act(DELETIONS, "deleted the run {on}"),
    "runs.deleted": Act(DELETIONS, "deleted {count} runs of {on}"),
    "hypothesis.deleted": Act(DELETIONS, "deleted the hypothesis {on}"),
    "account.deleted": Act(DELETIONS, "deleted the account {on}"),
    "admin.deleted": Act(DELETIONS, "deleted {on} in the admin"),
}


def acts_of(kind: str) -> list[str]:
    """The names of the acts of one kind."""
    return [name for name, act in ACTS.items() if act.kind == kind]


class Said(dict[str, object]):
    """Details by name; what an older line does not hold reads as a dash."""

    def __missing__(self, name: str) -> str:
        """In the place of what is not there."""
        return "–"
