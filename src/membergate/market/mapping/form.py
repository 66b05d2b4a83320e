"""The form of a mapping: which source rows and columns feed which canonical ones. Data only; see `reading`."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field

from membergate.market.declaring import Kind, Table


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """Where one canonical column comes from.

    Parameters
    ----------
    sql
        DuckDB SQL of the value over the source's columns.
    factor
        What the value is multiplied with, and then rounded to a whole number; None leaves it as it is.
    time_zone
        Zone of instants without an offset; None is the mapping's.
    where
        Where the rule stands, for errors.
    """

    sql: str
    factor: float | None
    time_zone: str | None
    where: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """A second table from which columns are taken by a key that it holds once."""

    source: str
    key: str
    take: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Derivation:
    """How one source feeds one canonical table.

    Parameters
    ----------
    table
        The canonical table.
    source
        The source table's name in the folder.
    columns
        Rules by canonical column.
    condition
        SQL of which rows count; None is all.
    group_by
        Source columns of which each combination becomes one row.
    distinct_on, order_by
        Source columns of which each combination gives its first row, in this order.
    lookups
        Tables from which further columns are taken.
    where
        Where it stands, for errors.
    """

    table: Table
    source: str
    columns: AbstractMapping[str, ColumnRule]
    condition: str | None
    group_by: tuple[str, ...]
    distinct_on: tuple[str, ...]
    order_by: tuple[str, ...]
    lookups: tuple[Lookup, ...]
    where: str


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a text source is written."""

    encoding: str = "utf-8"
    delimiter: str = ","


@dataclass(frozen=True, slots=True)
class Mapping:
    """A whole mapping file, checked.

    Parameters
    ----------
    origin
        The file, for errors.
    derivations
        By canonical table, in the order in which the file lists them.
    time_zone
        Zone of instants without an offset; None is UTC.
    options
        How text sources are written, by source; `options_of` adds the defaults.
    defaults
        For the sources that say nothing themselves.
    """

    origin: str
    derivations: AbstractMapping[str, tuple[Derivation, ...]]
    time_zone: str | None = None
    options: AbstractMapping[str, SourceOptions] = field(default_factory=dict)
    defaults: SourceOptions = field(default_factory=SourceOptions)

    def options_of(self, source: str) -> SourceOptions:
        """Give how a text source is written."""
        return self.options.get(source, self.defaults)

    def time_zones(self, table: Table) -> dict[str, str]:
        """Give the declared zone of each time column of a table."""
        zones: dict[str, str] = {}
        for column in table.readable_columns:
            rules = [d.columns[column.name] for d in self.derivations.get(table.name, ()) if column.name in d.columns]
            zone = next((rule.time_zone for rule in rules if rule.time_zone), self.time_zone)
            if column.kind is Kind.TIME and zone:
                zones[column.name] = zone
        return zones


NO_MAPPING = Mapping("", {})
"""For folders that follow the schema as they are."""
