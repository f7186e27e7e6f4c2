"""Trains small networks on scikit-learn's handwritten digits, and logs every epoch.

    pip install ./client -r examples/requirements.txt
    python examples/train_digits.py            # every variant, 5 seeds: a minute or so
    python examples/train_digits.py --quick    # a few seconds

Nine variants form a lineage: each changes one or two things against its parent and says so in `features_diff`. Each is trained once a seed, and
a child's parent is the parent variant's run with the same seed, so that pairs differ in the change alone. One variant has a learning rate that its
network cannot bear: it diverges, and its runs end as failed, diverged.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import research_platform as rp
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

VALIDATION_IMAGES = 597
DIGITS = np.arange(10)
BRIGHTEST = 16.0
METRICS = (
    {"name": "val/accuracy", "direction": "maximize", "aggregation": "max"},
    {"name": "val/loss", "direction": "minimize", "aggregation": "min"},
    {"name": "train/loss", "direction": "minimize", "aggregation": "last"},
)
NOTES = "Multilayer perceptron on scikit-learn's digits: 1,200 images to train, 597 to validate, the split the same for all runs."


class Logger(Protocol):
    """What training needs of a run."""

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Take the values of one epoch."""


@dataclass(frozen=True)
class Digits:
    """Images as (n, 64) floats from 0 to 1, labels as (n,) integers."""

    train: NDArray[np.float64]
    train_labels: NDArray[np.int64]
    validation: NDArray[np.float64]
    validation_labels: NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of one network, trained by stochastic gradient descent with momentum."""

    hidden: tuple[int, ...] = (32,)
    activation: str = "relu"
    learning_rate: float = 0.02
    momentum: float = 0.9
    alpha: float = 1e-4
    batch_size: int = 32

    def network(self, seed: int) -> MLPClassifier:
        """The untrained network; `seed` decides its weights and the order of the images."""
        return MLPClassifier(
            hidden_layer_sizes=self.hidden,
            activation=self.activation,
            solver="sgd",
            learning_rate_init=self.learning_rate,
            momentum=self.momentum,
            alpha=self.alpha,
            batch_size=self.batch_size,
            random_state=seed,
        )


@dataclass(frozen=True)
class Variant:
    """One idea: what it changes (fields of Settings) and what it is tried on top of."""

    name: str
    parent: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)  # Any: each setting has a type of its own
    tags: tuple[str, ...] = ()


VARIANTS = (
    Variant("baseline", tags=("baseline",)),
    Variant("wider", "baseline", {"hidden": (128,)}, ("architecture",)),
    Variant("deeper", "baseline", {"hidden": (32, 32)}, ("architecture",)),
    Variant("lr 0.2", "baseline", {"learning_rate": 0.2}, ("learning rate",)),
    Variant("lr 0.005", "baseline", {"learning_rate": 0.005}, ("learning rate",)),
    Variant("regularised", "baseline", {"alpha": 0.3}, ("regularisation",)),
    Variant("wider + regularised", "wider", {"alpha": 0.3}, ("architecture", "regularisation")),
    Variant("linear", "baseline", {"activation": "identity"}, ("architecture",)),
    Variant("linear, lr 0.4", "linear", {"learning_rate": 0.4}, ("architecture", "learning rate")),
)


@dataclass(frozen=True)
class Plan:
    """One run to make; `parent` is its parent's name."""

    variant: Variant
    seed: int
    epochs: int
    settings: Settings
    features_diff: dict[str, Any]

    @property
    def name(self) -> str:
        """The variant and the seed, for people."""
        return run_name(self.variant.name, self.seed)

    @property
    def parent(self) -> str | None:
        """The parent variant's run with the same seed."""
        return run_name(self.variant.parent, self.seed) if self.variant.parent else None

    @property
    def params(self) -> dict[str, Any]:
        """Every hyperparameter, and the seed."""
        return {**vars(self.settings), "hidden": list(self.settings.hidden), "epochs": self.epochs, "seed": self.seed}


@dataclass(frozen=True)
class Result:
    """How a run went; accuracy is that on the validation images."""

    best_accuracy: float
    epochs: int
    is_diverged: bool


def run_name(variant: str, seed: int) -> str:
    """The name of a variant's run with `seed`."""
    return f"{variant} · s{seed}"


def digits() -> Digits:
    """The images, split the same way every time."""
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / BRIGHTEST, labels, test_size=VALIDATION_IMAGES, random_state=0, stratify=labels)
    return Digits(train=parts[0], validation=parts[1], train_labels=parts[2], validation_labels=parts[3])


def plans(variants: Sequence[Variant], *, seeds: int, epochs: int, first_seed: int = 1) -> Iterator[Plan]:
    """The runs to make, every parent before its children. A variant whose parent is not among `variants` becomes a root."""
    settings: dict[str, Settings] = {}
    for variant in variants:
        parent = settings.get(variant.parent or "")
        settings[variant.name] = replace(whole_settings(variant), **variant.changes)
        rooted = variant if parent else replace(variant, parent=None)
        diff = {key: {"from": plain(getattr(parent, key)), "to": plain(value)} for key, value in variant.changes.items()} if parent else {}
        yield from (Plan(rooted, seed, epochs, settings[variant.name], diff) for seed in range(first_seed, first_seed + seeds))


def whole_settings(variant: Variant) -> Settings:
    """The settings that `variant` changes: those of its parent, grandparent and so on."""
    ancestor = next((known for known in VARIANTS if known.name == variant.parent), None)
    return replace(whole_settings(ancestor), **ancestor.changes) if ancestor else Settings()


def plain(value: Any) -> Any:
    """A setting as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def train(plan: Plan, data: Digits, run: Logger) -> Result:
    """Train one network and log every epoch to `run`; stop where its weights are no longer numbers."""
    network, best = plan.settings.network(plan.seed), 0.0
    for epoch in range(plan.epochs):
        with np.errstate(all="ignore"):  # a network that diverges overflows: that is what is being measured
            is_alive = fitted(network, data)
            values = {"train/loss": float(network.loss_), **(validated(network, data) if is_alive else {"val/loss": math.nan})}
        run.log(values, step=epoch)
        if not is_alive:
            return Result(best, epoch + 1, is_diverged=True)
        best = max(best, values["val/accuracy"])
    return Result(best, plan.epochs, is_diverged=not math.isfinite(values["train/loss"] + values["val/loss"]))


def fitted(network: MLPClassifier, data: Digits) -> bool:
    """Train for one epoch. Returns whether the weights are still numbers."""
    try:
        network.partial_fit(data.train, data.train_labels, classes=DIGITS)
    except ValueError as error:
        if "non-finite" in str(error):
            return False
        raise
    return True


def validated(network: MLPClassifier, data: Digits) -> dict[str, float]:
    """Cross-entropy in nats and share of right answers on the validation images."""
    probabilities = network.predict_proba(data.validation)
    of_the_truth = probabilities[np.arange(len(data.validation_labels)), data.validation_labels]
    accuracy = np.mean(probabilities.argmax(axis=1) == data.validation_labels)
    return {"val/loss": float(-np.log(of_the_truth).mean()), "val/accuracy": float(accuracy)}


def train_and_log(plan: Plan, data: Digits, project: str, parent: rp.Run | None, *, hypotheses: Sequence[str] = ()) -> rp.Run:
    """Train one network as one run of `project`, which tests `hypotheses` (their UUIDs or slugs)."""
    said = {"features_diff": plan.features_diff, "params": plan.params, "seed": plan.seed, "tags": plan.variant.tags, "notes": NOTES}
    run = rp.init(project, plan.name, parent=parent, hypotheses=hypotheses, **said)
    with run:
        result = train(plan, data, run)
        run.finish(failure_kind="diverged" if result.is_diverged else "")
    print(f"{plan.name:26} {'diverged' if result.is_diverged else 'complete'} after {result.epochs} epochs, best val/accuracy {result.best_accuracy:.4f}")
    return run


def arguments() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description="Trains small networks on scikit-learn's digits and logs every epoch.")
    parser.add_argument("--project", default="digits", help="the project to log to; made where it is missing (default: digits)")
    parser.add_argument("--seeds", type=int, help="runs of each variant (default: 5)")
    parser.add_argument("--epochs", type=int, help="epochs of each run (default: 50)")
    parser.add_argument("--variants", nargs="+", choices=[variant.name for variant in VARIANTS], metavar="NAME", help="only these, by name")
    parser.add_argument("--quick", action="store_true", help="2 seeds and 12 epochs, unless said otherwise")
    asked = parser.parse_args()
    asked.seeds = asked.seeds or (2 if asked.quick else 5)
    asked.epochs = asked.epochs or (12 if asked.quick else 50)
    return asked


def train_all(asked: argparse.Namespace) -> dict[str, rp.Run]:
    """Train what was asked for. Returns the runs by name. Raises ResearchPlatformError where one cannot start."""
    data, runs = digits(), dict[str, rp.Run]()
    chosen = [variant for variant in VARIANTS if not asked.variants or variant.name in asked.variants]
    for plan in plans(chosen, seeds=asked.seeds, epochs=asked.epochs):
        runs[plan.name] = train_and_log(plan, data, asked.project, runs.get(plan.parent or ""))
    return runs


def main() -> None:
    """Train what was asked for, and say where to look."""
    begin = time.monotonic()
    try:
        runs = train_all(arguments())
    except rp.ResearchPlatformError as error:
        sys.exit(str(error))
    print(f"\n{len(runs)} runs in {time.monotonic() - begin:.0f} s.")
    if page := list(runs.values())[-1].url:
        print(f"The last one is at {page}")


if __name__ == "__main__":
    main()
