"""The same figures period by period: whether the door discriminates as it did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.domain.disposition import HOLDERS
from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, OperatorBootstrap
from membergate.verification.metrics import leakage
from membergate.verification.ranking import Ranking, roc_auc
from membergate.verification.sample import EvaluationSample, is_among
from membergate.verification.shares import Share, measure_shares

PERIODS = 3


@dataclass(frozen=True, slots=True)
class Period:
    """One period of the probability sample.

    Parameters
    ----------
    first, last
        ISO 8601 days of its first and last application.
    roc_auc, merchant_share, leakage
        How the score orders applicants, how many of them are merchants, and leakage over all holders.
    """

    first: str
    last: str
    roc_auc: Measurement
    merchant_share: Measurement
    leakage: Measurement


def measure_over_time(
    sample: EvaluationSample, bootstrap: OperatorBootstrap, *, level: float = LEVEL
) -> tuple[Period, ...]:
    """Measure thirds of the probability sample, by submission; nothing where a third would be empty.

    Parameters
    ----------
    sample
        The evaluation sample.
    bootstrap
        The draws shared with every other figure.
    level
        Nominal coverage of the intervals, in (0, 1).
    """
    rows = np.flatnonzero(sample.is_sampled)
    in_order = rows[np.argsort(sample.submitted_at[rows], kind="stable")]
    if len(rows) < PERIODS:
        return ()
    held = leakage(sample, is_among(sample.disposition, HOLDERS))
    everyone = Share("merchant_share", sample.rate_weight * sample.is_merchant, sample.rate_weight)
    found = []
    for part in np.array_split(in_order, PERIODS):
        inside = np.zeros(len(sample))
        inside[part] = 1.0
        ranking = Ranking.of(sample.risk_score, sample.is_merchant, sample.rate_weight * inside)
        shares = measure_shares([everyone.among(inside), held.among(inside)], bootstrap, level=level)
        days = np.datetime_as_string(sample.submitted_at[part[[0, -1]]], unit="D")
        found.append(
            Period(str(days[0]), str(days[1]), ranking.measure("roc_auc", roc_auc, bootstrap, level=level), *shares)
        )
    return tuple(found)
