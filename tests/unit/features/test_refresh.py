"""A daily refresh asks only those of whom anything became known, and then equals the full computation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from membergate.learning.features import CATALOGUE, LEARNED, Spine, compute
from membergate.learning.features.computation import market_columns_of
from membergate.learning.features.refresh import to_ask_again, touched_accounts
from membergate.testing import Trial, as_of, connect, example_market

TRIAL = Trial.of(tuple(CATALOGUE[name] for name in LEARNED), example_market(0))


@settings(max_examples=5, deadline=None)
@given(st.integers(100, 180), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_a_refreshed_table_equals_the_full_one(first: int, steps: list[int]) -> None:
    """Whatever the days of refresh: each account's values are those of a full computation as of its last change."""
    trial, opening = TRIAL, np.datetime64("2025-01-01", "us")
    days = [opening + np.timedelta64(day, "D") for day in np.cumsum([first, *steps])]
    accounts = trial.spine.account_ids
    last = np.full(len(accounts), days[0])
    values = _values(trial, as_of(trial.market, days[0]), last)
    for since, until in pairwise(days):
        known = as_of(trial.market, until)
        connection = connect(known)
        again = to_ask_again(trial.operators, touched_accounts(connection, market_columns_of(connection), since, until))
        last[again] = until
        values[again] = _values(trial, known, last)[again]
    assert values.tobytes() == _values(trial, trial.market, last).tobytes()


def test_only_accounts_with_something_new_are_touched() -> None:
    """In two days not everyone does anything, and over the whole market everyone has."""
    connection = connect(TRIAL.market)
    columns, start = market_columns_of(connection), np.datetime64("2025-03-01", "us")
    few = touched_accounts(connection, columns, start, start + np.timedelta64(6, "h"))
    everyone = touched_accounts(
        connection, columns, np.datetime64("1970-01-01", "us"), np.datetime64("2030-01-01", "us")
    )
    assert set(TRIAL.spine.account_ids.tolist()) <= everyone
    assert 0 < len(few) < len(everyone)


def _values(
    trial: Trial, market: object, instants: np.ndarray[tuple[int], np.dtype[np.datetime64]]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    spine = Spine(trial.spine.subject_ids, trial.spine.account_ids, instants)
    table = compute(connect(market), spine, trial.norms, trial.operators, trial.features)  # type: ignore[arg-type] # a market
    return table.values
