"""Certificates that take accounts for independent fail where merchants work in rings: how often, and without rings.

The market is one of organised merchants: seven in ten of them work in rings of 40 accounts on average, which is a
scenario like any other (`organised`). A score is fitted on some markets. Then, in each of many fresh ones, the most
lenient threshold is certified by fixed-sequence testing (Learn-then-Test) with exact binomial tests from strict to
lenient, as though accounts were independent. A certificate is violated if the leakage of its threshold over all these
markets together is above its level. Printed, with exact 95 % intervals, are the violations with rings on and off (every
merchant account on its own).

This reads the simulator's truth, which only verification of the simulator may do: nothing learned or decided sees it.

Usage: `python benchmarks/realism_certificates.py [--accounts 2000] [--markets 200]`
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
from benchmarks.realism_worlds import Applicants, Bools, Floats, applicants_of, model
from scipy import stats

from membergate.market.simulator.scenario import Scenario, scenario_for
from membergate.market.simulator.world import live_through

LEAKAGE, CONFIDENCE = 0.05, 0.95
_FITTED_ON = 5
_FIRST_SEED = 5_000
_CUTS = np.linspace(0.1, 1.0, 91)


@dataclass(frozen=True)
class Violations:
    """Of how many certified markets' certificates how many were violated, and in how many none was given."""

    violated: int
    markets: int
    uncertified: int

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % interval (Clopper and Pearson) of the rate of violations."""
        found = stats.binomtest(self.violated, self.markets).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)


def organised(seed: int, accounts: int, *, rings: bool) -> Scenario:
    """Give a market of few large rings, or one of the same merchants each on its own."""
    shares = (("M1", 0.012), ("M2", 0.09), ("M4", 0.012), ("M5", 0.008), ("M6", 0.004), ("M7", 0.005), ("M8", 0.004))
    chosen = scenario_for("demo", seed=seed, accounts=accounts)
    return replace(chosen, skus=1_500, stores=100, shares=shares, ring_size=40.0, rings=rings)


def violations(markets: int, accounts: int, *, rings: bool) -> Violations:
    """Certify a threshold in each of so many fresh markets, and count the certificates that do not hold."""
    seeds = range(_FIRST_SEED, _FIRST_SEED + _FITTED_ON + markets)
    drawn = [applicants_of(live_through(organised(seed, accounts, rings=rings), lambda _step: None)) for seed in seeds]
    scores, truths = _scored(drawn[:_FITTED_ON], drawn[_FITTED_ON:])
    pooled, pooled_truth = np.concatenate(scores), np.concatenate(truths)
    cuts = np.quantile(pooled, _CUTS)
    leakage = np.array([pooled_truth[pooled <= cut].mean() for cut in cuts])
    certified = [certify(score, truth, cuts) for score, truth in zip(scores, truths, strict=True)]
    violated = sum(bool(count and leakage[count - 1] > LEAKAGE) for count in certified)
    return Violations(violated, markets, certified.count(0))


def _scored(fitted_on: list[Applicants], fresh: list[Applicants]) -> tuple[list[Floats], list[Bools]]:
    """Fit a score on some markets; give it, and the truth, for each fresh one."""
    fitted = model()
    fitted.fit(np.concatenate([a.values for a in fitted_on]), np.concatenate([a.is_merchant for a in fitted_on]))
    return [fitted.predict_proba(a.values)[:, 1] for a in fresh], [a.is_merchant for a in fresh]


def certify(score: Floats, is_merchant: Bools, cuts: Floats) -> int:
    """Count the thresholds, from the strictest on, for which a leakage above the level is rejected; 0 for none."""
    order = np.argsort(score, kind="stable")
    leaks = np.r_[0, np.cumsum(is_merchant[order])]
    admitted = np.searchsorted(score[order], cuts, side="right")
    rejected = stats.binom.cdf(leaks[admitted], np.maximum(admitted, 1), LEAKAGE) <= 1 - CONFIDENCE
    return len(cuts) if rejected.all() else int(np.argmin(rejected))


def main() -> None:
    """Measure with rings on and off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--markets", type=int, default=200)
    arguments = parser.parse_args()
    print(f"{arguments.markets} markets of {arguments.accounts:,} accounts; certified leakage {LEAKAGE}")
    print(f"violations at a nominal {1 - CONFIDENCE:.2f}, with exact 95 % intervals")
    for rings in (True, False):
        found = violations(arguments.markets, arguments.accounts, rings=rings)
        low, high = found.interval
        print(
            f"  rings {'on ' if rings else 'off'} {found.violated / found.markets:.3f} [{low:.3f}, {high:.3f}]"
            f"   no certificate in {found.uncertified} of {found.markets}"
        )


if __name__ == "__main__":
    main()
