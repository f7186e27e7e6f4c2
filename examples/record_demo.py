"""Records real training runs into the file that the demo project is made of.

    PYTHONPATH=client/src python examples/record_demo.py        # writes experiments/demo/digits.json.gz

Runs exactly what train_digits.py runs, and keeps what would have been logged. Values are those of the training, with all their digits; times are
those at which they were logged. Nothing is made up, smoothed or rounded (times apart, which are kept to the microsecond, as the store does).

The file is JSON, compressed with gzip:

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
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from research_platform.columns import Row, columns
from train_digits import NOTES, VARIANTS, Digits, Plan, Result, digits, plans, train

RECORDING = Path(__file__).resolve().parents[1] / "experiments" / "demo" / "digits.json.gz"
PROJECT = {
    "name": "Digits",
    "description": (
        "Small networks on scikit-learn's 8×8 handwritten digits: what do width, depth, the learning rate and regularisation do? "
        "Recorded from real training runs by examples/record_demo.py."
    ),
    "metrics": [
        {"name": "val/accuracy", "direction": "maximize", "aggregation": "max"},
        {"name": "val/loss", "direction": "minimize", "aggregation": "min"},
        {"name": "train/loss", "direction": "minimize", "aggregation": "last"},
    ],
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


def recording(*, seeds: int, epochs: int) -> dict[str, Any]:
    """Train every variant and give the whole recording."""
    data, since_s = digits(), time.monotonic()
    experiments: list[dict[str, Any]] = []
    index_of: dict[str, int] = {}
    for plan in plans(VARIANTS, seeds=seeds, epochs=epochs):
        experiments.append(recorded(plan, data, since_s, index_of))
        index_of[plan.name] = len(experiments) - 1
        print(f"{plan.name:26} {experiments[-1]['failure_kind'] or 'complete'}")
    return {"project": PROJECT, "experiments": experiments}


def write(content: dict[str, Any], path: Path) -> None:
    """Write the recording to `path`. The same recording gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(body, mtime=0))
    print(f"\n{path}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Record what was asked for."""
    parser = argparse.ArgumentParser(description="Records the demo project from real training runs.")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each variant (default: 5)")
    parser.add_argument("--epochs", type=int, default=50, help="epochs of each run (default: 50)")
    parser.add_argument("--to", type=Path, default=RECORDING, help=f"the file to write (default: {RECORDING.name} of the product)")
    asked = parser.parse_args()
    write(recording(seeds=asked.seeds, epochs=asked.epochs), asked.to)


if __name__ == "__main__":
    main()
