"""What the simulator writes is a market folder like any other."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from membergate.domain.errors import BadInputError
from membergate.market.loading import load
from membergate.market.schema import TABLES
from membergate.market.simulator import PRESETS, SimulationReport, simulate
from membergate.market.simulator.scenario import SIMULATOR_VERSION
from membergate.market.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("simulator")

TYPES = {
    "money": (pa.int64(),),
    "count": (pa.int64(),),
    "number": (pa.float64(), pa.int64()),
    "time": (pa.timestamp("us", tz="UTC"),),
    "flag": (pa.bool_(),),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_table_follows_the_schema(tiny: SimulationReport, name: str) -> None:
    """Each table of the schema is there, with known columns of the right type, and no null where one is required."""
    table = pq.read_table(tiny.market / f"{name}.parquet")
    columns = {column.name: column for column in TABLES[name].readable_columns}
    assert table.num_rows == tiny.rows[name] > 0
    assert set(table.column_names) <= set(columns)
    for column in columns.values():
        if column.name not in table.column_names:
            assert not column.is_required, column.name
            continue
        values = table.column(column.name)
        assert values.type in TYPES.get(column.kind.value, (pa.string(),)), column.name
        assert not (column.is_required and values.null_count), column.name
        if column.choices:
            assert set(values.unique().to_pylist()) <= {*column.choices, None}, column.name


def test_it_loads_without_a_complaint(small_market: SimulationReport, tmp_path: Path) -> None:
    """The warehouse takes every row."""
    report = load(small_market.market, Warehouse.open_or_create(tmp_path / "warehouse"))
    assert {table.table: table.quarantined for table in report.tables if table.quarantined} == {}
    assert {table.table: table.read for table in report.tables} == small_market.rows


def test_nothing_speaks_of_the_time_after_the_last_day(
    tiny: SimulationReport, tables: duckdb.DuckDBPyConnection
) -> None:
    """No event happens, and nothing becomes known, after the folder's last day; a few rows become known late."""
    for name, table in TABLES.items():
        columns = set(pq.read_schema(tiny.market / f"{name}.parquet").names)
        for column in {*table.event, "ingested_at"} & columns:
            latest = tables.execute(f"SELECT max({column}) FROM {name}").fetchone()
            assert latest is not None
            assert str(latest[0]) < "2026-02-04 16:00", (name, column)
    late = tables.execute("SELECT avg((ingested_at > ordered_at + INTERVAL 1 HOUR)::INT) FROM orders").fetchone()
    assert late is not None
    assert 0.005 < late[0] < 0.06


def test_totals_are_what_the_lines_say(tables: duckdb.DuckDBPyConnection) -> None:
    """An order's total is its lines at net price, plus shipping, less the order's own discount, to the last unit."""
    wrong = tables.execute(
        "SELECT count(*) FROM last_orders JOIN (SELECT order_id, sum(quantity * net_price_minor) AS goods, "
        "min(list_price_minor * quantity - net_price_minor * quantity - member_discount_minor - coupon_discount_minor) "
        "AS deal FROM order_lines GROUP BY order_id) USING (order_id) "
        "WHERE total_minor <> goods + shipping_minor - discount_minor OR deal < 0"
    ).fetchone()
    assert wrong == (0,)


def test_the_same_seed_gives_the_same_bytes(small_market: SimulationReport, tmp_path: Path) -> None:
    """Every file is the same, byte for byte, and under another seed every table differs."""
    again = simulate(tmp_path / "again", preset="tiny", seed=5, accounts=300)
    other = simulate(tmp_path / "other", preset="tiny", seed=6, accounts=300)
    for folder, same, different in (
        (small_market.market, again.market, other.market),
        (small_market.truth, again.truth, other.truth),
    ):
        for file in sorted(folder.glob("*.parquet")):
            content = file.read_bytes()
            if pq.read_metadata(file).num_rows == 0:  # nobody evades anything here
                continue
            assert (same / file.name).read_bytes() == content, file.name
            assert (different / file.name).read_bytes() != content, file.name
    scenario = small_market.market.parent / "scenario.yaml"
    assert (again.market.parent / "scenario.yaml").read_text() == scenario.read_text()
    assert yaml.safe_load(scenario.read_text())["seed"] == 5


ELSEWHERE = """
import sys
from pathlib import Path
from membergate.market.simulator import simulate
simulate(Path(sys.argv[1]), preset="tiny", seed=5, accounts=300)
"""
SEED_5 = "f94c640d12ac95fe8d1215e144acc6d42b199999b38bf8ec51e79274f86a8b9e"
"""Digest of the market of 300 accounts with seed 5; it changes with `SIMULATOR_VERSION`, and with nothing else."""


def test_other_processors_give_the_same_market(small_market: SimulationReport, tmp_path: Path) -> None:
    """With numpy's vector kernels switched off, which end exponentials in other bits, every byte is the same."""
    dispatched = importlib.import_module("numpy._core._multiarray_umath").__cpu_dispatch__
    kernels = {"NPY_DISABLE_CPU_FEATURES": " ".join(dispatched)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ELSEWHERE, str(tmp_path)], env=kernels, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    for folder in (small_market.market, small_market.truth):
        for file in sorted(folder.glob("*.parquet")):
            assert (tmp_path / folder.name / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_seed_gives_the_same_market_everywhere(small_market: SimulationReport) -> None:
    """What is in the tables, whatever wrote the files, is what it was when this version of the simulator was made."""
    digest = hashlib.sha256()
    for folder in (small_market.market, small_market.truth):
        for file in sorted(folder.glob("*.parquet")):
            digest.update(f"{file.stem}\n".encode())
            for row in pq.read_table(file).to_pylist():
                digest.update(json.dumps(row, default=str).encode())
    assert SIMULATOR_VERSION == 3
    assert digest.hexdigest() == SEED_5


@pytest.mark.parametrize(
    ("wrong", "allowed"),
    [({"preset": "huge"}, "tiny, demo, small"), ({"accounts": 20}, "at least 200"), ({"seed": -1}, "from 0")],
)
def test_an_impossible_market_is_refused(tmp_path: Path, wrong: dict[str, object], allowed: str) -> None:
    """An unknown preset, too few accounts or a negative seed end in an error that says what is allowed."""
    with pytest.raises(BadInputError) as refused:
        simulate(tmp_path / "market", **wrong)  # type: ignore[arg-type]
    assert allowed in refused.value.allowed
    assert not (tmp_path / "market").exists()


def test_truth_stays_out_of_the_market(tiny: SimulationReport) -> None:
    """No column of the market carries an archetype, a ring, an operator or what became of a unit."""
    assert tiny.truth.parent == tiny.market.parent
    for file in tiny.market.glob("*.parquet"):
        assert not {"archetype", "ring_id", "operator_id", "role", "use", "is_merchant"} & set(
            pq.read_schema(file).names
        )


def test_districts_share_goods_and_not_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A market cut into districts has every account once, one catalogue, and loads like any other."""
    monkeypatch.setitem(PRESETS, "cut", replace(PRESETS["tiny"], accounts=450, districts=2))
    made = simulate(tmp_path, preset="cut", seed=3)
    connection = duckdb.connect()

    def count(sql: str) -> list[tuple[int, ...]]:
        return connection.execute(sql.replace("@", f"{made.market}/")).fetchall()

    assert sorted(path.name for path in (made.market / "orders").iterdir()) == ["part-000.parquet", "part-001.parquet"]
    assert count("SELECT count(DISTINCT account_id) FROM '@accounts/*.parquet'") == [(450,)]
    assert count("SELECT count(*) - count(DISTINCT order_id || ingested_at) FROM '@orders/*.parquet'") == [(0,)]
    assert count("SELECT count(*) FROM '@order_lines/*.parquet' ANTI JOIN '@skus.parquet' USING (sku_id)") == [(0,)]
    assert count("SELECT count(*) FROM '@orders/*.parquet' ANTI JOIN '@accounts/*.parquet' USING (account_id)") == [
        (0,)
    ]
    assert made.accounts == 450
    assert made.applications == 360
