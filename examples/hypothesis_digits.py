"""States three hypotheses about small networks on scikit-learn's handwritten digits, then trains the networks that test them.

    pip install ./client -r examples/requirements.txt
    python examples/hypothesis_digits.py            # 8 seeds of 4 variants: less than a minute

The claims come first, the runs after: a run that had ended before would only have suggested the claim. Each run is trained as train_digits.py does it,
and names what it tests. In the end the server judges each claim. One is true, one is false, and one is about an effect that so few seeds cannot show.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import research_platform as rp
from research_platform.connection import Answer, Connection, packed
from research_platform.credentials import credentials
from research_platform.values import encoded
from train_digits import METRICS, VARIANTS, Plan, digits, plans, train_and_log

SEEDS, EPOCHS = 8, 20
NOT_FOUND = 404
JUDGED_S, PAUSE_S = 60.0, 0.2


@dataclass(frozen=True)
class Claim:
    """That a variant improves a metric against the baseline by more than `smallest_effect`, in the metric's unit or in percent."""

    variant: str
    title: str
    claim: str
    rationale: str
    metric: str
    smallest_effect: float
    unit: str

    @property
    def terms(self) -> dict[str, Any]:
        """The claim as the API takes it, the project apart."""
        target = {"metric": self.metric, "smallest_effect": self.smallest_effect, "unit": self.unit}
        words = {"title": self.title, "claim": self.claim, "rationale": self.rationale}
        return {**words, "require": "all", "targets": [target], "baseline": "root", "paired": False}


CLAIMS = (
    Claim(
        "deeper",
        "A second hidden layer learns faster",
        f"After {EPOCHS} epochs a second layer of 32 units has a training loss at least 20% lower.",
        "Two layers can combine strokes into shapes, which one layer of 32 units has to spell out.",
        "train/loss",
        20.0,
        "percent",
    ),
    Claim(
        "regularised",
        "Strong weight decay generalises better",
        "A weight decay of 0.3 instead of 0.0001 lowers the best validation loss by at least 2%.",
        "1,200 images are few for 2,400 weights: weights held small should overfit less.",
        "val/loss",
        2.0,
        "percent",
    ),
    Claim(
        "wider",
        "A wider hidden layer is more accurate",
        "128 hidden units instead of 32 raise the best validation accuracy by at least 0.002, about one image of 597.",
        "More units can tell more kinds of strokes apart.",
        "val/accuracy",
        0.002,
        "metric",
    ),
)
TESTED = tuple(variant for variant in VARIANTS if variant.name in {"baseline", *(claim.variant for claim in CLAIMS)})


def planned(*, seeds: int, epochs: int, first_seed: int) -> list[Plan]:
    """The runs to make, seed by seed: every claim gains evidence as they end."""
    return sorted(plans(TESTED, seeds=seeds, epochs=epochs, first_seed=first_seed), key=lambda plan: plan.seed)


class Server:
    """The API as any script may use it."""

    def __init__(self) -> None:
        """Raise ConfigurationError where no server is known."""
        found = credentials()
        self.url, self.connection = found.url, Connection(found.url, found.token)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """The answer, whatever it is."""
        return self.connection.ask(method, f"/api/v1/{path}", packed(encoded(body)) if body is not None else None)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """The answer's content. Raises Refused where it is no success."""
        answer = self.ask(method, path, body)
        if not answer.is_good:
            raise rp.Refused(f"{method} {self.url}/api/v1/{path}: {answer}", status=answer.status)
        return answer.content


def prepare(server: Server, project: str) -> None:
    """Have the project, and say of its metrics which way is better: a claim about them needs that. What somebody said already stays."""
    if server.ask("GET", f"projects/{project}").status == NOT_FOUND:
        server.call("POST", "projects", {"name": project})
    known = {metric["name"]: metric for metric in server.call("GET", f"projects/{project}/metrics?page_size=500")["results"]}
    for metric in METRICS:
        if metric["name"] not in known:
            server.call("POST", f"projects/{project}/metrics", metric)
        elif not known[metric["name"]]["direction"]:
            said = {name: value for name, value in metric.items() if name != "name"}
            server.call("PATCH", f"projects/{project}/metrics/{metric['name']}", said)


def fresh_seed(server: Server, project: str) -> int:
    """A seed that no run of the project had: this script and train_digits.py never use one above the number of runs."""
    return int(server.call("GET", f"experiments?project={project}&page_size=1")["count"]) + 1


def state(server: Server, project: str) -> dict[str, Mapping[str, Any]]:
    """State the claims. Returns the hypotheses as the server has them, by the variant that tests each."""
    return {claim.variant: server.call("POST", "hypotheses", {"project": project, **claim.terms}) for claim in CLAIMS}


def train_all(planned_runs: Sequence[Plan], project: str, stated: Mapping[str, Mapping[str, Any]]) -> None:
    """Train every network. Raises ResearchPlatformError where a run cannot start."""
    data, runs = digits(), dict[str, rp.Run]()
    for plan in planned_runs:
        tested = [stated[plan.variant.name]["id"]] if plan.variant.name in stated else []
        runs[plan.name] = train_and_log(plan, data, project, runs.get(plan.parent or ""), hypotheses=tested)


def verdicts(server: Server, stated: Mapping[str, Mapping[str, Any]]) -> None:
    """Have each claim judged, and print what was found and where to read on."""
    for hypothesis in stated.values():
        await_judge(server, hypothesis["id"])
        judgement = server.call("POST", f"hypotheses/{hypothesis['id']}/evaluate")
        print(f"\n{hypothesis['title']}\n  {judgement['sentence']}\n  {server.url}{hypothesis['url']}")


def await_judge(server: Server, hypothesis: str) -> None:
    """Wait while the server judges by itself, as it does when runs end: it takes one judgement of a claim at a time."""
    until = time.monotonic() + JUDGED_S
    while server.call("GET", f"hypotheses/{hypothesis}")["is_waiting"] and time.monotonic() < until:
        time.sleep(PAUSE_S)


def arguments() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description="States three hypotheses about small networks on scikit-learn's digits, and tests them.")
    parser.add_argument("--project", default="digits", help="the project's slug; made where it is missing (default: digits)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"runs of each variant (default: {SEEDS})")
    parser.add_argument("--first-seed", type=int, help="the first seed (default: one that no run of the project had)")
    return parser.parse_args()


def main() -> None:
    """State, train, judge."""
    asked, begin = arguments(), time.monotonic()
    try:
        server = Server()
        prepare(server, asked.project)
        first_seed = asked.first_seed or fresh_seed(server, asked.project)
        stated = state(server, asked.project)
        train_all(planned(seeds=asked.seeds, epochs=EPOCHS, first_seed=first_seed), asked.project, stated)
        verdicts(server, stated)
    except rp.ResearchPlatformError as error:
        sys.exit(str(error))
    print(f"\n{time.monotonic() - begin:.0f} s.")


if __name__ == "__main__":
    main()
