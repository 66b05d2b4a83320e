"""How often intervals from the exploration lane cover what would have happened, and those over the accepted alone.

One market is simulated. A door refuses the third of the applicants who bought most of one article at a time before
they applied; the exploration lane of the default policy lets some operators of these in on trial, and reviewers look
at 40 % of those admitted and at all explored. The draws are made anew 200 times. Estimated are, over all applicants,
the merchant share and the net value (what genuine units bring less the benefit taken on resold ones) of a door that
admits the one part and puts the other on trial. The simulator knows what each would have brought, so it is counted how
often the nominal 95 % intervals cover.

Usage: `python benchmarks/selective_labels.py [--preset demo] [--seed 11] [--runs 200]`
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from membergate.market.simulator import simulate
from membergate.market.warehouse import literal
from membergate.operations.policies import read_policy
from membergate.verification.selective_labels import SelectiveEstimates, SelectiveSample, estimate

REFUSED_SHARE = 1 / 3
REVIEWED_SHARE = 0.4


@dataclass(frozen=True)
class Applicants:
    """Everyone who applied, with the truth.

    Parameters
    ----------
    operators
        Shape (n,).
    score
        Rank by the door's score, in (0, 1), shape (n,).
    is_merchant
        Shape (n,).
    value_minor
        Net value under the answer that the evaluated door gives, shape (n,).
    """

    operators: NDArray[np.int64]
    score: NDArray[np.float64]
    is_merchant: NDArray[np.bool_]
    value_minor: NDArray[np.float64]


def applicants_of(folder: Path) -> Applicants:
    """Read who applied, what the door could see, and what would have happened."""
    table = {
        name: literal(str(folder / f"market/{name}.parquet")) for name in ("applications", "orders", "order_lines")
    }
    truth = {
        name: literal(str(folder / f"truth/truth_{name}.parquet"))
        for name in ("accounts", "operators", "counterfactuals")
    }
    rows = duckdb.execute(
        f"""
        WITH bought AS (
            SELECT ap.application_id, max(l.quantity) AS most
            FROM {table["applications"]} AS ap
            JOIN {table["orders"]} AS o ON o.account_id = ap.account_id AND o.ordered_at < ap.submitted_at
            JOIN {table["order_lines"]} AS l USING (order_id) GROUP BY ALL
        ), happened AS (
            SELECT application_id,
                   sum(genuine_value_minor - loss_minor) FILTER (disposition = 'admit') AS admitted,
                   sum(genuine_value_minor - loss_minor) FILTER (disposition = 'trial') AS tried
            FROM {truth["counterfactuals"]} GROUP BY ALL
        )
        SELECT dense_rank() OVER (ORDER BY operator_id) - 1 AS operator, coalesce(most, 0) AS most, is_merchant,
               admitted, tried
        FROM {table["applications"]} AS ap
        JOIN {truth["accounts"]} USING (account_id) JOIN {truth["operators"]} USING (operator_id)
        JOIN happened USING (application_id) LEFT JOIN bought USING (application_id)
        ORDER BY application_id
        """
    ).fetchnumpy()
    most = np.asarray(rows["most"], dtype=np.float64)
    tie = np.random.default_rng(0).random(len(most))
    score = (np.lexsort((tie, most)).argsort() + 0.5) / len(most)
    value = np.where(score > 1 - REFUSED_SHARE, rows["tried"], rows["admitted"]).astype(np.float64)
    return Applicants(
        np.asarray(rows["operator"], dtype=np.int64), score, np.asarray(rows["is_merchant"], dtype=np.bool_), value
    )


def draw(market: Applicants, generator: np.random.Generator) -> tuple[SelectiveSample, SelectiveSample]:
    """Draw the lottery and the reviews once: what is seen of merchants, and of value."""
    exploration = read_policy(None).exploration
    if exploration is None:
        raise SystemExit("the default policy explores nobody")
    refused = market.score > 1 - REFUSED_SHARE
    # The strata of the policy are bands of its own risk score; here, of the rank among the refused.
    rank = (market.score - (1 - REFUSED_SHARE)) / REFUSED_SHARE
    ends = [stratum.risk_score_at_most for stratum in exploration.strata]
    lane = np.array([stratum.propensity for stratum in exploration.strata])[np.searchsorted(ends, rank.clip(0, 1))]
    lottery = generator.random(int(market.operators.max()) + 1)[market.operators]
    seen = np.where(refused, lottery < lane, generator.random(len(rank)) < REVIEWED_SHARE)
    propensity = np.where(refused, lane, REVIEWED_SHARE)
    merchants = market.is_merchant.astype(np.float64)
    return (
        SelectiveSample(market.operators, propensity, seen, merchants, market.score),
        SelectiveSample(market.operators, propensity, seen, market.value_minor, market.score),
    )


def covered(market: Applicants, runs: int, seed: int) -> dict[str, tuple[float, float, float, float]]:
    """Draw again and again.

    Returns
    -------
    dict
        Estimator -> share of intervals that cover, truth, mean estimate, mean width.
    """
    truths = {"merchant_share": float(market.is_merchant.mean()), "net_value_minor": float(market.value_minor.mean())}
    found: dict[str, list[tuple[bool, float, float]]] = {}
    for child in np.random.default_rng(seed).spawn(runs):
        for sample, (name, truth) in zip(draw(market, child), truths.items(), strict=True):
            unit = "ratio" if name == "merchant_share" else "minor"
            estimates: SelectiveEstimates = estimate(sample, name, unit=unit)
            for measured in (estimates.accepted_only, estimates.inverse_propensity, estimates.doubly_robust):
                low, high = measured.low or 0.0, measured.high or 0.0
                found.setdefault(measured.name, []).append((low <= truth <= high, measured.value or 0.0, high - low))
    return {
        name: (*np.mean([row[:1] for row in rows], axis=0), truth, *np.mean([row[1:] for row in rows], axis=0))
        for name, rows in found.items()
        for truth in [next(value for key, value in truths.items() if name.startswith(key))]
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--runs", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), preset=given.preset, seed=given.seed)
        market = applicants_of(Path(folder))
    sample, _ = draw(market, np.random.default_rng(1))
    first = estimate(sample, "merchant_share")
    print(
        f"{len(market.score):,} applicants of {int(market.operators.max()) + 1:,} operators, {given.runs} draws; in "
        f"one of them {first.inverse_propensity.n} outcomes seen, effective size {first.effective_size:.0f}, largest "
        f"weight {first.largest_weight:.0f}"
    )
    print("| estimate | covers | truth | mean estimate | mean width |")
    print("|-|-|-|-|-|")
    for name, (covers, truth, mean, width) in covered(market, given.runs, given.seed).items():
        print(f"| {name} | {covers:.1%} | {truth:.4g} | {mean:.4g} | {width:.3g} |")


if __name__ == "__main__":
    main()
