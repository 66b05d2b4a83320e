"""How well accounts are resolved to operators, and whom it harms, against plain connected components in the same run.

For each seed a market is simulated and loaded, and every account is resolved as of the last instant. Two accounts are a
pair of one operator if the simulator's truth says so. Printed, with 95 % t intervals over seeds:

- pairwise precision (a merged pair of one operator, or of one crowd-buy ring, is right) and recall by kind of ring;
- the hostel test: of the places that several people share and that are mostly genuine, by kind, the share in which any
  two accounts of different operators are merged.

Peers: connected components over everything shared (registration, card, device, recipient's phone, address), and over
hard things alone (registration, card, device), without caps.

`--traps` instead builds one address with a million accounts, one account with a million orders, and one device with a
million accounts, and prints CPU seconds, peak memory and the hubs found in resolving them, beside as many plain rows.

`--places` measures the matching of address texts on the simulator's altered entries.

This reads the simulator's truth, which only verification of the simulator may do: nothing learned or decided sees it.

Usage: `python benchmarks/identity.py [--accounts 10000] [--seeds 60 61 62 63 64] [--traps] [--places]`
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import duckdb
import numpy as np
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from membergate.learning.identity import LinkIndex
from membergate.learning.identity.places import same_places
from membergate.market.simulator.scenario import scenario_for
from membergate.market.simulator.world import live_through
from membergate.market.warehouse import literal
from membergate.operations.history import History
from membergate.operations.ingest import ingest
from membergate.operations.simulate import simulate
from membergate.operations.workspace import Workspace

HARD = (
    ("accounts", "phone_tok"), ("accounts", "email_tok"), ("accounts", "id_tok"), ("accounts", "seller_id"),
    ("orders", "payment_tok"), ("orders", "device_tok"), ("logins", "device_tok"),
)  # fmt: skip
SOFT = (("orders", "recipient_phone_tok"), ("orders", "address_id"))
KINDS = {"one-operator ring": "M2", "second account of a person": "G", "crowd-buy ring": "M3", "all operators": ""}
LARGE = 15
"""Accounts at a place from which on it is no household."""
Labels = Mapping[str, str]


def plain_components(connection: duckdb.DuckDBPyConnection, columns: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Join accounts that share any token of some columns, whatever it is and however many share it."""
    shared = " UNION ALL ".join(
        f"SELECT account_id, {literal(column)} || CAST({column} AS VARCHAR) AS token FROM {table} "
        f"WHERE {column} IS NOT NULL"
        for table, column in columns
    )
    rows = connection.execute(
        "SELECT dense_rank() OVER (ORDER BY account_id) - 1 AS account, "
        "dense_rank() OVER (ORDER BY token) - 1 AS token, "
        f"account_id FROM (SELECT DISTINCT account_id, token FROM ({shared}))"
    ).fetchnumpy()
    account, token = rows["account"].astype(np.int64), rows["token"].astype(np.int64)
    first = int(account.max()) + 1
    size = first + int(token.max()) + 1
    graph = coo_array((np.ones(len(account), dtype=np.int8), (account, first + token)), shape=(size, size))
    part = connected_components(graph, directed=False)[1]
    return {str(name): str(part[code]) for name, code in zip(rows["account_id"], account, strict=True)}


def pairs(labels: Iterable[object]) -> int:
    """Count the pairs of equal labels."""
    return sum(size * (size - 1) // 2 for size in Counter(labels).values())


def scores(found: Labels, truth: list[tuple[str, str, str, str]]) -> dict[str, float]:
    """Give precision and recall by kind; truth holds account, operator, ring (the operator where none), archetype."""
    result = {}
    for kind, code in KINDS.items():
        rows = [row for row in truth if row[3].startswith(code)]
        by = 2 if code == "M3" else 1
        merged = [found.get(row[0], row[0]) for row in rows]
        right = pairs((part, row[by]) for part, row in zip(merged, rows, strict=True))
        result[f"recall, {kind}"] = right / max(pairs(row[by] for row in rows), 1)
    merged = [found.get(row[0], row[0]) for row in truth]
    right = pairs((part, row[2]) for part, row in zip(merged, truth, strict=True))
    result["precision, all operators and rings"] = right / max(pairs(merged), 1)
    precision, recall = result["precision, all operators and rings"], result["recall, all operators"]
    result["F1, all operators"] = 2 * precision * recall / max(precision + recall, 1e-12)
    return result


def hostels(
    connection: duckdb.DuckDBPyConnection, truth: list[tuple[str, str, str, str]]
) -> dict[str, list[list[str]]]:
    """Give the accounts of each place that several operators share and that is mostly genuine, by kind of place."""
    codes = {row[0]: row[3] for row in truth}
    owner = {row[0]: row[1] for row in truth}
    rows = connection.execute(
        "SELECT coalesce(any_value(kind), 'unknown'), list(DISTINCT account_id) FROM orders JOIN addresses USING "
        "(address_id) GROUP BY address_id HAVING count(DISTINCT account_id) >= 2"
    ).fetchall()
    groups: dict[str, list[list[str]]] = {}
    for kind, accounts in rows:
        genuine = [account for account in accounts if codes[account].startswith("G")]
        if 2 * len(genuine) > len(accounts) and len({owner[account] for account in genuine}) > 1:
            is_large = len(accounts) >= LARGE
            name = f"hostel, {kind}" if is_large else "hostel, households and other small places"
            groups.setdefault(name, []).append(genuine)
    return groups


def touched(
    found: Labels, groups: dict[str, list[list[str]]], truth: list[tuple[str, str, str, str]]
) -> dict[str, float]:
    """Give the share of groups in which accounts of two operators are merged, by kind and of all."""
    owner = {row[0]: row[1] for row in truth}

    def is_hit(group: list[str]) -> bool:
        merged = {(found.get(account, account), owner[account]) for account in group}
        return len({part for part, _ in merged}) < len(merged)

    hits = {name: [is_hit(group) for group in some] for name, some in groups.items()}
    result = {name: sum(some) / len(some) for name, some in sorted(hits.items())}
    result["hostel, all places"] = sum(sum(s) for s in hits.values()) / max(sum(len(s) for s in hits.values()), 1)
    return result


def measure(accounts: int, seed: int) -> dict[str, dict[str, float]]:
    """Simulate one market and measure all three ways."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        simulate(folder, preset="demo", seed=seed, accounts=accounts)
        workspace = Workspace(folder / "workspace")
        ingest(workspace.root, folder / "market", clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))
        truth = duckdb.execute(
            "SELECT account_id, operator_id, coalesce(ring_id, operator_id), archetype FROM read_parquet("
            f"{literal(str(folder / 'truth' / 'truth_accounts.parquet'))})"
        ).fetchall()
        history = History(workspace.warehouse())
        groups = hostels(history.connection, truth)
        ways = {
            "membergate": history.links.operators_as_of(history.last_instant),
            "components, all": plain_components(history.connection, (*HARD, *SOFT)),
            "components, hard": plain_components(history.connection, HARD),
        }
        return {way: scores(found, truth) | touched(found, groups, truth) for way, found in ways.items()}


def report(measured: list[dict[str, dict[str, float]]]) -> None:
    """Print one line a figure: each way's mean and interval."""
    ways = list(measured[0])
    print(f"{'':44s}" + "".join(f"{way:>26s}" for way in ways))
    for name in sorted({name for run in measured for way in ways for name in run[way]}):
        line = f"{name:44s}"
        for way in ways:
            values = np.array([run[way][name] for run in measured if name in run[way]])
            spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
            half = float(stats.t.ppf(0.975, max(len(values) - 1, 1)) * spread)
            line += f"{values.mean():10.3f} ± {half:.3f}      ".rjust(26)
        print(line)


def trap(kind: str, size: int) -> tuple[float, float, int, list[str]]:
    """Resolve a market with one trap: CPU seconds, peak GB, size of the largest operator, hubs."""
    connection = duckdb.connect(config={"threads": 1, "memory_limit": "2GB"})
    account = "i" if kind != "an account with so many orders" else "0"
    address = "'one'" if kind == "an address with so many accounts" else "i"
    device = "'one'" if kind == "a device with so many accounts" else "i"
    connection.execute(
        f"CREATE TABLE orders AS SELECT 'o' || i AS order_id, 'a' || {account} AS account_id, TIMESTAMP '2025-01-01' +"
        f" INTERVAL 1 SECOND * i AS visible_at, TIMESTAMP '2025-01-01' + INTERVAL 1 SECOND * i AS ordered_at,"
        f" 'ad' || {address} AS address_id, 'd' || {device} AS device_tok, 'ip' || {address} AS ip_tok"
        f" FROM range({size}) t(i)"
    )
    connection.execute(
        "CREATE TABLE order_lines AS SELECT order_id, account_id, visible_at, 's' || (hash(order_id) % 100) AS sku_id"
        " FROM orders"
    )
    connection.execute(
        "CREATE TABLE addresses AS SELECT DISTINCT address_id, 'wtw3sjq6' AS geohash, address_id AS text,"
        " TIMESTAMP '2025-01-01' AS visible_at, NULL::TIMESTAMP AS superseded_at, NULL::VARCHAR AS kind FROM orders"
    )
    start = time.process_time()
    index = LinkIndex.build(connection)
    found = index.operators_as_of(datetime(2026, 1, 1, tzinfo=UTC))
    spent = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    told = [
        f"{hub.kind.value} {hub.token} is shared by {hub.accounts:,} accounts and links nobody" for hub in index.hubs
    ]
    return spent, peak, max(Counter(found.values()).values()), told


def traps(size: int) -> None:
    """Measure every trap in a process of its own, so that each has its own peak."""
    for kind in (
        "no trap",
        "an address with so many accounts",
        "an account with so many orders",
        "a device with so many accounts",
    ):
        with get_context("spawn").Pool(1) as pool:
            spent, peak, largest, told = pool.apply(trap, (kind, size))
        print(f"{kind:36s} {size:,} rows  {spent:6.1f} CPU s  {peak:5.2f} GB peak  largest operator {largest}")
        for text in told:
            print(f"    {text}")


def places(seed: int) -> None:
    """Match the simulator's address entries by their texts, and compare with which are altered entries of which."""
    world = live_through(replace(scenario_for("demo", seed=seed), accounts=5_000), lambda _step: None)
    book = world.places
    letters = book.geohash_letters()
    found = same_places([bytes(row).decode() for row in letters], list(book.text))
    root = np.where(book.original >= 0, book.original, np.arange(len(book)))
    altered = book.original >= 0
    merged = found != np.arange(len(found))
    right = merged & (root[found] == root)
    share = int((right & altered).sum()) / max(int(altered.sum()), 1)
    print(
        f"address texts, seed {seed}: {len(book):,} entries, {int(altered.sum())} altered; found again {share:.3f} "
        f"of them, wrongly merged {int((merged & ~right).sum())}"
    )


def main() -> None:
    """Measure all seeds, the traps or the texts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[60, 61, 62, 63, 64])
    parser.add_argument("--traps", action="store_true")
    parser.add_argument("--places", action="store_true")
    arguments = parser.parse_args()
    if arguments.traps:
        traps(1_000_000)
    elif arguments.places:
        for seed in arguments.seeds:
            places(seed)
    else:
        print(f"{arguments.accounts:,} accounts, {len(arguments.seeds)} seeds, 95 % t intervals")
        report([measure(arguments.accounts, seed) for seed in arguments.seeds])


if __name__ == "__main__":
    main()
