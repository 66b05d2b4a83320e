"""What a member is told when a decision changes the membership: what, why, what would change it, and how to appeal."""

from __future__ import annotations

from datetime import datetime

from membergate.domain.decision import Caps, Decision
from membergate.domain.disposition import Disposition
from membergate.domain.instants import format_instant
from membergate.domain.membership import Notice

_D = Disposition
_WHAT = {
    _D.KEEP: "Your membership is as it was before; every restriction was lifted.",
    _D.ADMIT: "You are admitted to the membership, with full benefits.",
    _D.ADMIT_CAPPED: "Your membership stays; its benefits are limited from now on.",
    _D.SUSPEND_BENEFIT: "Your membership stays; its benefits rest until a person has looked at it.",
    _D.TERMINATE: "Your membership was ended.",
}


def notice_of(decision: Decision, kind: str, at: datetime) -> Notice:
    """Write the notice of a decision; equal decisions give equal notices.

    Parameters
    ----------
    decision
        What changed.
    kind
        `sweep`, `reinstated`, `appeal`.
    at
        Since when it waits to be delivered.
    """
    said = [_WHAT.get(decision.disposition, f"It was decided: {decision.disposition.value}.")]
    said.append(f"Decided as of {format_instant(decision.as_of)}. Reasons: {', '.join(decision.reason_codes)}.")
    if decision.caps is not None:
        said.append(f"Limits: {_limits(decision.caps)}.")
    if (way_out := decision.counterfactual) is not None:
        said.append(
            f"With {way_out.evidence} at {way_out.needed:g} instead of {way_out.actual:g} "
            f"it would have been {way_out.disposition.value}."
        )
    if decision.disposition not in {_D.KEEP, _D.ADMIT}:
        said.append(f"You may appeal against decision {decision.decision_id}; a person will decide.")
    return Notice(f"n-{decision.decision_id[2:]}", decision.decision_id, decision.account_id, kind, tuple(said), at)


def _limits(caps: Caps) -> str:
    window = "" if caps.window_days is None else f" in {caps.window_days} days"
    limits = [
        (caps.units_per_sku, f"{caps.units_per_sku} units of one article{window}"),
        (caps.benefit_minor_per_month, f"a benefit of {caps.benefit_minor_per_month} minor units a month"),
        (caps.orders_per_day, f"{caps.orders_per_day} orders a day"),
        (caps.promotion_stock_ratio, f"{caps.promotion_stock_ratio or 0:.2%} of a promotion's stock of one article"),
    ]
    return ", ".join(text for limit, text in limits if limit is not None) or "none"
