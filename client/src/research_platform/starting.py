"""How a run starts: the one call that waits for the server and may raise."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Union

from research_platform.connection import UNPROCESSABLE, Answer, Connection, packed
from research_platform.credentials import credentials, renewed
from research_platform.endings import endings
from research_platform.errors import ConfigurationError
from research_platform.keeping import files, is_held
from research_platform.pace import Pace
from research_platform.provenance import default_name, origin
from research_platform.record import record
from research_platform.retrying import persisted
from research_platform.run import DisabledRun, Run
from research_platform.values import encoded, plain
from research_platform.voice import Voice

MODES = ("online", "disabled")

Parent = Union[Run, uuid.UUID, str, None]


def init(
    project: str,
    name: str | None = None,
    *,
    parent: Parent = None,
    features_diff: Mapping[str, Any] | None = None,  # Any: these hold whatever a script holds, and so do params
    params: Mapping[str, Any] | None = None,
    seed: int | None = None,
    tags: Sequence[str] | None = None,
    notes: str = "",
    replicate_group: str = "",
    hypotheses: str | uuid.UUID | Sequence[str | uuid.UUID] | None = None,
    create_project: bool = True,
    url: str | None = None,
    token: str | None = None,
    mode: str | None = None,
    pace: Pace | None = None,
    provenance: bool = True,
) -> Run:
    """Start a run in `project` (a name, slug or UUID; made where it is missing, unless `create_project` is false).

    `parent` is a run, UUID or slug; `features_diff` says what changed against it, and is worked out by the server from the params where it is
    not given. Runs with one `replicate_group` are replicates whatever their params. `hypotheses` are the slugs or UUIDs of what the run
    tests, one or several: linked before it starts, it counts as evidence. `mode` "disabled" (or RP_MODE) makes every call do nothing.
    Without `provenance` nothing is said of the machine, the command line, the script's name or the git commit.
    Raises ConfigurationError, Unreachable or Refused, and ValueError for params that hold themselves.
    """
    params, tags = params or {}, tags or ()
    if chosen(mode) == "disabled":
        return DisabledRun(params=params, tags=tags)
    pace = pace or Pace()
    found = credentials(url, token)
    connection = Connection(found.url, found.token, timeout_s=pace.request_s, renewed=lambda: renewed(found, url, token))
    content = {"project": project, "create_project": create_project, "name": name or default_name(named_after_script=provenance), "parent": reference(parent)}
    content.update(features_diff=features_diff, params=params, seed=seed, tags=tags, notes=notes, replicate_group=replicate_group)
    content.update(hypotheses=claims(hypotheses))
    content.update(origin() if provenance else {})
    content, host = plain_content(content), str(content.get("host", ""))
    answer = created(connection, content, pace)
    if is_about_host(answer):
        Voice().warn(f"the server does not take this machine's name ({answer}): the run goes without it.")
        host = ""
        answer = created(connection, {**content, "host": host}, pace)
    tell(answer)
    return begun(Run(record(answer, url=connection.url), connection, host=host, params=params, tags=tags, pace=pace))


def begun(run: Run) -> Run:
    """The run, its sender at work and its end watched; one that a notebook left open gives way to it."""
    endings.make_way()
    waiting = [path for path in files() if not is_held(path)]
    if waiting:
        Voice().warn(
            f"{waiting[0].parent} keeps what {len(waiting)} earlier run{'s' if len(waiting) > 1 else ''} could not send: `research-platform send` sends it."
        )
    run.start()
    endings.watch(run)
    return run


def tell(answer: Answer) -> None:
    """Say what the server says of a project that it made now: its slug is not the name. That runs of one name get numbers is no news."""
    said = answer.content.get("warnings")
    for warning in said if isinstance(said, list) else ():
        if isinstance(warning, Mapping) and warning.get("field") == "project":
            Voice().warn(str(warning.get("message")))


def chosen(mode: str | None) -> str:
    """The mode that argument and environment ask for. Raises ConfigurationError for one that there is not."""
    asked = mode or os.environ.get("RP_MODE") or "online"
    if asked not in MODES:
        raise ConfigurationError(f"There is no mode {asked!r}: choose one of {', '.join(MODES)}.")
    return asked


def reference(parent: Parent) -> str | None:
    """A parent as the server knows it, None where there is none (a disabled run has no name there)."""
    found = parent.id if isinstance(parent, Run) else parent
    return str(found) if found else None


def claims(hypotheses: str | uuid.UUID | Sequence[str | uuid.UUID] | None) -> list[str] | None:
    """Hypotheses as the server takes them, None where there are none (an older server does not know the word)."""
    found = [hypotheses] if isinstance(hypotheses, (str, uuid.UUID)) else list(hypotheses or ())
    return [str(one) for one in found if one] or None


def plain_content(content: Mapping[str, object]) -> dict[str, object]:
    """What is said of a run as JSON can hold it. Raises ValueError, which says where, for what holds itself."""
    return {key: plain(value, key) for key, value in content.items() if value is not None}


def is_about_host(answer: Answer) -> bool:
    """Whether the start is refused for the machine's name alone."""
    error = answer.content.get("error")
    found = error.get("errors") if isinstance(error, Mapping) else None
    return answer.status == UNPROCESSABLE and isinstance(found, list) and {fault.get("field") for fault in found if isinstance(fault, Mapping)} == {"host"}


def created(connection: Connection, content: Mapping[str, object], pace: Pace) -> Answer:
    """The server's answer to a new experiment, asked for under one key: repeated where the server made none, or knows the key and makes no second one."""
    body = packed(encoded(content))
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    return persisted(
        lambda left_s: connection.ask("POST", "/api/v1/experiments", body, headers=headers, within_s=left_s),
        worth_repeating=lambda answer: answer.is_untouched or answer.is_proxys or answer.is_cut_off or answer.is_in_flight,
        within_s=pace.connect_timeout_s,
        pace=pace,
    )
