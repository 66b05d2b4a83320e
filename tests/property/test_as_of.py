"""Nothing that happens, or becomes known, after an instant can change what was said as of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from membergate.learning.features import CATALOGUE
from membergate.testing import Trial, as_of, check_rows_stand_alone, example_market


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(1, 10_000), orders=st.integers(40, 300))
def test_rows_stand_alone_in_any_market(seed: int, orders: int) -> None:
    """Whatever the market, a row computed alone from its own past equals the batch bit for bit."""
    check_rows_stand_alone(Trial.of(tuple(CATALOGUE.values()), example_market(seed, accounts=15, orders=orders)))


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(1, 10_000), other=st.integers(1, 10_000))
def test_another_future_changes_nothing(seed: int, other: int) -> None:
    """Two markets with one past and different futures give the same answers as of the fork."""
    market, elsewhere = (example_market(number, accounts=15, orders=150) for number in (seed, other))
    trial = Trial.of(tuple(CATALOGUE.values()), market)
    row = int(np.argsort(trial.spine.as_of)[len(trial.spine) // 2])
    fork = trial.spine.as_of[row]
    past = as_of(market, fork)
    forked = {name: pa.concat_tables([past[name], _after(elsewhere[name], name, fork)]) for name in market}
    assert trial.alone(row, forked).values.tobytes() == trial.batch.values[row].tobytes()


def _after(rows: pa.Table, name: str, fork: np.datetime64) -> pa.Table:
    """Take another market's rows from after the fork, under other keys, so that they are new rows and no versions."""
    later = rows.filter(pa.compute.greater(rows["visible_at"], pa.scalar(fork, pa.timestamp("us"))))
    key = later.column_names[0]
    if name in {"accounts", "skus", "addresses"}:
        return later.slice(0, 0)
    renamed = pa.array([f"x{value}" for value in later[key].to_pylist()], type=pa.string())
    return later.set_column(0, key, renamed)
