"""Velocity over its log: on disk before it counts, each event once, rebuilt after a crash, shared by processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import update

from membergate.deciding.velocity import MOST_ENTRIES, Activity, Happening, Meter, Scope, VelocityCounters
from membergate.deciding.velocity.timeline import LENGTHS, width_at
from membergate.domain.errors import BadInputError, WorkspaceError
from membergate.domain.instants import utc
from membergate.store import OperationalRecord, RedisVelocity, open_store
from membergate.store.tables import VELOCITY_SNAPSHOTS

REDIS = os.environ.get("MEMBERGATE_TEST_REDIS", "redis://127.0.0.1:6379/0")  # noqa: TID251 - tests have no settings
IN_CI = os.environ.get("CI") == "true"  # noqa: TID251 - as above
NOW = utc(2026, 1, 31)
LONG_AGO = utc(2025, 1, 1)
BUSY, QUIET = (Meter(Activity.ORDERS, Scope.ACCOUNT, key) for key in ("busy", "quiet"))
UNITS = Meter(Activity.UNITS, Scope.SKU, "s-1")


def happenings(size: int, seed: int = 0) -> list[Happening]:
    """Make orders of the last two days, a little out of order: one account makes nearly all."""
    generator = np.random.default_rng(seed)
    ages = np.sort(generator.exponential(40_000, size))[::-1] + generator.normal(0, 30, size).clip(-60, 60) + 60
    return [
        Happening(
            f"e-{seed}-{number}",
            NOW - timedelta(seconds=float(age)),
            ((QUIET if number % 50 == 0 else BUSY, 1), (UNITS, int(generator.integers(1, 4)))),
        )
        for number, age in enumerate(ages)
    ]


@pytest.fixture
def shared() -> Iterator[RedisVelocity]:
    """Give counters in Redis under a prefix of our own; skip where no Redis answers, but never in CI."""
    import redis  # noqa: PLC0415 - an extra

    prefix = f"{{test-{uuid4().hex}}}:"
    velocity = RedisVelocity(REDIS, LONG_AGO, prefix=prefix)
    client = redis.Redis.from_url(REDIS)
    try:
        client.ping()
    except redis.ConnectionError:
        if IN_CI:
            raise
        pytest.skip(f"no Redis answers at {REDIS}")
    yield velocity
    for key in client.scan_iter(f"{prefix}*"):
        client.delete(key)
    client.close()
    velocity.close()


def test_each_event_counts_once(store: OperationalRecord) -> None:
    """At-least-once delivery and repeats within a batch change nothing."""
    events = happenings(20)
    assert store.velocity.begin(LONG_AGO)
    assert not store.velocity.begin(NOW)
    assert store.velocity.add([*events, events[3]], NOW) == 20
    assert store.velocity.add(events[5:], NOW) == 0
    counters = VelocityCounters(LONG_AGO)
    counters.add(events, NOW)
    assert store.velocity.counts([BUSY, QUIET, UNITS], NOW) == counters.counts([BUSY, QUIET, UNITS], NOW)


def test_what_was_before_the_log_began_is_not_known(store_url: str) -> None:
    """The log begins when it is first used, and remembers when that was."""
    hour = timedelta(hours=1)
    with open_store(store_url) as store:
        store.velocity.add(happenings(1), NOW - hour)
    with open_store(store_url) as store:
        assert store.velocity.counts([Meter(Activity.LOGINS, Scope.DEVICE, "d")], NOW) == [(0, 0, 0, None, None)]


def test_a_restart_finds_the_same_counts(store_url: str) -> None:
    """From the log alone, and from a snapshot and the log behind it, thinned timelines included."""
    meters, later = [BUSY, QUIET, UNITS], NOW + timedelta(days=31)
    early, middle, late = happenings(1_200, 0), happenings(30, 1), happenings(30, 2)
    with open_store(store_url) as store:
        store.velocity.begin(LONG_AGO)
        store.velocity.add(early, NOW)
        store.velocity.add(middle, NOW)
        expected = store.velocity.counts(meters, NOW)
        assert expected[0][0] is not None
    with open_store(store_url) as store:
        assert store.velocity.counts(meters, NOW) == expected
        assert store.velocity.snapshot(NOW) == 0
        store.velocity.add(late, NOW)
        expected = store.velocity.counts(meters, NOW)
    with open_store(store_url) as store:
        assert store.velocity.counts(meters, NOW) == expected
        assert store.velocity.snapshot(later) == len(early) + len(middle) + len(late)
        assert store.velocity.counts(meters, later) == [(0, 0, 0, 0, 0)] * 3


def test_another_process_on_the_same_record_is_followed(store_url: str) -> None:
    """What one store logs, the other counts from its next look."""
    with open_store(store_url) as one, open_store(store_url) as other:
        other.velocity.follow(LONG_AGO)
        one.velocity.add(happenings(40), NOW)
        assert other.velocity.counts([QUIET], NOW)[0][4] == 0
        other.velocity.follow(NOW)
        assert other.velocity.counts([QUIET], NOW)[0][4] == 1
        assert other.velocity.counts([BUSY], NOW) == one.velocity.counts([BUSY], NOW)


LOGGER = """
import sys
from datetime import timedelta
from membergate.deciding.velocity import Activity, Happening, Meter, Scope
from membergate.domain.instants import utc
from membergate.store import open_store

NOW, meter = utc(2026, 1, 31), Meter(Activity.ORDERS, Scope.ACCOUNT, "busy")
with open_store(sys.argv[1]) as store:
    store.velocity.begin(NOW - timedelta(days=31))
    for number in range(100_000):
        store.velocity.add([Happening(f"e-{number}", NOW - timedelta(seconds=5), ((meter, 1),))], NOW)
        if number % 40 == 39:
            store.velocity.snapshot(NOW)
        print(number, flush=True)
"""


def test_a_killed_process_loses_no_event_that_it_acknowledged(tmp_path: Path) -> None:
    """Killed in full flight, between snapshots: every acknowledged event counts after the restart, none twice."""
    database = tmp_path / "record.sqlite"
    with subprocess.Popen([sys.executable, "-c", LOGGER, str(database)], stdout=subprocess.PIPE, text=True) as logger:
        assert logger.stdout is not None
        acknowledged = [logger.stdout.readline() for _ in range(100)]
        logger.kill()
        acknowledged += logger.stdout.readlines()
    with open_store(database) as store:
        count = store.velocity.counts([BUSY], NOW)[0][0]
    assert count in (len(acknowledged), len(acknowledged) + 1)


def test_a_damaged_snapshot_is_a_readable_error(store: OperationalRecord) -> None:
    """The error says that deleting it is enough."""
    store.velocity.add(happenings(5), NOW)
    store.velocity.snapshot(NOW)
    with store._writing.begin() as connection:
        connection.execute(update(VELOCITY_SNAPSHOTS).values(content=b"x"))
    store.velocity._counters = None
    with pytest.raises(WorkspaceError, match="snapshot") as caught:
        store.velocity.counts([BUSY], NOW)
    assert "anew" in caught.value.next_step


def test_an_event_without_a_proper_id_is_refused(store: OperationalRecord) -> None:
    """Nothing of its batch is logged."""
    with pytest.raises(BadInputError, match="no id"):
        store.velocity.add([happenings(1)[0], Happening("x\x00", NOW, ((BUSY, 1),))], NOW)
    assert store.velocity.add(happenings(1), NOW) == 1


def test_redis_counts_as_one_process_does(shared: RedisVelocity) -> None:
    """Exactly while a timeline is short, in any order of events; each event once."""
    events, counters = happenings(MOST_ENTRIES), VelocityCounters(LONG_AGO)
    for start in range(0, len(events), 60):
        batch = events[start : start + 60]
        present = max(event.at for event in events[: start + 60])
        assert shared.add(batch, present) == counters.add(batch, present) == len(batch)
        assert shared.counts([BUSY, QUIET, UNITS], present) == counters.counts([BUSY, QUIET, UNITS], present)
    assert shared.add(events[-5:], NOW) == 0
    assert shared.counts([], NOW) == []


def test_redis_thins_within_the_bound(shared: RedisVelocity) -> None:
    """A long timeline never misses a charge, and counts at most one bucket that is too old."""
    events = happenings(4 * MOST_ENTRIES)
    shared.add(events, NOW)
    busy = [event.at for event in events if event.charges[0][0] == BUSY]
    for count, length in zip(shared.counts([BUSY], NOW)[0], LENGTHS, strict=True):
        exact, most = (
            sum(NOW - timedelta(microseconds=reach) < at for at in busy)
            for reach in (length, length + width_at(length))
        )
        assert count is not None
        assert exact <= count <= most


def test_processes_share_what_redis_counts(shared: RedisVelocity) -> None:
    """What one client adds, another sees at once; a window that begins too early is not known."""
    other = RedisVelocity(REDIS, NOW - timedelta(hours=2), prefix=shared._prefix)
    shared.add([Happening("e-1", NOW - timedelta(minutes=1), ((BUSY, 1),))], NOW)
    assert other.counts([BUSY], NOW) == [(0, 1, 1, None, None)]
    other.close()


def test_a_redis_out_of_reach_is_a_readable_error() -> None:
    """So is a URL that is none."""
    velocity = RedisVelocity("redis://127.0.0.1:1/0", LONG_AGO)
    with pytest.raises(WorkspaceError, match="shared counters"):
        velocity.counts([BUSY], NOW)
    with pytest.raises(WorkspaceError, match="shared counters"):
        velocity.add(happenings(1), NOW)
    with pytest.raises(BadInputError, match="Redis"):
        RedisVelocity("nonsense://", LONG_AGO)
