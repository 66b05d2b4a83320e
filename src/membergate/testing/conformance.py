"""The checks of a feature: asked alone or in company, early or late, in any order, it answers the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from membergate.domain.evidence import Absence
from membergate.learning.features import Feature, FeatureTable, Norms, Spine, compute, fit_norms, needs, uses
from membergate.learning.features.lineage import availability_of, measures_of
from membergate.learning.identity import OperatorTable
from membergate.market.schema import TABLES
from membergate.testing.example_market import FIRST_DAY, example_market

Market = Mapping[str, pa.Table]
"""Table name -> rows in the form of the warehouse's views, version columns and inherited keys included."""


def check_feature(*features: Feature, market: Market | None = None) -> None:
    """Hold features to what the as-of compiler promises.

    Parameters
    ----------
    *features
        Declarations, in the catalogue or not.
    market
        The market to try them on; `example_market(0)` where None.

    Raises
    ------
    AssertionError
        If a value changes with rows of the future, with the batch, with the order of rows or with threads, or if a
        missing column does not end in a typed absence of just the features that need it.
    """
    trial = Trial.of(features, market or example_market(0))
    for column, feature in enumerate(features):
        _demand(bool(np.isfinite(trial.batch.values[:, column]).any()), f"{feature.id} is absent from the whole market")
    check_rows_stand_alone(trial)
    check_order_is_irrelevant(trial)
    check_missing_columns_are_typed(trial)


@dataclass(frozen=True)
class Trial:
    """Features computed once over a market, to be compared with what they should equal.

    Parameters
    ----------
    features
        What is tried.
    market
        What it is tried on.
    spine, operators, norms
        The questions and what they are measured against.
    batch
        The answers.
    """

    features: tuple[Feature, ...]
    market: Market
    spine: Spine
    operators: OperatorTable
    norms: Norms
    batch: FeatureTable

    @classmethod
    def of(cls, features: tuple[Feature, ...], market: Market) -> Self:
        """Fit norms early in the market, and compute the features of every application."""
        norms = fit_norms(connect(market), FIRST_DAY.replace(month=4), features)
        spine, operators = example_questions(market)
        return cls(
            features, market, spine, operators, norms, compute(connect(market), spine, norms, operators, features)
        )

    def again(self, market: Market, features: tuple[Feature, ...] = (), *, threads: int = 2) -> FeatureTable:
        """Compute the same questions from another market; of all features where none are named."""
        connection = connect(market, threads=threads)
        return compute(connection, self.spine, self.norms, self.operators, features or self.features)

    def alone(self, row: int, market: Market) -> FeatureTable:
        """Compute one question by itself."""
        one, members = slice(row, row + 1), np.array(self.operators.members(row), dtype=object)
        spine = Spine(self.spine.subject_ids[one], self.spine.account_ids[one], self.spine.as_of[one])
        operators = OperatorTable(
            self.operators.operator_ids[one], self.operators.sizes[one], members, np.array([0, len(members)])
        )
        return compute(connect(market), spine, self.norms, operators, self.features)


def check_rows_stand_alone(trial: Trial) -> None:
    """Compute every seventh row alone, in a market from which all that lies after its instant is removed."""
    for row in range(0, len(trial.spine), 7):
        past = as_of(trial.market, trial.spine.as_of[row])
        _same(trial.alone(row, past), 0, trial.batch, row, "the future or the batch changes")


def check_order_is_irrelevant(trial: Trial) -> None:
    """Compute the batch again from shuffled rows on one thread."""
    generator = np.random.default_rng(1)
    shuffled = {name: table.take(generator.permutation(table.num_rows)) for name, table in trial.market.items()}
    again = trial.again(shuffled, threads=1)
    for row in range(len(trial.spine)):
        _same(again, row, trial.batch, row, "the order of rows changes")


def check_missing_columns_are_typed(trial: Trial) -> None:
    """Take away each optional column: of those who read it, who needs it must say `not_applicable`, and nobody else."""
    reads = {feature.id: uses(measures_of(feature)) for feature in trial.features}
    for reference in sorted(needs(m for feature in trial.features for m in measures_of(feature))):
        table, column = reference.split(".")
        if TABLES[table].is_required and TABLES[table].column(column).is_required:
            continue
        poorer = without(trial.market, table, column)
        columns = {name: tuple(rows.column_names) for name, rows in poorer.items()}
        readers = tuple(feature for feature in trial.features if reference in reads[feature.id])
        answer = trial.again(poorer, readers)
        for feature in readers:
            said = {answer.absence(row, feature.id) for row in range(len(trial.spine))}
            is_typed = said == {Absence.NOT_APPLICABLE}
            is_missing = not availability_of(feature, columns).is_computable
            _demand(is_typed == is_missing, f"{feature.id} without {reference}: {said}")


def without(market: Market, table: str, column: str) -> dict[str, pa.Table]:
    """Give the market without a column; without the whole table, where the column is required in it."""
    if TABLES[table].column(column).is_required:
        return {name: rows for name, rows in market.items() if name != table}
    return {name: rows.drop_columns([column]) if name == table else rows for name, rows in market.items()}


def connect(market: Market, *, threads: int = 2) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB with one view per table of the market, as a warehouse gives it."""
    connection = duckdb.connect(":memory:", config={"threads": threads})
    connection.execute("SET TimeZone = 'UTC'")
    for name, rows in market.items():
        connection.register(f"rows_of_{name}", rows)
        connection.execute(f'CREATE TABLE "{name}" AS FROM rows_of_{name}')
        connection.unregister(f"rows_of_{name}")
    return connection


def as_of(market: Market, instant: np.datetime64) -> dict[str, pa.Table]:
    """Remove every row that is not visible yet at an instant; what supersedes a row later is removed with it."""
    cut = pa.scalar(instant.astype("datetime64[us]"), type=pa.timestamp("us"))
    past: dict[str, pa.Table] = {}
    for name, rows in market.items():
        seen = rows.filter(pc.less_equal(rows["visible_at"], cut))
        later = pc.greater(seen["superseded_at"], cut)
        never = pa.scalar(None, pa.timestamp("us"))
        known = pc.if_else(pc.fill_null(later, fill_value=False), never, seen["superseded_at"])
        past[name] = seen.set_column(seen.column_names.index("superseded_at"), "superseded_at", known)
    return past


def example_questions(market: Market) -> tuple[Spine, OperatorTable]:
    """Give the example market's applications as a spine; of every three accounts, two are one operator."""
    applications = market["applications"]
    accounts = np.array(applications["account_id"].to_pylist(), dtype=object)
    spine = Spine(
        np.array(applications["application_id"].to_pylist(), dtype=object),
        accounts,
        applications["submitted_at"].to_numpy(),
    )
    members = [_operator_of(account, len(accounts)) for account in accounts.tolist()]
    sizes = np.array([len(pair) for pair in members], dtype=np.int64)
    return spine, OperatorTable(
        np.array([f"op-{pair[0]}" for pair in members], dtype=object),
        sizes,
        np.array([account for pair in members for account in pair], dtype=object),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
    )


def _operator_of(account: str, accounts: int) -> tuple[str, ...]:
    """Of every three accounts, the first two are one operator."""
    number = int(account.removeprefix("a"))
    first = number - number % 3
    is_paired = number - first < 2 and first + 1 < accounts  # noqa: PLR2004 # the first two
    return (f"a{first}", f"a{first + 1}") if is_paired else (account,)


def _same(answer: FeatureTable, at: int, batch: FeatureTable, row: int, complaint: str) -> None:
    """Compare one row bit for bit: values, absences and context."""
    for column, feature in enumerate(batch.features):
        found, expected = answer.values[at, column], batch.values[row, column]
        _demand(found.tobytes() == expected.tobytes(), f"{complaint} {feature}: {found} is not {expected}, row {row}")
    _demand((answer.absences[at] == batch.absences[row]).all(), f"{complaint} an absence, row {row}")
    for name, known in batch.context.items():
        found, expected = answer.context[name][at], known[row]
        _demand(str(found) == str(expected), f"{complaint} {name}: {found} is not {expected}, row {row}")


def _demand(holds: bool, complaint: str) -> None:
    """Raise even where Python runs without its own assertions."""
    if not holds:
        raise AssertionError(complaint)
