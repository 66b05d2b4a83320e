"""Events that came in are evidence at the door: how often an account ordered lately, in event time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from membergate.deciding.policy.allowances import OrderLine
from membergate.deciding.velocity import Scope
from membergate.domain.evidence import Absence
from membergate.domain.instants import format_instant
from membergate.operations.admission import AdmissionDesk
from membergate.operations.events import take
from membergate.operations.members import Members
from membergate.operations.order_cases import OrderRequest
from membergate.operations.orders import OrderDesk
from membergate.operations.policies import read_policy
from membergate.operations.velocity import VelocityWitness
from membergate.store import OperationalRecord, open_store

NAME = "velocity_account_orders_1h"
RULE = f"""
  - id: busy-account
    purpose: More than ten orders in an hour are not a household's; a person looks.
    checkpoint: order
    when: {NAME} > 10
    at_least: hold_order
    reason: TOO_MANY_ORDERS
"""


def events(account: str, now: Any, size: int) -> list[dict[str, Any]]:
    """Write orders of the last minutes, each after its only line of two units."""
    told: list[dict[str, Any]] = []
    for n in range(size):
        order: dict[str, Any] = {"order_id": f"v-{n}", "account_id": account, "status": "placed", "currency": "CNY"}
        order |= {"total_minor": 5, "ordered_at": format_instant(now - timedelta(minutes=n + 1))}
        line: dict[str, Any] = {"line_id": f"v-{n}", "order_id": f"v-{n}", "sku_id": "v-s", "quantity": 2}
        line |= {"list_price_minor": 5, "net_price_minor": 5}
        for table, row in (("order_lines", line), ("orders", order)):
            named = {"specversion": "1.0", "id": f"{table}-{n}", "source": "shop", "type": f"membergate.{table}.v1"}
            told.append(named | {"data": row})
    return told


def said(witness: VelocityWitness, account: str, now: Any) -> list[object]:
    """Give what is counted of an account's orders, its operator's, and a SKU's orders and units, in an hour."""
    names = [NAME, "velocity_operator_orders_1h", "velocity_sku_orders_1h", "velocity_sku_units_1h"]
    subjects = {Scope.ACCOUNT: [account], Scope.OPERATOR: [account, "another"], Scope.SKU: ["v-s"]}
    told = witness.about(subjects, now, names)
    return [told[name].value for name in names]


def test_events_count_once_and_survive_a_restart(record: OperationalRecord, shop: Any, tmp_path: Path) -> None:
    """Repeats change nothing; a line counts at its order's instant; what begins anew counts the same."""
    witness = VelocityWitness(record.velocity)
    assert said(witness, "a", shop.now) == [Absence.NOT_OBSERVED] * 4
    record.velocity.begin(shop.now - timedelta(days=40))
    for _ in range(2):
        take(record, events("a", shop.now, 12), at=shop.now)
    assert said(witness, "a", shop.now) == [12, 12, 12, 24]
    record.velocity.snapshot(shop.now)
    with open_store(tmp_path / "record.sqlite") as other:
        assert said(VelocityWitness(other.velocity), "a", shop.now) == [12, 12, 12, 24]


@pytest.mark.parametrize(("size", "is_hit"), [(10, False), (11, True)])
def test_a_rule_about_velocity_hits_at_the_order_door(
    shop: Any, record: OperationalRecord, tmp_path: Path, size: int, *, is_hit: bool
) -> None:
    """Ten orders in an hour miss the rule `> 10`, eleven hit it, and the count is recorded as evidence."""
    text = shop.desk.policy.text
    file = tmp_path / "busy.yaml"
    file.write_text(text.replace("\nrules:\n", f"\nrules:{RULE}", 1), encoding="utf-8")
    desk = AdmissionDesk(
        shop.desk.history,
        shop.desk.model,
        shop.desk.model_version,
        read_policy(file),
        velocity=VelocityWitness(record.velocity),
    )
    record.record(shop.decisions)
    account = shop.someone("admit").account_id
    record.velocity.begin(shop.now - timedelta(days=40))
    take(record, events(account, shop.now, size), at=shop.now)
    request = OrderRequest("o-1", account, (OrderLine("l", "s", 1),))
    decision = OrderDesk(Members(desk, record)).decide(request, shop.clock).decision
    assert ("TOO_MANY_ORDERS" in decision.reason_codes) is is_hit
    assert {e.name: e.value for e in decision.evidence}[NAME] == size
