"""Spending thresholds are inferred from bunched totals, and from nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from membergate.learning.features.norm_thresholds import bunched, thresholds
from membergate.testing import as_of, connect, example_market


def _counted(totals: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[tuple[int, int]]:
    return bunched(*np.unique(totals, return_counts=True))


def test_smooth_totals_have_no_threshold() -> None:
    """Neither a smooth law of totals nor one popular price is bunching."""
    draw = np.random.default_rng(3)
    smooth = np.exp(draw.normal(9.5, 0.8, 60_000)).astype(np.int64)
    assert _counted(smooth) == []
    assert _counted(np.concatenate([smooth, np.full(4_000, 9_900)])) == []


def test_bunching_is_found_where_it_is() -> None:
    """People who lie less than 10 % below 19,900 fill their orders up to a little more: that is the threshold."""
    draw = np.random.default_rng(3)
    totals = np.exp(draw.normal(9.5, 0.8, 60_000)).astype(np.int64)
    fills = (totals >= 17_900) & (totals < 19_900) & (draw.random(len(totals)) < 0.7)
    totals[fills] = 19_900 + (draw.random(int(fills.sum())) * 590).astype(np.int64)
    assert _counted(totals) == [(19_900, 20_497)]


def test_thresholds_are_those_of_the_past() -> None:
    """The norms' table has its columns where nothing bunches, and no later order adds to it."""
    market = example_market(0)
    instant = np.datetime64("2025-04-01", "us")
    columns = {name: tuple(rows.column_names) for name, rows in market.items()}
    found, past = (
        thresholds(connect(tables), instant.astype(object), columns) for tables in (market, as_of(market, instant))
    )
    assert found.schema.names == ["currency", "amount_key", "ceiling_minor"]
    assert found.equals(past)
    assert isinstance(found, pa.Table)
