"""Rings: whether those who work together are kept out together, and what clusters make of them.

A known ring is an operator, as identity resolution sees it by the end of the data, with several later applications and
a label of grade L3 or L4 that calls one of them a merchant's. Whoever gave cause is known more often, so what is said
of known rings is no rate of all rings; planted ones are (section 10).

References
----------
Bagga and Baldwin (1998), Algorithms for scoring coreference chains: B-cubed precision and recall.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, OperatorBootstrap, accelerated, measurement, ratio
from membergate.verification.metrics import SCOPES
from membergate.verification.sample import EvaluationSample, Flags, Floats, Text, is_among
from membergate.verification.shares import Share, clopper_pearson, measure_shares

FEWEST_ACCOUNTS = 2
"""Later applications of one operator from which they are a ring."""
CAUGHT = 0.5
"""A ring is caught where at least so many of its accounts are not admitted."""


@dataclass(frozen=True)
class Company:
    """Everybody who applied later and whom the model never met, one a row, shape (n,).

    Parameters
    ----------
    operator_ids
        Who stands behind it.
    is_known_merchant
        Whether a label that may evaluate says so.
    disposition
        What the door does.
    cluster_ids
        The model's cluster; "" for none.
    benefit_minor
        Benefits taken in the first 90 days of membership; NaN where unknown. None where the market does not tell.
    """

    operator_ids: Text
    is_known_merchant: Flags
    disposition: Text
    cluster_ids: Text
    benefit_minor: Floats | None = None


@dataclass(frozen=True, slots=True)
class RingScope:
    """How rings fare where 'admitted' means one thing.

    Parameters
    ----------
    scope
        `full` or `holders`.
    recall
        Share of known rings of which at least half is not admitted.
    recall_by_value
        The same, each ring counting with the benefits that its accounts took; None where nobody's are known.
    contamination
        Genuine applicants not admitted for each merchant not admitted, of the probability sample.
    """

    scope: str
    recall: Measurement
    recall_by_value: float | None
    contamination: Measurement


@dataclass(frozen=True, slots=True)
class Rings:
    """What becomes of known rings.

    Parameters
    ----------
    rings, accounts
        How many are known.
    scopes
        Full admissions, then all holders.
    clustered
        Share of the rings' accounts that are in a cluster of the model at all.
    cluster_precision
        B-cubed, over those: the share of its whole cluster, strangers among them, that is of an account's own ring.
    cluster_recall
        B-cubed, over all accounts of the rings: the share of its ring that is in its cluster; 0 for who is in none.
    fragmentation
        Mean number of clusters that a ring lies in, of those that lie in any; None without any.
    """

    rings: int
    accounts: int
    scopes: tuple[RingScope, ...]
    clustered: Measurement
    cluster_precision: Measurement
    cluster_recall: Measurement
    fragmentation: float | None


def measure_rings(sample: EvaluationSample, company: Company, *, seed: int, level: float = LEVEL) -> Rings:
    """Measure what becomes of rings.

    Parameters
    ----------
    sample
        The evaluation sample, for contamination.
    company
        Everybody who applied later.
    seed
        Seed of the bootstrap.
    level
        Nominal coverage of the intervals, in (0, 1).
    """
    operators, codes, sizes = np.unique(company.operator_ids, return_inverse=True, return_counts=True)
    known = np.zeros(len(operators), dtype=np.bool_)
    known[codes[company.is_known_merchant]] = True
    is_ring = known & (sizes >= FEWEST_ACCOUNTS)
    rows = np.flatnonzero(is_ring[codes])
    ring = np.unique(codes[rows], return_inverse=True)[1]
    over_sample = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(seed))
    found = _of_clusters(company, codes, rows)
    over_rings = OperatorBootstrap.draw(company.operator_ids[rows], np.random.default_rng(seed))
    everyone = np.ones(len(rows))
    shares = [
        Share("share_in_a_cluster", found.inside, everyone),
        Share("b_cubed_precision", found.precision * found.inside, found.inside),
        Share("b_cubed_recall", found.recall, everyone),
    ]
    clustered, precision, recall = (
        replace(each, method=f"mean over accounts of known rings, each counting once; accelerated {over_rings}")
        for each in measure_shares(shares, over_rings, level=level)
    )
    return Rings(
        rings=int(is_ring.sum()),
        accounts=len(rows),
        scopes=tuple(_scope(scope, sample, company, rows, ring, over_sample, level) for scope in SCOPES),
        clustered=clustered,
        cluster_precision=precision,
        cluster_recall=recall,
        fragmentation=found.fragmentation,
    )


def _scope(
    scope: str,
    sample: EvaluationSample,
    company: Company,
    rows: NDArray[np.int64],
    ring: NDArray[np.int64],
    bootstrap: OperatorBootstrap,
    level: float,
) -> RingScope:
    kept_out = ~is_among(company.disposition[rows], SCOPES[scope])
    sizes = np.bincount(ring)
    caught = np.bincount(ring, weights=kept_out) >= CAUGHT * sizes
    share = float(caught.mean()) if len(caught) else np.nan
    low, high = clopper_pearson(share, len(caught), level) if len(caught) else (None, None)
    recall = Measurement(
        f"ring_recall_{scope}",
        share if len(caught) else None,
        low,
        high,
        level,
        "ratio",
        len(rows),
        len(caught),
        "exact binomial over known rings, which are no probability sample of all",
    )
    taken = None if company.benefit_minor is None else np.nan_to_num(company.benefit_minor[rows])
    value = None if taken is None or not taken.sum() else float(taken[caught[ring]].sum() / taken.sum())
    return RingScope(scope, recall, value, _contamination(scope, sample, bootstrap, level))


def _contamination(scope: str, sample: EvaluationSample, bootstrap: OperatorBootstrap, level: float) -> Measurement:
    out = sample.rate_weight * ~is_among(sample.disposition, SCOPES[scope])
    columns = np.stack([out * ~sample.is_merchant, out * sample.is_merchant], axis=1)
    by_operator = bootstrap.operator_sums(columns)
    total, drawn = by_operator.sum(axis=0), bootstrap.replicate_sums(by_operator)
    value = float(ratio(total[0], total[1]))
    without_one = ratio(total[0] - by_operator[:, 0], np.maximum(total[1] - by_operator[:, 1], 0.0))
    low, high = accelerated(value, without_one, ratio(drawn[:, 0], drawn[:, 1]), level)
    how = f"ratio of inverse-propensity sums, accelerated {bootstrap}"
    return measurement(f"contamination_{scope}", value, low, high, level, out > 0, bootstrap, how)


@dataclass(frozen=True)
class _Clustered:
    """Of each account of a known ring, shape (n,): is it in a cluster, and its B-cubed precision and recall there."""

    inside: Floats
    precision: Floats
    recall: Floats
    fragmentation: float | None


def _of_clusters(company: Company, operator: NDArray[np.int64], rows: NDArray[np.int64]) -> _Clustered:
    cluster = np.unique(company.cluster_ids, return_inverse=True)[1]
    inside = company.cluster_ids[rows] != ""
    _, pair, together = np.unique(
        np.stack([operator[rows], cluster[rows]]), axis=1, return_inverse=True, return_counts=True
    )
    shared = np.where(inside, together[np.ravel(pair)], 0.0)
    lying = {
        (ring, at) for ring, at in zip(operator[rows][inside].tolist(), cluster[rows][inside].tolist(), strict=True)
    }
    return _Clustered(
        inside.astype(np.float64),
        shared / np.bincount(cluster)[cluster[rows]],
        shared / np.bincount(operator)[operator[rows]],
        len(lying) / len({ring for ring, _ in lying}) if lying else None,
    )
