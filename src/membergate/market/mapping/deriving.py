"""Running a mapping: a source table's rows, turned into rows with canonical column names."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from membergate.domain.errors import BadInputError
from membergate.market.declaring import Table
from membergate.market.mapping.form import ColumnRule, Derivation, Lookup, Mapping
from membergate.market.mapping.tokens import token_sql
from membergate.market.mapping.viewing import does_not_fit, in_order, listed, unknown_column
from membergate.market.sources import Opened, nearest, open_staged
from membergate.market.warehouse import literal
from membergate.market.writing import disk_is_full


@dataclass(frozen=True, slots=True)
class Deriving:
    """What every derivation of one ingest works with.

    Parameters
    ----------
    connection
        The ingest's connection.
    mapping
        The mapping, fitted to the folder.
    opened
        The mapping's sources, open, by name.
    staging
        Folder in which the derived rows are written.
    token_key
        The workspace's key for tokens of personal data; None where the mapping makes none.
    """

    connection: duckdb.DuckDBPyConnection
    mapping: Mapping
    opened: AbstractMapping[str, Opened]
    staging: Path
    token_key: bytes | None = None

    def derive(self, table: Table) -> Opened:
        """Build a canonical table from its sources and open it like any other file.

        Raises
        ------
        BadInputError
            If the mapping names a table or column that the folder has not, or an expression does not fit the data.
        """
        derivations = self.mapping.derivations[table.name]
        selects = [self._select(derivation) for derivation in derivations]
        target = self.staging / f"{table.name}.parquet"
        try:
            rows = " UNION ALL BY NAME ".join(selects)
            self.connection.execute(f"COPY ({rows}) TO {literal(str(target))} (FORMAT parquet, COMPRESSION snappy)")
        except duckdb.Error as error:
            first = derivations[0]
            raise disk_is_full(error, self.staging) or does_not_fit(first.source, first.where, error) from error
        sources = tuple(dict.fromkeys(derivation.source for derivation in derivations))
        label = f"{table.name} derived from {', '.join(sources)} by {self.mapping.origin}"
        malformed = {name: self.opened[name].malformed for name in map(self.mapping.file_source, sources)}
        return open_staged(
            self.connection, table.name, [(target, label)], tuple(row for rows in malformed.values() for row in rows)
        )

    def _select(self, derivation: Derivation) -> str:
        source = self._source(derivation.source, derivation)
        known = dict(source.columns)
        relation = source.relation
        for lookup in derivation.lookups:
            relation = self._joined(relation, known, lookup, derivation)
        values = [
            f'{self._value(rule)} AS "{name}"'
            for name, rule in derivation.columns.items()
            if not rule.is_optional or rule.reads <= set(known) - source.lacking
        ]
        condition = f" WHERE {derivation.condition}" if derivation.condition else ""
        select = f"SELECT {', '.join(values)} FROM {relation}{condition}"
        if derivation.group_by:
            select += f" GROUP BY {listed(derivation.group_by)} ORDER BY min(_seq)"
        elif derivation.distinct_on:
            order = listed((*derivation.order_by, *in_order(known)))
            partition = f"PARTITION BY {listed(derivation.distinct_on)} ORDER BY {order}"
            select += f" QUALIFY row_number() OVER ({partition}) = 1"
        try:
            self.connection.execute(f"EXPLAIN {select}")
        except duckdb.Error as error:
            raise does_not_fit(derivation.source, derivation.where, error, known) from error
        return f"({select})"

    def _value(self, rule: ColumnRule) -> str:
        if rule.token is not None:
            if self.token_key is None:
                raise BadInputError(
                    "the mapping makes tokens of personal data, and there is no key to make them with",
                    where=rule.where,
                    next_step="membergate ingest keeps a key in the workspace",
                )
            return token_sql(rule.sql, rule.token, self.token_key)
        return rule.sql if rule.factor is None else f"round(TRY_CAST({rule.sql} AS DOUBLE) * {rule.factor})"

    def _joined(self, relation: str, known: dict[str, str], lookup: Lookup, derivation: Derivation) -> str:
        """Join a lookup's columns; a key that it does not hold gives missing values."""
        file_source = self.mapping.file_source(lookup.source)
        if file_source not in self.opened and self.mapping.options_of(file_source).is_optional:
            known.update(dict.fromkeys(lookup.take, "VARCHAR"))
            nothing = ", ".join(f"CAST(NULL AS VARCHAR) AS {listed((name,))}" for name in lookup.take)
            return f"(SELECT *, {nothing} FROM {relation})"
        other = self._source(lookup.source, derivation)
        own, theirs = lookup.at or (None, None)
        for name in (*lookup.keys, *([own] if own else [])):
            if name not in known:
                raise unknown_column(name, derivation.source, known, derivation.where)
        for name in (*lookup.keys.values(), *lookup.take.values(), *([theirs] if theirs else [])):
            if name not in other.columns:
                raise unknown_column(name, lookup.source, other.columns, derivation.where)
        known.update({name: other.columns[taken] for name, taken in lookup.take.items()})
        same = " AND ".join(f"m.{listed((a,))} = l.{listed((b,))}" for a, b in lookup.keys.items())
        taken = ", ".join(f"l.{listed((name,))} AS {listed((here,))}" for here, name in lookup.take.items())
        if own is None or theirs is None:
            self._require_once(other, lookup, derivation)
            return f"(SELECT m.*, {taken} FROM {relation} AS m LEFT JOIN {other.relation} AS l ON {same})"
        instants = (*lookup.keys.values(), theirs)
        # One row an instant: which of two equal ones the join takes is left open, and must not change from day to day.
        once = f"QUALIFY row_number() OVER (PARTITION BY {listed(instants)} ORDER BY _seq) = 1"
        earlier = f"{same} AND m.{listed((own,))} >= l.{listed((theirs,))}"
        latest = f"ASOF LEFT JOIN (FROM {other.relation} {once}) AS l ON {earlier}"
        return f"(SELECT m.*, {taken} FROM {relation} AS m {latest})"

    def _require_once(self, other: Opened, lookup: Lookup, derivation: Derivation) -> None:
        """See that a key is unique: otherwise rows would multiply in silence."""
        keys = tuple(lookup.keys.values())
        some = " AND ".join(f"{listed((key,))} IS NOT NULL" for key in keys)
        counted = f"count(*), count(DISTINCT ({listed(keys)}))"
        rows, distinct = self.connection.execute(f"SELECT {counted} FROM {other.relation} WHERE {some}").fetchone() or (
            0,
            0,
        )
        if rows > distinct:
            raise BadInputError(
                f"the lookup table {lookup.source} holds {', '.join(keys)} more than once "
                f"({rows - distinct} rows too many)",
                where=derivation.where,
                allowed="a key that each row of the lookup table has for itself, or `at:` to take the latest row",
            )

    def _source(self, name: str, derivation: Derivation) -> Opened:
        if name not in self.opened:
            file_source = self.mapping.file_source(name)
            patterns = self.mapping.options_of(file_source).files
            raise BadInputError(
                f"the mapping reads a table {file_source!r} that the folder has not{nearest(file_source, self.opened)}",
                where=f"{derivation.where}{', in files ' + ' or '.join(patterns) if patterns else ''}",
                allowed=", ".join(sorted(self.opened)),
            )
        return self.opened[name]
