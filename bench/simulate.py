"""`python -m bench.simulate`: how often is a verdict wrong? Draws runs whose truth is known, judges them as a team that looks after every pair
would, and prints the rates as Markdown beside what the method claims. No timing: the same seed prints the same numbers.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from hypotheses.judging.evidence import THRESHOLD, Sums, judged, welch
from hypotheses.judging.planning import mde, power

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]

REPEATS, SEED = 10_000, 20_240_607
BOUND = 0.05  # wrong verdicts, in each direction


def gaussian(sd: float = 1.0) -> Draw:
    return lambda random, shape: random.normal(scale=sd, size=shape)


def a_little_skewed(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Gamma of shape 4 (skewness 1), about its mean."""
    return random.gamma(4.0, size=shape) - 4.0


def skewed(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Lognormal, sigma 1 (skewness 6.2), about its mean."""
    return random.lognormal(size=shape) - np.exp(0.5)


def heavy_tailed(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return random.standard_t(3, size=shape)


def with_outliers(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """One run in twenty is drawn ten times as wide."""
    return random.normal(size=shape) * np.where(random.random(shape) < 0.05, 10.0, 1.0)


@dataclass(frozen=True)
class Null:
    """Runs of which neither verdict would be right: the true improvement is exactly the margin."""

    name: str
    linked: Draw
    baseline: Draw
    looks: int
    claim: str = ""
    margin: float = 0.0
    linked_a_look: int = 1
    baseline_a_look: int = 1


@dataclass(frozen=True)
class Rate:
    """One line of the table: shares of repeats that were ever wrongly supported, wrongly refuted, either."""

    name: str
    looks: str
    supported: float
    refuted: float
    either: float
    claim: str


NULLS = [
    Null("Gaussian, margin 0, true effect 0", gaussian(), gaussian(), 10, "3.2% either way"),
    Null("Gaussian, margin 1 sd, true effect 1 sd", gaussian(), gaussian(), 10, "≤ 5% each way", margin=1.0),
    Null("Gaussian, margin 0, true effect 0", gaussian(), gaussian(), 100, "5.1% either way"),
    Null("Gaussian", gaussian(), gaussian(), 20, "≤ 3.6% each way"),
    Null("Gaussian, twice as many baseline runs", gaussian(), gaussian(), 20, "≤ 5% each way", baseline_a_look=2),
    Null("linked runs three times as wide", gaussian(3.0), gaussian(), 20, "≤ 3.6% each way"),
    Null("three times as wide and half as many", gaussian(3.0), gaussian(), 20, "≤ 5% each way", baseline_a_look=2),
    Null("three times as wide and twice as many", gaussian(3.0), gaussian(), 20, "≤ 5% each way", linked_a_look=2),
    Null("skewed (lognormal), both arms", skewed, skewed, 20, "≤ 3.6% each way"),
    Null("heavy tails (t, 3 df), both arms", heavy_tailed, heavy_tailed, 20, "≤ 3.6% each way"),
    Null("outliers (5% ten times as wide), both arms", with_outliers, with_outliers, 20, "≤ 3.6% each way"),
    Null("outliers, linked runs only", with_outliers, gaussian(), 20, "≤ 3.6% each way"),
]

# Where the promise ends: printed for a reader who has such runs, and not counted.
LIMITS = [
    Null("linked runs ten times as wide", gaussian(10.0), gaussian(), 20),
    Null("a little skewed (skewness 1), linked runs only", a_little_skewed, gaussian(2.0), 20),
    Null("strongly skewed (lognormal), linked runs only", skewed, gaussian(), 20),
]

POWERS = [(3, 5.05, "about 5"), (5, 2.8, "2.8"), (10, 1.8, "1.8"), (20, 1.24, "1.24")]


def watched(values: Floats, a_look: int) -> tuple[Floats, Floats, Floats]:
    """(n (K, 1), mean (R, K, 1), sum of squares about it (R, K, 1)) of the first a_look, 2 a_look … of each row's values (R, N)."""
    n = np.arange(a_look, values.shape[1] + 1, a_look, dtype=np.float64)
    total, squares = (np.cumsum(part, axis=1)[:, a_look - 1 :: a_look] for part in (values, values**2))
    return n[:, None], (total / n)[..., None], np.maximum(squares - total**2 / n, 0.0)[..., None]


def looked_at(null: Null, random: np.random.Generator, repeats: int) -> Sums:
    """Sums of shape (R, K, 1): every repeat at each of its looks; one block."""
    x = null.linked(random, (repeats, null.looks * null.linked_a_look)) + null.margin
    b = null.baseline(random, (repeats, null.looks * null.baseline_a_look))
    (n_x, mean_x, ss_x), (n_b, mean_b, ss_b) = watched(x, null.linked_a_look), watched(b, null.baseline_a_look)
    return Sums(n_x, n_b, mean_x, mean_b, ss_x, ss_b)


def ever(name: str, looks: str, supported: NDArray[np.bool_], refuted: NDArray[np.bool_], claim: str) -> Rate:
    """From verdicts at each look (R, K) to the shares of repeats in which one was ever reached."""
    up, down = supported.any(1), refuted.any(1)
    return Rate(name, looks, float(up.mean()), float(down.mean()), float((up | down).mean()), claim)


def wrong_verdicts(null: Null, random: np.random.Generator, repeats: int) -> Rate:
    """The product's own judgement of a null, watched all along."""
    score = judged(looked_at(null, random, repeats), sign=1, margin=null.margin).score
    return ever(null.name, f"1 to {null.looks}", score >= THRESHOLD, score <= -THRESHOLD, null.claim)


def worthless(random: np.random.Generator, repeats: int) -> Rate:
    """A margin of one sd and no effect at all: here "refuted" is right."""
    null = Null("", gaussian(), gaussian(), 10)
    score = judged(looked_at(null, random, repeats), sign=1, margin=1.0).score
    rate = ever("Gaussian, margin 1 sd, true effect 0", "1 to 10", score >= THRESHOLD, score <= -THRESHOLD, "≤ 5% supported; refuting is right")
    return Rate(rate.name, rate.looks, rate.supported, float("nan"), float("nan"), f"{rate.claim} ({rate.refuted:.0%} were)")


def other_methods(random: np.random.Generator, repeats: int) -> list[Rate]:
    """What two simpler rules do with the same kind of null, looked at from two runs a side on."""
    rates = []
    for looks, claims in ((10, ("91%", "15.7%")), (100, ("", "35%"))):
        sums = looked_at(Null("", gaussian(), gaussian(), looks), random, repeats)
        t = welch(Sums(*(part[..., 1:, :] for part in sums)), sign=1, margin=0.0, floor=0.0)
        better, p = special.stdtr(t.df, t.t), 2 * special.stdtr(t.df, -np.abs(t.t))
        rule = "2 P(better) - 1 against 0.5"
        if looks == 10:
            rates.append(ever(rule, "one, at 5", better[:, 3:4] >= 0.75, better[:, 3:4] <= 0.25, "49% either way"))
            rates.append(ever(rule, "2 to 10", better >= 0.75, better <= 0.25, f"{claims[0]} either way"))
        rates.append(ever("Welch p < .05", f"2 to {looks}", (p < 0.05) & (t.t > 0), (p < 0.05) & (t.t < 0), f"{claims[1]} either way"))
    return rates


def seen_effects(random: np.random.Generator, repeats: int) -> list[tuple[int, float, float, float, float, str]]:
    """(n a side, effect in sd, share supported, share by the noncentral t, the effect it gives for 0.8, the claim) at one look."""
    lines = []
    for n, effect, claim in POWERS:
        x, b = (watched(random.normal(size=(repeats, n)), n) for _ in range(2))
        score = judged(Sums(x[0], b[0], x[1] + effect, b[1], x[2], b[2]), sign=1).score
        lines.append((n, effect, float((score >= THRESHOLD).mean()), power(effect, n, n), mde(n, n) or 0.0, claim))
    return lines


def worst_of(rates: list[Rate]) -> float:
    """The largest share of wrong verdicts in one direction."""
    return max(share for rate in rates for share in (rate.supported, rate.refuted) if not np.isnan(share))


def percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{share:.1%}"


def table(title: str, rates: list[Rate]) -> str:
    lines = [f"| {title} | looks (pairs) | supported | refuted | either | the method says |", "|---|---|---:|---:|---:|---|"]
    lines += [f"| {r.name} | {r.looks} | {percent(r.supported)} | {percent(r.refuted)} | {percent(r.either)} | {r.claim} |" for r in rates]
    return "\n".join(lines) + "\n"


def power_table(lines: list[tuple[int, float, float, float, float, str]]) -> str:
    rows = ["| runs a side | true effect (sd) | supported | by the noncentral t | effect for 0.8 | the method says |", "|---:|---:|---:|---:|---:|---|"]
    rows += [f"| {n} | {effect} | {percent(seen)} | {percent(planned)} | {least:.2f} sd | {claim} sd |" for n, effect, seen, planned, least, claim in lines]
    return "\n".join(rows) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Simulate and print; 1 if a verdict of the product is wrong more often than it may be."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description="How often is a verdict wrong? Rates beside what the method claims.")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="Repeats of every line (10,000).")
    parser.add_argument("--seed", type=int, default=SEED, help="Of the random numbers.")
    given = parser.parse_args(arguments)
    if given.repeats < 1 or given.seed < 0:
        parser.error("--repeats is 1 or more and --seed 0 or more.")
    began, random = time.monotonic(), np.random.default_rng(given.seed)
    rates = [wrong_verdicts(null, random, given.repeats) for null in NULLS] + [worthless(random, given.repeats)]
    noise = 2 * np.sqrt(BOUND * (1 - BOUND) / given.repeats)
    print(f"{given.repeats:,} repeats a line, seed {given.seed}; at 5% a rate is known to ±{noise:.1%}.")
    print("Looks: after each pair of runs; a repeat is counted once if a verdict was ever wrong.\n")
    print(table("wrong verdicts of the product", rates))
    print(table("the product, where its assumptions are badly broken", [wrong_verdicts(null, random, given.repeats) for null in LIMITS]))
    print(table("simpler rules, Gaussian, true effect 0", other_methods(random, given.repeats)))
    print(power_table(seen_effects(random, given.repeats)))
    worst = worst_of(rates)
    print(f"The worst rate in one direction is {worst:.1%}; at most {BOUND:.0%} is promised. Took {time.monotonic() - began:.0f} s.")
    return int(worst > BOUND)


if __name__ == "__main__":
    sys.exit(main())
