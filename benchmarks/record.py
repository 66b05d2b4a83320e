"""The operational record: bytes and CPU a decision, beside plain JSON documents in SQLite.

    membergate demo --workspace WS
    python benchmarks/record.py --decisions WS/demo-simulated/decisions.parquet --rows 100000

Decisions come from the real pipeline. Where more rows are asked for than there are, copies get ids and instants of
their own, and every fraction in their evidence is moved by its last bits, so that no copy repeats another's numbers.
"""

from __future__ import annotations

import argparse
import math
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from membergate.domain.decision import Decision
from membergate.domain.evidence import Evidence
from membergate.store import decision_from_record, decision_to_record, open_store, read_decisions

TOGETHER = 100


def moved(value: float, steps: int) -> float:
    """Move a fraction by its last bits."""
    return value + steps * math.ulp(value) if 0.0 < value < 1.0 else value


def copy_of(decision: Decision, number: int) -> Decision:
    """Make a decision of its own of a decision: other ids, another instant, other last bits."""
    if number == 0:
        return decision
    digits = sha256(f"{decision.decision_id}|{number}".encode()).hexdigest()
    as_of = decision.as_of + timedelta(days=number)

    def other(evidence: Evidence) -> Evidence:
        value = evidence.value
        if isinstance(value, float):
            value = moved(value, number)
        return replace(evidence, value=value, observed_at=as_of)

    said = tuple(map(other, decision.evidence))
    numbers = {one.name: one.value for one in said if isinstance(one.value, float)}
    change = decision.counterfactual
    if change is not None:
        change = replace(change, actual=numbers.get(change.evidence, change.actual))
    return replace(
        decision, decision_id=f"d-{digits[:24]}", application_id=f"ap-{digits[24:36]}",
        account_id=f"a-{digits[36:48]}", operator_id=f"op-{digits[48:]}{digits[:4]}", as_of=as_of,
        decided_at=as_of + (decision.decided_at - decision.as_of), evidence=said, counterfactual=change,
        merchant_probability=numbers.get("merchant_probability"), risk_score=numbers.get("risk_score"),
    )  # fmt: skip


def batches(decisions: Sequence[Decision], rows: int) -> Iterator[list[Decision]]:
    """Give so many decisions, some at a time."""
    some: list[Decision] = []
    for number in range(rows):
        some.append(copy_of(decisions[number % len(decisions)], number // len(decisions)))
        if len(some) == TOGETHER:
            yield some
            some = []
    if some:
        yield some


def size_of(path: Path) -> int:
    """Give the bytes of a database whose log is written back, without those of its empty tables."""
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path.stat().st_size


def plain(path: Path, decisions: Sequence[Decision], rows: int) -> None:
    """Measure what one writes first: a JSON document a row, by id, with an index by account."""
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE decisions (decision_id TEXT PRIMARY KEY, account_id TEXT, document TEXT)")
        database.execute("CREATE INDEX by_account ON decisions (account_id)")
        empty, spent, ids = size_of(path), 0.0, []
        for some in batches(decisions, rows):
            begun = time.process_time()
            records = [decision_to_record(decision) for decision in some]
            told = [
                (r["decision_id"], r["account_id"], "\x1e".join(str(value) for value in r.values())) for r in records
            ]
            with database:
                database.executemany("INSERT INTO decisions VALUES (?, ?, ?)", told)
            spent += time.process_time() - begun
            ids.append(some[0].decision_id)
        begun = time.process_time()
        for one in ids:
            database.execute("SELECT document FROM decisions WHERE decision_id = ?", (one,)).fetchone()
        read = time.process_time() - begun
    database.close()
    show("JSON in SQLite", size_of(path) - empty, rows, spent, read / len(ids))


def ours(path: Path, decisions: Sequence[Decision], rows: int) -> None:
    """Measure the record, with its indexes and its audit chain."""
    with open_store(path) as store:
        empty, spent, probes = size_of(path), 0.0, []
        for some in batches(decisions, rows):
            begun = time.process_time()
            store.record(some)
            spent += time.process_time() - begun
            probes.append(some[0])
        begun = time.process_time()
        found_again = [store.decision(one.decision_id) for one in probes]
        read = time.process_time() - begun
        if list(map(repr, found_again)) != list(map(repr, probes)):
            raise AssertionError("a decision reads back otherwise")
        show("the record", size_of(path) - empty, rows, spent, read / len(probes))
        begun, seen = time.process_time(), 0
        for records in store.scan(decisions[0].checkpoint):
            seen += len([decision_from_record(record) for record in records[:1]]) and len(records)
        print(f"scan as flat records: {(time.process_time() - begun) / seen * 1e6:.0f} us a decision")
        begun = time.process_time()
        found = store.audit.verify()
        print(
            f"audit verify: {(time.process_time() - begun) / found.rows * 1e6:.1f} us a row; {found.fault or 'whole'}"
        )


def show(name: str, size: int, rows: int, spent: float, read: float) -> None:
    """Print a line."""
    each = size / rows
    print(f"{name:16s} {each:8.0f} B a decision ({each / 1e3:.3f} GB a million), "
          f"write {spent / rows * 1e6:.0f} us, look up {read * 1e6:.0f} us")  # fmt: skip


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=Path, help="as `membergate admit --out` or `demo` writes them")
    parser.add_argument("--rows", type=int, default=100_000)
    told = parser.parse_args()
    if told.decisions is None:
        print("name the decisions: --decisions FILE.parquet, as `membergate demo` leaves them in its workspace")
        return
    decisions = read_decisions(told.decisions)
    print(f"{told.rows} decisions from {len(decisions)} of the pipeline's, {len(decisions[0].evidence)} evidences each")
    with tempfile.TemporaryDirectory() as folder:
        plain(Path(folder) / "plain.sqlite", decisions, told.rows)
        ours(Path(folder) / "record.sqlite", decisions, told.rows)


if __name__ == "__main__":
    main()
