"""What was judged, row by row: hypothesis x arm x metric. Rows are only ever added. Beside the repository, the one module that knows these columns."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np

from metrics.clickhouse.client import Coded, Columns
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place

POOLED, ARM = "pooled", "arm"
NIL = uuid.UUID(int=0)
DIRECTIONS = {"minimize": 0, "maximize": 1}
SELECTED = """
    SELECT toUnixTimestamp64Micro(timestamp) AS at_us, toString(hypothesis_id) AS hypothesis, toString(experiment_id) AS experiment, metric_name,
        baseline_value, experiment_value, delta, toString(direction) AS way, confidence_score, toString(judgement_id) AS judgement, scope, arm,
        toString(baseline_id) AS baseline, n_exp, n_base, improvement, margin, se, df, t, p_value, ci_low, ci_high, at_low, at_high, e_pos, e_neg,
        prob_improvement, method, flags, epoch, engine_version, score, status
    FROM {database}.evidence_metrics FINAL
    WHERE team_id = %(team)s AND project_id = %(project)s AND hypothesis_id IN %(hypotheses)s {scope}
    ORDER BY timestamp DESC, judgement_id, scope DESC, metric_name, arm LIMIT %(limit)s OFFSET %(offset)s
"""
ONLY_POOLED = "AND scope = 'pooled'"
NUMBERS = ("baseline_value", "experiment_value", "delta", "improvement", "margin", "se", "df", "t", "p_value", "ci_low", "ci_high")
MORE_NUMBERS = ("at_low", "at_high", "e_pos", "e_neg", "prob_improvement", "score")


@dataclass(frozen=True)
class EvidenceRow:
    """One row. What is not known is NaN; `experiment_id` is the earliest run of the arm, nil for the pooled row; units are the metric's.

    `score` and `status` are the whole hypothesis's after this judgement, gates included.
    """

    at: datetime
    hypothesis_id: uuid.UUID
    judgement_id: uuid.UUID
    scope: str
    arm: str
    experiment_id: uuid.UUID
    baseline_id: uuid.UUID
    metric_name: str
    direction: str
    baseline_value: float
    experiment_value: float
    delta: float
    confidence_score: float
    n_exp: int
    n_base: int
    improvement: float
    margin: float
    se: float
    df: float
    t: float
    p_value: float
    ci_low: float
    ci_high: float
    at_low: float
    at_high: float
    e_pos: float
    e_neg: float
    prob_improvement: float
    method: str
    flags: tuple[str, ...]
    epoch: int
    engine_version: str
    score: float
    status: str


def append(repository: MetricRepository, place: Place, rows: Sequence[EvidenceRow], *, logged_at: datetime) -> None:
    """Store the rows of a judgement. A repeat lands once, under (hypothesis, experiment, metric, time, judgement, scope, arm)."""
    if rows:
        repository.engine.insert("evidence_metrics", columns(place, rows, logged_at=logged_at))


def columns(place: Place, rows: Sequence[EvidenceRow], *, logged_at: datetime) -> Columns:
    """The rows as the table's columns."""

    def of(name: str) -> list[Any]:  # Any: the fields differ in kind
        return [getattr(row, name) for row in rows]

    ids = ("hypothesis_id", "experiment_id", "judgement_id", "baseline_id")
    words = ("metric_name", "scope", "arm", "method", "engine_version", "status")
    return {
        "timestamp": np.array([microseconds(row.at) for row in rows], dtype=np.int64),
        "logged_at": np.full(len(rows), microseconds(logged_at), dtype=np.int64),
        "team_id": each([place.team_id] * len(rows)),
        "project_id": each([place.project_id] * len(rows)),
        "direction": np.array([DIRECTIONS[row.direction] for row in rows], dtype=np.int8),
        "confidence_score": np.array(of("confidence_score"), dtype=np.float32),
        "flags": each([",".join(row.flags) for row in rows]),
        **{name: each(of(name)) for name in (*ids, *words)},
        **{name: np.array(of(name), dtype=np.float64) for name in (*NUMBERS, *MORE_NUMBERS)},
        **{name: np.array(of(name), dtype=np.uint32) for name in ("n_exp", "n_base", "epoch")},
    }


def each(values: Sequence[Any]) -> Coded:  # Any: text or UUIDs
    """A column of text or UUIDs."""
    known = {value: code for code, value in enumerate(dict.fromkeys(values))}
    return Coded(list(known), np.array([known[value] for value in values], dtype=np.int64))


def microseconds(at: datetime) -> int:
    """Since 1970."""
    return round(at.timestamp() * 1_000_000)


def rows(
    repository: MetricRepository, place: Place, hypotheses: Sequence[uuid.UUID], *, only_pooled: bool = False, limit: int = 1000, offset: int = 0
) -> list[EvidenceRow]:
    """What was judged of these hypotheses, the newest first."""
    if not hypotheses:
        return []
    params = {"team": place.team_id, "project": place.project_id, "hypotheses": tuple(hypotheses), "limit": limit, "offset": offset}
    found = repository.engine.query(repository.sql(SELECTED, scope=ONLY_POOLED if only_pooled else ""), params)
    return [row_of(found, n) for n in range(len(found.get("at_us", ())))]


def row_of(found: Mapping[str, Any], n: int) -> EvidenceRow:
    """One row of a result."""
    words: dict[str, Any] = {name: str(found[name][n]) for name in ("metric_name", "scope", "arm", "method", "engine_version", "status")}
    numbers: dict[str, Any] = {name: float(found[name][n]) for name in (*NUMBERS, *MORE_NUMBERS, "confidence_score")}
    counts: dict[str, Any] = {name: int(found[name][n]) for name in ("n_exp", "n_base", "epoch")}
    return EvidenceRow(
        at=datetime.fromtimestamp(int(found["at_us"][n]) / 1e6, tz=UTC),
        hypothesis_id=uuid.UUID(found["hypothesis"][n]),
        judgement_id=uuid.UUID(found["judgement"][n]),
        experiment_id=uuid.UUID(found["experiment"][n]),
        baseline_id=uuid.UUID(found["baseline"][n]),
        direction=str(found["way"][n]),
        flags=tuple(flag for flag in str(found["flags"][n]).split(",") if flag),
        **counts,
        **words,
        **numbers,
    )


def as_json(row: EvidenceRow) -> dict[str, Any]:
    """A row as JSON shows it: NaN, which is what nobody knows, as null."""
    shown = {each_.name: getattr(row, each_.name) for each_ in fields(row)}
    return {name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in shown.items()}
