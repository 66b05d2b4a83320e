"""What simulating and ingesting cost, by preset; and that no oddity of a market costs more than plain rows do.

Each step runs in a process of its own, and has its CPU seconds and its peak memory. Beside every ingest stands its
peer: DuckDB alone, told to copy the same files into tables, without a check, a quarantine or versions of rows.

`--traps` instead ingests a million orders, and then the same with one oddity in them: one account of every order, one
address of every account, an article in every basket, ids that differ in case and spaces only, clocks that run
backwards, a category tree with holes. What the ingest says of it is printed.

Usage: `python benchmarks/loading.py [--presets tiny small] [--traps] [--orders 1000000]`
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb

from membergate.market.warehouse import literal
from membergate.operations.ingest import ingest
from membergate.operations.simulate import simulate

SEED = 7
TABLES = {
    "accounts": "SELECT 'a' || i AS account_id, '2025-01-01T00:00:00Z' AS registered_at FROM range({n}) AS r(i)",
    "applications": (
        "SELECT 'p' || i AS application_id, 'a' || i AS account_id, '2025-06-01T00:00:00Z' AS submitted_at, "
        "'gold' AS plan FROM range({n}) AS r(i)"
    ),
    "orders": (
        "SELECT 'o' || i AS order_id, 'a' || i AS account_id, '2025-02-01T00:00:00Z' AS ordered_at, 'paid' AS status, "
        "'CNY' AS currency, 1000 AS total_minor, 'x' || i AS address_id, '2025-02-01T00:00:10Z' AS paid_at "
        "FROM range({n}) AS r(i)"
    ),
    "order_lines": (
        "SELECT 'l' || i AS line_id, 'o' || i AS order_id, 's' || (i % 100) AS sku_id, 1 AS quantity, "
        "1000 AS list_price_minor, 1000 AS net_price_minor FROM range({n}) AS r(i)"
    ),
    "skus": (
        "SELECT 's' || i AS sku_id, 'food' AS category_l1, 'c' || (i % 7) AS category_l2, "
        "'d' || (i % 14) AS category_l3 FROM range(100) AS r(i)"
    ),
}
"""A market of n accounts with one order each: a query a table."""
TRAPS = {
    "nothing odd": ("orders", ""),
    "one account with every order": ("orders", "REPLACE ('a1' AS account_id)"),
    "one address of every account": ("orders", "REPLACE ('x' AS address_id)"),
    "an article in every basket": ("order_lines", "REPLACE ('s1' AS sku_id)"),
    "ids in another case": (
        "accounts",
        "REPLACE (CASE account_id WHEN 'a3' THEN 'A4' WHEN 'a5' THEN ' a6' ELSE account_id END AS account_id)",
    ),
    "clocks that run backwards": ("orders", "REPLACE ('2025-01-31T00:00:00Z' AS paid_at)"),
    "orders before their account's registration": (
        "accounts",
        "REPLACE ('2025-06-01T00:00:00Z' AS registered_at)",
    ),
    "a category tree with holes": (
        "skus",
        (
            "REPLACE (CASE WHEN category_l3 = 'd1' THEN NULL ELSE category_l2 END AS category_l2, "
            "CASE WHEN sku_id = 's9' THEN 'books' ELSE 'food' END AS category_l1)"
        ),
    ),
}
"""Oddities: in which table, and what is odd in it."""


@dataclass(frozen=True)
class Cost:
    """What a step took, and what it gave."""

    wall_s: float
    cpu_s: float
    peak_gb: float
    result: Any

    def __str__(self) -> str:
        return f"{self.cpu_s:7.1f} CPU s {self.wall_s:7.1f} s {self.peak_gb:6.2f} GB"


def cost_of(step: Callable[..., Any], *arguments: Any) -> Cost:
    """Run a step in a process of its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (step, *arguments))


def _measured(step: Callable[..., Any], *arguments: Any) -> Cost:
    start = time.perf_counter()
    result = step(*arguments)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    # districts are simulated two at a time, each in a process of its own
    peak = used[0].ru_maxrss + 2 * used[1].ru_maxrss
    cpu = sum(part.ru_utime + part.ru_stime for part in used)
    return Cost(time.perf_counter() - start, cpu, peak / 1e6, result)


def simulated(preset: str, folder: Path) -> int:
    """Simulate a preset; give its orders."""
    return simulate(folder, preset=preset, seed=SEED).rows["orders"]


def ingested(market: Path, workspace: Path) -> tuple[int, tuple[str, ...]]:
    """Ingest a market folder; give the rows that were read, and what was odd."""
    report = ingest(workspace, market, clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))
    return sum(table.read for table in report.tables), tuple(report.warnings)


def copied(market: Path, target: Path) -> None:
    """Copy a market folder's tables into a database, as they are."""
    connection = duckdb.connect(str(target))
    for entry in sorted(market.iterdir()):
        files = str(entry / "*.parquet") if entry.is_dir() else str(entry)
        connection.execute(f"CREATE TABLE {entry.stem} AS FROM read_parquet({literal(files)})")
    connection.close()


def write_trap(folder: Path, trap: str, orders: int) -> None:
    """Write a market of so many accounts and orders with one oddity."""
    folder.mkdir()
    odd, change = TRAPS[trap]
    for name, query in TABLES.items():
        rows = query.format(n=orders)
        select = f"SELECT * {change} FROM ({rows})" if name == odd else rows
        file = literal(str(folder / f"{name}.parquet"))
        duckdb.execute(f"COPY ({select}) TO {file}")


def presets(names: list[str]) -> None:
    """Measure simulating, ingesting and copying each preset."""
    for name in names:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            made = cost_of(simulated, name, folder / "made")
            print(f"{name}: {made.result:,} orders", flush=True)
            print(f"  simulate      {made}", flush=True)
            loaded = cost_of(ingested, folder / "made" / "market", folder / "workspace")
            print(f"  ingest        {loaded}   {loaded.result[0]:,} rows", flush=True)
            peer = cost_of(copied, folder / "made" / "market", folder / "copy.duckdb")
            print(f"  DuckDB alone  {peer}   ingest takes {loaded.cpu_s / peer.cpu_s:.1f} times its CPU", flush=True)


def traps(orders: int) -> None:
    """Ingest a market with each oddity, and print what is said."""
    plain = 0.0
    for trap in TRAPS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_trap(folder / "market", trap, orders)
            found = cost_of(ingested, folder / "market", folder / "workspace")
        plain = plain or found.cpu_s
        print(f"{trap:30s} {found}   {found.cpu_s / plain:.2f} of plain rows", flush=True)
        for text in found.result[1]:
            print(f"    {text}", flush=True)


def main() -> None:
    """Measure presets, or traps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["tiny", "small"])
    parser.add_argument("--traps", action="store_true")
    parser.add_argument("--orders", type=int, default=1_000_000)
    arguments = parser.parse_args()
    if arguments.traps:
        traps(arguments.orders)
    else:
        presets(arguments.presets)


if __name__ == "__main__":
    main()
