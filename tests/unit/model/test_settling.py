"""Little history says how little it knows: intervals widen with it, and scores settle inside as often as said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest

from membergate.learning.model import load_model, save_model
from membergate.learning.model.settling import EDGES, LEVEL, Settling, earlier_instants, has_grown

if TYPE_CHECKING:  # pytest would take a class of this name for a test
    from pathlib import Path

    from tests.unit.model.conftest import Population

    from membergate.learning.model import IdentificationModel


def movements(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw orders, and movements that are the smaller the more orders there are."""
    generator = np.random.default_rng(seed)
    orders = np.floor(generator.exponential(12.0, rows))
    return orders, generator.normal(0.1, 2.0 / np.sqrt(1.0 + orders))


def test_settles_inside_as_often_as_said() -> None:
    """In every band of history, at least the nominal share of fresh movements lies inside, and not far more."""
    learned = Settling.fit(*movements(6_000, 0))
    assert learned is not None
    orders, movement = movements(20_000, 1)
    low, high = learned.around(np.zeros(orders.size), orders)
    inside = (low <= movement) & (movement <= high)
    for band in range(EDGES.size + 1):
        rows = np.digitize(orders, EDGES) == band
        share = binomtest(int(inside[rows].sum()), int(rows.sum())).proportion_ci(0.999)
        assert share.high > LEVEL
        assert share.low < LEVEL + 0.12  # a band holds many numbers of orders, and never moves less than the next


def test_the_less_was_seen_the_wider() -> None:
    """Whatever moved by chance, no band is narrower than one with more history; a few movements say nothing."""
    orders, movement = movements(3_000, 2)
    movement[orders > 20] *= 9.0
    learned = Settling.fit(orders, movement)
    assert learned is not None
    assert np.all(np.diff(learned.down) >= 0)
    assert np.all(np.diff(learned.up) <= 0)
    assert np.all(learned.down <= 0)
    assert np.all(learned.up >= 0)
    assert Settling.fit(orders[:199], movement[:199]) is None
    few = Settling.fit(np.zeros(300), np.linspace(-1.0, 1.0, 300))  # nobody had any history: all bands move as they did
    assert few is not None
    assert len(set(few.up.tolist())) == 1


def test_three_orders_are_surer_than_none_and_less_than_three_hundred(
    people: Population, reviewed: IdentificationModel, unlabelled: IdentificationModel, tmp_path: Path
) -> None:
    """At the same margin, the interval of 3 orders is wider than that of 300, labels or none, stored or fresh."""
    learned = Settling.fit(*movements(6_000, 0))
    for model in (replace(reviewed, settling=learned), reviewed, replace(unlabelled, settling=learned), unlabelled):
        version = save_model(model, tmp_path)
        for judge in (model, load_model(tmp_path / version)):
            widths = []
            for orders in (0.0, 3.0, 300.0):
                context = people.table.context | {"orders": np.full(len(people.is_merchant), orders)}
                said = judge.witness(replace(people.table, context=context))
                width = said.probability_high - said.probability_low
                middle = said.uncalibrated_probability if model.calibration is None else said.merchant_probability
                assert np.all(said.probability_low <= middle)
                assert np.all(middle <= said.members_probability_high)
                assert np.all(said.members_probability_high <= said.probability_high)
                widths.append(width[(middle > 0.05) & (middle < 0.5)].mean())
            assert widths[1] > 1.1 * widths[2]
            assert widths[0] > widths[2]


def test_looking_back_takes_history_away() -> None:
    """Instants lie within the history; who has none is not asked; growth is at least a doubling and three orders."""
    as_of = np.full(3, np.datetime64("2025-06-01", "us"))
    looks = list(earlier_instants(as_of, np.array([100.0, 3.0, 10.0])))
    assert len(looks) == 3
    for rows, instants in looks:
        assert rows.tolist() == [0, 2]
        back = (as_of[rows] - instants) / np.timedelta64(1, "D")
        assert np.all((back > 0) & (back < [100.0, 10.0]))
    assert has_grown(np.array([0.0, 1, 1, 10, 10]), np.array([3.0, 3, 4, 19, 20])).tolist() == [
        True,
        False,
        True,
        False,
        True,
    ]
