"""One suite for both backends: caps are never overshot, whoever races, and a repeat gets its first answer."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from membergate.domain.errors import WorkspaceError
from membergate.domain.instants import utc
from membergate.domain.limits import Ask, Limit
from membergate.store import OperationalRecord, open_store

NOW = utc(2026, 1, 15)
DAY = timedelta(days=1)
SKU = Limit("sku", 3, NOW - 30 * DAY)


def ask(use_id: str, units: int = 1, *limits: Limit) -> Ask:
    """Wish for units under the SKU's limit, or under others."""
    return Ask(use_id, units, limits or (SKU,))


def test_units_are_granted_until_the_limit(store: OperationalRecord) -> None:
    """The last wish is cut to what is left, and the next gets nothing."""
    granted = [store.caps.draw([ask(f"u-{n}", 2)], at=NOW)[f"u-{n}"] for n in range(3)]
    assert granted == [2, 1, 0]
    assert store.caps.used("sku", SKU.since) == 3


def test_the_tightest_of_several_limits_counts(store: OperationalRecord) -> None:
    """A benefit of 40 a unit under 100 a month leaves two of three units, and both limits are charged for two."""
    month = Limit("benefit", 100, NOW - 14 * DAY, weight=40)
    assert store.caps.draw([ask("u", 3, SKU, month)], at=NOW) == {"u": 2}
    assert (store.caps.used("sku", SKU.since), store.caps.used("benefit", month.since)) == (2, 80)


def test_a_repeat_gets_its_first_answer(store: OperationalRecord) -> None:
    """The same use charges nothing again, also where it was granted nothing; a released one is over."""
    assert store.caps.draw([ask("a", 3), ask("b")], at=NOW) == {"a": 3, "b": 0}
    assert store.caps.draw([ask("a", 3), ask("b")], at=NOW + DAY) == {"a": 3, "b": 0}
    assert store.caps.release(["a"], at=NOW) == 1
    assert store.caps.draw([ask("a", 3), ask("b"), ask("c", 2)], at=NOW) == {"a": 0, "b": 0, "c": 2}


def test_a_window_slides(store: OperationalRecord) -> None:
    """What was used before the window does not count; the instant at which it begins does."""
    store.caps.draw([ask("old", 2)], at=NOW - 20 * DAY)
    inside = Limit("sku", 3, NOW - 20 * DAY)
    after = Limit("sku", 3, NOW - 20 * DAY + timedelta(microseconds=1))
    assert store.caps.draw([ask("a", 3, inside)], at=NOW) == {"a": 1}
    assert store.caps.draw([ask("b", 3, after)], at=NOW) == {"b": 2}


def test_64_threads_race_for_the_last_units(store: OperationalRecord) -> None:
    """Three units are left and each client wants one under two limits: exactly three get one."""
    stock = Limit("stock", 50, NOW - 30 * DAY)
    with ThreadPoolExecutor(64) as clients:
        answers = clients.map(
            lambda n: store.caps.draw([ask(f"u-{n}", 1, *((SKU, stock) if n % 2 else (stock, SKU)))], at=NOW), range(64)
        )
        granted = [units for answer in answers for units in answer.values()]
    assert sorted(granted) == [0] * 61 + [1] * 3
    assert (store.caps.used("sku", SKU.since), store.caps.used("stock", stock.since)) == (3, 3)


RACER = """
import sys
from membergate.domain.instants import utc
from membergate.domain.limits import Ask, Limit
from membergate.store import open_store

limit = Limit("sku", 10, utc(2025, 12, 16))
with open_store(sys.argv[1]) as store:
    for number in range(16):
        use = f"{sys.argv[2]}-{number}"
        print(store.caps.draw([Ask(use, 1, (limit,))], at=utc(2026, 1, 15))[use])
"""


def test_processes_race_too(store_url: str) -> None:
    """Four processes with sixteen wishes each share ten units."""
    open_store(store_url).close()
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, store_url, str(n)], stdout=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    granted = [int(line) for racer in racers for line in racer.communicate(timeout=120)[0].split()]
    assert (len(granted), sum(granted)) == (64, 10)


def test_a_ledger_that_is_gone_is_no_bad_input(store: OperationalRecord) -> None:
    """On SQLite and on PostgreSQL alike: whoever asks fails closed, and whoever keeps the record learns what helps."""
    with store._writing.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE cap_uses RENAME TO gone")
    with pytest.raises(WorkspaceError, match="cap_uses") as caught:
        store.caps.draw([Ask("u-1", 1, (Limit("sku", 3, NOW),))], at=NOW)
    assert "backup" in caught.value.next_step
