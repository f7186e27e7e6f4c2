"""Claims in every state on a served product: runs are made, logged and ended through the API, as scripts do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

from tests.e2e.conftest import Site

ACCURACY, LOSS = "val/accuracy", "val/loss"
JITTER = (0.0, 1.1, -0.9, 0.5, -1.2, 0.8, -0.4, 1.3, -0.7, 0.2)


class Lab:
    """One project that runs are made in. Values are its own: a centre, and a spread between seeds that a table of numbers gives."""

    def __init__(self, site: Site, project: str) -> None:
        self.site, self.project = site, project
        self.numbers = count(1)
        self.ids: dict[str, str] = {}

    def define(self, name: str, direction: str) -> None:
        """A metric with its better way."""
        self.site.call("POST", f"/api/v1/projects/{self.project}/metrics", {"name": name, "direction": direction})

    def arm(self, name: str, centre: float, runs: int, *, parent: str | None = None, failed: int = 0, ends: bool = True, **more: Any) -> list[str]:
        """`runs` of one change, `failed` of them diverged, by their slugs."""
        params = {"lr": 0.001} | ({name: 1} if parent else {})
        slugs = [self.start(f"{name} s{seed}", seed, parent=parent, params=params, **more) for seed in range(1, runs + 1)]
        if ends:
            self.end([(slug, centre, seed < failed) for seed, slug in enumerate(slugs)])
        return slugs

    def start(self, name: str, seed: int, *, parent: str | None, params: dict[str, Any], **more: Any) -> str:
        """One run, not ended."""
        fields = {"project": self.project, "create_project": True, "name": name, "params": params, "seed": seed} | more
        made = self.site.call("POST", "/api/v1/experiments", fields | ({"parent": parent} if parent else {}))
        self.ids[made["slug"]] = made["id"]
        return str(made["slug"])

    def end(self, runs: Sequence[tuple[str, float, bool]]) -> None:
        """End these runs (slug, centre, whether it diverged), several at once, as jobs of a cluster end."""
        with ThreadPoolExecutor(8) as jobs:
            list(jobs.map(self.end_one, runs, self.numbers))

    def end_one(self, run: tuple[str, float, bool], number: int) -> None:
        """Log a short series towards the centre and end the run; its jitter hangs on `number` alone."""
        slug, centre, diverged = run
        value = centre + 0.003 * JITTER[number % len(JITTER)] + 0.0004 * math.sin(number)
        accuracy: list[Any] = [value - 0.04, value - 0.01] + [value + 1e-5 * math.cos(n) for n in range(10)]
        loss: list[Any] = [4 * (1 - each) for each in accuracy]
        nothing = ["NaN"] * len(accuracy)
        self.site.log(self.project, slug, {ACCURACY: nothing if diverged else accuracy, LOSS: nothing if diverged else loss})
        status = {"status": "failed", "failure_kind": "diverged"} if diverged else {"status": "complete"}
        self.site.call("PATCH", f"/api/v1/experiments/{self.ids[slug]}", status)

    def claim(self, title: str, *targets: dict[str, Any], **more: Any) -> dict[str, Any]:
        """A hypothesis."""
        stated: dict[str, Any] = self.site.call("POST", "/api/v1/hypotheses", {"project": self.project, "title": title, "targets": list(targets), **more})
        return stated

    def judge(self, claim: dict[str, Any]) -> None:
        """Judge it now."""
        self.site.call("POST", f"/api/v1/hypotheses/{claim['id']}/evaluate")


def target(metric: str, effect: float, unit: str = "metric") -> dict[str, Any]:
    """A target as the API takes it."""
    return {"metric": metric, "smallest_effect": effect, "unit": unit}


def state(site: Site) -> dict[str, str]:
    """A project with a claim in every state, by state: the slug of each."""
    lab = Lab(site, "digits-claims")
    base = lab.arm("baseline", 0.963, 5, ends=False, command="python train.py --seed 1")
    lab.define(ACCURACY, "maximize")
    lab.define(LOSS, "minimize")
    better = lab.claim("Regularisation raises val/accuracy by more than 0.3 points", target(ACCURACY, 0.003), target(LOSS, 1, "percent"))
    worse = lab.claim("Half the width costs less than it saves", target(ACCURACY, 0.002), rationale="Fewer weights overfit less.")
    small = lab.claim("Warm-up helps a little", target(ACCURACY, 0.002), claim="A warm-up of 200 steps raises val/accuracy.")
    ends = [(slug, 0.963) for slug in base]
    for name, centre, runs in (("dropout", 0.973, 5), ("batch norm", 0.9725, 5), ("wider", 0.976, 4)):
        ends += [
            (slug, centre)
            for slug in lab.arm(
                name, centre, runs, parent=base[0], ends=False, hypotheses=[better["slug"]], command=f"python train.py --{name.split()[0]} --seed 1"
            )
        ]
    ends += [(slug, 0.951) for slug in lab.arm("half width", 0.951, 6, parent=base[0], ends=False, hypotheses=[worse["slug"]])]
    ends += [(slug, 0.9633) for slug in lab.arm("warm-up", 0.9633, 3, parent=base[0], ends=False, hypotheses=[small["slug"]])]
    lab.end([(slug, centre, i == len(ends) - 1) for i, (slug, centre) in enumerate(ends)])
    late = lab.claim("A longer run is worth it", target(ACCURACY, 0.003), baseline="experiment", baseline_experiment=base[0])
    longer = lab.arm("longer", 0.974, 3, parent=base[0])
    site.call("POST", f"/api/v1/hypotheses/{late['id']}/experiments", {"experiments": longer})
    idle = lab.claim("Label smoothing calibrates", target(LOSS, 2, "percent"), status="proposed")
    for claim in (better, worse, small, late, idle):
        lab.judge(claim)
    single = lab.arm("deeper", 0.978, 1, parent=longer[0])
    lab.arm("cosine", 0.981, 2, parent=single[0])
    return {"supported": better["slug"], "refuted": worse["slug"], "testing": small["slug"], "post hoc": late["slug"], "proposed": idle["slug"]}


def crowd(site: Site, arms: int = 60) -> str:
    """A project with one claim that many arms of two runs test; the claim's slug."""
    lab = Lab(site, "sweep-claims")
    base = lab.arm("baseline", 0.90, 6, ends=False)
    lab.define(ACCURACY, "maximize")
    claim = lab.claim("Any of the sweep beats the baseline", target(ACCURACY, 0.005))
    waiting = [(slug, 0.90) for slug in base]
    for n in range(arms):
        name = f"a change with a rather long name, number {n}"
        waiting += [(slug, 0.90 + 0.02 * math.sin(n) + 0.012) for slug in lab.arm(name, 0.9, 2, parent=base[0], ends=False, hypotheses=[claim["slug"]])]
    lab.end([(slug, centre, False) for slug, centre in waiting])
    lab.judge(claim)
    return str(claim["slug"])
