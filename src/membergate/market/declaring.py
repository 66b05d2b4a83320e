"""What a table of the schema is made of: columns, kinds, keys, events, parents. Declarations only; see `schema`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

LONGEST_ID = 256
"""Characters in an id or token. Longer ones are a parsing accident or an attack, and every join would carry them."""
LARGEST_QUANTITY = 10_000_000
LARGEST_MONEY_MINOR = 100_000_000_000
"""Ceilings, chosen so that quantity times price always fits in 64 bits."""
SMALLEST_PROPENSITY = 1e-9
"""A label that was sampled with probability 0 cannot exist, and its weight 1 / propensity would be infinite."""


class Kind(StrEnum):
    """What a column holds, and thereby how its values are read and checked."""

    ID = "id"
    """An opaque string of at most `LONGEST_ID` characters; tokens of personal data too."""
    TEXT = "text"
    """Free text."""
    CHOICE = "choice"
    """One of a few declared words."""
    CURRENCY = "currency"
    """An ISO 4217 code of three letters."""
    MONEY = "money"
    """An integer in the currency's minor unit."""
    COUNT = "count"
    """A whole number."""
    NUMBER = "number"
    """A finite real number."""
    TIME = "time"
    """An instant; kept as naive UTC with microseconds."""
    FLAG = "flag"
    """True or false."""

    @property
    def sql_type(self) -> str:
        """The DuckDB type in which the warehouse keeps it."""
        return _SQL_TYPES[self]


_SQL_TYPES = {
    Kind.ID: "VARCHAR",
    Kind.TEXT: "VARCHAR",
    Kind.CHOICE: "VARCHAR",
    Kind.CURRENCY: "VARCHAR",
    Kind.MONEY: "BIGINT",
    Kind.COUNT: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.TIME: "TIMESTAMP",
    Kind.FLAG: "BOOLEAN",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of one table.

    Parameters
    ----------
    name
        Its canonical name.
    kind
        What it holds.
    is_required
        Whether a table without it is refused, and a row without a value in it quarantined.
    choices
        The words that a CHOICE may take.
    minimum, maximum
        Ends of the allowed range, both included; None is unbounded.
    """

    name: str
    kind: Kind
    is_required: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


INGESTED_AT = Column("ingested_at", Kind.TIME)
"""When the platform came to know the row. Every table may carry it; where it is absent it equals the event's time."""


@dataclass(frozen=True, slots=True)
class Parent:
    """The table that a row hangs from.

    Parameters
    ----------
    table
        The parent table.
    key
        The column, of the same name in both, that points at it.
    inherits
        Columns copied from the parent into every child at load, so that reading a child needs no join. A child that
        inherits is not visible before its parent is.
    """

    table: str
    key: str
    inherits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the schema.

    Parameters
    ----------
    name
        Its canonical name.
    columns
        Its columns, `ingested_at` left out because every table may carry it.
    key
        Columns that identify a row (several versions of it may be kept).
    event
        Columns that say when the row happened: the first that has a value counts. Empty for static tables, whose rows
        without `ingested_at` were always there.
    parent
        What it hangs from, or None.
    is_required
        Whether a market without it is refused.
    mutable
        Columns that change during a row's life. A row of the same key and `ingested_at` that differs only in these is
        a revision; one that differs elsewhere is a conflict.
    is_announced
        Whether a row may lawfully speak of the future (a promotion is planned ahead).
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    event: tuple[str, ...] = ()
    parent: Parent | None = None
    is_required: bool = False
    mutable: frozenset[str] = field(default_factory=frozenset)
    is_announced: bool = False

    @property
    def column_names(self) -> tuple[str, ...]:
        """Canonical names in declaration order, without `ingested_at`."""
        return tuple(column.name for column in self.columns)

    @property
    def required_columns(self) -> tuple[str, ...]:
        """Names of the columns that must be there."""
        return tuple(column.name for column in self.columns if column.is_required)

    @property
    def revisable_columns(self) -> frozenset[str]:
        """Columns whose change, without a later `ingested_at`, is a revision and no conflict.

        A static table has no instants of its own, so a newer export of it is the only way in which it can change.
        """
        return self.mutable if self.event else frozenset(self.column_names) - set(self.key)

    @property
    def readable_columns(self) -> tuple[Column, ...]:
        """Every column that a source may carry: the table's own, and `ingested_at`."""
        return (*self.columns, INGESTED_AT)

    @property
    def inherited_columns(self) -> tuple[str, ...]:
        """Columns of the view that come from the parent."""
        return self.parent.inherits if self.parent else ()

    def column(self, name: str) -> Column:
        """Give the column of that name, `ingested_at` included.

        Raises
        ------
        KeyError
            If the table has no such column.
        """
        for column in self.readable_columns:
            if column.name == name:
                return column
        raise KeyError(name)
