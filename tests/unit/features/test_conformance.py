"""Every feature of the catalogue keeps what the compiler promises; the list comes from the registry."""

from __future__ import annotations

import numpy as np
import pytest

from membergate.learning.features import CATALOGUE, computation
from membergate.testing import (
    Trial,
    check_missing_columns_are_typed,
    check_order_is_irrelevant,
    check_rows_stand_alone,
    example_market,
)
from membergate.testing.conformance import connect


@pytest.fixture(scope="module")
def trial() -> Trial:
    """Compute the whole catalogue once over a small market."""
    return Trial.of(tuple(CATALOGUE.values()), example_market(0))


def test_every_feature_is_seen(trial: Trial) -> None:
    """The market of the checks feeds every feature, so that no check passes for want of values."""
    is_observed = (trial.batch.absences == 0).any(axis=0)
    assert is_observed.all(), np.array(trial.batch.features)[~is_observed]


def test_rows_stand_alone(trial: Trial) -> None:
    """A row computed alone, with everything after its instant removed from the market, equals the batch bit for bit."""
    check_rows_stand_alone(trial)


def test_order_of_rows_is_irrelevant(trial: Trial) -> None:
    """Shuffled tables and one thread instead of two give the same bits."""
    check_order_is_irrelevant(trial)


def test_missing_columns_are_typed(trial: Trial) -> None:
    """Without an optional column, the features that need it are `not_applicable`, and no other is."""
    check_missing_columns_are_typed(trial)


def test_a_long_spine_is_read_like_a_short_one(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long spine is answered in parts, and reads what is shared once for all; what is said of it does not change."""
    monkeypatch.setattr(computation, "PART_ROWS", 7)
    again = trial.again(trial.market)
    assert again.values.tobytes() == trial.batch.values.tobytes()


def test_a_long_spine_leaves_the_connection_as_it_was(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of joins is the writer's while features are computed only, and no table of theirs stays."""
    monkeypatch.setattr(computation, "PART_ROWS", 7)
    connection = connect(trial.market)
    connection.execute("SET disabled_optimizers = 'unused_columns'")
    tables = connection.execute("FROM duckdb_tables()").fetchall()
    computation.compute(connection, trial.spine, trial.norms, trial.operators, trial.features)
    assert connection.execute("SELECT current_setting('disabled_optimizers')").fetchall() == [("unused_columns",)]
    assert [row[:6] for row in connection.execute("FROM duckdb_tables()").fetchall()] == [row[:6] for row in tables]
