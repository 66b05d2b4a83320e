"""Velocity counts what happened in sliding windows of event time: exactly, or within a stated bound."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from membergate.deciding.velocity import (
    MOST_ENTRIES,
    NAMES,
    WINDOWS,
    Activity,
    Happening,
    Meter,
    Scope,
    VelocityCounters,
    evidence_about,
)
from membergate.deciding.velocity.timeline import LENGTHS, Timeline, width_at
from membergate.domain.evidence import Absence
from membergate.domain.instants import utc

NOW = utc(2026, 1, 31)
MICROSECOND = timedelta(microseconds=1)
ORDERS = Meter(Activity.ORDERS, Scope.ACCOUNT, "a-1")
LONG_AGO = utc(2025, 1, 1)


def happening(number: int, ago: timedelta, *charges: tuple[Meter, int]) -> Happening:
    """Make something that happened some time ago."""
    return Happening(f"e-{number}", NOW - ago, charges or ((ORDERS, 1),))


def plain(charges: list[tuple[int, int]], as_of: int) -> tuple[int, ...]:
    """Count by going through all charges: the oracle."""
    return tuple(sum(w for at, w in charges if as_of - length < at <= as_of) for length in LENGTHS)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_short_timeline_is_exact_in_any_order(data: st.DataObject) -> None:
    """Charges that arrive in any order, asked as of any instant, count as if each were looked at."""
    edges = [edge + by for edge in (0, *LENGTHS) for by in (-1, 0, 1)]
    age = st.one_of(st.sampled_from(edges), st.integers(0, LENGTHS[-1] + 10))
    charges = data.draw(st.lists(st.tuples(age, st.integers(1, 9)), max_size=60))
    now = 2 * LENGTHS[-1]
    told = [(now - ago, weight) for ago, weight in charges]
    timeline = Timeline(0)
    for at, weight in told:
        timeline.add(at, weight, now)
    as_of = now - data.draw(st.sampled_from([0, 1, LENGTHS[0]]))
    assert timeline.counts(as_of) == plain(told, as_of)


@pytest.mark.parametrize("seed", range(4))
def test_a_long_timeline_is_bounded_and_its_windows_begin_at_most_a_sixtieth_early(seed: int) -> None:
    """Bursts of thousands, a little out of order, keep few entries; nothing is missed, one bucket is too old."""
    generator = np.random.default_rng(seed)
    span = 3 * LENGTHS[-1]
    ages = np.concatenate(
        [
            generator.integers(0, 2 * LENGTHS[-1], 6_000),
            *(np.abs(generator.normal(0, s, 2_000)) for s in (1e7, 1e9, 1e11)),
        ]
    )
    at = np.sort(span - ages.astype(np.int64))
    order = np.argsort(at + generator.normal(0, 2e6, at.size))
    timeline = Timeline(0)
    charged: list[tuple[int, int]] = []
    for step, place in enumerate(order):
        now = int(max(at[place], charged[-1][0] if charged else 0))
        timeline.add(int(at[place]), 1, now)
        charged.append((int(at[place]), 1))
        assert len(timeline.times) <= MOST_ENTRIES
        if step % 997 == 0:
            as_of = max(time for time, _ in charged)
            early = [length + width_at(length) for length in LENGTHS]
            most = [sum(as_of - reach < t <= as_of for t, _ in charged) for reach in early]
            for exact, count, bound in zip(plain(charged, as_of), timeline.counts(as_of), most, strict=True):
                assert exact <= count <= bound


def test_what_is_older_than_the_longest_window_is_left_out() -> None:
    """It cannot count any more; what is just inside can."""
    counters = VelocityCounters(LONG_AGO)
    month = timedelta(days=30)
    assert counters.add([happening(1, month), happening(2, month - MICROSECOND)], NOW) == 1
    assert counters.counts([ORDERS], NOW) == [(0, 0, 0, 0, 1)]


def test_a_window_that_begins_before_everything_is_known_is_absent() -> None:
    """Counters that began an hour ago know the hour, and not the day."""
    counters = VelocityCounters(NOW - timedelta(hours=1))
    counters.add([happening(1, timedelta(minutes=5))], NOW)
    assert counters.counts([ORDERS], NOW) == [(0, 1, 1, None, None)]
    told = evidence_about(counters, {Scope.ACCOUNT: ["a-1"]}, NOW)
    assert told["velocity_account_orders_1h"].value == 1
    assert told["velocity_account_orders_1d"].value is Absence.NOT_OBSERVED
    assert told["velocity_sku_units_1m"].value is Absence.NOT_APPLICABLE
    assert tuple(told) == NAMES


def test_the_busiest_of_several_skus_counts() -> None:
    """An order of two SKUs is judged by the one that is bought most."""
    counters = VelocityCounters(LONG_AGO)
    one, other = (Meter(Activity.UNITS, Scope.SKU, key) for key in ("s-1", "s-2"))
    counters.add(
        [happening(1, timedelta(seconds=30), (one, 2), (other, 5)), happening(2, timedelta(minutes=2), (one, 4))], NOW
    )
    told = evidence_about(counters, {Scope.SKU: ["s-1", "s-2"]}, NOW)
    assert [told[f"velocity_sku_units_{window}"].value for window in WINDOWS] == [5, 6, 6, 6, 6]


def test_memory_is_bounded_and_what_was_forgotten_is_not_taken_for_nothing() -> None:
    """With room for ten meters, the ones charged longest ago go, and their windows become unknown."""
    counters = VelocityCounters(LONG_AGO, most_meters=10)
    meters = [Meter(Activity.LOGINS, Scope.DEVICE, f"d-{n}") for n in range(11)]
    counters.add([happening(n, timedelta(minutes=50 - n), (meter, 1)) for n, meter in enumerate(meters)], NOW)
    assert len(counters) == 9
    forgotten, kept = counters.counts([meters[0], meters[10]], NOW)
    assert forgotten == (0, 0, None, None, None)
    assert kept == (0, 0, 1, 1, 1)
    never_seen = counters.counts([Meter(Activity.LOGINS, Scope.DEVICE, "d-99")], NOW)
    assert never_seen == [forgotten]
