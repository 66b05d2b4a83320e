"""Leakage in money: whose the benefits are that the admitted really took.

Only who was a member took benefits, so these figures are about those of the sample whom the market's own door had let
in, and say how many that are. What a trial's caps would have held back is not subtracted: the amounts are an upper end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, OperatorBootstrap
from membergate.verification.metrics import SCOPES
from membergate.verification.sample import EvaluationSample, is_among
from membergate.verification.shares import Share, measure_shares

WINDOW_DAYS = 90
"""Days of membership in which benefits are counted."""


@dataclass(frozen=True, slots=True)
class LossRow:
    """One policy's leakage in money, in one scope.

    Parameters
    ----------
    policy, scope
        As in the report's outcomes.
    leakage
        Merchants' share of the benefits that its admitted took.
    kept
        Share of the merchants' benefits that it would have kept from them by not admitting them so.
    forgone
        Share of the genuine members' benefits that it would have kept from those who took them.
    """

    policy: str
    scope: str
    leakage: Measurement
    kept: Measurement
    forgone: Measurement


@dataclass(frozen=True, slots=True)
class Losses:
    """Leakage in money.

    Parameters
    ----------
    rows
        Candidate, strict rule, incumbent, each in both scopes.
    members
        Reviewed applicants who were members, and whose benefits are known.
    reviewed
        Reviewed applicants in all.
    currency
        Of the amounts.
    merchant_minor, genuine_minor
        Mean benefit taken by a merchant and by a genuine member in 90 days, weighted; None without any.
    """

    rows: tuple[LossRow, ...]
    members: int
    reviewed: int
    currency: str
    merchant_minor: float | None
    genuine_minor: float | None


def measure_losses(
    sample: EvaluationSample, bootstrap: OperatorBootstrap, currency: str, *, level: float = LEVEL
) -> Losses | None:
    """Measure leakage in money; None where nobody's benefits are known.

    Parameters
    ----------
    sample
        The evaluation sample, with `benefit_minor`.
    bootstrap
        The draws shared with every other figure.
    currency
        ISO 4217 code.
    level
        Nominal coverage of the intervals, in (0, 1).
    """
    if sample.benefit_minor is None:
        return None
    known = np.isfinite(sample.benefit_minor) & sample.is_sampled
    if not known.any():
        return None
    taken = np.where(known, sample.rate_weight * np.nan_to_num(sample.benefit_minor), 0.0)
    policies = {"candidate": sample.disposition, "strict": sample.baseline_disposition}
    if sample.incumbent_disposition is not None:
        policies["incumbent"] = sample.incumbent_disposition
    keys = [(policy, scope) for policy in policies for scope in SCOPES]
    shares = []
    for policy, scope in keys:
        admitted = is_among(policies[policy], SCOPES[scope])
        theirs, ours = taken * sample.is_merchant, taken * ~sample.is_merchant
        shares += [
            Share(f"loss_leakage_{policy}_{scope}", theirs * admitted, taken * admitted, theirs),
            Share(f"loss_kept_{policy}_{scope}", theirs * ~admitted, theirs),
            Share(f"benefit_forgone_{policy}_{scope}", ours * ~admitted, ours),
        ]
    found = iter(measure_shares(shares, bootstrap, level=level))
    rows = tuple(LossRow(policy, scope, next(found), next(found), next(found)) for policy, scope in keys)
    means = [_mean(sample, known & side) for side in (sample.is_merchant, ~sample.is_merchant)]
    return Losses(rows, int(known.sum()), int(sample.is_sampled.sum()), currency, *means)


def _mean(sample: EvaluationSample, rows: np.ndarray) -> float | None:
    weight = sample.rate_weight[rows]
    if sample.benefit_minor is None or not weight.sum():
        return None
    return float(np.average(sample.benefit_minor[rows], weights=weight))
