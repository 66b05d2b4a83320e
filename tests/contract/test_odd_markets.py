"""Oddities that spoil no row: an ingest ends within bounds, loads everything, and says in words what is odd."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from benchmarks.loading import TRAPS, write_trap

from membergate.operations.ingest import ingest

ORDERS = 60_000
SAID = {
    "nothing odd": [],
    "one account with every order": ["one account_id, 'a1', stands on 100%"],
    "one address of every account": ["one address_id, 'x'", f"from {ORDERS:,} accounts"],
    "an article in every basket": ["one sku_id, 's1', stands on 100%"],
    "ids in another case": ["2 ids differ", "' a6' and 'a6'", "lower(trim(account_id))"],
    "clocks that run backwards": [f"in {ORDERS:,} rows paid_at lies before ordered_at"],
    "orders before their account's registration": [f"{ORDERS:,} lie more than a day before their account's"],
    "a category tree with holes": [
        "have a category_l3 and no category_l2",
        "1 values of category_l2 hang below more than one category_l1",
    ],
}


@pytest.mark.parametrize("case", TRAPS)
def test_what_is_odd_is_said(case: str, tmp_path: Path) -> None:
    """Each oddity has its sentence, an ordinary market has none, and an account that nobody knows is an orphan only."""
    folder, words = tmp_path / "market", SAID[case]
    write_trap(folder, case, ORDERS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = ingest(tmp_path / "workspace", folder)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    said = " ".join(report.warnings)
    assert all(word in said for word in words), said
    assert bool(report.warnings) is bool(words)
    assert next(t.read for t in report.tables if t.table == "orders") == ORDERS
    assert grown < 1_000_000  # kilobytes
