"""Worked cases, computed with scipy and statsmodels by another hand: each must come out to the tolerance that the file names."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from hypotheses.judging import attribution, comparison, evidence, planning, rules, series

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())
TOLERANCE = VECTORS["tolerance"]


def compare(given: dict[str, Any]) -> Any:
    return asdict(comparison.compare(given.pop("blocks"), **given))


def compare_path(given: dict[str, Any]) -> list[float]:
    looks = range(1, len(given["x"]) + 1)
    return [comparison.compare([(given["x"][:n], given["b"][:n])], direction=given["direction"]).score for n in looks]


def aggregate(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answers = [series.aggregate([float(value) for value in each["series"]], each["how"]) for each in given]
    return [{"value": value, "status": status} for value, status in answers]


def worst_rank(given: dict[str, Any]) -> dict[str, Any]:
    direction = given["direction"]
    completed = comparison.compare([(given["x"], given["b"])], direction=direction).score
    worst = comparison.compare([rules.worst_rank(**given)], direction=direction).score
    [gate] = rules.attrition_gates("testing", completed, worst)
    return {"score_completed_only": completed, "score_worst_rank": worst, "gate": gate}


def planned(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "t_threshold": {str(n): planning.t_threshold(n, n) for n in given["n"]},
        "power": {f"n={n},d={d}": planning.power(d, n, n) for n in given["n"] for d in given["d"]},
        "replicates_for_power_80": {str(d): planning.replicates_needed(d) for d in (1, 1.5, 2, 3)},
        "mde_80": {str(n): planning.mde(n, n) for n in given["n"]},
    }


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "compare": compare,
    "compare_path": compare_path,
    "aggregate": aggregate,
    "tail_noise": lambda given: {"within_var": series.tail_noise([float(value) for value in given["series"]], given["how"])},
    "combine": lambda given: rules.combine({name: pair and tuple(pair) for name, pair in given["e"].items()}, mode=given["mode"]),
    "decide": lambda given: list(rules.decide(**given)),
    "worst_rank": worst_rank,
    "e_bh": lambda given: rules.e_bh(**given),
    "adjust": lambda given: rules.adjust(**given)._asdict(),
    "planning": planned,
    "attribute": lambda given: [asdict(effect) for effect in attribution.attribute(**given)],
}


def matches(answer: Any, expected: Any) -> bool:
    """Equal, numbers to the tolerance; an answer may have more fields than are expected, never fewer."""
    if isinstance(expected, dict):
        return isinstance(answer, dict) and all(name in answer and matches(answer[name], value) for name, value in expected.items())
    if isinstance(expected, list):
        return len(answer) == len(expected) and all(map(matches, answer, expected))
    if isinstance(expected, float):
        return isinstance(answer, float | int) and answer == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)
    return type(answer) is type(expected) and bool(answer == expected)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_every_worked_case_comes_out(case: dict[str, Any]):
    answer = FUNCTIONS[case["function"]](json.loads(json.dumps(case["input"])))
    assert matches(answer, case["expected"]), f"expected {case['expected']}, got {answer}"


def test_the_settings_are_those_of_the_worked_cases():
    ours = {"alpha": evidence.ALPHA, "g": evidence.PRIOR_VARIANCE, "tau": evidence.THRESHOLD, "cap": evidence.CAP / evidence.THRESHOLD}
    assert matches(ours, {name: VECTORS["settings"][name] for name in ours})


def test_a_deviation_beyond_the_tolerance_does_not_match():
    assert not matches({"score": 0.5 + 1e-8}, {"score": 0.5})
    assert not matches({"se": 0.0}, {"se": None})
    assert not matches({}, {"se": None})
    assert not matches([1.0], [1.0, 2.0])
