"""The order checkpoint's limits: which caps an order comes under, and what is left of its wishes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from hypothesis import given

from membergate.deciding.policy import Policy, decide
from membergate.deciding.policy.allowances import Order, OrderLine, asks_of, combined, settle
from membergate.domain.decision import Caps
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.evidence import Evidence
from membergate.domain.limits import Ask, Limit

Witness = Callable[..., dict[str, Evidence]]
AT = datetime(2025, 11, 11, 8, tzinfo=UTC)
LINES = (OrderLine("l-1", "s-1", 3, 40, 1000), OrderLine("l-2", "s-2", 1))
ORDER = Order("o-1", "op-1", AT, LINES, "p-1")
CAPS = Caps(2, 30, 100, 1, 0.01)


def test_an_order_comes_under_every_cap_of_its_operator() -> None:
    """The day's orders, units of the SKU in a sliding window, the month's benefit, the promotion's stock."""
    order, first, second = asks_of(ORDER, CAPS)
    assert (order.units, order.limits[0].most, order.limits[0].since) == (1, 1, AT.replace(hour=0))
    sku, benefit, stock = first.limits
    assert (sku.most, (AT - sku.since).days) == (2, 30)
    assert (benefit.most, benefit.weight, benefit.since) == (100, 40, AT.replace(day=1, hour=0))
    assert (stock.most, stock.key != sku.key) == (10, True)
    assert [limit.weight for limit in second.limits] == [1, 0]
    assert asks_of(ORDER, None) == ()
    assert asks_of(Order("o-1", "op-2", AT, LINES), CAPS)[0].limits != order.limits


def test_keys_cannot_be_made_to_collide() -> None:
    """Ids with the separator in them meter apart."""
    ids = [("a|1:b", "c"), ("a", "b|1:c"), ("a", "b")]
    keys = {asks_of(Order("o", op, AT, (OrderLine("l", sku, 1),)), Caps(2, 30))[0].limits[0].key for op, sku in ids}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("granted", "said", "disposition", "units"),
    [
        ((1, 3, 1), {}, Disposition.FULL_BENEFIT, (3, 1)),
        ((1, 2, 1), {}, Disposition.LIMIT_QUANTITY, (2, 1)),
        ((1, 0, 0), {}, Disposition.REMOVE_MEMBER_PRICE, (0, 0)),
        ((0, 3, 1), {}, Disposition.REMOVE_MEMBER_PRICE, (0, 0)),
        ((1, 3, 1), {"list_deny": True}, Disposition.REMOVE_MEMBER_PRICE, (0, 0)),
        ((1, 3, 1), {"a2_excess_units_ratio": 0.4}, Disposition.LIMIT_QUANTITY, (3, 1)),
    ],
)
def test_what_is_left_of_an_order(
    default: Policy,
    applicant: Witness,
    granted: tuple[int, int, int],
    said: dict[str, float],
    disposition: Disposition,
    units: tuple[int, int],
) -> None:
    """Cut units limit the order, none left removes the member's price, and rules only ever make it stricter."""
    verdict = decide(default, Checkpoint.ORDER, applicant(**said), lottery=0.5)
    answers = dict(zip((ask.use_id for ask in asks_of(ORDER, CAPS)), granted, strict=True))
    final, left = settle(verdict, ORDER, answers)
    assert (final.disposition, tuple(left.values())) == (disposition, units)
    assert ("CAP_REACHED" in final.reason_codes) is (sum(units) < 4 and not said)


def test_the_caps_of_admission_and_order_both_hold() -> None:
    """The tighter of each."""
    both = combined([Caps(6, 30, orders_per_day=3), None, Caps(2, 7, promotion_stock_ratio=0.1)])
    assert both == Caps(2, 30, None, 3, 0.1)
    assert combined([None]) is None


@given(st.integers(0, 50), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5), st.integers(0, 80)), max_size=4))
def test_what_fits_fits_and_one_more_would_not(units: int, limits: list[tuple[int, int, int]]) -> None:
    """Every limit holds for what is granted, and granting one more would break one, or exceed the wish."""
    ask = Ask("u", units, tuple(Limit(str(n), most, AT, weight) for n, (most, weight, _) in enumerate(limits)))
    used = {str(n): amount for n, (_, _, amount) in enumerate(limits)}
    fits = ask.fitting(used)

    def holds(wanted: int) -> bool:
        return all(limit.weight * wanted <= max(0, limit.most - used[limit.key]) for limit in ask.limits)

    assert 0 <= fits <= units
    assert holds(fits)
    assert fits == units or not holds(fits + 1)
