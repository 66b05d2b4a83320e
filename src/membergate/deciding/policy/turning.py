"""Where a policy turns: the values of one evidence at which its disposition may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from membergate.deciding.policy import witnesses
from membergate.deciding.policy.economics import Stakes, turning_points
from membergate.deciding.policy.policy import Policy


def turning_points_of(policy: Policy, name: str, stakes: Stakes | None) -> tuple[float, ...]:
    """Give the values of a number at which the policy may turn for a subject with these stakes, ascending."""
    key = (name, 1.0, 1.0, False)
    if stakes is not None:
        key = (name, stakes.value_multiplier, stakes.loss_multiplier, stakes.is_lane_offered)
    if key not in policy.turning:
        policy.turning[key] = tuple(sorted(set(turning_values(policy, name, () if stakes is None else (stakes,)))))
    return policy.turning[key]


def turning_values(policy: Policy, name: str, stakes: Iterable[Stakes]) -> Iterator[float]:
    """Give the values of a number at which the policy may turn, all else being equal.

    Parameters
    ----------
    policy
        The policy.
    name
        The evidence.
    stakes
        The economics to look at, as they apply to a subject.

    Yields
    ------
    float
        Literals of conditions, thresholds of the machinery, probabilities at which expected values cross. What a
        condition calculates (see `Condition.blended`) is not among them.
    """
    yield from policy.compared.get(name, ())
    if policy.evidence_mass and name == witnesses.EVIDENCE_MASS:
        yield policy.evidence_mass.minimum_orders
    if policy.evidence_mass and name == witnesses.HISTORY_DAYS:
        yield policy.evidence_mass.minimum_history_days
    if policy.operator_cap is not None and name == witnesses.OPERATOR_HOLDERS:
        yield float(policy.operator_cap)
    if policy.exploration and name == witnesses.RISK_SCORE:
        yield from (stratum.risk_score_at_most for stratum in policy.exploration.strata)
    if name in witnesses.SCORES:
        for stake in stakes:
            yield from turning_points(stake)
