"""Why a row is not loaded, and where it goes instead: every refused row is kept, with its reason, and counted."""

from __future__ import annotations

from enum import StrEnum

import duckdb

from membergate.market.schema import Table
from membergate.market.warehouse import literal

SHOWN_CHARACTERS = 80
"""How much of an offending value the quarantine and the errors show."""


class Reason(StrEnum):
    """Why a row was refused. The value is the stable code that reports and the quarantine table carry."""

    MALFORMED_ROW = "malformed_row"
    MISSING_VALUE = "missing_value"
    WRONG_TYPE = "wrong_type"
    UNPARSABLE_TIME = "unparsable_time"
    TIME_WITHOUT_ZONE = "time_without_zone"
    FRACTIONAL_MONEY = "fractional_money"
    NON_POSITIVE_QUANTITY = "non_positive_quantity"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_VALUE = "unknown_value"
    OVERSIZED_ID = "oversized_id"
    EVENT_IN_FUTURE = "event_in_future"
    OTHER_CURRENCY = "other_currency"
    CONFLICTING_DUPLICATE = "conflicting_duplicate"
    CHANGED_IDENTITY = "changed_identity"
    ORPHAN = "orphan"
    PARENT_QUARANTINED = "parent_quarantined"
    TOTAL_MISMATCH = "total_mismatch"

    @property
    def meaning(self) -> str:
        """What is wrong with the row, and what would make it right, in one sentence."""
        return _MEANINGS[self]


_MEANINGS = {
    Reason.MALFORMED_ROW: "the line is no record of this file: too many or too few fields, or broken quotes",
    Reason.MISSING_VALUE: "a required column is empty in this row",
    Reason.WRONG_TYPE: "the value is not of the column's type",
    Reason.UNPARSABLE_TIME: (
        "the value is no ISO 8601 instant; for another notation, or numbers since 1970, give an expression in a mapping"
    ),
    Reason.TIME_WITHOUT_ZONE: (
        "the instant has no UTC offset although others in its column have; declare time_zone in a mapping"
    ),
    Reason.FRACTIONAL_MONEY: (
        "money is counted in whole minor units (cents); for amounts in the major unit declare `unit: major` in a mapping"
    ),
    Reason.NON_POSITIVE_QUANTITY: "a quantity is at least 1; what went back belongs in `returns`",
    Reason.OUT_OF_RANGE: "the value lies outside the range that the column allows",
    Reason.UNKNOWN_VALUE: "the value is none of the words that the column may take",
    Reason.OVERSIZED_ID: "the id is longer than any real id",
    Reason.EVENT_IN_FUTURE: "the row says that it happened more than a day after it was known",
    Reason.OTHER_CURRENCY: "the order is in another currency than the market; split the market, or convert its money",
    Reason.CONFLICTING_DUPLICATE: (
        "another row has the same key and was known at the same time, but says otherwise; the first one is kept"
    ),
    Reason.CHANGED_IDENTITY: "a later version of the row names another parent or, for an order, another time",
    Reason.ORPHAN: "the row that it belongs to is not in the market",
    Reason.PARENT_QUARANTINED: "the row that it belongs to was itself quarantined",
    Reason.TOTAL_MISMATCH: (
        "the order's total is neither the sum of its lines nor anything that discounts, shipping and taxes explain"
    ),
}


class Quarantine:
    """The rows of one ingest that were refused, while it runs.

    Parameters
    ----------
    connection
        The ingest's connection; the rows are noted in a temporary table of it.
    """

    relation = "refused_rows"
    """Name of the table: table_name, seq, row_key, reason, column_name, value."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        connection.execute(
            f"CREATE TABLE {self.relation} "
            "(table_name VARCHAR, seq BIGINT, row_key VARCHAR, reason VARCHAR, column_name VARCHAR, value VARCHAR)"
        )

    def refuse(
        self, table: Table, rows: str, *, reason: Reason | None = None, column: str = "", value: str = "NULL"
    ) -> None:
        """Note rows as refused.

        Parameters
        ----------
        table
            The table that they were meant for.
        rows
            SQL relation with the table's key columns and `_seq`; with `_reason`, `_column` and `_value` where no
            `reason` is given.
        reason, column, value
            Why; the column it is about; and SQL of the offending value.
        """
        why = "_reason, _column, _value"
        if reason is not None:
            why = f"{literal(reason)}, {literal(column)}, left(CAST({value} AS VARCHAR), {SHOWN_CHARACTERS})"
        self._connection.execute(
            f"INSERT INTO {self.relation} SELECT {literal(table.name)}, _seq, {key_text(table)}, {why} FROM {rows}"
        )

    def of(self, table: Table) -> str:
        """Give the relation of what was refused of a table."""
        return f"(SELECT * FROM {self.relation} WHERE table_name = {literal(table.name)})"

    def counts(self, table: Table) -> dict[str, int]:
        """Give how many rows of a table were refused for each reason, the most frequent first."""
        found = self._connection.execute(
            f"SELECT reason, count(*) FROM {self.of(table)} GROUP BY reason ORDER BY count(*) DESC, reason"
        ).fetchall()
        return {reason: count for reason, count in found}


def key_text(table: Table) -> str:
    """Give the SQL of a row's key as one text; for a key of one column it is the id itself."""
    return f"concat_ws(' / ', {', '.join(table.key)})"
