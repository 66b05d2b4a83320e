"""What makes the market hard as a whole: density, context, selective labels, and what caps and fees deter."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.deterrence import after_fees, books_under
from benchmarks.realism_certificates import violations
from benchmarks.realism_worlds import (
    Applicants,
    applicants_of,
    densest_precision,
    dips,
    innocent_places,
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


def test_rings_break_certificates_that_take_accounts_for_independent() -> None:
    """Where merchants are organised, such certificates fail beyond their level and chance; without rings they hold."""
    together, apart = violations(50, 2_000, rings=True), violations(25, 2_000, rings=False)
    assert together.interval[0] > 0.05
    assert apart.interval[0] <= 0.05
    assert together.uncertified < 25


def test_a_naive_rule_on_shared_places_would_hit_the_innocent(world: World) -> None:
    """Of the places that many accounts share, most are mostly genuine, and so are refused wrongly."""
    assert innocent_places(world) >= 0.8


def test_who_stocks_up_stays_away_and_who_resells_comes_back(world: World) -> None:
    """After Double Eleven families, bargain hunters, students and group leaders order less, and merchants do not."""
    found = {name.split()[3]: ratio for name, ratio in dips(world).items()}
    assert max(found[code] for code in ("G2", "G3", "G6", "G10")) < 0.93
    assert min(found[code] for code in ("M1", "M2", "M4")) > 0.93


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
