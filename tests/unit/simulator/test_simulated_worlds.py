"""What makes the market hard as a whole: density, context, selective labels, and what caps and fees deter."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.deterrence import after_fees, books_under
from benchmarks.realism_worlds import (
    Applicants,
    applicants_of,
    densest_precision,
    ring_f1,
    selective_labels,
    world_of,
)

from membergate.market.simulator.door import UNLIMITED
from membergate.market.simulator.world import World

pytestmark = pytest.mark.xdist_group("simulator")


@pytest.fixture(scope="module")
def world() -> World:
    """Give a world of 3,000 accounts behind an open door."""
    return world_of(3_000, 90)


@pytest.fixture(scope="module")
def applicants(world: World) -> Applicants:
    """Give its applicants with a history."""
    return applicants_of(world)


def test_density_is_not_guilt(world: World) -> None:
    """Of the densest group of accounts that share places, devices and cards, fewer are merchants than of all."""
    precision, base = densest_precision(world)
    assert precision < base


def test_rings_are_found_in_context_only(world: World, applicants: Applicants) -> None:
    """DBSCAN finds rings at least twice as well in rare goods and days in common as in raw counts."""
    raw, in_context = ring_f1(world, applicants)
    assert in_context > 2 * raw
    assert in_context > 0.3


def test_learning_from_the_accepted_alone_deceives(applicants: Applicants) -> None:
    """Trained again on those it accepted, a model measures better on them, and tells merchants apart worse."""
    found = selective_labels(applicants, 90)
    assert found["measured Brier score after, on its accepted"] < found["measured Brier score before, on all"]
    assert found["true area after"] < found["true area before"] - 0.02
    assert found["merchants among the refused after"] < found["merchants among the refused before"]


def test_caps_and_fees_deter(world: World) -> None:
    """Tighter caps and higher fees leave less profit, and most rings lose money under a tight cap and a high fee."""
    books = {cap: books_under(world, cap) for cap in (UNLIMITED, 10, 3, 1)}
    left = [np.maximum(after_fees(found, 29_900, 4_000), 0).sum() for found in books.values()]
    assert left == sorted(left, reverse=True)
    assert left[-1] < 0.1 * left[0]
    dearer = [np.maximum(after_fees(books[3], fee, 4_000), 0).sum() for fee in (0, 9_900, 29_900, 99_900)]
    assert dearer == sorted(dearer, reverse=True)
    rings = books[1].accounts >= 10
    assert (after_fees(books[1], 99_900, 4_000)[rings] <= 0).mean() > 0.5
    assert (after_fees(books[UNLIMITED], 0, 4_000)[rings] > 0).mean() > 0.5
