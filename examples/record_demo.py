"""Records real training runs into the files that the demo project is made of.

    PYTHONPATH=client/src python examples/record_demo.py                # writes operations/demo/runs.json.gz
    PYTHONPATH=client/src python examples/record_demo.py --hypotheses   # writes operations/demo/claims.json.gz

Runs exactly what train_digits.py or hypothesis_digits.py runs, and keeps what would have been logged, stated and linked. Values are those of the
training, with all their digits; times are those at which they were logged. Nothing is made up, smoothed or rounded (times apart, which are kept to the
microsecond, as the store does).

A file is JSON, compressed with gzip:

    {"project": {"name": text, "description": text,
                 "metrics": [{"name": text, "direction": "minimize" | "maximize", "aggregation": "last" | "min" | "max" | "avg"}]},
     "experiments": [{
         "name": text,
         "parent": index of an earlier experiment in this list, or null,
         "params": {…}, "features_diff": {feature: {"from": …, "to": …}}, "seed": integer, "tags": [text], "notes": text,
         "status": "complete" | "failed", "failure_kind": "" | "diverged",
         "started_s": seconds from the start of the recording, "finished_s": likewise,
         "steps": [integer], "times_s": [seconds from the start of the recording],       one entry a row
         "metrics": {name: [number | "NaN" | "Infinity" | "-Infinity" | null]}}]}        as long as steps; null is no point

A recording of hypotheses has no "project", as it goes with the other one, and beside "experiments":

    {"hypotheses": [{
         "title": text, "claim": text, "rationale": text, "require": "all" | "any" | "mean", "baseline": "root" | "best", "paired": true | false,
         "targets": [{"metric": name, "smallest_effect": number, "unit": "metric" | "percent"}],
         "stated_s": seconds from the start of the recording, before the first run starts,
         "links": [{"experiment": index, "linked_s": seconds from the start of the recording}]}]}        linked when the run starts
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis_digits
from hypothesis_digits import CLAIMS, Claim, planned
from research_platform.columns import Row, columns
from train_digits import METRICS, NOTES, VARIANTS, Digits, Plan, Result, digits, plans, train

PRODUCT = Path(__file__).resolve().parents[1]
RECORDING = PRODUCT / "operations" / "demo" / "runs.json.gz"
HYPOTHESES = PRODUCT / "operations" / "demo" / "claims.json.gz"
SEEDS, EPOCHS = 5, 50
PROJECT = {
    "name": "Digits",
    "description": (
        "Small networks on scikit-learn's 8×8 handwritten digits: what do width, depth, the learning rate and regularisation do? "
        "Recorded from real training runs by examples/record_demo.py."
    ),
    "metrics": list(METRICS),
}


@dataclass
class Recorder:
    """Keeps rows as a run would send them; times count from `since_s` (monotonic seconds)."""

    since_s: float
    rows: list[Row] = field(default_factory=list)

    def now_s(self) -> float:
        """Seconds since the recording began, to the microsecond."""
        return round(time.monotonic() - self.since_s, 6)

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Keep one row."""
        self.rows.append(Row(step, self.now_s(), tuple(metrics), tuple(metrics.values())))


def recorded(plan: Plan, data: Digits, since_s: float, index_of: dict[str, int]) -> dict[str, Any]:
    """Train one run and give its part of the recording."""
    recorder = Recorder(since_s)
    started_s = recorder.now_s()
    result = train(plan, data, recorder)
    sent = columns(recorder.rows)
    return {
        **described(plan, result),
        "parent": index_of.get(plan.parent or ""),
        "started_s": started_s,
        "finished_s": recorder.now_s(),
        "steps": sent["steps"],
        "times_s": sent["timestamps"],
        "metrics": sent["metrics"],
    }


def described(plan: Plan, result: Result) -> dict[str, Any]:
    """What was planned, and how it ended."""
    return {
        "name": plan.name,
        "params": plan.params,
        "features_diff": plan.features_diff,
        "seed": plan.seed,
        "tags": list(plan.variant.tags),
        "notes": NOTES,
        "status": "failed" if result.is_diverged else "complete",
        "failure_kind": "diverged" if result.is_diverged else "",
    }


def all_recorded(planned_runs: Iterable[Plan], data: Digits, since_s: float) -> list[dict[str, Any]]:
    """Train every run and give its part of the recording."""
    experiments: list[dict[str, Any]] = []
    index_of: dict[str, int] = {}
    for plan in planned_runs:
        experiments.append(recorded(plan, data, since_s, index_of))
        index_of[plan.name] = len(experiments) - 1
        print(f"{plan.name:26} {experiments[-1]['failure_kind'] or 'complete'}")
    return experiments


def recording(*, seeds: int, epochs: int) -> dict[str, Any]:
    """Train every variant and give the whole recording."""
    data, since_s = digits(), time.monotonic()
    return {"project": PROJECT, "experiments": all_recorded(plans(VARIANTS, seeds=seeds, epochs=epochs), data, since_s)}


def recording_of_hypotheses(*, seeds: int, epochs: int) -> dict[str, Any]:
    """State the claims, train what tests them, with seeds that no run of the other recording has, and give the whole recording."""
    data, since_s = digits(), time.monotonic()
    stated_s = [Recorder(since_s).now_s() for _ in CLAIMS]
    runs = planned(seeds=seeds, epochs=epochs, first_seed=len(VARIANTS) * SEEDS + 1)
    experiments = all_recorded(runs, data, since_s)
    hypotheses = [{**claim.terms, "stated_s": at_s, "links": links(claim, runs, experiments)} for claim, at_s in zip(CLAIMS, stated_s, strict=True)]
    return {"experiments": experiments, "hypotheses": hypotheses}


def links(claim: Claim, runs: Sequence[Plan], experiments: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs that named the claim when they started."""
    return [{"experiment": place, "linked_s": experiments[place]["started_s"]} for place, plan in enumerate(runs) if plan.variant.name == claim.variant]


def write(content: dict[str, Any], path: Path) -> None:
    """Write the recording to `path`. The same recording gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(body, mtime=0))
    print(f"\n{path}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Record what was asked for."""
    parser = argparse.ArgumentParser(description="Records the demo project from real training runs.")
    parser.add_argument("--hypotheses", action="store_true", help="record what hypothesis_digits.py runs, instead of train_digits.py")
    parser.add_argument("--seeds", type=int, help=f"runs of each variant (default: {SEEDS}, of hypotheses {hypothesis_digits.SEEDS})")
    parser.add_argument("--epochs", type=int, help=f"epochs of each run (default: {EPOCHS}, of hypotheses {hypothesis_digits.EPOCHS})")
    parser.add_argument("--to", type=Path, help="the file to write (default: that of the product)")
    asked = parser.parse_args()
    if asked.hypotheses:
        content = recording_of_hypotheses(seeds=asked.seeds or hypothesis_digits.SEEDS, epochs=asked.epochs or hypothesis_digits.EPOCHS)
        write(content, asked.to or HYPOTHESES)
    else:
        write(recording(seeds=asked.seeds or SEEDS, epochs=asked.epochs or EPOCHS), asked.to or RECORDING)


if __name__ == "__main__":
    main()
