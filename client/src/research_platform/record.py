"""What the server says of an experiment that it has made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from research_platform.connection import Answer
from research_platform.errors import Refused, ResearchPlatformError, Unreachable


@dataclass(frozen=True)
class Record:
    """The names that the server gave: `writer` numbers this client's points, `page` is the path of the experiment's page."""

    id: str
    slug: str
    project_id: str
    project_slug: str
    writer: int
    page: str


def record(answer: Answer, *, url: str) -> Record:
    """The record in the answer to a creation. Raises Unreachable or Refused where there is none."""
    if not answer.is_good:
        raise refusal(answer, url=url)
    content, project = answer.content, answer.content.get("project")
    try:
        if not isinstance(project, Mapping):
            raise TypeError("no project")
        return Record(str(content["id"]), str(content["slug"]), str(project["id"]), str(project["slug"]), int(str(content["writer"])), str(content["url"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"{url} answered, but not as a Research Platform server does ({error}): check the address.", status=answer.status) from error


def refusal(answer: Answer, *, url: str) -> ResearchPlatformError:
    """The error to raise for an answer that is not good."""
    if answer.status == 0:
        return Unreachable(f"{url} does not answer ({answer}). Start the server or correct RP_URL; to train without it, set RP_MODE=disabled.")
    return Refused(f"{url} did not start the run: {answer}{faults(answer)}", status=answer.status)


def faults(answer: Answer) -> str:
    """What the server found wrong, field by field, as text."""
    error = answer.content.get("error")
    found = error.get("errors") if isinstance(error, Mapping) else None
    return "".join(f"\n  {fault.get('field')}: {fault.get('message')}" for fault in found or [] if isinstance(fault, Mapping))
