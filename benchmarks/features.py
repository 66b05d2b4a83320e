"""What 20 million events cost on their way into features, beside a scan of the same columns and features by hand.

Five million order lines come with 2.5 million orders and parcels each, 8 million pages and 2 million sign-ins. Each
part runs in a process of its own, in one run: the scan decodes every column that a feature reads and hashes each value;
the features are computed for 500,000 accounts, each as of its own application. Printed are CPU seconds, their ratio
(target: at most 25 for all that can be computed, 6 for the starter set) and the peak of resident memory. Then fifteen
of the features, ours beside SQL and Polars written by hand (`features_peers.py`; Polars is in
`requirements/benchmarks.txt`), their values held against each other first.

Usage: `PYTHONPATH=. python benchmarks/features.py [--features all] [--lines 5000000] [--accounts 500000]`
- `--growth` prints the cost of 5, 20 and 60 million events instead,
- `--refresh` that of a day's refresh beside the full computation that it must equal,
- `--traps` that of a market in which one address has every account, one account half of all orders, one SKU is in every
  basket, parcels come before their orders and categories have holes, beside a market of the same size without.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from benchmarks.features_market import generate
from benchmarks.features_peers import FEATURES, by_hand_in_polars, by_hand_in_sql
from numpy.typing import NDArray

from membergate.learning.features import CATALOGUE, STARTER, FeatureTable, Spine, availability, compute, fit_norms, uses
from membergate.learning.features.computation import market_columns_of
from membergate.learning.features.lineage import measures_of
from membergate.learning.features.norm_fitting import lone_operators
from membergate.learning.features.norms import Norms
from membergate.learning.features.refresh import touched_accounts
from membergate.market.schema import TABLES
from membergate.market.warehouse import literal

TARGET_RATIOS = {"starter": 6.0, "all": 25.0}
NORMS_AS_OF = datetime(2025, 11, 1, tzinfo=UTC)
EVENING = np.datetime64("2025-12-15", "us")
"""A daily table stands as of this evening, and is brought up to the next."""
GROWTH_LINES = (1_250_000, 5_000_000, 15_000_000)
EVENTS_A_LINE = 4
SCRATCH = "answers"
"""Folder, inside the market's, of what the parts leave for each other."""


@dataclass(frozen=True)
class Run:
    """One process: a market, and what is wanted of it."""

    folder: Path
    threads: int
    memory: str
    features: str

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open the market as a warehouse would; the rest of the peak is the spine, the answers and Python itself."""
        settings: dict[str, str | int] = {
            "threads": self.threads,
            "memory_limit": self.memory,
            "temp_directory": str(self.folder / "spill"),
        }
        connection = duckdb.connect(config=settings)  # type: ignore[arg-type] # ints are taken too
        for file in sorted(self.folder.glob("*.parquet")):
            connection.execute(f"CREATE VIEW {file.stem} AS FROM read_parquet({literal(str(file))})")
        return connection

    def chosen(self, connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
        """Give the features that are asked for: the starter set, or all that the market can feed."""
        if self.features == "starter":
            return STARTER
        return tuple(e.feature.id for e in availability(market_columns_of(connection)) if e.is_computable)

    def leave(self, name: str, values: NDArray[np.float64]) -> None:
        """Leave values for the process that compares them."""
        (self.folder / SCRATCH).mkdir(exist_ok=True)
        np.save(self.folder / SCRATCH / f"{name}.npy", values)


def scan(run: Run) -> dict[str, float]:
    """Decode and hash every value of every column that a feature reads."""
    connection, read = run.connect(), dict[str, set[str]]()
    for feature in (CATALOGUE[name] for name in run.chosen(connection)):
        for reference in uses(measures_of(feature)):
            table, column = reference.split(".")
            read.setdefault(table, set()).add(column)
    read["orders"] |= {"invoice_type", "lane"}
    read["accounts"] = {"account_id", "registered_at", "region_code", "declared_use"}
    read["promotions"] -= {"warm_up_starts_at"}
    before = cpu_seconds()
    for table, columns in sorted(read.items()):
        if not (run.folder / f"{table}.parquet").exists():
            continue
        known = {row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()}
        wanted = (columns | {"visible_at", "superseded_at", *TABLES[table].inherited_columns}) & known
        parts = ", ".join(f"BIT_XOR(HASH({column}))" for column in sorted(wanted))
        connection.execute(f"SELECT {parts} FROM {table}").fetchall()
    return {"cpu_s": cpu_seconds() - before}


def norms(run: Run) -> dict[str, float]:
    """Fit the norms, once a model."""
    connection, before = run.connect(), cpu_seconds()
    fit_norms(connection, NORMS_AS_OF, run.chosen(connection)).save(run.folder / "norms")
    return {"cpu_s": cpu_seconds() - before}


def features(run: Run) -> dict[str, float]:
    """Compute features for every application; norms are read, as a door reads those of its model."""
    connection = run.connect()
    table, spent = _computed(run, connection, _applications(connection), run.chosen(connection))
    return {"cpu_s": spent, "columns": len(table.features), "observed": float((table.absences == 0).mean())}


def same(run: Run) -> dict[str, float]:
    """Compute what the peers compute, applications in the order of their ids."""
    connection = run.connect()
    table, spent = _computed(run, connection, _applications(connection), FEATURES)
    order = np.argsort(table.spine.subject_ids.astype(str), kind="stable")
    run.leave("ours", np.column_stack([table.column(name) for name in FEATURES])[order])
    return {"cpu_s": spent}


def by_hand(run: Run) -> dict[str, float]:
    """Compute the peers' features in one statement on DuckDB, with the same settings."""
    connection, priors = run.connect(), Norms.load(run.folder / "norms").priors
    before = cpu_seconds()
    run.leave("duckdb", by_hand_in_sql(connection, priors))
    return {"cpu_s": cpu_seconds() - before}


def polars(run: Run) -> dict[str, float]:
    """Compute the peers' features in Polars, streaming; it has no memory limit to set."""
    priors, before = Norms.load(run.folder / "norms").priors, cpu_seconds()
    run.leave("polars", by_hand_in_polars(run.folder, priors))
    return {"cpu_s": cpu_seconds() - before}


def yesterday(run: Run) -> dict[str, float]:
    """Compute the table of all accounts as of one evening."""
    return _daily(run, "yesterday", is_new=None)


def refresh(run: Run) -> dict[str, float]:
    """Compute again, as of the next evening, those of whom anything became known."""
    connection, before = run.connect(), cpu_seconds()
    touched = touched_accounts(connection, market_columns_of(connection), EVENING, _next_evening())
    accounts = _accounts(connection)
    is_new = np.isin(accounts.astype(str), np.array(sorted(touched)))
    run.leave("is_new", is_new.astype(np.float64))
    spine = Spine(accounts[is_new], accounts[is_new], np.full(int(is_new.sum()), _next_evening()))
    table, _ = _computed(run, connection, spine, run.chosen(connection))
    run.leave("refresh", table.values)
    return {"cpu_s": cpu_seconds() - before, "rows": len(spine)}


def full(run: Run) -> dict[str, float]:
    """Compute all accounts, each as of its own last change: what the refreshed table must equal."""
    return _daily(run, "full", is_new=np.load(run.folder / SCRATCH / "is_new.npy") > 0)


def _daily(run: Run, name: str, *, is_new: NDArray[np.bool_] | None) -> dict[str, float]:
    connection = run.connect()
    accounts = _accounts(connection)
    instants = np.where(is_new if is_new is not None else np.zeros(len(accounts), bool), _next_evening(), EVENING)
    table, spent = _computed(run, connection, Spine(accounts, accounts, instants), run.chosen(connection))
    run.leave(name, table.values)
    return {"cpu_s": spent, "rows": len(accounts)}


def _next_evening() -> np.datetime64:
    return EVENING + np.timedelta64(1, "D")


def _accounts(connection: duckdb.DuckDBPyConnection) -> NDArray[Any]:
    return np.asarray(connection.execute("SELECT account_id FROM accounts ORDER BY 1").fetchnumpy()["account_id"])


def _applications(connection: duckdb.DuckDBPyConnection) -> Spine:
    asked = connection.execute("SELECT application_id, account_id, submitted_at FROM applications").fetchnumpy()
    return Spine(asked["application_id"], asked["account_id"], asked["submitted_at"].astype("datetime64[us]"))


def _computed(
    run: Run, connection: duckdb.DuckDBPyConnection, spine: Spine, wanted: tuple[str, ...]
) -> tuple[FeatureTable, float]:
    fitted = Norms.load(run.folder / "norms")
    before = cpu_seconds()
    table = compute(connection, spine, fitted, lone_operators(spine.account_ids), wanted)
    return table, cpu_seconds() - before


def cpu_seconds() -> float:
    """Give the CPU seconds that this process has used, in user and system mode, on all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_gib() -> float:
    """Give the peak of this process's resident memory, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


PARTS: dict[str, Callable[[Run], dict[str, float]]] = {
    part.__name__: part for part in (scan, norms, features, same, by_hand, polars, yesterday, refresh, full)
}
Figures = dict[str, dict[str, float]]


def main() -> None:
    """Generate a market, measure each part in a process of its own, and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--accounts", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="threads of every part")
    parser.add_argument("--features", choices=tuple(TARGET_RATIOS), default="all")
    parser.add_argument("--memory", default="2GiB", help="what DuckDB may use")
    parser.add_argument("--folder", type=Path, help="keep markets below it, and use them again")
    for name in ("growth", "refresh", "traps"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--part", choices=("generate", *PARTS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(_part(arguments)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        arguments.folder = arguments.folder or Path(temporary)
        if arguments.growth:
            print_growth(arguments)
        elif arguments.traps:
            print_traps(arguments)
        elif arguments.refresh:
            print_refresh(arguments)
        else:
            print_cost(arguments)


def print_cost(arguments: argparse.Namespace) -> None:
    """Print the scan, the norms, all features; then the peers' features, ours and theirs."""
    has_polars = importlib.util.find_spec("polars") is not None
    measured = _measured(arguments, "scan", "norms", "features", "same", "by_hand", *(["polars"] if has_polars else []))
    columns = int(measured["features"]["columns"])
    print(f"{_size(arguments)}, {columns} features, memory limit {arguments.memory}")
    for part in ("scan", "norms", "features"):
        _print_part(part, measured[part])
    ratio = measured["features"]["cpu_s"] / measured["scan"]["cpu_s"]
    print(f"  ratio      {ratio:7.2f}         (target {TARGET_RATIOS[arguments.features]:g})")
    print(f"{len(FEATURES)} of them: {' '.join(FEATURES)}")
    ours = _left(arguments, "ours")
    _print_part("ours", measured["same"])
    for part, name in (("by_hand", "duckdb"), ("polars", "polars")):
        if part in measured:
            _print_part(name, measured[part], f"largest difference {_difference(ours, _left(arguments, name)):.1e}")


def print_growth(arguments: argparse.Namespace) -> None:
    """Print what twelve times the events cost; accounts grow with them."""
    print("| events | accounts | features, CPU s | CPU s a million events | over the scan | peak, GiB |")
    print("|-:|-:|-:|-:|-:|-:|")
    for lines in GROWTH_LINES:
        arguments.lines, arguments.accounts = lines, lines // 10
        found = _measured(arguments, "scan", "norms", "features")
        spent, events = found["features"]["cpu_s"], lines * EVENTS_A_LINE
        print(
            f"| {events:,} | {arguments.accounts:,} | {spent:.1f} | {spent / events * 1e6:.2f} "
            f"| {spent / found['scan']['cpu_s']:.1f} | {found['features']['peak_gib']:.2f} |",
            flush=True,
        )


def print_traps(arguments: argparse.Namespace) -> None:
    """Print what a market of traps costs beside one of the same size without; the address has all the accounts."""
    arguments.accounts = arguments.lines // 4
    for arguments.traps in (False, True):
        found = _measured(arguments, "scan", "norms", "features")
        print(f"{_size(arguments)}, {'with' if arguments.traps else 'without'} traps, memory limit {arguments.memory}")
        for part, figures in found.items():
            _print_part(part, figures)


def print_refresh(arguments: argparse.Namespace) -> None:
    """Print what a day's refresh costs beside the full computation, and hold the two tables equal."""
    found = _measured(arguments, "norms", "yesterday", "refresh", "full")
    table, is_new = _left(arguments, "yesterday"), _left(arguments, "is_new") > 0
    table[is_new] = _left(arguments, "refresh")
    expected = _left(arguments, "full")
    print(f"{_size(arguments)}, memory limit {arguments.memory}")
    for part in ("full", "refresh"):
        _print_part(part, found[part], f"{int(found[part]['rows']):,} accounts")
    print(f"  the refreshed table {'equals' if table.tobytes() == expected.tobytes() else 'DIFFERS FROM'} the full one")


def _size(arguments: argparse.Namespace) -> str:
    return f"{arguments.lines * EVENTS_A_LINE:,} events, {arguments.accounts:,} accounts"


def _print_part(name: str, figures: dict[str, float], *more: str) -> None:
    print("   ".join([f"  {name:10s} {figures['cpu_s']:7.2f} CPU s", f"peak {figures['peak_gib']:.2f} GiB", *more]))


def _difference(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Give the largest difference; infinite where one has a value and the other has none."""
    if (np.isnan(ours) != np.isnan(theirs)).any():
        return float("inf")
    return float(np.nanmax(np.abs(ours - theirs) / np.maximum(1.0, np.abs(ours))))


def _market(arguments: argparse.Namespace) -> Path:
    kind = "traps" if arguments.traps else "plain"
    return Path(arguments.folder) / f"{kind}-{arguments.lines}-{arguments.accounts}-{arguments.seed}"


def _left(arguments: argparse.Namespace, name: str) -> NDArray[np.float64]:
    return np.asarray(np.load(_market(arguments) / SCRATCH / f"{name}.npy"))


def _measured(arguments: argparse.Namespace, *parts: str) -> Figures:
    if not (_market(arguments) / "promotions.parquet").exists():
        _apart("generate", arguments)
    return {part: _apart(part, arguments) for part in parts}


def _part(arguments: argparse.Namespace) -> dict[str, float]:
    folder = _market(arguments)
    if arguments.part == "generate":
        generate(folder, arguments.lines, arguments.accounts, arguments.seed, traps=arguments.traps)
        return {}
    found = PARTS[arguments.part](Run(folder, arguments.threads, arguments.memory, arguments.features))
    return found | {"peak_gib": peak_gib()}


def _apart(part: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Do one part in a process of its own, whose CPU and memory are nobody else's."""
    names = ("lines", "accounts", "seed", "threads", "folder", "features", "memory")
    options = [text for name in names for text in (f"--{name}", str(getattr(arguments, name)))]
    options += ["--traps"] if arguments.traps else []
    answer = subprocess.run(
        [sys.executable, __file__, "--part", part, *options], check=True, stdout=subprocess.PIPE, text=True
    )
    figures: dict[str, float] = json.loads(answer.stdout)
    return figures


if __name__ == "__main__":
    main()
