"""What a feature tells here: its distribution over a workspace's accounts, and its power to separate them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from membergate.domain.labels import EVALUATING_GRADES, Label
from membergate.learning.features import CATALOGUE, availability, fit_norms, needs, uses
from membergate.learning.features.lineage import measures_of
from membergate.operations.history import History

FEWEST_LABELLED = 5
"""With fewer operators on either side no power is stated."""
QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
"""What is shown of a distribution."""
CONFIDENCE = 0.95
"""Of the interval."""


@dataclass(frozen=True)
class Power:
    """How well a feature alone orders merchants above genuine members.

    Parameters
    ----------
    area
        Area under the curve: the chance that a merchant's value is the larger one; 0.5 tells nothing, and below it the
        smaller values are the merchants'.
    low, high
        Its 95 % interval (DeLong), over operators.
    merchants, genuine
        Operators with a value on either side.
    """

    area: float
    low: float
    high: float
    merchants: int
    genuine: int


@dataclass(frozen=True)
class Portrait:
    """A feature in a workspace.

    Parameters
    ----------
    as_of
        The instant of the values.
    accounts, observed
        Accounts asked about, and those with a value.
    quantiles
        Share -> value.
    power
        None where too few operators are labelled, or the feature is made of labels.
    is_of_labels
        Whether the feature itself reads labels: held against labels it would measure itself.
    """

    as_of: datetime
    accounts: int
    observed: int
    quantiles: dict[float, float]
    power: Power | None
    is_of_labels: bool


def portrait(history: History, feature: str, *, as_of: datetime | None = None) -> Portrait | None:
    """Compute a feature for every account, and set it against the labels that were known by then.

    Labels are those that may evaluate (double review, proof, upheld appeals), one an operator; the values are of the
    same instant, so behaviour after the label counts as well.

    Parameters
    ----------
    history
        The loaded market.
    feature
        Its id.
    as_of
        The end of the data where None.

    Returns
    -------
    Portrait or None
        None where the data cannot feed it.
    """
    if not any(e.feature.id == feature and e.is_computable for e in availability(history.warehouse.columns())):
        return None
    instant = as_of or history.last_instant
    spine = history.accounts(instant)
    operators = history.operators(spine)
    norms = fit_norms(history.connection, instant, (feature,))
    values = history.features(spine, operators, norms, (feature,)).values[:, 0]
    seen = values[np.isfinite(values)]
    quantiles = {q: float(v) for q, v in zip(QUANTILES, np.quantile(seen, QUANTILES), strict=True)} if len(seen) else {}
    measures = measures_of(CATALOGUE[feature])
    is_of_labels = any(column.startswith("labels.") for column in needs(measures) | uses(measures))
    labels = [label for label in history.labels(instant) if label.grade in EVALUATING_GRADES]
    known = _of_operators(values, spine.account_ids, operators.operator_ids, labels)
    power = None if is_of_labels else power_of(*known)
    return Portrait(instant, len(values), len(seen), quantiles, power, is_of_labels)


def _of_operators(
    values: NDArray[np.float64], accounts: NDArray[Any], operators: NDArray[Any], labels: Sequence[Label]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the mean value of each labelled operator: merchants', genuine ones'. An account's latest label counts."""
    row = {account: place for place, account in enumerate(accounts.tolist())}
    sides: dict[str, list[tuple[bool, float]]] = {}
    latest = {label.subject_id: label for label in sorted(labels, key=lambda label: label.decided_at)}
    for label in latest.values():
        place = row.get(label.subject_id) if label.subject_type == "account" else None
        if place is not None and np.isfinite(values[place]):
            sides.setdefault(str(operators[place]), []).append((label.is_merchant, float(values[place])))
    merchants = [np.mean([v for _, v in found]) for found in sides.values() if any(is_bad for is_bad, _ in found)]
    genuine = [np.mean([v for _, v in found]) for found in sides.values() if not any(is_bad for is_bad, _ in found)]
    return np.array(merchants, dtype=np.float64), np.array(genuine, dtype=np.float64)


def power_of(merchants: NDArray[np.float64], genuine: NDArray[np.float64]) -> Power | None:
    """Give the area under the curve with its DeLong interval; None with too few on either side.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), through mid-ranks.

    Parameters
    ----------
    merchants, genuine
        Values, shape (m,) and (g,), finite.
    """
    m, g = len(merchants), len(genuine)
    if min(m, g) < FEWEST_LABELLED:
        return None
    ranks = stats.rankdata(np.concatenate([merchants, genuine]))
    over = (ranks[:m] - stats.rankdata(merchants)) / g
    under = 1.0 - (ranks[m:] - stats.rankdata(genuine)) / m
    area = float(over.mean())
    spread = float(np.sqrt(over.var(ddof=1) / m + under.var(ddof=1) / g))
    reach = float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) * spread
    return Power(area, max(0.0, area - reach), min(1.0, area + reach), m, g)
