"""How often certificates of "leakage at most alpha" are violated, where merchants come in rings and where they do not.

A made-up population: 8 % merchants, 70 % of them in rings of 13 accounts on average whose risk scores correlate at
0.85, everyone else alone; Gaussian scores. In each repetition a fresh labelled sample is drawn, doors are laid down
from strict to lenient, and each test certifies the most lenient one it can. A certificate is violated where the door's
true leakage, measured once on a population of a million, exceeds alpha. The plain test takes accounts as independent
and knows no cap, as a certificate usually does; with rings switched off it is right, with rings it is not.

Printed for each test: violated certificates with their 95 % Clopper-Pearson interval, runs with a certificate, and the
mean genuine admission rate of the certified doors (0 where there is none) beside the best that any door with that cap
could have.

Usage: `python benchmarks/certificates.py [--repetitions 400] [--accounts 8000 20000] [--alpha 0.02]`
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from membergate.verification.certificate import Terms
from membergate.verification.fixed_sequence import CappedRows, score_thresholds, walk

Floats = NDArray[np.float64]

MERCHANT_SHARE = 0.08
IN_RINGS = 0.70
RING_SIZE = 13
CORRELATION = 0.85
DISTANCE = 2.19
"""Distance of merchants' mean score from the genuine, in standard deviations: an area under the ROC curve of 0.94."""
GRID = np.linspace(-1.0, 2.5, 141)
NO_CAP = 10**9


@dataclass(frozen=True)
class Truth:
    """What the doors of a cap truly do, threshold by threshold of `GRID`."""

    leakage: Floats
    genuine_admission: Floats

    def violated(self, threshold: float, alpha: float) -> bool:
        """Tell whether a door leaks more than was certified."""
        return bool(np.interp(threshold, GRID, self.leakage) > alpha)

    def best(self, alpha: float) -> float:
        """Give the genuine admission rate of the most lenient door that keeps the bound."""
        return float(self.genuine_admission[self.leakage <= alpha].max())


def draw(accounts: int, *, has_rings: bool, generator: np.random.Generator) -> CappedRows:
    """Draw labelled applicants: whole operators, until there are so many accounts."""
    merchants = round(accounts * MERCHANT_SHARE)
    ringed = round(merchants * IN_RINGS) if has_rings else 0
    sizes = 1 + generator.geometric(1 / (RING_SIZE - 1), size=max(1, ringed))
    ring = np.repeat(np.arange(len(sizes)), sizes)[:ringed]
    alone = np.arange(accounts - ringed) + len(sizes)
    operators = np.concatenate([ring, alone])
    is_merchant = np.arange(accounts) < merchants
    shared = generator.normal(size=len(sizes))
    score = generator.normal(size=accounts)
    score[:ringed] = np.sqrt(CORRELATION) * shared[ring] + np.sqrt(1 - CORRELATION) * score[:ringed]
    score += DISTANCE * is_merchant
    # Operators come in an order of their own, not merchants first.
    rank = generator.permutation(int(operators[-1]) + 1)[operators]
    rows = np.argsort(rank, kind="stable")
    dense = np.unique(rank[rows], return_inverse=True)[1].astype(np.int64)
    return CappedRows(dense, is_merchant[rows], np.ones(accounts), score[rows])


def truth_of(cap: int, *, has_rings: bool, generator: np.random.Generator, accounts: int = 1_000_000) -> Truth:
    """Measure every door of a cap on a large population."""
    rows = draw(accounts, has_rings=has_rings, generator=generator)
    leakage, genuine = np.zeros(len(GRID)), np.zeros(len(GRID))
    for at, threshold in enumerate(GRID):
        totals, _ = rows.totals(rows.score <= threshold, None if cap == NO_CAP else cap)
        leaked, admitted = totals.sum(axis=0)
        leakage[at], genuine[at] = leaked / max(admitted, 1.0), (admitted - leaked) / (~rows.is_merchant).sum()
    return Truth(leakage, genuine)


def repeated(
    accounts: int, truths: dict[int, Truth], *, has_rings: bool, alpha: float, repetitions: int, seed: int
) -> dict[tuple[int, str], tuple[int, int, Floats]]:
    """Certify again and again.

    Returns
    -------
    dict
        (cap, test) -> violations, certificates, genuine admission rate of each repetition.
    """
    found: dict[tuple[int, str], tuple[int, int, list[float]]] = {}
    for child in np.random.default_rng(seed).spawn(repetitions):
        rows = draw(accounts, has_rings=has_rings, generator=child)
        thresholds = score_thresholds(rows.score)
        for cap, truth in truths.items():
            report = walk(rows, thresholds, Terms(alpha=alpha, operator_cap=cap))
            for test in ("binomial",) if cap == NO_CAP else ("binomial", "hoeffding_bentkus", "betting"):
                violated, certified, genuine = found.get((cap, test), (0, 0, []))
                door = report.most_lenient(test)
                if door is not None:
                    certified += 1
                    violated += truth.violated(door.threshold, alpha)
                genuine.append(float(np.interp(door.threshold, GRID, truth.genuine_admission)) if door else 0.0)
                found[cap, test] = (violated, certified, genuine)
    return {key: (violated, certified, np.array(genuine)) for key, (violated, certified, genuine) in found.items()}


def interval(count: int, trials: int) -> tuple[float, float]:
    """Give the 95 % Clopper-Pearson interval of a share."""
    found = stats.binomtest(count, trials).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--accounts", type=int, nargs="+", default=[8_000, 20_000])
    parser.add_argument("--caps", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--alpha", type=float, default=0.02)
    given = parser.parse_args()
    print(f"alpha {given.alpha:.1%}, delta 5.0%, {given.repetitions} repetitions")
    print("| merchants | accounts | cap | test | violated [95% interval] | certified | genuine admission | best |")
    print("|-|-|-|-|-|-|-|-|")
    for has_rings in (False, True):
        generator = np.random.default_rng(7)
        caps = (*given.caps, NO_CAP) if has_rings else (given.caps[0], NO_CAP)
        truths = {cap: truth_of(cap, has_rings=has_rings, generator=generator) for cap in caps}
        for accounts in given.accounts:
            found = repeated(
                accounts, truths, has_rings=has_rings, alpha=given.alpha, repetitions=given.repetitions, seed=accounts
            )
            for (cap, test), (violated, certified, genuine) in found.items():
                low, high = interval(violated, given.repetitions)
                print(
                    f"| {'in rings' if has_rings else 'alone'} | {accounts:,} | {'none' if cap == NO_CAP else cap} | "
                    f"{test} | {violated / given.repetitions:.1%} [{low:.1%}, {high:.1%}] | "
                    f"{certified / given.repetitions:.0%} | {genuine.mean():.1%} | "
                    f"{truths[cap].best(given.alpha):.1%} |"
                )


if __name__ == "__main__":
    main()
