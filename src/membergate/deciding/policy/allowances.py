"""The order checkpoint's limits: which caps an order comes under, and what remains of its wishes once they are met.

Every cap is metered by operator, so that splitting an order over accounts multiplies nothing. A day and a month are the
calendar's, in UTC; a window of days slides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce

from membergate.deciding.policy.policy import tighter
from membergate.deciding.policy.scoring import Reason
from membergate.domain.decision import Caps, Verdict
from membergate.domain.disposition import Checkpoint, Disposition, strictest
from membergate.domain.limits import Ask, Limit
from membergate.domain.membership import Standing

_WITHOUT_BENEFIT = {
    Standing.NONE: Reason.NOT_A_MEMBER,
    Standing.SUSPENDED: Reason.BENEFIT_SUSPENDED,
    Standing.TERMINATED: Reason.MEMBERSHIP_ENDED,
}
_REFUSING = frozenset({Disposition.REMOVE_MEMBER_PRICE, Disposition.HOLD_ORDER, Disposition.CANCEL_ORDER})


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line of an order that would use a member's benefit.

    Parameters
    ----------
    line_id, sku_id
        Which line, and what is bought.
    units
        How many, at least 1.
    benefit_minor
        The benefit of one unit, in minor units.
    promotion_stock
        Units of the SKU that the promotion has; None outside promotions.
    """

    line_id: str
    sku_id: str
    units: int
    benefit_minor: int = 0
    promotion_stock: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """An order by a member, as it asks for benefits.

    Parameters
    ----------
    order_id, operator_id
        Which order, and whose.
    ordered_at
        When, aware and in UTC.
    lines
        What it asks for.
    promotion_id
        The promotion that it belongs to; empty for none.
    """

    order_id: str
    operator_id: str
    ordered_at: datetime
    lines: tuple[OrderLine, ...]
    promotion_id: str = ""


def asks_of(order: Order, caps: Caps | None) -> tuple[Ask, ...]:
    """Give what an order asks of the ledger: first its place among the day's orders, then its lines.

    Parameters
    ----------
    order
        The order.
    caps
        The limits that it comes under; None for none.
    """
    if caps is None:
        return ()
    at = order.ordered_at
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    asks = []
    if caps.orders_per_day is not None:
        limit = Limit(_key("orders", order.operator_id), caps.orders_per_day, day)
        asks.append(Ask(_key(order.order_id, "order"), 1, (limit,)))
    for line in order.lines:
        limits = _line_limits(order, line, caps, day)
        asks.append(Ask(_key(order.order_id, "line", line.line_id), line.units, tuple(limits)))
    return tuple(asks)


def _line_limits(order: Order, line: OrderLine, caps: Caps, day: datetime) -> list[Limit]:
    operator, limits = order.operator_id, []
    if caps.units_per_sku is not None and caps.window_days is not None:
        since = order.ordered_at - timedelta(days=caps.window_days)
        limits.append(Limit(_key("sku", operator, line.sku_id), caps.units_per_sku, since))
    if caps.benefit_minor_per_month is not None:
        month = Limit(_key("benefit", operator), caps.benefit_minor_per_month, day.replace(day=1), line.benefit_minor)
        limits.append(month)
    if caps.promotion_stock_ratio is not None and line.promotion_stock is not None:
        share = max(1, int(caps.promotion_stock_ratio * line.promotion_stock))
        ever = day.replace(year=1970, month=1, day=1)
        limits.append(Limit(_key("stock", operator, order.promotion_id, line.sku_id), share, ever))
    return limits


def settle(verdict: Verdict, order: Order, granted: Mapping[str, int]) -> tuple[Verdict, dict[str, int]]:
    """Give the final verdict, and the units of each line that keep the member's price.

    Parameters
    ----------
    verdict
        What the rules say of the order.
    order
        The order.
    granted
        What the ledger granted, by use; a use that it was not asked for is unlimited.

    Returns
    -------
    tuple
        The verdict, raised to `limit_quantity` where units are cut, and to `remove_member_price` where none is left;
        and units by line.
    """
    units = {line.line_id: granted.get(_key(order.order_id, "line", line.line_id), line.units) for line in order.lines}
    if verdict.disposition in _REFUSING or granted.get(_key(order.order_id, "order"), 1) == 0:
        units = dict.fromkeys(units, 0)
    asks = [verdict.disposition]
    if any(units[line.line_id] < line.units for line in order.lines):
        asks.append(Disposition.LIMIT_QUANTITY if any(units.values()) else Disposition.REMOVE_MEMBER_PRICE)
    disposition = strictest(asks, Checkpoint.ORDER)
    if disposition is verdict.disposition and verdict.disposition is not Disposition.LIMIT_QUANTITY:
        return verdict, units
    reasons = verdict.reason_codes if len(asks) == 1 else (*verdict.reason_codes, Reason.CAP_REACHED)
    return replace(verdict, disposition=disposition, reason_codes=tuple(dict.fromkeys(reasons))), units


def under_standing(verdict: Verdict, standing: Standing) -> Verdict:
    """Give the verdict as it holds for somebody who stands so: without a membership there is no member's price."""
    reason = _WITHOUT_BENEFIT.get(standing)
    return verdict if reason is None else _at_ordinary_price(verdict, reason)


def without_ledger(verdict: Verdict) -> Verdict:
    """Give the verdict where the ledger does not answer: caps fail closed, and the decision says so."""
    return replace(_at_ordinary_price(verdict, Reason.CAPS_UNAVAILABLE), degraded=True)


def is_refused(verdict: Verdict) -> bool:
    """Tell whether an order gets no member's price whatever its limits leave."""
    return verdict.disposition in _REFUSING


def use_ids_of(order: Order) -> tuple[str, ...]:
    """Name every use that an order may have on the ledger."""
    lines = (_key(order.order_id, "line", line.line_id) for line in order.lines)
    return (_key(order.order_id, "order"), *lines)


def unused(order: Order, granted: Mapping[str, int]) -> tuple[str, ...]:
    """Name the uses that an order took from the ledger for nothing.

    An order beyond the day's last takes no units, and one that gets no unit takes no place among the day's orders.
    """
    place = _key(order.order_id, "order")
    lines = {use: units for use, units in granted.items() if use != place}
    if granted.get(place) == 0:
        return tuple(lines)
    is_empty = place in granted and bool(lines) and not any(lines.values())
    return (place,) if is_empty else ()


def _at_ordinary_price(verdict: Verdict, reason: Reason) -> Verdict:
    disposition = strictest((verdict.disposition, Disposition.REMOVE_MEMBER_PRICE), Checkpoint.ORDER)
    reasons = tuple(dict.fromkeys((reason, *verdict.reason_codes)))
    return replace(verdict, disposition=disposition, caps=None, reason_codes=reasons)


def _key(*parts: str) -> str:
    """Join ids to a key that no other ids can make."""
    return "|".join(f"{len(part)}:{part}" for part in parts)


def combined(caps: Sequence[Caps | None]) -> Caps | None:
    """Give limits that satisfy all: those of the admission and those of the order's verdict."""
    there = [one for one in caps if one is not None]
    return reduce(tighter, there) if there else None
