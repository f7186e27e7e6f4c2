"""A judgement as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hypotheses.judging.rules import ENGINE_VERSION
from hypotheses.weighing.cases import Judgement, Reading


def as_json(judgement: Judgement) -> dict[str, Any]:  # Any: JSON
    """A judgement as JSON."""
    return {
        "id": judgement.id,
        "at": judgement.at,
        "status": judgement.status,
        "score": judgement.score,
        "raw_score": judgement.raw_score,
        "exploratory_score": judgement.exploratory,
        "sentence": judgement.sentence,
        "missing": judgement.missing,
        "gates": [{"name": g.name, "title": g.title, "is_open": g.is_open, "sentence": g.sentence, "opens": g.opens} for g in judgement.gates],
        "targets": [reading_json(each) for each in judgement.readings],
        "arms": [
            {
                "arm": arm.key,
                "name": arm.name,
                "is_post_hoc": arm.is_post_hoc,
                "score": arm.score,
                "experiments": [run.id for run in arm.runs],
                "targets": [reading_json(each) for each in arm.readings],
            }
            for arm in judgement.arms
        ],
        "baseline": [run.id for run in judgement.baseline],
        "needs": [asdict(need) for need in judgement.needs],
        "engine_version": ENGINE_VERSION,
    }


def reading_json(each: Reading) -> dict[str, Any]:  # Any: JSON
    """One metric's comparison as JSON; null where there was nothing to compare."""
    return {
        "metric": each.term.metric,
        "direction": each.term.direction,
        "aggregation": each.term.aggregation,
        "margin": each.margin,
        "failed": each.failed,
        "baseline_failed": each.baseline_failed,
        "comparison": asdict(each.comparison) if each.comparison else None,
    }
