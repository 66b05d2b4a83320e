"""Computing: a spine, norms and operators in; the feature table out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from membergate.learning.features.catalogue import chosen
from membergate.learning.features.compiler import Compiler
from membergate.learning.features.context import CONTEXT_MEASURES, context_of
from membergate.learning.features.cores import core_tables
from membergate.learning.features.declaration import Feature, Measure, Shrinkage
from membergate.learning.features.derived import CORES, Columns
from membergate.learning.features.lineage import is_computable, measures_of
from membergate.learning.features.norms import Norms
from membergate.learning.features.sharing import INSTANTS, SPINE
from membergate.learning.features.statements import Program, Step
from membergate.learning.features.tables import NOT_APPLICABLE, NOT_OBSERVED, OBSERVED, FeatureTable, Spine, part_of
from membergate.learning.identity import OperatorTable
from membergate.market.schema import TABLES

PART_ROWS = 131_072
"""Rows of a spine that are answered together: what is grouped for them stays in the processor's caches.

A longer spine is taken apart by account, which is how the market's files are sorted; what accounts share is then read
for all of them at once, and in a shorter one for its own things only.
"""


def compute(
    connection: duckdb.DuckDBPyConnection,
    spine: Spine,
    norms: Norms,
    operators: OperatorTable,
    features: Iterable[str | Feature] | None = None,
) -> FeatureTable:
    """Compute features for every row of a spine, each as of its own instant.

    A row's values do not depend on the rest of the batch: computed alone they are the same, bit for bit.

    Parameters
    ----------
    connection
        Holds one view per market table, as `Warehouse.connect` gives it. Temporary tables named `feature_…` and
        `norm_…` are made in it and dropped again.
    spine
        Who is asked about, as of when.
    norms
        What the features are measured against.
    operators
        The operator of each row, as of its instant.
    features
        Feature ids, or declarations that are in no catalogue; the whole catalogue where None. Those that the data
        cannot feed are `not_applicable` in every row.

    Raises
    ------
    BadInputError
        If a feature is unknown.
    """
    wanted = chosen(features)
    columns = market_columns_of(connection)
    _, program = planned(wanted, columns, norms, is_few=len(spine) <= PART_ROWS)
    numbers = measured(connection, spine, operators, norms, program)
    return tabled(connection, spine, operators.operator_ids, numbers, wanted, norms, columns)


def tabled(
    connection: duckdb.DuckDBPyConnection,
    spine: Spine,
    operator_ids: NDArray[Any],
    numbers: Mapping[str, NDArray[Any]],
    wanted: tuple[Feature, ...],
    norms: Norms,
    columns: Columns,
) -> FeatureTable:
    """Turn measures into the feature table: rates, shrinkage, typed absences, context.

    Parameters
    ----------
    connection
        Any; of the market it reads the promotions only.
    spine, operator_ids
        The questions, and the operator of each, shape (n,).
    numbers
        Measure by name, shape (n,) each.
    wanted, norms, columns
        The features, what they are shrunk towards, and what the market has.
    """
    computable = {feature for feature in wanted if f"{feature.id}_value" in numbers}
    context = context_of(connection, spine, numbers, columns)
    values = np.full((len(spine), len(wanted)), np.nan)
    absences = np.full((len(spine), len(wanted)), NOT_APPLICABLE, dtype=np.uint8)
    for column, feature in enumerate(wanted):
        evidence = np.zeros(len(spine))
        if feature in computable:
            values[:, column], absences[:, column], evidence = _valued(feature, numbers, norms)
        context[f"n_eff_{feature.id.lower()}"] = evidence
    ids = tuple(feature.id for feature in wanted)
    return FeatureTable(spine, operator_ids, ids, values, absences, context)


def measured(
    connection: duckdb.DuckDBPyConnection, spine: Spine, operators: OperatorTable, norms: Norms, program: Program
) -> dict[str, NDArray[Any]]:
    """Run a program for a spine and give each measure by row, shape (n,); NaN or None where absent."""
    numbers: dict[str, NDArray[Any]] = {}
    as_of = np.asarray(spine.as_of, dtype="datetime64[us]")
    if not len(spine):
        as_of = np.array(["1970-01-01"], dtype="datetime64[us]")
    connection.execute("SET VARIABLE feature_earliest = ?::TIMESTAMP", [as_of.min().item()])
    connection.execute("SET VARIABLE feature_latest = ?::TIMESTAMP", [as_of.max().item()])
    cores: dict[str, pa.Table] = {}
    if program.words.intersection(CORES):
        columns = market_columns_of(connection)
        cores = core_tables(program.words, columns, as_of, lambda sql: connection.sql(sql).to_arrow_table())
    order = _joined_as_written(connection) if len(spine) > PART_ROWS else nullcontext()
    with order, _standing(connection, norms.tables | cores), _made(connection, program.shared):
        for rows in _parts(spine):
            own, members = part_of(spine, operators, rows)
            with _standing(connection, spine_tables(own, members)):
                for measure, column, at in _answers(connection, program.own):
                    _scatter(numbers, measure, column, rows[at], len(spine))
    return numbers


def _parts(spine: Spine) -> Iterator[NDArray[np.int64]]:
    """Take a spine apart: the rows of each part, by account where there are several."""
    rows = np.arange(len(spine), dtype=np.int64)
    if len(spine) > PART_ROWS:
        rows = pc.sort_indices(pa.array(spine.account_ids.tolist(), type=pa.string())).to_numpy().astype(np.int64)
    for start in range(0, max(len(rows), 1), PART_ROWS):
        yield rows[start : start + PART_ROWS]


def _answers(
    connection: duckdb.DuckDBPyConnection, steps: Iterable[Step]
) -> Iterator[tuple[str, NDArray[Any], NDArray[np.int32]]]:
    """Run steps over the standing spine and give what they measure: name, values, rows."""
    made: set[str] = set()
    try:
        for step in steps:
            if step.table:
                connection.execute(f"CREATE TEMP TABLE {step.table} AS {step.sql}")
                made.add(step.table)
            else:
                columns = connection.execute(step.sql).fetchnumpy()
                for measure in step.measures:
                    yield measure, columns[measure], columns["row_id"]
            for table in step.done_with:
                connection.execute(f"DROP TABLE {table}")
                made.remove(table)
    finally:
        for table in made:
            connection.execute(f"DROP TABLE IF EXISTS {table}")


@contextmanager
def _made(connection: duckdb.DuckDBPyConnection, steps: Iterable[Step]) -> Iterator[None]:
    """Make tables; drop those that only others of them read, and the rest in the end."""
    made: set[str] = set()
    try:
        for step in steps:
            connection.execute(f"CREATE TEMP TABLE {step.table} AS {step.sql}")
            made.add(step.table)
            for table in step.done_with:
                connection.execute(f"DROP TABLE {table}")
                made.remove(table)
        yield
    finally:
        for table in made:
            connection.execute(f"DROP TABLE IF EXISTS {table}")


def spine_tables(spine: Spine, operators: OperatorTable) -> dict[str, pa.Table]:
    """Give the tables of a spine: its rows with the members of their operators, and its instants."""
    as_of = np.asarray(spine.as_of, dtype="datetime64[us]")
    rows = operators.member_rows()
    is_self = operators.member_ids == np.asarray(spine.account_ids, dtype=object)[rows]
    expanded = pa.table(
        {
            "row_id": pa.array(rows.astype(np.int32)),
            "member_no": pa.array((np.arange(len(rows)) - operators.offsets[rows]).astype(np.int32)),
            "subject_id": pa.array(np.asarray(spine.subject_ids, dtype=object)[rows], type=pa.string()),
            "account_id": pa.array(operators.member_ids, type=pa.string()),
            "is_self": pa.array(is_self.astype(np.bool_)),
            "as_of": pa.array(as_of[rows]),
            "operator_size": pa.array(operators.sizes[rows]),
        }
    )
    instants = pa.table({"row_id": pa.array(np.arange(len(spine), dtype=np.int32)), "as_of": pa.array(as_of)})
    return {SPINE: expanded, INSTANTS: instants}


@contextmanager
def _joined_as_written(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Have statements joined in the order in which they are written.

    The order that DuckDB chooses for long spines rests on estimates that are off by a factor of a hundred after three
    joins, and then lines, not goods, are what a table is built of, which made the table of lines dearer.
    """
    before = connection.execute("SELECT current_setting('disabled_optimizers')").fetchall()[0][0]
    connection.execute("SET disabled_optimizers = ?", [",".join(filter(None, (before, "join_order")))])
    try:
        yield
    finally:
        connection.execute("SET disabled_optimizers = ?", [before])


@contextmanager
def _standing(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table]) -> Iterator[None]:
    """Stand tables up as temporary ones, and take them down again."""
    try:
        for name, table in tables.items():
            connection.register("feature_incoming", table)
            connection.execute(f"CREATE TEMP TABLE {name} AS FROM feature_incoming")
            connection.unregister("feature_incoming")
        yield
    finally:
        for name in tables:
            connection.execute(f"DROP TABLE IF EXISTS {name}")


def market_columns_of(connection: duckdb.DuckDBPyConnection) -> Columns:
    """Give, for each market table that the connection knows, its canonical columns."""
    found: dict[str, tuple[str, ...]] = {}
    for table, column in connection.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal ORDER BY table_name, column_index"
    ).fetchall():
        if table in TABLES and column in TABLES[table].column_names:
            found[table] = (*found.get(table, ()), column)
    return found


def shrunk(
    values: NDArray[np.float64], evidence: NDArray[np.float64], prior: float, shrinkage: Shrinkage
) -> NDArray[np.float64]:
    """Pull rates towards the prior: `(rate * evidence + strength * prior) / (evidence + strength)`."""
    pulled: NDArray[np.float64] = (values * evidence + shrinkage.strength * prior) / (evidence + shrinkage.strength)
    return pulled


def planned(
    wanted: tuple[Feature, ...], columns: Columns, norms: Norms, *, is_few: bool
) -> tuple[frozenset[Feature], Program]:
    """Compile what the columns can feed: the features that can be computed, and the program of their measures."""
    return _planned(wanted, tuple(columns.items()), tuple(norms.scalars.items()), is_few=is_few)


@lru_cache(maxsize=16)
def _planned(
    wanted: tuple[Feature, ...],
    columns: tuple[tuple[str, tuple[str, ...]], ...],
    scalars: tuple[tuple[str, float], ...],
    *,
    is_few: bool,
) -> tuple[frozenset[Feature], Program]:
    """Compile what the columns can feed. Kept, because a door asks the same thing of every applicant."""
    there = dict(columns)
    computable = [feature for feature in wanted if all(is_computable(m, there) for m in measures_of(feature))]
    measures = {key: measure for feature in computable for key, measure in named_measures(feature).items()}
    measures |= {name: measure for name, measure in CONTEXT_MEASURES.items() if is_computable(measure, there)}
    return frozenset(computable), Compiler(there, dict(scalars), is_few=is_few).compile(measures)


def named_measures(feature: Feature) -> dict[str, Measure]:
    """Name the measures of a feature for the compiler: value, evidence, what it is divided by, denominator."""
    parts = {"value": feature.value, "evidence": feature.evidence_count, "per": feature.per}
    parts["denominator"] = feature.denominator
    return {f"{feature.id}_{part}": measure for part, measure in parts.items() if measure is not None}


def rate_of(feature: Feature, numbers: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Give a feature's values before shrinkage, shape (n,); NaN where there is nothing to divide by."""
    values: NDArray[np.float64] = numbers[f"{feature.id}_value"]
    if feature.per is None:
        return values
    over: NDArray[np.float64] = numbers[f"{feature.id}_per"]
    is_there = np.isfinite(over) & (over > 0)
    return np.where(is_there, np.nan_to_num(values, nan=0.0) / np.where(is_there, over, 1.0), np.nan)


def _valued(
    feature: Feature, numbers: Mapping[str, NDArray[Any]], norms: Norms
) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.float64]]:
    """Turn a feature's measures into values, absences and the evidence behind them."""
    values = rate_of(feature, numbers)
    evidence = np.nan_to_num(numbers[f"{feature.id}_evidence"], nan=0.0)
    if feature.shrinkage is not None:
        denominator = numbers[f"{feature.id}_denominator"]
        values = shrunk(values, denominator, norms.priors.get(feature.id, 0.0), feature.shrinkage)
    if feature.value_of_nothing is not None:
        # Whether there is evidence enough is asked below, whatever the value.
        values = np.where(np.isnan(values), feature.value_of_nothing, values)
    is_there = np.isfinite(values) & (evidence >= feature.minimum_evidence)
    absences = np.where(is_there, OBSERVED, NOT_OBSERVED).astype(np.uint8)
    return np.where(is_there, values, np.nan), absences, evidence


def _scatter(
    numbers: dict[str, NDArray[Any]], measure: str, column: NDArray[Any], rows: NDArray[np.int64], n: int
) -> None:
    """Lay one measure out by row."""
    values, is_missing = np.ma.getdata(column), np.ma.getmask(column)
    if values.dtype != object:
        values = values.astype(np.float64)
        values[is_missing] = np.nan
    elif is_missing is not np.ma.nomask:
        values[is_missing] = None
    empty = None if values.dtype == object else np.nan
    numbers.setdefault(measure, np.full(n, empty, dtype=values.dtype))[rows] = values
