"""Whether the review plan keeps its word: intervals that cover, and half-widths as they were told before.

Operators are drawn anew in every run: 5 % are rings of 2 to 7 accounts, four times as often merchants; the model's
probabilities are wrong on purpose. A first round of reviews was drawn by chances that the plan does not know; the plan
then draws 200 accounts among those who wait. Counted is how often the nominal 95 % interval of the merchant share
covers the true one, by prediction-powered inference and by the reviews alone.

Usage: `python benchmarks/review_plan.py [--runs 1000] [--seed 1]`
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from membergate.verification.prediction_powered import Frame, Population, powered_share

OPERATORS, BUDGET = 1500, 200
MERCHANTS, RINGS, RING_FACTOR = 0.1, 0.05, 4


@dataclass(frozen=True)
class Covered:
    """What came out: hits of both estimators, the truth and their means, and the half-width told and realised."""

    hits: int
    hits_alone: int
    truth: float
    mean: float
    told: float
    realised: float
    realised_alone: float


def market(
    generator: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64]]:
    """Draw operators, who is a merchant, and what a wrong model believes; one row an account."""
    is_ring = generator.random(OPERATORS) < RINGS
    size = np.where(is_ring, generator.integers(2, 8, OPERATORS), 1)
    merchant = generator.random(OPERATORS) < MERCHANTS * np.where(is_ring, RING_FACTOR, 1)
    operator = np.repeat(np.arange(OPERATORS), size)
    latent = 2.2 * merchant[operator] - 2.9 + generator.normal(size=len(operator))
    return operator, merchant[operator], 1 / (1 + np.exp(-0.7 * latent))


def truth() -> float:
    """Give the merchant share by account: accounts a ring holds 4.5 on average."""
    ring, alone = 4.5 * RINGS, 1 - RINGS
    return MERCHANTS * (RING_FACTOR * ring + alone) / (ring + alone)


def reviewed(generator: np.random.Generator) -> tuple[Population, float]:
    """Draw a market, a first round of reviews by chances of its own, and the plan's; gives the half-width told."""
    operator, merchant, believed = market(generator)
    rows = len(operator)
    before = generator.random(rows) < np.clip(0.05 + 0.3 * believed, 0, 1)
    admit = np.full(rows, "admit")
    frame = Frame.of(Population(operator.astype(np.str_), believed, before.astype(float), merchant, admit))
    chances = frame.chances(BUDGET)
    names, codes = np.unique(operator[~before].astype(np.str_), return_inverse=True)
    weight = np.ones(rows)
    weight[~before] = np.where(generator.random(len(names)) < chances, 1 / chances, 0.0)[codes]
    return Population(operator.astype(np.str_), believed, weight, merchant, admit), frame.half_width(chances)


def covered(runs: int, seed: int) -> Covered:
    """Draw again and again."""
    true, rows = truth(), []
    for generator in np.random.default_rng(seed).spawn(runs):
        people, told = reviewed(generator)
        found = powered_share(people, "all")
        row = [told]
        for each in (found.powered, found.reviews_alone):
            low, high = each.low or 0.0, each.high or 0.0
            row += [float(low <= true <= high), each.value or 0.0, (high - low) / 2]
        rows.append(row)
    told, hit, value, width, hit_alone, _, width_alone = np.mean(rows, axis=0)
    return Covered(round(hit * runs), round(hit_alone * runs), true, value, told, width, width_alone)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = covered(given.runs, given.seed)
    print(f"{given.runs} runs; true merchant share {found.truth:.4f}, mean estimate {found.mean:.4f}")
    print("| estimate | covers | half-width | told before |")
    print("|-|-|-|-|")
    print(f"| prediction-powered | {found.hits / given.runs:.1%} | {found.realised:.4f} | {found.told:.4f} |")
    print(f"| reviews alone | {found.hits_alone / given.runs:.1%} | {found.realised_alone:.4f} | - |")


if __name__ == "__main__":
    main()
