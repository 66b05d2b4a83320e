"""Whether a merchant probability means what it says: Brier score, calibration error, reliability table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import (
    LEVEL,
    OperatorBootstrap,
    measurement,
    percentiles,
    ratio,
)
from membergate.verification.shares import Share, measure_shares

Floats = NDArray[np.float64]

BIN_EDGES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0)
"""Fixed edges, denser where decisions are taken: bins chosen from the data would move with every replicate."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bin of the reliability table.

    Parameters
    ----------
    low, high
        The bin's edges, in [0, 1]; the upper one belongs to it only in the last bin.
    mean_probability
        Weighted mean of the stated probabilities in it.
    merchant_share
        What share of them really were merchants.
    """

    low: float
    high: float
    mean_probability: float
    merchant_share: Measurement


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the sample says about the stated probabilities; figures are None where no sampled row has one.

    Parameters
    ----------
    is_calibrated
        Whether the model states a probability for any row, sampled or not.
    brier
        Weighted mean of (probability - outcome)^2, in [0, 1], smaller is better.
    calibration_error
        Mean distance between stated and observed share over the bins, weighted by the bins' mass, in [0, 1].
        It is never negative, so noise alone makes it positive.
    mean_error
        Mean stated probability less the merchant share: above 0, the model is too gloomy.
    bins
        The reliability table; empty bins are left out.
    """

    is_calibrated: bool
    brier: Measurement | None
    calibration_error: Measurement | None
    mean_error: Measurement | None
    bins: tuple[ReliabilityBin, ...]


def measure_calibration(
    merchant_probability: Floats,
    is_merchant: NDArray[np.bool_],
    weight: Floats,
    bootstrap: OperatorBootstrap,
    *,
    level: float = LEVEL,
) -> Calibration:
    """Hold the stated probabilities against the outcomes.

    Parameters
    ----------
    merchant_probability
        In [0, 1], NaN where the model states none, shape (n,).
    is_merchant, weight
        Outcome and weight of each row, shape (n,); a row of weight 0 has no part.
    bootstrap
        The draws shared with every other figure.
    level
        Nominal coverage of the intervals.
    """
    states = np.isfinite(merchant_probability)
    rows = (weight > 0) & states
    if not rows.any():
        return Calibration(bool(states.any()), brier=None, calibration_error=None, mean_error=None, bins=())
    w = np.where(rows, weight, 0.0)
    p = np.where(rows, merchant_probability, 0.0)
    y = is_merchant.astype(np.float64)
    membership = _bin_of(p)[:, None] == np.arange(len(BIN_EDGES) - 1)
    mass, stated, observed = (membership * column[:, None] for column in (w, w * p, w * y))
    columns = np.concatenate([mass, stated, observed, (w * (p - y) ** 2)[:, None]], axis=1)
    by_operator = bootstrap.operator_sums(columns)
    totals, replicates = by_operator.sum(axis=0)[None, :], bootstrap.replicate_sums(by_operator)

    def estimate(name: str, of_sums: int) -> Measurement:
        low, high = percentiles(_figures(replicates)[:, of_sums], level)
        value = float(_figures(totals)[0, of_sums])
        unit = "probability"
        return measurement(name, value, low, high, level, rows, bootstrap, f"percentile {bootstrap}", unit)

    return Calibration(
        is_calibrated=True,
        brier=estimate("brier_score", 0),
        calibration_error=estimate("calibration_error", 1),
        mean_error=estimate("mean_calibration_error", 2),
        bins=_reliability(mass, stated, observed, bootstrap, level),
    )


def _bin_of(probability: Floats) -> NDArray[np.int64]:
    """Give each probability's bin; 1.0 falls in the last one."""
    return np.minimum(np.searchsorted(BIN_EDGES, probability, side="right") - 1, len(BIN_EDGES) - 2).astype(np.int64)


def _figures(sums: Floats) -> Floats:
    """Give Brier score, calibration error and mean error of each row of bin sums: (b, 3 bins + 1) -> (b, 3)."""
    bins = len(BIN_EDGES) - 1
    mass, stated, observed = sums[:, :bins], sums[:, bins : 2 * bins], sums[:, 2 * bins : 3 * bins]
    total = mass.sum(axis=1)
    return np.stack(
        [
            ratio(sums[:, -1], total),
            ratio(np.abs(stated - observed).sum(axis=1), total),
            ratio(stated.sum(axis=1) - observed.sum(axis=1), total),
        ],
        axis=1,
    )


def _reliability(
    mass: Floats, stated: Floats, observed: Floats, bootstrap: OperatorBootstrap, level: float
) -> tuple[ReliabilityBin, ...]:
    filled = [b for b in range(mass.shape[1]) if mass[:, b].sum() > 0]
    shares = measure_shares(
        [Share("merchant_share", observed[:, b], mass[:, b]) for b in filled], bootstrap, level=level
    )
    return tuple(
        ReliabilityBin(BIN_EDGES[b], BIN_EDGES[b + 1], float(stated[:, b].sum() / mass[:, b].sum()), share)
        for b, share in zip(filled, shares, strict=True)
    )
