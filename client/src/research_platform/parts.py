"""A refused batch without the points that the server will not take, and in halves where it does not say which those are. Pure."""

from __future__ import annotations

import gzip
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from research_platform.connection import Answer, Body, packed
from research_platform.values import encoded

Content = dict[str, Any]  # Any: steps, times, columns and who sent them, as JSON has them
Why = tuple[str, str]  # the server's word for a reason, and its sentence
Place = tuple[Union[int, None], Optional[str]]  # Python 3.9: a row, a metric, or a row of a metric
REASON_LENGTH, MESSAGE_LENGTH = 40, 500


@dataclass(frozen=True)
class Batch:
    """One request's worth of points. The body and the key are made once: each repeat sends the same bytes under the same name."""

    key: str
    points: int
    body: Body

    @property
    def content(self) -> Content:
        """What the body says."""
        raw = self.body.content
        found: Content = json.loads(gzip.decompress(raw) if self.body.headers.get("Content-Encoding") == "gzip" else raw)
        return found


def batch_of(content: Content) -> Batch:
    """`content` as a batch with a key of its own."""
    return Batch(key=uuid.uuid4().hex, points=points_in(content), body=packed(encoded(content)))


def points_in(content: Content) -> int:
    """How many points there are: null is none."""
    return sum(len(values) - values.count(None) for values in content["metrics"].values())


@dataclass
class Bad:
    """What a refusal says of a batch: why rows, metrics and single points cannot be taken; whether the machine's name is at fault."""

    why: dict[Place, Why] = field(default_factory=dict)
    is_host: bool = False

    def of(self, row: int, metric: str) -> Why | None:
        """Why one point cannot be taken, None where it may."""
        return self.why.get((None, metric)) or self.why.get((row, None)) or self.why.get((row, metric))


def named_by(answer: Answer, content: Content) -> Bad:
    """What the answer's indexed errors say of `content`."""
    bad = Bad()
    error = answer.content.get("error")
    found = error.get("errors") if isinstance(error, Mapping) else None
    for fault in found if isinstance(found, list) else ():
        if isinstance(fault, Mapping):
            note(bad, fault, content)
    return bad


def note(bad: Bad, fault: Mapping[str, Any], content: Content) -> None:
    """Add what one error says, where it says it of a part of the batch."""
    index, place, metric = fault.get("index"), fault.get("field"), fault.get("metric")
    row = index if isinstance(index, int) and 0 <= index < len(content["steps"]) else None
    if metric is None and row is not None and place in content["metrics"]:  # a server that does not say `metric` names a column by its field
        metric = place
    why = (word(fault.get("code")), str(fault.get("message") or "")[:MESSAGE_LENGTH])
    if metric in content["metrics"]:
        bad.why[row, metric] = why
    elif row is not None and place in ("steps", "timestamps"):
        bad.why[row, None] = why
    elif place == "host":
        bad.is_host = True


def word(code: object) -> str:
    """A server's word for a reason, as it takes it back."""
    return re.sub(r"[^a-z0-9_]+", "_", str(code or "invalid").lower())[:REASON_LENGTH].lstrip("_0123456789") or "invalid"


def without(content: Content, bad: Bad) -> tuple[Content, dict[Why, int]]:
    """What is left of `content`, and how many points went for which reason. Those that stay keep their order, within the ordinals that all had."""
    lost: dict[Why, int] = {}
    columns = {}
    for metric, values in content["metrics"].items():
        kept = list(values)
        for row, value in enumerate(values):
            why = None if value is None else bad.of(row, metric)
            if why is not None:
                kept[row] = None
                lost[why] = lost.get(why, 0) + 1
        columns[metric] = kept
    left = rows_of({**content, "metrics": columns}, range(len(content["steps"])))
    return ({**left, "host": ""} if bad.is_host else left), lost


def halves(content: Content, *, by_rows: bool) -> list[Content]:
    """`content` in two, by its rows or by its metrics as is asked and possible; none where it is one point. The ordinals of the second follow."""
    names, rows = list(content["metrics"]), range(len(content["steps"]))
    if len(rows) > 1 and (by_rows or len(names) == 1):
        middle = len(rows) // 2
        found = [rows_of(content, rows[:middle]), rows_of(content, rows[middle:])]
    elif len(names) > 1:
        middle = len(names) // 2
        found = [of_metrics(content, names[:middle]), of_metrics(content, names[middle:])]
    else:
        return []
    found[1]["ordinal"] = content["ordinal"] + points_in(found[0])
    return [half for half in found if half["metrics"]]


def of_metrics(content: Content, names: Iterable[str]) -> Content:
    """The columns with these names."""
    part = {**content, "metrics": {name: content["metrics"][name] for name in names}}
    return rows_of(part, range(len(content["steps"])))


def rows_of(content: Content, rows: Iterable[int]) -> Content:
    """Those of these rows that have a value, in the columns that have one."""
    kept = [row for row in rows if any(values[row] is not None for values in content["metrics"].values())]
    columns = {name: [values[row] for row in kept] for name, values in content["metrics"].items()}
    full = {name: values for name, values in columns.items() if values.count(None) < len(values)}
    return {**content, "steps": [content["steps"][row] for row in kept], "timestamps": [content["timestamps"][row] for row in kept], "metrics": full}
