"""What 20 million events cost on their way into features, beside a scan of the same columns.

Five million order lines come with 2.5 million orders and parcels each, 8 million pages and 2 million sign-ins. Each
part runs in a process of its own, in one run: the scan decodes every column that a feature reads and hashes each value;
the features are computed for 500,000 accounts, each as of its own application. Printed are CPU seconds, their ratio
(target: at most 25 for all that can be computed, 6 for the starter set) and the peak of resident memory.

Usage: `python benchmarks/features.py [--features all] [--lines 5000000] [--accounts 500000] [--memory 2GiB]`
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np

from membergate.learning.features import CATALOGUE, STARTER, Spine, availability, compute, fit_norms, uses
from membergate.learning.features.computation import market_columns_of
from membergate.learning.features.lineage import measures_of
from membergate.learning.features.norms import Norms
from membergate.learning.identity import OperatorTable
from membergate.market.schema import TABLES
from membergate.market.warehouse import literal

TARGET_RATIOS = {"starter": 6.0, "all": 25.0}
LAST_DAY = datetime(2025, 12, 31, tzinfo=UTC)


def _seen_from(instant: str) -> str:
    """Write the version columns of rows that may be seen from an instant on."""
    return f"{instant} AS ingested_at, {instant} AS visible_at, NULL::TIMESTAMP AS superseded_at"


_ALWAYS = _seen_from("TIMESTAMP '1970-01-01'")
_DRAWS = """
CREATE MACRO draw(i, salt, n) AS (HASH(i * 1000003 + salt + GETVARIABLE('seed') * 7919) % n)::BIGINT;
CREATE MACRO name(prefix, i) AS prefix || '-' || LPAD(TO_BASE((HASH(i) >> 4)::BIGINT, 32), 12, '0');
CREATE TABLE o AS
SELECT *, CASE WHEN a % 10 = 0 THEN GETVARIABLE('accounts') + a // 500 WHEN draw(i, 4, 10) < 9 THEN a
  ELSE draw(i, 5, GETVARIABLE('accounts')) END AS place
FROM (SELECT i, draw(i, 1, GETVARIABLE('accounts')) AS a,
    TIMESTAMP '2025-01-01' + TO_MICROSECONDS(draw(i, 2, 364 * 86400000000)) AS t
  FROM RANGE(GETVARIABLE('orders')) r(i));
"""
_MARKET = {
    "orders": f"""
        SELECT name('o', i) AS order_id, name('a', a) AS account_id, t AS ordered_at, 'paid' AS status,
          'CNY' AS currency, draw(i, 3, 90000) AS total_minor, name('p', place) AS address_id,
          name('r', CASE WHEN draw(i, 6, 10) < 8 THEN a ELSE draw(i, 7, GETVARIABLE('accounts')) END) AS recipient_tok,
          CASE WHEN draw(i, 8, 30) = 0 THEN 'company' ELSE 'none' END AS invoice_type, draw(i, 9, 20) = 0 AS gift,
          CASE WHEN draw(i, 10, 40) = 0 THEN 'group_buy' ELSE 'consumer' END AS lane,
          name('d', CASE WHEN draw(i, 20, 9) = 0 THEN draw(i, 21, GETVARIABLE('accounts')) ELSE a END) AS device_tok,
          name('y', CASE WHEN draw(i, 22, 20) = 0 THEN a // 3 ELSE a END) AS payment_tok,
          name('n', CASE WHEN draw(i, 23, 3) = 0 THEN a // 200 ELSE a END) AS ip_tok,
          name('f', CASE WHEN draw(i, 24, 10) < 8 THEN a ELSE draw(i, 25, GETVARIABLE('accounts')) END)
            AS recipient_phone_tok, {_seen_from("t")}
        FROM o""",
    "order_lines": f"""
        SELECT name('l', j) AS line_id, name('o', i) AS order_id,
          name('s', FLOOR(GETVARIABLE('skus') * POW(draw(j, 11, 1000000) / 1e6, 2.5))::BIGINT) AS sku_id,
          1 + CASE WHEN draw(j, 12, 5) = 0 THEN draw(j, 13, 6) ELSE 0 END AS quantity,
          1000 + draw(j, 14, 9000) AS list_price_minor, 900 + draw(j, 14, 8000) AS net_price_minor,
          draw(j, 15, 300) AS member_discount_minor, draw(j, 26, 90) AS coupon_discount_minor,
          CASE WHEN draw(j, 27, 4) = 0 THEN 'platform' END AS subsidised_by,
          name('a', a) AS account_id, t AS ordered_at, {_seen_from("t")}
        FROM (SELECT *, i * 2 + k AS j FROM o, RANGE(2) r(k))""",
    "shipments": f"""
        SELECT name('h', i) AS shipment_id, name('o', i) AS order_id, name('p', place) AS address_id,
          t + TO_DAYS((1 + draw(i, 16, 5))::INTEGER) AS delivered_at, name('a', a) AS account_id, t AS ordered_at,
          {_seen_from("delivered_at")}
        FROM o""",
    "behaviors": f"""
        SELECT name('b', i) AS event_id, name('a', a) AS account_id, t AS occurred_at,
          CASE draw(i, 28, 6) WHEN 0 THEN 'search' WHEN 1 THEN 'list_view' WHEN 2 THEN 'favourite'
            WHEN 3 THEN 'add_to_cart' WHEN 4 THEN 'checkout' ELSE 'product_view' END AS event_type,
          name('v', i // 6) AS session_id, draw(i, 29, 60000) AS dwell_ms, {_seen_from("t")}
        FROM (SELECT i, draw(i // 6, 30, GETVARIABLE('accounts')) AS a,
            TIMESTAMP '2025-01-01' + TO_MICROSECONDS(draw(i // 6, 31, 364 * 86400000000) + i % 6 * 9000000) AS t
          FROM RANGE(GETVARIABLE('orders') * 16 // 5) r(i))""",
    "logins": f"""
        SELECT name('g', i) AS login_id, name('a', a) AS account_id, t AS logged_in_at, name('d', a) AS device_tok,
          CASE draw(i, 32, 20) WHEN 0 THEN 'proxy' ELSE 'mobile' END AS ip_class, draw(i, 33, 50) = 0 AS emulator,
          'r' || draw(i, 34, 9) AS region_code, {_seen_from("t")}
        FROM (SELECT i, draw(i, 35, GETVARIABLE('accounts')) AS a,
            TIMESTAMP '2025-01-01' + TO_MICROSECONDS(draw(i, 36, 364 * 86400000000)) AS t
          FROM RANGE(GETVARIABLE('orders') * 4 // 5) r(i))""",
    "applications": f"""
        SELECT name('q', a) AS application_id, name('a', a) AS account_id, 'plus' AS plan,
          TIMESTAMP '2025-11-01' + TO_MICROSECONDS(draw(a, 17, 60 * 86400000000)) AS submitted_at,
          {_seen_from("submitted_at")}
        FROM RANGE(GETVARIABLE('accounts')) r(a)""",
    "accounts": f"""
        SELECT name('a', a) AS account_id, TIMESTAMP '2024-12-31' AS registered_at, 'r1' AS region_code,
          'personal' AS declared_use, {_seen_from("registered_at")} FROM RANGE(GETVARIABLE('accounts')) r(a)""",
    "skus": f"""
        SELECT name('s', s) AS sku_id, 'w' || s % 12 AS category_l1, 'c' || s % 80 AS category_l2,
          CASE WHEN s % 10 = 0 THEN 5 END AS limit_quantity, 30 AS limit_window_days,
          CASE WHEN s % 3 > 0 THEN 1000 + draw(s, 18, 9000) END AS market_price_minor, {_ALWAYS}
        FROM RANGE(GETVARIABLE('skus')) r(s)""",
    "addresses": f"""
        SELECT name('p', p) AS address_id, 'g' || p // 3 AS geohash,
          CASE WHEN p < GETVARIABLE('accounts') THEN 'home' WHEN p % 2 = 0 THEN 'dorm' ELSE 'pickup' END AS kind,
          {_ALWAYS}
        FROM RANGE(GETVARIABLE('accounts') + GETVARIABLE('accounts') // 500) r(p)""",
    "promotions": f"""
        SELECT 'n' || m AS promotion_id, 'sale' AS name, MAKE_TIMESTAMP(2025, m, 9, 0, 0, 0) AS starts_at,
          MAKE_TIMESTAMP(2025, m, 12, 0, 0, 0) AS ends_at, {_seen_from("starts_at")}
        FROM (VALUES (3), (6), (9), (11), (12)) v(m)""",
}
"""Table -> the SELECT of its rows."""


def generate(folder: Path, lines: int, accounts: int, seed: int) -> dict[str, float]:
    """Write a market of Parquet parts, sorted by account and time as a warehouse writes them."""
    before = cpu_seconds()
    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(config={"threads": 2, "memory_limit": "3GB", "temp_directory": str(folder / "spill")})
    sizes = {"orders": lines // 2, "skus": max(lines // 125, 10), "accounts": accounts, "seed": seed}
    for name, size in sizes.items():
        connection.execute(f"SET VARIABLE {name} = ?::BIGINT", [size])
    connection.execute(_DRAWS)
    for name, sql in _MARKET.items():
        order = "account_id, visible_at" if " AS account_id" in sql else "visible_at"
        file = literal(str(folder / name) + ".parquet")
        connection.execute(f"COPY ({sql} ORDER BY {order}) TO {file} (FORMAT parquet, COMPRESSION zstd)")
    return {"cpu_s": cpu_seconds() - before, "peak_gib": peak_gib()}


def connect(folder: Path, threads: int, memory: str) -> duckdb.DuckDBPyConnection:
    """Open the market as a warehouse would; the rest of the peak is the spine, the answers and Python itself."""
    settings: dict[str, str | int] = {
        "threads": threads,
        "memory_limit": memory,
        "temp_directory": str(folder / "spill"),
    }
    connection = duckdb.connect(config=settings)  # type: ignore[arg-type] # ints are taken too
    for file in sorted(folder.glob("*.parquet")):
        connection.execute(f"CREATE VIEW {file.stem} AS FROM read_parquet({literal(str(file))})")
    return connection


def chosen(connection: duckdb.DuckDBPyConnection, which: str) -> tuple[str, ...]:
    """Give the features that are asked for: the starter set, or all that the market can feed."""
    if which == "starter":
        return STARTER
    return tuple(e.feature.id for e in availability(market_columns_of(connection)) if e.is_computable)


def scan(connection: duckdb.DuckDBPyConnection, folder: Path, which: str) -> dict[str, float]:
    """Decode and hash every value of every column that a feature reads."""
    read: dict[str, set[str]] = {}
    for feature in (CATALOGUE[name] for name in chosen(connection, which)):
        for reference in uses(measures_of(feature)):
            table, column = reference.split(".")
            read.setdefault(table, set()).add(column)
    read["orders"] |= {"invoice_type", "lane"}
    read["accounts"] = {"account_id", "registered_at", "region_code", "declared_use"}
    read["promotions"] -= {"warm_up_starts_at"}
    before = cpu_seconds()
    for table, columns in sorted(read.items()):
        if not (folder / f"{table}.parquet").exists():
            continue
        known = {row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()}
        wanted = (columns | {"visible_at", "superseded_at", *TABLES[table].inherited_columns}) & known
        parts = ", ".join(f"BIT_XOR(HASH({column}))" for column in sorted(wanted))
        connection.execute(f"SELECT {parts} FROM {table}").fetchall()
    return {"cpu_s": cpu_seconds() - before, "peak_gib": peak_gib()}


def features(connection: duckdb.DuckDBPyConnection, folder: Path, which: str) -> dict[str, float]:
    """Compute features for every application; norms are read, as a door reads those of its model."""
    norms = Norms.load(folder / "norms")
    asked = connection.execute("SELECT application_id, account_id, submitted_at FROM applications").fetchnumpy()
    accounts = asked["account_id"]
    spine = Spine(asked["application_id"], accounts, asked["submitted_at"].astype("datetime64[us]"))
    n = len(spine)
    operators = OperatorTable(accounts, np.ones(n, np.int64), accounts, np.arange(n + 1, dtype=np.int64))
    before = cpu_seconds()
    table = compute(connection, spine, norms, operators, chosen(connection, which))
    spent = cpu_seconds() - before
    observed = float((table.absences == 0).mean())
    return {"cpu_s": spent, "peak_gib": peak_gib(), "columns": float(len(table.features)), "observed": observed}


def norms_of(connection: duckdb.DuckDBPyConnection, folder: Path, which: str) -> dict[str, float]:
    """Fit the norms, once a model."""
    before = cpu_seconds()
    fit_norms(connection, LAST_DAY.replace(month=11, day=1), chosen(connection, which)).save(folder / "norms")
    return {"cpu_s": cpu_seconds() - before, "peak_gib": peak_gib()}


def cpu_seconds() -> float:
    """Give the CPU seconds that this process has used, in user and system mode, on all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_gib() -> float:
    """Give the peak of this process's resident memory, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


PARTS = {"scan": scan, "norms": norms_of, "features": features}


def main() -> None:
    """Generate a market, measure each part in a process of its own, and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--accounts", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="threads of the scan and of the features alike")
    parser.add_argument("--features", choices=tuple(TARGET_RATIOS), default="all")
    parser.add_argument("--memory", default="2GiB", help="what DuckDB may use")
    parser.add_argument("--folder", type=Path, help="keep the market here, and use it again if it is there")
    parser.add_argument("--part", choices=("generate", *PARTS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(_part(arguments)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        arguments.folder = arguments.folder or Path(temporary) / "market"
        if not (arguments.folder / "promotions.parquet").exists():
            _apart("generate", arguments)
        measured = {part: _apart(part, arguments) for part in PARTS}
    events, columns = arguments.lines * 4, int(measured["features"]["columns"])
    print(f"{events:,} events, {arguments.accounts:,} accounts, {columns} features, memory limit {arguments.memory}")
    for part, figures in measured.items():
        print(f"  {part:10s} {figures['cpu_s']:7.2f} CPU s   peak {figures['peak_gib']:.2f} GiB")
    ratio = measured["features"]["cpu_s"] / measured["scan"]["cpu_s"]
    print(f"  ratio      {ratio:7.2f}         (target {TARGET_RATIOS[arguments.features]:g})")


def _part(arguments: argparse.Namespace) -> dict[str, float]:
    if arguments.part == "generate":
        return generate(arguments.folder, arguments.lines, arguments.accounts, arguments.seed)
    connection = connect(arguments.folder, arguments.threads, arguments.memory)
    return PARTS[arguments.part](connection, arguments.folder, arguments.features)


def _apart(part: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Do one part in a process of its own, whose CPU and memory are nobody else's."""
    names = ("lines", "accounts", "seed", "threads", "folder", "features", "memory")
    options = [text for name in names for text in (f"--{name}", str(getattr(arguments, name)))]
    answer = subprocess.run(
        [sys.executable, __file__, "--part", part, *options], check=True, capture_output=True, text=True
    )
    figures: dict[str, float] = json.loads(answer.stdout)
    return figures


if __name__ == "__main__":
    main()
