"""Caps let in of planted orders what they let in of real ones: by operator, by window, by month and by day."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from membergate.domain.decision import Caps, Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.instants import utc
from membergate.operations.history import History
from membergate.operations.learn import Learned
from membergate.operations.planted_orders import PlantedOrder, units_let_in
from membergate.operations.planting import _altered_history
from membergate.operations.policies import DEFAULT, shipped_policy
from membergate.operations.workspace import Workspace

TRIAL = Decision(
    decision_id="d-1",
    checkpoint=Checkpoint.ADMISSION,
    application_id=None,
    order_id=None,
    account_id="one",
    operator_id="ring",
    decided_at=utc(2025, 1, 2),
    as_of=utc(2025, 1, 1),
    disposition=Disposition.TRIAL,
    merchant_probability=None,
    risk_score=None,
    reason_codes=(),
    evidence=(),
    counterfactual=None,
    caps=None,
    policy_version="default-1",
    model_version="m-1",
    promotion_id=None,
    degraded=False,
    explore=False,
    propensity=None,
)


def ordering(account: str, benefit_minor: int = 0, sku: str = "sku") -> list[PlantedOrder]:
    """Order twelve units of one article every fifteen days for a span of sixty."""
    return [PlantedOrder(account, utc(2025, 1, 3) + timedelta(days=15 * n), sku, 12, benefit_minor) for n in range(4)]


@pytest.mark.parametrize(
    ("caps", "units"),
    [
        (None, 24.0),
        (Caps(), 24.0),
        (Caps(units_per_sku=3, window_days=14), 6.0),
        (Caps(units_per_sku=3, window_days=29), 3.0),
        (Caps(benefit_minor_per_month=500), 5.0),
        (Caps(orders_per_day=1), 24.0),
        (Caps(orders_per_day=0), 0.0),
    ],
)
def test_each_cap_leaves_what_it_should(caps: Caps | None, units: float) -> None:
    """24 units are asked a month: by window 3 of each order, or of every other; by benefit five of 100 a month."""
    found = units_let_in(ordering("one", benefit_minor=100), [replace(TRIAL, caps=caps)])
    assert found["one"] == pytest.approx(units, rel=0.1)


def test_accounts_of_one_operator_share_its_caps() -> None:
    """Two accounts that identity joins get together what one gets alone; of two operators each gets as much."""
    orders = sorted([*ordering("one"), *ordering("two")], key=lambda each: each.ordered_at)
    tried = replace(TRIAL, caps=Caps(units_per_sku=3, window_days=29))
    joined = units_let_in(orders, [tried, replace(tried, account_id="two")])
    assert sum(joined.values()) == pytest.approx(3.0)
    apart = units_let_in(orders, [tried, replace(tried, account_id="two", operator_id="other")])
    assert apart == {"one": pytest.approx(3.0), "two": pytest.approx(3.0)}


def test_the_shipped_policy_meters_articles_apart_and_lets_nobody_in_who_is_refused() -> None:
    """A trial gives three units of each article in a window of thirty days, both ends in it."""
    policy = shipped_policy(DEFAULT)
    tried = replace(TRIAL, caps=policy.caps[Disposition.TRIAL])
    orders = sorted([*ordering("one"), *ordering("one", sku="other")], key=lambda each: each.ordered_at)
    # Of every third order: one in 45 days.
    assert units_let_in(orders, [tried])["one"] == pytest.approx(2 * 3 * 30 / 45)
    assert units_let_in(orders, [replace(TRIAL, disposition=Disposition.DENY)]) == {}


def test_planted_lines_take_the_discount_of_their_own_quantity(learned_workspace: tuple[Workspace, Learned]) -> None:
    """However many units a planted line orders, each takes the discount that was really given on one."""
    history = History(learned_workspace[0].warehouse())
    applications = history.applications()
    ring = [f"ring-{row // 6}" for row in range(12)]
    chosen = applications.take(np.arange(len(applications)) >= len(applications) - len(ring))
    connection = history.warehouse.connect()
    altered = _altered_history(history.warehouse, connection, chosen, np.array(["naive"] * 12), np.array(ring))
    assert altered is not None
    planted, real = connection.execute(
        """
        SELECT list(p.member_discount_minor / p.quantity ORDER BY p.line_id),
               list(t.member_discount_minor / t.quantity ORDER BY p.line_id)
        FROM planted_order_lines AS p JOIN planting_order AS o ON p.order_id = o.new_order
        JOIN order_lines AS t ON t.line_id = o.line_id WHERE p.quantity <> t.quantity
        """
    ).fetchall()[0]
    connection.close()
    assert len(planted) > 10
    assert max(real) > 0
    assert planted == pytest.approx(real, abs=1)
