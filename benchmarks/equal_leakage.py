"""Whether genuine admission at equal leakage keeps its word: intervals that cover the true gain, few merchants or many.

Applicants are drawn anew in every run, one an operator, a tenth of them merchants. The score and the strict rule see
the same kind of evidence, the score more clearly; the strict rule admits half, seven or nine tenths of the genuine, so
that its leakage is small or large. Counted is how often the figure is told at all (there are `LEAST_MERCHANTS` and
`LEAST_STRICT_LEAKS`), and how often the nominal 95 % interval covers the true gain where it is.

Usage: `python -m benchmarks.equal_leakage [--runs 200] [--seed 1]`
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import OperatorBootstrap
from membergate.verification.ranking import measure_equal_leakage

MERCHANTS, SCORE_SEES, STRICT_SEES = 0.1, 2.0, 1.5
"""Share of merchants, and by how many standard deviations score and strict rule tell them apart."""
OPERATORS, ADMITTED, REPLICATES = (30, 100, 300, 1000), (0.5, 0.7, 0.9), 200


def leakage(admitted: float, sees: float) -> float:
    """Give the true leakage of a threshold that admits this share of genuine applicants."""
    merchants = MERCHANTS * norm.cdf(norm.ppf(admitted) - sees)
    return float(merchants / (merchants + (1 - MERCHANTS) * admitted))


def true_gain(admitted: float) -> float:
    """Give how many more genuine applicants the score admits at the strict rule's true leakage."""
    bound = leakage(admitted, STRICT_SEES)
    return float(brentq(lambda share: leakage(share, SCORE_SEES) - bound, 1e-6, 1 - 1e-9)) - admitted


def gain(operators: int, admitted: float, generator: np.random.Generator) -> Measurement:
    """Draw a sample, and measure."""
    is_merchant = generator.random(operators) < MERCHANTS
    score, strict = (generator.normal(size=operators) + sees * is_merchant for sees in (SCORE_SEES, STRICT_SEES))
    names = np.array([f"op{i:05d}" for i in range(operators)])
    let_in = strict < norm.ppf(admitted)
    share = float((let_in & is_merchant).sum() / max(let_in.sum(), 1))
    stands = Measurement("leakage", share, None, None, 0.95, "ratio", operators, operators, "")
    return measure_equal_leakage(
        norm.cdf(score),
        is_merchant,
        np.ones(operators),
        let_in,
        (stands, stands),
        OperatorBootstrap.draw(names, generator, REPLICATES),
    ).difference


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    generator = np.random.default_rng(asked.seed)
    print("| operators | strict rule admits | true gain | told | covers | wholly above |\n|-|-|-|-|-|-|")
    for operators in OPERATORS:
        for admitted in ADMITTED:
            truth = true_gain(admitted)
            found = [gain(operators, admitted, generator) for _ in range(asked.runs)]
            told = [(each.low, each.high) for each in found if each.low is not None and each.high is not None]
            row = f"| {operators:,} | {admitted:.0%} | {100 * truth:.1f} points | {len(told) / asked.runs:.1%} |"
            if told:
                covered = np.mean([low <= truth <= high for low, high in told])
                print(row, f"{covered:.1%} | {np.mean([low > truth for low, _ in told]):.1%} |")
            else:
                print(row, "- | - |")


if __name__ == "__main__":
    main()
