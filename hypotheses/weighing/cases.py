"""What a judgement is made of and what comes out of it: runs, arms, blocks, gates, readings. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hypotheses.judging.comparison import Comparison
from hypotheses.judging.evidence import Direction
from hypotheses.judging.rules import Mode, Status
from hypotheses.judging.series import SeriesStatus

BETWEEN_CHANGES = " · "


@dataclass(frozen=True, slots=True)
class Term:
    """One target metric: which way is better, which number stands for a run, and the smallest improvement that matters."""

    metric: str
    direction: Direction
    aggregation: str
    smallest_effect: float  # in the metric's unit, or in percent of the baseline's mean
    is_percent: bool


@dataclass(frozen=True, slots=True)
class Value:
    """One run's number for one metric; None unless the status is "ok". `points`: how many were logged; `noise_var`: the floor its tail sets."""

    value: float | None
    status: SeriesStatus
    points: int
    noise_var: float


@dataclass(frozen=True, slots=True)
class Run:
    """One experiment as a judgement sees it. `arm`: its replicate_key. `values` by metric."""

    id: uuid.UUID
    slug: str
    name: str
    arm: str
    root_arm: str
    seed: int | None
    state: str  # planned, running, complete, failed, or the kind of failure
    finished_at: datetime | None
    is_post_hoc: bool
    change: str  # what changed against its parent, as people read it; empty for a root
    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def is_ended(self) -> bool:
        """Whether nothing follows."""
        return self.state not in ("planned", "running")

    @property
    def is_interrupted(self) -> bool:
        """Whether somebody stopped it, or the machine did: it says nothing of the claim."""
        return self.state == "interrupted"


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that a judgement looks at: the terms, the runs on both sides, and what is known of the baseline.

    `linked` are those of this epoch that stand, those that count and those post hoc; `baseline` the runs that may be compared with. `closed`: gates that
    gathering closed already, or has to tell of. `usual_sd`: the project's spread between seeds by metric, known where one run stands against one.
    """

    hypothesis_id: uuid.UUID
    mode: Mode
    terms: tuple[Term, ...]
    is_paired: bool
    previous: Status
    epoch: int
    baseline_kind: str
    frozen_at: datetime | None
    linked: tuple[Run, ...]
    baseline: tuple[Run, ...]
    closed: tuple[Gate, ...] = ()
    usual_sd: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gate:
    """An assumption that a verdict needs. Closed, it holds the score just short; `sentence` says what was found, `opens` what opens it."""

    name: str
    title: str
    is_open: bool
    sentence: str
    opens: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric's comparison, None where there is nothing to compare; `margin` in the metric's unit; failed runs counted on both sides."""

    term: Term
    margin: float
    comparison: Comparison | None
    failed: int
    baseline_failed: int


@dataclass(frozen=True, slots=True)
class Arm:
    """Linked runs of one replicate_key, with a comparison and a score of their own. `name`: what changed, or the run's name."""

    key: str
    name: str
    runs: tuple[Run, ...]
    is_post_hoc: bool
    readings: tuple[Reading, ...]  # in the order of the terms
    score: float | None

    @property
    def earliest(self) -> Run:
        """Its first run."""
        return self.runs[0]


@dataclass(frozen=True, slots=True)
class Need:
    """Replicates still needed to see the smallest effect that matters: for the pooled row ("") or one arm; None where the spread is not known yet."""

    arm: str
    metric: str
    effect: float  # in the metric's unit
    n_exp: int
    n_base: int
    needed: int | None  # a side
    add_exp: int | None
    add_base: int | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a case says. `score` is held where a gate is closed, `raw_score` is not; `exploratory` that of the runs post hoc, None without any."""

    id: uuid.UUID
    at: datetime
    status: Status
    score: float
    raw_score: float
    sentence: str
    missing: str
    readings: tuple[Reading, ...]  # pooled, in the order of the terms
    arms: tuple[Arm, ...]
    baseline: tuple[Run, ...]
    gates: tuple[Gate, ...]
    needs: tuple[Need, ...]
    exploratory: float | None
    exploratory_readings: tuple[Reading, ...] = ()

    @property
    def closed(self) -> tuple[Gate, ...]:
        """The gates that hold the score."""
        return tuple(gate for gate in self.gates if not gate.is_open)
