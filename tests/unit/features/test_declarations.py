"""Declarations: what they need is read off their SQL, and what they may not say is refused."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from membergate.domain.errors import BadInputError
from membergate.domain.evidence import Absence
from membergate.learning.features import CATALOGUE, STARTER, Spine, availability, compute, evidence_name, fit_norms
from membergate.learning.features.compiler import Compiler
from membergate.learning.features.declaration import Measure
from membergate.learning.features.expressions import parse, render, with_our_words
from membergate.market.schema import TABLES
from membergate.testing import FIRST_DAY, Trial, check_feature, connect, example_market, example_questions

EVERYTHING = {name: table.column_names for name, table in TABLES.items()}
WANTS_MORE = {
    "A4", "A5", "A7", "B5", "B7", "C4", "C6", "D1", "D2", "D7", "D8", "D9", "E1", "E2", "E3", "E4", "E5", "E6", "E7",
    "E8", "E9", "E10", "F1", "F2", "F3", "F4", "F5", "F6", "F7", "G1", "H2", "H3", "H4", "H7", "H8", "H9", "H10", "H11",
    "I1", "I2", "I3", "I4", "I5", "I6", "J1", "J2", "J3", "J4", "J5", "J6", "J7", "J8", "K1", "K2", "K3", "K5", "K6",
    "L1", "L3", "L4", "M1", "M2", "M3", "M4", "M6",
}  # fmt: skip
"""Features that need a column, or a table, which a market may lack."""
REQUIRED = {name: table.required_columns for name, table in TABLES.items() if table.is_required}


def test_evidence_names_are_the_catalogues() -> None:
    """Policies read a feature as its id and name."""
    assert evidence_name(CATALOGUE["D5"]) == "d5_arbitrage_profit_90d_minor"
    assert set(STARTER) < set(CATALOGUE)
    assert len(STARTER) == 18


def test_everything_is_computable_from_everything() -> None:
    """A market with every table and column lacks nothing."""
    assert all(entry.is_computable and not entry.improved_by for entry in availability(EVERYTHING))


def test_what_is_missing_is_named() -> None:
    """Without shipments H7 says which columns it lacks; without a market price D4 works and says it would be better."""
    poorer = {name: columns for name, columns in EVERYTHING.items() if name != "shipments"}
    poorer["skus"] = tuple(column for column in poorer["skus"] if column != "market_price_minor")
    found = {entry.feature.id: entry for entry in availability(poorer)}
    assert found["H7"].missing == ("shipments.address_id", "shipments.delivered_at", "shipments.order_id")
    assert found["D4"].is_computable
    assert found["D4"].improved_by == ("skus.market_price_minor",)


def test_required_columns_alone_feed_the_core() -> None:
    """Required tables and columns feed what asks for no limit, promotion, recipient, place or trace."""
    missing = {entry.feature.id for entry in availability(REQUIRED) if not entry.is_computable}
    assert missing == WANTS_MORE


def test_required_columns_alone_compute() -> None:
    """The same, really computed: those are `not_applicable`, the others have values, context is complete."""
    market = {
        name: rows.select([c for c in rows.column_names if c not in EVERYTHING[name] or c in REQUIRED[name]])
        for name, rows in example_market(0).items()
        if name in REQUIRED
    }
    norms = fit_norms(connect(market), FIRST_DAY.replace(month=4))
    spine, operators = example_questions(example_market(0))
    table = compute(connect(market), spine, norms, operators)
    absent = {
        feature
        for feature in table.features
        if all(table.absence(row, feature) is Absence.NOT_APPLICABLE for row in range(len(spine)))
    }
    assert absent == WANTS_MORE
    assert set(table.context["regime"]) == {"ordinary"}
    assert np.isfinite(table.column("D5")).any()


def test_unknown_features_are_refused() -> None:
    """Asking for a feature that is not in the catalogue names those that are."""
    market = example_market(0)
    norms = fit_norms(connect(market), FIRST_DAY.replace(month=4), ["A2"])
    spine, operators = example_questions(market)
    with pytest.raises(BadInputError, match="no feature Z9"):
        compute(connect(market), spine, norms, operators, ["Z9"])


def test_a_spine_is_checked() -> None:
    """Three columns of one length, and an instant in every row."""
    one = np.array(["a"], dtype=object)
    with pytest.raises(BadInputError, match="as many subjects"):
        Spine(one, one, np.array([], dtype="datetime64[us]"))
    with pytest.raises(BadInputError, match="no instant"):
        Spine(one, one, np.array(["NaT"], dtype="datetime64[us]"))


@pytest.mark.parametrize("sql", ["AVG(units)", "STDDEV(units)", "SUM(units) / AVG(units)"])
def test_inexact_aggregates_are_refused(sql: str) -> None:
    """An aggregate whose last bit depends on the order of rows does not compile."""
    with pytest.raises(BadInputError, match="order of rows"):
        Compiler(EVERYTHING, {}).compile({"x": Measure("line", sql)})


@pytest.mark.parametrize("column", ["ordered_at", "status", "as_of", "visible_at"])
def test_expressions_see_only_their_grain(column: str) -> None:
    """Raw market columns, instants and mutable states are not in any grain."""
    with pytest.raises(BadInputError, match="has no column"):
        availability_error(f"MAX({column})")


def availability_error(sql: str) -> None:
    """Compile a feature that reads what it may not."""
    check_feature(replace(CATALOGUE["B4"], sql=sql, shrinkage=None))


def test_a_declared_feature_conforms() -> None:
    """A feature outside the catalogue is computed and checked like one inside."""
    feature = replace(CATALOGUE["A3"], id="Z1", name="lines", sql="SUM(lines)", evidence="COUNT(*)", window_days=30)
    check_feature(feature)
    trial = Trial.of((feature,), example_market(0))
    assert trial.batch.features == ("Z1",)


@settings(deadline=None)  # a database that is opened while others work may take its time
@given(
    st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=50),
    st.randoms(use_true_random=False),
)
def test_fixed_sums_do_not_depend_on_order(values: list[float], random: object) -> None:
    """A fixed-point sum has the same bits in any order, and is right to its step."""
    sql = render(with_our_words(parse("FIXED_SUM(x)"), {}))
    connection = duckdb.connect()
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # a random.Random
    sums = [
        connection.execute(f"SELECT {sql} FROM (SELECT UNNEST($values::DOUBLE[]) AS x)", {"values": some}).fetchall()[
            0
        ][0]
        for some in (values, shuffled)
    ]
    assert sums[0] == sums[1]
    assert sums[0] == pytest.approx(np.sum(values), abs=len(values) / 2**20, rel=1e-9)
