"""The statements of a program, and the text that they are put together from: joins, cuts, groups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from membergate.learning.features.expressions import columns_of
from membergate.learning.features.relations import Join, Relation
from membergate.learning.features.sharing import INSTANTS


@dataclass(frozen=True)
class Step:
    """One statement of a program.

    Parameters
    ----------
    sql
        A SELECT.
    table
        The temporary table that it fills; empty for a query, which gives `row_id` and one column per measure, one row
        per spine row that the grain knows.
    measures
        The query's measures.
    done_with
        Temporary tables that no later step reads.
    """

    sql: str
    table: str = ""
    measures: tuple[str, ...] = ()
    done_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Program:
    """The statements that give some measures.

    Parameters
    ----------
    shared
        Tables that do not depend on who is asked about; made once for all parts of a spine.
    own
        What is done for each part of a spine.
    """

    shared: tuple[Step, ...]
    own: tuple[Step, ...]

    @cached_property
    def words(self) -> frozenset[str]:
        """The names that its statements hold, tables among them."""
        return frozenset(word for step in (*self.shared, *self.own) for word in re.findall(r"\w+", step.sql))


def query(table: str, outputs: Mapping[str, str]) -> Step:
    """Give the step that aggregates a table by row into measures."""
    parts = ", ".join(f"{sql} AS {name}" for name, sql in outputs.items())
    return Step(f"SELECT row_id, {parts} FROM {table} GROUP BY row_id", measures=tuple(outputs))


def grouped(source: str, keys: Mapping[str, str], columns: Mapping[str, str], where: Iterable[str]) -> str:
    """Give the SELECT that groups a table by row and keys."""
    parts = [f"{sql} AS {name}" for name, sql in (*keys.items(), *columns.items())]
    conditions = " AND ".join(f"({part})" for part in where)
    positions = ", ".join(str(1 + index) for index in range(1 + len(keys)))
    return (
        f"SELECT {', '.join(['row_id', *parts])} FROM {source}"
        f"{f' WHERE {conditions}' if conditions else ''} GROUP BY {positions}"
    )


def cut(alias: str) -> str:
    """Write the as-of cut of one table. Coalesced, so that a hash join takes it as a plain comparison."""
    return f"{alias}.visible_at <= x.as_of AND COALESCE({alias}.superseded_at, TIMESTAMP 'infinity') > x.as_of"


def joins_of(relation: Relation, columns: Iterable[str]) -> tuple[Join, ...]:
    """Give the joins that these columns' SQL takes, in the order of declaration."""
    wanted = {alias for sql in columns for alias, _ in columns_of(sql)}
    for join in reversed(relation.joins):
        if join.alias in wanted:
            wanted |= {join.alias} | {alias for alias, _ in columns_of(join.on)}
    return tuple(join for join in relation.joins if join.alias in wanted)


def joined(join: Join, table: str, *, as_of: bool) -> str:
    """Write a join to a table, or to a SELECT in parentheses; with `as_of`, cut as of the spine's instant."""
    condition = f" AND {cut(join.alias)}" if as_of and not join.is_cut else ""
    return f" LEFT JOIN {table} AS {join.alias} ON {join.on}{condition}"


def looked_up(sql: str, table: str, on: str, added: str) -> str:
    """Add columns of a static relation (alias `n`) to a grain (alias `g`), cut as of the row's instant."""
    return (
        f"SELECT g.*, {added} FROM ({sql}) AS g JOIN {INSTANTS} AS x USING (row_id) "
        f"LEFT JOIN {table} AS n ON {on} AND {cut('n')}"
    )


@dataclass(frozen=True)
class Running:
    """A running count or total, as it is read: table of `changed_at` and `so_far`, keys, default, how long ago."""

    table: str
    keys: tuple[str, ...]
    otherwise: int
    days_ago: int = 0


def with_running(sql: str, added: Mapping[str, Running]) -> str:
    """Add to a grain what a running count or total had come to, as of each row's instant.

    Parameters
    ----------
    sql
        A SELECT over the grain.
    added
        Name of the column -> what is read.
    """
    for name, running in added.items():
        match = " AND ".join(f"{name}.{key} = g.{key}" for key in running.keys)
        instant = f"i.as_of - INTERVAL {running.days_ago} DAY" if running.days_ago else "i.as_of"
        sql = (
            f"SELECT g.*, COALESCE({name}.so_far, {running.otherwise}) AS {name} FROM ({sql}) AS g "
            f"JOIN {INSTANTS} AS i USING (row_id) ASOF LEFT JOIN {running.table} AS {name} "
            f"ON {match} AND {instant} >= {name}.changed_at"
        )
    return sql


def without_detours(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Hand what only the next query reads straight to it, and write no table for it."""
    noted = list(steps)
    readers = [{word for word in re.findall(r"\w+", step.sql) if word.startswith("feature_")} for step in noted]
    kept: list[Step] = []
    for index, step in enumerate(noted):
        before = kept[-1] if kept else None
        is_next = before is not None and step.measures and f" FROM {before.table} GROUP BY" in step.sql
        if before is not None and is_next and not any(before.table in names for names in readers[index + 1 :]):
            kept[-1] = replace(step, sql=step.sql.replace(f" FROM {before.table} ", f" FROM ({before.sql}) "))
        else:
            kept.append(step)
    return tuple(kept)


def with_ends(steps: Iterable[Step], *, before: Iterable[Step] = ()) -> tuple[Step, ...]:
    """Note with every step which tables were read for the last time, those that later steps read excepted."""
    noted = tuple(steps)
    words = [frozenset(re.findall(r"\w+", step.sql)) for step in noted]
    read_later = {word for step in before for word in re.findall(r"\w+", step.sql)}
    last: dict[str, int] = {}
    for index, step in enumerate(noted):
        for name in (table for table in (*last, step.table) if table):
            if name == step.table or name in words[index]:
                last[name] = index
    return tuple(
        replace(step, done_with=tuple(name for name, end in last.items() if end == index and name not in read_later))
        for index, step in enumerate(noted)
    )
