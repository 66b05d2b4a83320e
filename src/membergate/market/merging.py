"""Bringing new rows together with what the warehouse holds: duplicates, revisions and versions.

The rule, for rows of one key, taken in the order in which they were known and, for the same instant, in the order of
the source:

- the same content again is known already;
- a later `ingested_at` with other content is a new version; the one before it is superseded from then on;
- the same `ingested_at` and a difference in revisable columns only, or a value where there was none, revises the row;
- any other difference is a conflict: the first row is kept, the other one quarantined;
- a version that names another parent is quarantined, because a row does not move.

Taking a source in two halves or at once gives the same rows. Only keys that occur twice go through the slow path.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from membergate.market.declaring import Table
from membergate.market.linking import fixed_columns
from membergate.market.quarantine import SHOWN_CHARACTERS, Quarantine, Reason
from membergate.market.warehouse import column_type, view_columns

_OLD = -1  # the sequence number of a row that is in the warehouse: before every row of a source


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome for one table.

    Parameters
    ----------
    select
        SQL of the rows to write, in the columns of the view.
    columns
        Canonical columns that the table has from now on, in schema order.
    replaces_all
        Whether the rows stand for all that the table held, or are added to it.
    loaded, already_known, revised
        What became of the source's rows.
    """

    select: str
    columns: tuple[str, ...]
    replaces_all: bool
    loaded: int
    already_known: int
    revised: int

    @property
    def changes_rows(self) -> bool:
        """Whether anything has to be written."""
        return self.replaces_all or self.loaded > 0


def merge(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    linked: str,
    source_columns: tuple[str, ...],
    held: str | None,
    held_columns: tuple[str, ...],
    quarantine: Quarantine,
    *,
    compact: bool = False,
) -> Merged:
    """Decide what becomes of each linked row of a table.

    Parameters
    ----------
    linked
        SQL relation of the new rows, with `_seq`.
    source_columns, held_columns
        Canonical columns of the source and of the warehouse's rows.
    held
        SQL relation of the warehouse's rows; None where it has none.
    compact
        Whether new rows are written together with all that the table holds, even where nothing of it changes.
    """
    job = _Merge(connection, table, linked, source_columns, held, held_columns)
    job.find_known()
    job.find_contested()
    if job.contested:
        job.settle(quarantine)
    return job.outcome(compact=compact)


class _Merge:
    """The steps of one table's merge; each leaves a temporary table that the next one reads."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: Table,
        linked: str,
        source_columns: tuple[str, ...],
        held: str | None,
        held_columns: tuple[str, ...],
    ) -> None:
        self._connection = connection
        self._table = table
        self._source = frozenset(source_columns)
        self._held_columns = frozenset(held_columns)
        self._columns = tuple(name for name in table.column_names if name in self._source | self._held_columns)
        self._new = self._aligned(linked, self._source, "_seq, CAST(NULL AS TIMESTAMP) AS superseded_at")
        self._held = (
            self._aligned(held, self._held_columns, f"CAST({_OLD} AS BIGINT) AS _seq, superseded_at") if held else None
        )
        self._key = ", ".join(table.key)
        self._key_hash = f"hash({self._key})"
        self._known = f"known_{table.name}"
        self._contested = f"contested_{table.name}"
        self._is_contested = f"({self._key_hash} IN (SELECT h FROM {self._contested}))"
        self._final = f"final_{table.name}"
        self._fixed = fixed_columns(table)
        self.contested = 0
        self._settled = {"loaded": 0, "known": 0, "revised": 0}
        self._touches_held = False

    def _aligned(self, relation: str, present: frozenset[str], extra: str) -> str:
        """Give a relation in the columns of both sides, NULL where this side lacks one."""
        own = ", ".join(
            name if name in present else f"CAST(NULL AS {column_type(self._table, name)}) AS {name}"
            for name in self._columns
        )
        inherited = "".join(f"{name}, " for name in self._table.inherited_columns)
        return f"(SELECT {own}, {inherited}ingested_at, visible_at, {extra} FROM {relation})"

    def _scalar(self, query: str) -> int:
        found = self._connection.execute(query).fetchone()
        return int(found[0]) if found and found[0] is not None else 0

    def find_known(self) -> None:
        """Note the rows that the warehouse holds word for word, so that a second ingest costs no more than a look."""
        content = f"hash({', '.join((*self._columns, 'ingested_at'))})"
        seen = "SELECT CAST(NULL AS BIGINT) AS _seq, CAST(NULL AS UBIGINT) AS h WHERE false"
        if self._held:
            seen = (
                f"SELECT _seq, {self._key_hash} AS h FROM {self._new} WHERE ({self._key_hash}, {content}) IN "
                f"(SELECT ({self._key_hash}, {content}) FROM {self._held})"
            )
        self._connection.execute(f"CREATE TABLE {self._known} AS {seen}")
        self._rest = f"(SELECT * FROM {self._new} WHERE _seq NOT IN (SELECT _seq FROM {self._known}))"
        # A repetition counts as one only where its key says nothing else in this source: otherwise the order matters.
        self._connection.execute(f"DELETE FROM {self._known} WHERE h IN (SELECT {self._key_hash} FROM {self._rest})")

    def find_contested(self) -> None:
        """Note the keys that more than one row claims, by hash: a collision sends a row the slow way, nothing worse."""
        twice = f"SELECT {self._key_hash} AS h FROM {self._rest} GROUP BY h HAVING count(*) > 1"
        if self._held:
            twice += (
                f" UNION SELECT {self._key_hash} AS h FROM {self._held} "
                f"WHERE h IN (SELECT {self._key_hash} FROM {self._rest})"
            )
        self._connection.execute(f"CREATE TABLE {self._contested} AS {twice}")
        self.contested = self._scalar(f"SELECT count(*) FROM {self._contested}")

    def settle(self, quarantine: Quarantine) -> None:
        """Resolve the contested keys into versions, and refuse what does not fit."""
        pool, fate, version = (f"{step}_{self._table.name}" for step in ("pool", "fate", "version"))
        self._connection.execute(f"CREATE TABLE {pool} AS {self._pool()}")
        quarantine.refuse(self._table, f"(SELECT * FROM {pool} WHERE _reason IS NOT NULL)")
        self._connection.execute(f"CREATE TABLE {fate} AS {self._fates(pool)}")
        self._connection.execute(f"CREATE TABLE {version} AS {self._versions(fate)}")
        self._connection.execute(f"CREATE TABLE {self._final} AS {self._chained(version)}")
        moved = (
            f"(SELECT f.* FROM {fate} AS f SEMI JOIN (SELECT * FROM {version} WHERE _is_moved) USING (_k, ingested_at))"
        )
        quarantine.refuse(
            self._table,
            moved,
            reason=Reason.CHANGED_IDENTITY,
            column=", ".join(self._fixed),
            value=_struct(self._fixed),
        )
        kept = f"(SELECT _k, ingested_at, _is_new OR _is_revised AS _is_kept FROM {self._final})"
        dropped = f"(SELECT _k, ingested_at FROM {version} WHERE _is_moved)"
        outcome = "CASE WHEN _is_kept OR _fate = 'held' THEN _fate ELSE 'known' END"  # nothing new: known after all
        counts = self._connection.execute(
            f"SELECT {outcome} AS outcome, count(*) "
            f"FROM (SELECT * FROM {fate} ANTI JOIN {dropped} USING (_k, ingested_at)) "
            f"LEFT JOIN {kept} USING (_k, ingested_at) GROUP BY outcome"
        ).fetchall()
        self._settled.update(counts)
        self._touches_held = bool(self._scalar(f"SELECT count(*) FROM {self._final} WHERE _is_touched"))

    def _pool(self) -> str:
        """Give all rows of the contested keys, known and new, with the first conflict of each new one."""
        names = ", ".join(
            (*self._columns, *self._table.inherited_columns, "ingested_at", "visible_at", "_seq", "superseded_at")
        )
        sides = [f"SELECT {names} FROM {side} WHERE {self._is_contested}" for side in (self._rest, self._held) if side]
        fixed_by_key = self._table.revisable_columns | set(self._table.key)
        compared = [name for name in self._columns if name not in fixed_by_key]
        # A source that lacks a column says nothing about it: its versions keep what was known before.
        unsaid = [name for name in self._columns if name not in self._source]
        kept = "".join(
            f", CASE WHEN _seq = {_OLD} THEN {name} ELSE last_value({name} IGNORE NULLS) "
            f"OVER (PARTITION BY _k ORDER BY ingested_at, _seq ROWS UNBOUNDED PRECEDING) END AS {name}"
            for name in unsaid
        )
        exclude = f"EXCLUDE ({', '.join(unsaid)})" if unsaid else ""
        same_instant = (
            "OVER (PARTITION BY _k, ingested_at ORDER BY _seq ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"
        )
        first = "".join(f", first_value({name} IGNORE NULLS) {same_instant} AS first_{name}" for name in compared)
        differing = " ".join(f"WHEN {name} <> first_{name} THEN '{name}'" for name in compared)
        column = f"CASE {differing} END" if differing else "CAST(NULL AS VARCHAR)"
        shown = " ".join(f"WHEN '{name}' THEN left(CAST({name} AS VARCHAR), {SHOWN_CHARACTERS})" for name in compared)
        value = f"CASE {column} {shown} END" if differing else "NULL"
        return (
            f"SELECT *, {column} AS _column, CAST({value} AS VARCHAR) AS _value, "
            f"CASE WHEN _column IS NOT NULL THEN '{Reason.CONFLICTING_DUPLICATE}' END AS _reason "
            f"FROM (SELECT *{first} FROM (SELECT * {exclude}{kept} FROM "
            f"(SELECT *, {_struct(self._table.key)} AS _k FROM ({' UNION ALL '.join(sides)}))))"
        )

    def _fates(self, pool: str) -> str:
        """Give the rows without conflict, and what each does to its version: starts, revises or repeats it."""
        before = "OVER (PARTITION BY _k, ingested_at ORDER BY _seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        says_more = " OR ".join(
            f"({name} IS NOT NULL AND {name} IS DISTINCT FROM last_value({name} IGNORE NULLS) {before})"
            for name in self._columns
        )
        place = "row_number() OVER (PARTITION BY _k, ingested_at ORDER BY _seq)"
        return (
            f"SELECT *, CASE WHEN _seq = {_OLD} THEN 'held' WHEN {place} = 1 THEN 'loaded' "
            f"WHEN {says_more} THEN 'revised' ELSE 'known' END AS _fate FROM {pool} WHERE _reason IS NULL"
        )

    def _versions(self, fate: str) -> str:
        """Give one row per key and instant at which it was known, saying the last word on every column."""
        last = "".join(
            f"arg_max({name}, _seq) AS {name}, " for name in (*self._columns, *self._table.inherited_columns)
        )
        first_known = "first_value(_fixed) OVER (PARTITION BY _k ORDER BY _is_held DESC, ingested_at)"
        return (
            f"SELECT *, _fixed <> {first_known} AS _is_moved FROM (SELECT *, {_struct(self._fixed)} AS _fixed FROM ("
            f"SELECT _k, ingested_at, {last}max(visible_at) AS visible_at, max(superseded_at) AS _was_superseded_at, "
            f"bool_or(_fate = 'held') AS _is_held, NOT _is_held AS _is_new, "
            f"any_value(hash({', '.join(self._columns)})) FILTER (_fate = 'held') AS _content_held "
            f"FROM {fate} GROUP BY _k, ingested_at))"
        )

    def _chained(self, version: str) -> str:
        """Give the versions that say something new, each with the instant at which the next one supersedes it."""
        order = "OVER (PARTITION BY _k ORDER BY visible_at, ingested_at)"
        content = f"hash({', '.join(self._columns)})"
        return (
            "SELECT *, _is_held AND _content <> _content_held AS _is_revised, "
            f"lead(visible_at) {order} AS superseded_at, "
            "_is_held AND (_is_revised OR superseded_at IS DISTINCT FROM _was_superseded_at) AS _is_touched "
            f"FROM (SELECT *, {content} AS _content, lag(_content) {order} AS _content_before "
            f"FROM {version} WHERE NOT _is_moved) WHERE _is_held OR _content IS DISTINCT FROM _content_before"
        )

    def outcome(self, *, compact: bool) -> Merged:
        """Put together what is written, and count."""
        free = self._scalar(f"SELECT count(*) FROM {self._rest} WHERE NOT {self._is_contested}")
        known = self._scalar(f"SELECT count(*) FROM {self._known}")
        loaded = free + self._settled["loaded"]
        replaces_all = self._touches_held or (compact and loaded > 0)
        names = ", ".join(view_columns(self._table, self._columns))
        sides = [f"SELECT {names} FROM {self._rest} WHERE NOT {self._is_contested}"]
        if self.contested:
            which = "" if replaces_all else " WHERE NOT _is_held"
            sides.append(f"SELECT {names} FROM {self._final}{which}")
        if replaces_all and self._held:
            sides.append(f"SELECT {names} FROM {self._held} WHERE NOT {self._is_contested}")
        return Merged(
            " UNION ALL ".join(sides),
            self._columns,
            replaces_all=replaces_all,
            loaded=loaded,
            already_known=known + self._settled["known"],
            revised=self._settled["revised"],
        )


def _struct(names: tuple[str, ...]) -> str:
    """Give the SQL of several columns as one text; NULLs are part of it, so that they compare as equal."""
    return f"CAST(to_json(row({', '.join(names)})) AS VARCHAR)" if names else "''"
