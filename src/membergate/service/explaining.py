"""A decision in plain sentences, for the person who has to answer for it."""

from __future__ import annotations

from collections.abc import Iterator

from membergate.domain.decision import Caps, Counterfactual, Decision
from membergate.domain.evidence import Absence
from membergate.domain.instants import format_instant


def explain(decision: Decision) -> tuple[str, ...]:
    """Tell a decision in sentences: what, how sure, why, within which limits, and what would have changed it.

    Parameters
    ----------
    decision
        Any decision.

    Returns
    -------
    tuple of str
        One sentence each, the outcome first. Equal decisions give equal sentences.
    """
    return tuple(_sentences(decision))


def _sentences(decision: Decision) -> Iterator[str]:
    yield (
        f"Decided as of {format_instant(decision.as_of)}: {decision.disposition.value}, "
        f"by policy {decision.policy_version} on the testimony of model {decision.model_version}."
    )
    yield _belief(decision)
    if decision.reason_codes:
        yield f"Reasons, strongest first: {', '.join(decision.reason_codes)}."
    if decision.caps is not None and (limits := _limits(decision.caps)):
        yield f"Benefits are limited to {', '.join(limits)}."
    if decision.explore:
        chance = "" if decision.propensity is None else f" with probability {decision.propensity:g}"
        yield f"Let in by the exploration lane, which lets in such applications{chance}."
    if decision.counterfactual is not None:
        yield _way_out(decision.counterfactual)
    failed = [witnessed.name for witnessed in decision.evidence if witnessed.value is Absence.SOURCE_FAILED]
    if decision.degraded:
        yield f"Degraded: {', '.join(failed) or 'a witness'} could not be heard because of a fault."


def _belief(decision: Decision) -> str:
    if decision.merchant_probability is not None:
        return f"The calibrated probability of a merchant is {decision.merchant_probability:.3g}."
    if decision.risk_score is not None:
        return f"There is no calibrated probability; the risk score is {decision.risk_score:.3g} of 1."
    return "There is neither a calibrated probability nor a risk score."


def _limits(caps: Caps) -> list[str]:
    stock = caps.promotion_stock_ratio
    window = "" if caps.window_days is None else f" in {caps.window_days} days"
    limits = [
        (caps.units_per_sku, f"{caps.units_per_sku} units of one SKU{window}"),
        (caps.benefit_minor_per_month, f"a benefit of {caps.benefit_minor_per_month} minor units a calendar month"),
        (caps.orders_per_day, f"{caps.orders_per_day} orders a day"),
        (stock, f"{stock or 0:.2%} of a promotion's stock of one SKU"),
    ]
    return [text for limit, text in limits if limit is not None]


def _way_out(counterfactual: Counterfactual) -> str:
    return (
        f"With {counterfactual.evidence} at {counterfactual.needed:g} instead of {counterfactual.actual:g} "
        f"it would have been {counterfactual.disposition.value}."
    )
