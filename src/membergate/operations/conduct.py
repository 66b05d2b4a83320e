"""How the door fared: how often a source was at fault, and how long decisions take on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter

import numpy as np

from membergate.domain.decision import Decision
from membergate.operations.admission import AdmissionDesk
from membergate.operations.evaluation import Decided, evenly
from membergate.verification.card import Conduct

MOST_TIMED, MOST_LOOKED_UP = 500, 20
"""Decisions that are timed at most: with what was witnessed at hand, and with all of it looked up anew."""
UNTIMED = 20
"""Decisions before the first that is timed: a policy works out some things once."""


def conduct(desk: AdmissionDesk, decided: Sequence[Decided]) -> Conduct:
    """Count the decisions, and those that a source at fault took part in; and time some of them.

    Parameters
    ----------
    desk
        The door that is verified.
    decided
        What it has decided.
    """
    rows = range(len(decided))
    for case, _ in decided[:UNTIMED]:
        desk.decision_on(case)
    at_hand = [_milliseconds(partial(desk.decision_on, decided[row][0])) for row in evenly(rows, MOST_TIMED)]
    looked_up = [_milliseconds(partial(_looked_up, desk, decided[row][1])) for row in evenly(rows, MOST_LOOKED_UP)]
    return Conduct(
        decided=len(decided),
        degraded=sum(decision.degraded for _, decision in decided),
        timed=len(at_hand),
        median_ms=_quantile(at_hand, 0.5),
        p99_ms=_quantile(at_hand, 0.99),
        looked_up=len(looked_up),
        looked_up_median_ms=_quantile(looked_up, 0.5),
        looked_up_longest_ms=_quantile(looked_up, 1.0),
    )


def _looked_up(desk: AdmissionDesk, decision: Decision) -> Decision:
    return desk.decision_on(next(desk.witness([decision.account_id], decision.as_of)))


def _milliseconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return 1_000 * (perf_counter() - began)


def _quantile(found: Sequence[float], share: float) -> float | None:
    return float(np.quantile(found, share)) if found else None
