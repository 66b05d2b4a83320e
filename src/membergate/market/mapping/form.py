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
    reads
        The source's columns that it reads.
    is_optional
        Whether the canonical column is left out where the source lacks what the rule reads.
    token
        Kind of personal data of which a keyed token is made (`email`, `phone`, `text`); None leaves the value.
    """

    sql: str
    factor: float | None
    time_zone: str | None
    where: str
    reads: frozenset[str] = frozenset()
    is_optional: bool = False
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Lookup:
    """A second source from which columns are taken by a key.

    Parameters
    ----------
    source
        The source's name.
    keys
        Own column -> the other source's column that holds the same.
    take
        Name that a taken column gets here -> its name in the other source.
    at
        Own and other column of instants: of several rows with the key the latest one that is not after the own instant
        is taken. None where the other source holds each key once.
    """

    source: str
    keys: AbstractMapping[str, str]
    take: AbstractMapping[str, str]
    at: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A source that is made from another one.

    The steps go in this order: each element of a list becomes a row, rows are numbered, columns are computed (over
    groups of rows, where there are such), rows are left out.

    Parameters
    ----------
    name, base
        Its name, and that of the source that it is made from.
    unnest
        Column with a JSON list: each element becomes a row, in which the column holds that element; None for none.
    number_within
        Columns within which rows are numbered, from 1, as `line_number`; empty for no numbers.
    let
        Computed columns: name -> DuckDB SQL.
    group_by
        Columns of which each combination becomes one row, beside what `let` aggregates; empty for no groups.
    condition
        SQL of which rows count; None is all.
    where
        Where it stands, for errors.
    """

    name: str
    base: str
    unnest: str | None
    number_within: tuple[str, ...]
    let: AbstractMapping[str, str]
    group_by: tuple[str, ...]
    condition: str | None
    where: str


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
    """Which files a source lies in, and how they are written.

    Parameters
    ----------
    encoding, delimiter
        Of text files.
    files
        Names of its files without their endings, `*` for any text; empty is the source's own name.
    is_optional
        Whether whatever is derived from it is left out where the folder has not got it.
    may_lack
        Columns that are NULL on every row where the files have not got them.
    one_file_per
        Columns of which each combination is read from one file only, the last by name; empty reads every row.
    where
        Where it stands, for errors.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    files: tuple[str, ...] = ()
    is_optional: bool = False
    may_lack: tuple[str, ...] = ()
    one_file_per: tuple[str, ...] = ()
    where: str = ""


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
    views
        Sources that are made from others, by name; each one after those that it is made from.
    """

    origin: str
    derivations: AbstractMapping[str, tuple[Derivation, ...]]
    time_zone: str | None = None
    options: AbstractMapping[str, SourceOptions] = field(default_factory=dict)
    defaults: SourceOptions = field(default_factory=SourceOptions)
    views: AbstractMapping[str, View] = field(default_factory=dict)

    @property
    def reads(self) -> frozenset[str]:
        """Names of the sources that lie in files and that the mapping reads."""
        parts = [part for parts in self.derivations.values() for part in parts]
        named = {part.source for part in parts} | {lookup.source for part in parts for lookup in part.lookups}
        return frozenset(self.file_source(name) for name in named)

    @property
    def needs_tokens(self) -> bool:
        """Whether any column becomes a keyed token."""
        parts = [part for parts in self.derivations.values() for part in parts]
        return any(rule.token for part in parts for rule in part.columns.values())

    def file_source(self, name: str) -> str:
        """Give the source in files from which a source is made in the end; itself where it is none of the views."""
        while name in self.views:
            name = self.views[name].base
        return name

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
