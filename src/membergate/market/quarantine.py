"""Why a row is not loaded, and where it goes instead: every refused row is kept, with its reason, and counted."""

from __future__ import annotations

from enum import StrEnum

import duckdb

from membergate.market.declaring import Table
from membergate.market.sources import FILE_STRIDE, Opened
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
    NUL_IN_ID = "nul_in_id"
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
        "money is counted in whole minor units (cents); for amounts in the major unit give `unit: major` in a mapping"
    ),
    Reason.NON_POSITIVE_QUANTITY: "a quantity is at least 1; what went back belongs in `returns`",
    Reason.OUT_OF_RANGE: "the value lies outside the range that the column allows",
    Reason.UNKNOWN_VALUE: "the value is none of the words that the column may take",
    Reason.OVERSIZED_ID: "the id is longer than any real id",
    Reason.NUL_IN_ID: "the id holds a NUL byte, which databases refuse; take it out before, or in a mapping",
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


STORED = {
    "table_name": "VARCHAR",
    "row_key": "VARCHAR",
    "reason": "VARCHAR",
    "column_name": "VARCHAR",
    "value": "VARCHAR",
    "file": "VARCHAR",
    "row_number": "BIGINT",
    "raw_row": "VARCHAR",
}
"""Columns of the quarantine: the table that a row was meant for, its key, why it was refused, the column and shortened
value at fault, the file and the place in it (a record's number; of a malformed line its own), the raw row as JSON."""


class Quarantine:
    """The rows of one ingest that were refused, while it runs.

    Parameters
    ----------
    connection
        The ingest's connection; the rows are noted in a temporary table of it.
    """

    relation = "refused_rows"
    """Name of the table: table_name, seq, row_key, reason, column_name, value."""
    written = "refused_rows_written"
    """Name of the table in which the refused rows are put together as they are stored."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        connection.execute(
            f"CREATE TABLE {self.relation} "
            "(table_name VARCHAR, seq BIGINT, row_key VARCHAR, reason VARCHAR, column_name VARCHAR, value VARCHAR)"
        )
        connection.execute(
            f"CREATE TABLE {self.written} ({', '.join(f'{name} {kind}' for name, kind in STORED.items())})"
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

    def write_out(self, table: Table, opened: Opened) -> None:
        """Put together what is stored of a table's refused rows: the reason, where each came from, and the raw row."""
        labels = ", ".join(literal(label) for label in opened.labels)
        raw = ", ".join(f"{_quoted(name)} := {_quoted(name)}" for name in opened.columns)
        self._connection.execute(
            f"INSERT INTO {self.written} SELECT table_name, row_key, reason, column_name, value, "
            f"[{labels}][CAST(seq // {FILE_STRIDE} AS INTEGER) + 1], seq % {FILE_STRIDE} + 1, raw_row "
            f"FROM {self.of(table)} JOIN (SELECT _seq AS seq, CAST(to_json(struct_pack({raw})) AS VARCHAR) AS raw_row "
            f"FROM {opened.relation} WHERE _seq IN (SELECT seq FROM {self.of(table)})) USING (seq)"
        )
        if opened.malformed:
            # Lists as parameters: registering a frame would import pandas, if it is there, for seconds.
            self._connection.execute(
                f"INSERT INTO {self.written} "
                f"SELECT {literal(table.name)}, NULL, {literal(Reason.MALFORMED_ROW)}, NULL, "
                f"left(unnest(?), {SHOWN_CHARACTERS}), {literal(opened.labels[0])}, unnest(?), "
                "CAST(to_json({'line': unnest(?)}) AS VARCHAR)",
                [
                    [row.problem for row in opened.malformed],
                    [row.line for row in opened.malformed],
                    [row.text for row in opened.malformed],
                ],
            )

    def of(self, table: Table) -> str:
        """Give the relation of what was refused of a table."""
        return f"(SELECT * FROM {self.relation} WHERE table_name = {literal(table.name)})"

    def counts(self, table: Table) -> dict[str, int]:
        """Give how many rows of a table were written out for each reason, the most frequent first."""
        found = self._connection.execute(
            f"SELECT reason, count(*) FROM {self.written} WHERE table_name = {literal(table.name)} "
            "GROUP BY reason ORDER BY count(*) DESC, reason"
        ).fetchall()
        return dict(found)

    def not_yet_in(self, stored: str | None) -> str:
        """Give the SELECT of the refused rows that are not stored yet: a second ingest refuses the same rows again."""
        same = "(table_name, reason, coalesce(column_name, ''), raw_row)"
        known = f" WHERE {same} NOT IN (SELECT {same} FROM {stored})" if stored else ""
        return f"SELECT DISTINCT * FROM {self.written}{known}"


def key_text(table: Table) -> str:
    """Give the SQL of a row's key as one text; for a key of one column it is the id itself."""
    return f"concat_ws(' / ', {', '.join(table.key)})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
