"""Is what was certified still true? A bet against "leakage <= alpha" on the live stream, valid whenever one looks.

Audited admissions come in batches. An operator counts once, with the accounts of the first batch that shows it, at most
M of them: a ring's second account says little that its first did not, and counting it would break the independence that
the bet needs. Its sum X = sum(w (y - alpha)), over M times the largest weight, has a mean of at most 0 while leakage is
at most alpha; the wealth prod(1 + stake X) then reaches 1 / delta with probability at most delta, at any time and
however often it is looked at (Ville). The same bets against every other bound, both ways, give a confidence sequence:
an interval for the leakage that covers it at all times together.

The state is plain data. Whoever writes it down and reads it back goes on as though nothing had happened.

References
----------
Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting, arXiv:2010.09686.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from membergate.domain.errors import BadInputError
from membergate.verification.bootstrap import Floats

STAKES = np.array([0.5, 0.2, 0.1, 0.05, 0.02, 0.01])
"""Constant stakes between which the initial wealth is split evenly, as fractions of the largest that is allowed."""
BOUNDS = np.linspace(0.0025, 0.5, 200)
"""Leakages that the confidence sequence tells apart."""


@dataclass(frozen=True, slots=True)
class Audit:
    """One audited admission.

    Parameters
    ----------
    decision_id, operator_id
        What was admitted, and whose it is.
    is_merchant
        What the audit found.
    weight
        1 / the probability with which it was drawn for the audit, at least 1.
    """

    decision_id: str
    operator_id: str
    is_merchant: bool
    weight: float


@dataclass(frozen=True, slots=True)
class Monitor:
    """The bettor's state: plain data, to be written down and resumed.

    Parameters
    ----------
    alpha, delta, operator_cap, largest_weight
        What is watched; the largest weight that any audit's design has allowed so far.
    log_wealth
        Logarithm of each stake's wealth against "leakage <= alpha".
    log_wealth_up, log_wealth_down
        The same against "leakage <= b" and "leakage >= b" for each bound b of `BOUNDS`, stake by stake.
    operators, decisions
        Who and what was seen, in alphabetical order.
    leaked_operators, repeats
        Operators with a leak, and audits that placed no bet since their operator had been seen.
    alarmed_at
        When the alarm was raised (an instant, as the caller says it); empty while it was not. It stays.
    """

    alpha: float
    delta: float
    operator_cap: int
    largest_weight: float
    log_wealth: tuple[float, ...] = (0.0,) * len(STAKES)
    log_wealth_up: tuple[tuple[float, ...], ...] = ((0.0,) * len(BOUNDS),) * len(STAKES)
    log_wealth_down: tuple[tuple[float, ...], ...] = ((0.0,) * len(BOUNDS),) * len(STAKES)
    operators: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()
    leaked_operators: int = 0
    repeats: int = 0
    alarmed_at: str = ""

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and 0 < self.delta < 1 and self.operator_cap >= 1 and self.largest_weight >= 1):
            raise BadInputError(
                "these terms cannot be monitored",
                where="alpha, delta, operator_cap, largest_weight",
                allowed="(0, 1), (0, 1), at least 1, at least 1",
            )

    @property
    def e_value(self) -> float:
        """The wealth against "leakage <= alpha"; 1 / delta raises the alarm."""
        return float(np.exp(min(_mixed(np.array(self.log_wealth)).item(), 700.0)))

    @property
    def interval(self) -> tuple[float, float]:
        """The confidence sequence at 1 - delta: what the leakage may be, in [0, 1]."""
        evidence = np.logaddexp(_mixed(np.array(self.log_wealth_up)), _mixed(np.array(self.log_wealth_down)))
        kept = np.flatnonzero(evidence - np.log(2) < -np.log(self.delta))
        if not len(kept):
            return 0.0, 1.0
        low = 0.0 if kept[0] == 0 else float(BOUNDS[kept[0] - 1])
        return low, 1.0 if kept[-1] == len(BOUNDS) - 1 else float(BOUNDS[kept[-1] + 1])


def watch(monitor: Monitor, audits: Sequence[Audit], *, at: str, largest_weight: float = 1.0) -> Monitor:
    """Place the bets of one batch and give the state after it; what was seen before counts no more.

    Parameters
    ----------
    monitor
        The state before.
    audits
        The audits of one batch, in the order of their decisions.
    at
        The instant of the batch: where it raises the alarm, it is written down.
    largest_weight
        What the batch's design allows. Where that is more than any design before, bets are smaller from now on, which
        harms no promise: a stake is free, as long as it is chosen before what it is placed on.

    Raises
    ------
    BadInputError
        If a weight is larger than the design allows.
    """
    monitor = replace(monitor, largest_weight=max(monitor.largest_weight, largest_weight))
    seen, known = set(monitor.decisions), set(monitor.operators)
    fresh = [audit for audit in audits if audit.decision_id not in seen]
    if any(not 1 <= audit.weight <= monitor.largest_weight * (1 + 1e-9) for audit in fresh):
        raise BadInputError(
            "an audit's weight is not of the design", where="weight", allowed=f"[1, {monitor.largest_weight:g}]"
        )
    by_operator: dict[str, list[Audit]] = {}
    for audit in fresh:
        if audit.operator_id not in known:
            by_operator.setdefault(audit.operator_id, []).append(audit)
    counted = [each[: monitor.operator_cap] for each in by_operator.values()]
    totals = np.array(
        [[sum(a.weight * a.is_merchant for a in each), sum(a.weight for a in each)] for each in counted]
    ).reshape(-1, 2) / (monitor.operator_cap * monitor.largest_weight)
    ups = np.array(monitor.log_wealth_up) + _steps(totals, BOUNDS, up=True).sum(axis=1)
    downs = np.array(monitor.log_wealth_down) + _steps(totals, BOUNDS, up=False).sum(axis=1)
    path = np.array(monitor.log_wealth)[:, None] + np.cumsum(
        _steps(totals, np.array([monitor.alpha]), up=True)[..., 0], axis=1
    )
    alarmed = bool((_mixed(path) >= -np.log(monitor.delta)).any())
    return replace(
        monitor,
        log_wealth=tuple(path[:, -1].tolist()) if len(totals) else monitor.log_wealth,
        log_wealth_up=tuple(tuple(row) for row in ups.tolist()),
        log_wealth_down=tuple(tuple(row) for row in downs.tolist()),
        operators=tuple(sorted(known | set(by_operator))),
        decisions=tuple(sorted(seen | {audit.decision_id for audit in fresh})),
        leaked_operators=monitor.leaked_operators + int((totals[:, 0] > 0).sum()),
        repeats=monitor.repeats + len(fresh) - sum(map(len, counted)),
        alarmed_at=monitor.alarmed_at or (at if alarmed else ""),
    )


def _steps(totals: Floats, bounds: Floats, *, up: bool) -> Floats:
    """Give each operator's log-growth for each stake and bound: shape (stakes, operators, bounds)."""
    sums = totals[:, :1] - bounds * totals[:, 1:]
    largest = STAKES[:, None, None] / (bounds if up else 1 - bounds)
    grown: NDArray[np.float64] = np.log1p(largest * (sums if up else -sums))
    return grown


def _mixed(logs: Floats) -> Floats:
    """Give the logarithm of the mean wealth over stakes, the first axis."""
    mean: Floats = np.asarray(np.logaddexp.reduce(logs, axis=0) - np.log(len(STAKES)))
    return mean
