"""Cost of velocity: our counters in one process and in Redis, beside plain sorted sets in Redis, one member an event.

Orders of three days come in, most of them for a few hot SKUs, as in a promotion; each charges six meters, and is judged
by five windows of each. Printed are CPU microseconds an order, of this process and of the Redis server, and how much
memory Redis needs.
"""

from __future__ import annotations

import argparse
import resource
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import redis

from membergate.deciding.velocity import WINDOWS, Activity, Counts, Happening, Meter, Scope, Velocity, VelocityCounters
from membergate.deciding.velocity.meters import microseconds
from membergate.domain.instants import utc
from membergate.store import RedisVelocity

START = utc(2026, 6, 1)
SPAN_S = 3 * 86_400


class PlainSortedSets:
    """What one writes first: a sorted set a meter, a member an event, `ZADD`, `ZREMRANGEBYSCORE` and `ZCOUNT`."""

    def __init__(self, url: str, prefix: str) -> None:
        self._redis = redis.Redis.from_url(url)
        self._prefix = prefix

    def add(self, happenings: Sequence[Happening], now: datetime) -> int:
        """Count happenings at one round trip."""
        horizon = microseconds(now) - 30 * 86_400_000_000
        with self._redis.pipeline(transaction=False) as pipeline:
            for happening in happenings:
                for meter, _ in happening.charges:
                    key = f"{self._prefix}{meter.activity}:{meter.scope}:{meter.key}"
                    pipeline.zadd(key, {happening.event_id: microseconds(happening.at)})
                    pipeline.zremrangebyscore(key, 0, horizon)
                    pipeline.expire(key, 31 * 86_400)
            pipeline.execute()
        return len(happenings)

    def counts(self, meters: Sequence[Meter], as_of: datetime) -> list[Counts]:
        """Count five windows of each meter at one round trip."""
        end = microseconds(as_of)
        with self._redis.pipeline(transaction=False) as pipeline:
            for meter in meters:
                key = f"{self._prefix}{meter.activity}:{meter.scope}:{meter.key}"
                for length in WINDOWS.values():
                    pipeline.zcount(key, f"({end - length}", end)
            found = pipeline.execute()
        return [tuple(found[place : place + len(WINDOWS)]) for place in range(0, len(found), len(WINDOWS))]


def orders(size: int) -> Iterator[Happening]:
    """Make orders in order of arrival; half of them are for three SKUs."""
    generator = np.random.default_rng(0)
    at = np.sort(generator.uniform(0, SPAN_S, size))
    accounts = generator.zipf(1.6, size) % 50_000
    skus = np.where(generator.random(size) < 0.5, generator.integers(0, 3, size), generator.integers(3, 20_000, size))
    late = generator.exponential(2.0, size)
    for number in range(size):
        account, sku = int(accounts[number]), int(skus[number])
        charges = (
            (Meter(Activity.ORDERS, Scope.ACCOUNT, f"a-{account}"), 1),
            (Meter(Activity.ORDERS, Scope.OPERATOR, f"op-{account // 2}"), 1),
            (Meter(Activity.ORDERS, Scope.DEVICE, f"d-{account}"), 1),
            (Meter(Activity.ORDERS, Scope.ADDRESS, f"ad-{account // 3}"), 1),
            (Meter(Activity.ORDERS, Scope.SKU, f"s-{sku}"), 1),
            (Meter(Activity.UNITS, Scope.ACCOUNT, f"a-{account}"), 1),
        )
        seconds = float(max(0.0, at[number] - late[number]))
        yield Happening(f"e-{number}", START + timedelta(seconds=seconds), charges)


def cpu_s() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def server_cpu_s(server: Any) -> float:
    """CPU seconds of the Redis server."""
    told = server.info("cpu")
    return float(told["used_cpu_user"] + told["used_cpu_sys"])


def run(velocity: Velocity | PlainSortedSets, events: Sequence[Happening], server: Any) -> tuple[float, float, float]:
    """Judge each order, then count it; CPU microseconds an order of this process and of the server, and bytes there."""
    bytes_before = server.info("memory")["used_memory"]
    ours, theirs = cpu_s(), server_cpu_s(server)
    for event in events:
        velocity.counts([meter for meter, _ in event.charges], event.at)
        velocity.add([event], event.at)
    ours, theirs = cpu_s() - ours, server_cpu_s(server) - theirs
    grown = server.info("memory")["used_memory"] - bytes_before
    return ours / len(events) * 1e6, theirs / len(events) * 1e6, grown


def in_process_bytes(events: Sequence[Happening]) -> int:
    """Memory of the counters of one process."""
    tracemalloc.start()
    counters = VelocityCounters(START - timedelta(days=31))
    for event in events:
        counters.add([event], event.at)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=30_000)
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0")
    told = parser.parse_args()
    events, server, prefix = list(orders(told.orders)), redis.Redis.from_url(told.redis), f"{{bench-{uuid4().hex}}}"
    since = START - timedelta(days=31)
    kinds: dict[str, Callable[[], Velocity | PlainSortedSets]] = {
        "one process": lambda: VelocityCounters(since),
        "Redis, ours": lambda: RedisVelocity(told.redis, since, prefix=f"{prefix}ours:"),
        "Redis, plain sorted sets": lambda: PlainSortedSets(told.redis, f"{prefix}plain:"),
    }
    print(f"{told.orders} orders, each charging 6 meters and judged by 5 windows of each")
    print(f"{'':26s}{'this process, us':>18s}{'server, us':>14s}{'server, MB':>12s}")
    for name, make in kinds.items():
        ours, theirs, grown = run(make(), events, server)
        print(f"{name:26s}{ours:18.1f}{theirs:14.1f}{grown / 1e6:12.1f}")
    print(f"memory of one process's counters: {in_process_bytes(events) / 1e6:.1f} MB")
    hot = PlainSortedSets(told.redis, f"{prefix}plain:")
    mine = RedisVelocity(told.redis, since, prefix=f"{prefix}ours:")
    meter, end = Meter(Activity.ORDERS, Scope.SKU, "s-0"), events[-1].at
    for name, velocity in (("ours", mine), ("plain", hot)):
        key = f"{prefix}{name}:{meter.activity}:{meter.scope}:{meter.key}"
        held = sum(int(server.memory_usage(part) or 0) for part in (key, f"{key}:fresh"))
        print(f"hottest SKU, {name}: {held / 1e3:.0f} kB, counts {velocity.counts([meter], end)[0]}")
    for key in server.scan_iter(f"{prefix}*", count=10_000):
        server.delete(key)


if __name__ == "__main__":
    main()
