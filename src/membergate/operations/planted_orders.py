"""What the caps let in of the orders that planted accounts place once they are members.

Each account that was let in goes on ordering for a year as it ordered before it applied. Its orders come under the caps
of its own decision, metered by the operator that identity resolution makes of it, as at the order checkpoint. The rules
of that checkpoint, and sweeps, are not asked: they would let in less.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

from membergate.deciding.policy.allowances import Order, OrderLine, asks_of, unused
from membergate.domain.decision import Caps, Decision
from membergate.domain.disposition import HOLDERS
from membergate.operations.planting_statements import SPAN_DAYS

MONTH_DAYS, SPANS = 30, 6
"""Days of a month, and how often the planted orders are placed again: a year of 360 days."""
_Uses = defaultdict[str, list[tuple[datetime, int]]]
"""Key of a limit -> when it was used, and how much of it."""


@dataclass(frozen=True, slots=True)
class PlantedOrder:
    """One planted order, of one article.

    Parameters
    ----------
    account_id, sku_id
        Whose, and of what.
    ordered_at
        When, aware.
    units
        How many.
    benefit_minor
        What a member saves on a unit, in minor units.
    """

    account_id: str
    ordered_at: datetime
    sku_id: str
    units: int
    benefit_minor: int


def planted_orders(connection: duckdb.DuckDBPyConnection) -> list[PlantedOrder]:
    """Read what was planted, in the order of time."""
    rows = connection.execute(
        "SELECT p.account_id, p.at, p.sku_id, p.units, p.benefit_minor FROM planting_order AS p "
        "ORDER BY p.at, p.account_id"
    ).fetchall()
    return [PlantedOrder(account, at.replace(tzinfo=UTC), *rest) for account, at, *rest in rows]


def units_let_in(orders: Sequence[PlantedOrder], decisions: Iterable[Decision]) -> Mapping[str, float]:
    """Give each account's units a month that keep the member's price; 0 for whom no decision lets in.

    Parameters
    ----------
    orders
        Of one span of `SPAN_DAYS`, in the order of time.
    decisions
        About the accounts, with the caps that come with them.
    """
    members = {each.account_id: each for each in decisions if each.disposition in HOLDERS}
    units: Counter[str] = Counter()
    uses: _Uses = defaultdict(list)
    for span in range(1, SPANS + 1):
        for number, each in enumerate(orders):
            if (decision := members.get(each.account_id)) is not None:
                at = each.ordered_at + timedelta(days=span * SPAN_DAYS)
                line = OrderLine("line", each.sku_id, each.units, each.benefit_minor)
                order = Order(f"{span}-{number}", decision.operator_id, at, (line,))
                units[each.account_id] += _granted(order, decision.caps, uses)
    return {account: total * MONTH_DAYS / (SPANS * SPAN_DAYS) for account, total in units.items()}


def _granted(order: Order, caps: Caps | None, uses: _Uses) -> int:
    """Give the units of an order's only line that its caps leave, and note what they use up."""
    asks = asks_of(order, caps)
    granted = {}
    for ask in asks:
        used = {limit.key: sum(n for at, n in uses[limit.key] if at >= limit.since) for limit in ask.limits}
        granted[ask.use_id] = ask.fitting(used)
    for use in unused(order, granted):
        granted[use] = 0
    for ask in asks:
        for limit in ask.limits:
            uses[limit.key].append((order.ordered_at, granted[ask.use_id] * limit.weight))
    return granted[asks[-1].use_id] if asks else order.lines[0].units
