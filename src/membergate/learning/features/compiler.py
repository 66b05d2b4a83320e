"""The as-of compiler: many measures in, a few SQL statements out, one pass over the market's data per relation.

Every market table that a statement reads is cut by `visible_at <= as_of AND (superseded_at IS NULL OR superseded_at >
as_of)` of the spine's row, here and nowhere else. What is left of a relation is a narrow table in memory; its grains
are grouped from that, each once per window, which costs a third of what filtered aggregates over the longest window
do. Measures that aggregate a relation itself share one query, their windows as FILTER clauses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from membergate.learning.features.declaration import Measure, Scope
from membergate.learning.features.expressions import (
    columns_of,
    filtered,
    parse,
    render,
    with_columns,
    with_our_words,
)
from membergate.learning.features.grains import (
    GRAINS,
    LONGEST_WINDOW_DAYS,
    RELATIONS,
    Companions,
    Join,
    Lookup,
    Relation,
    SharedCount,
    age_days,
)
from membergate.learning.features.lineage import OTHER, SPINE_COLUMNS, Columns, best_alternative, key_names, relation_of
from membergate.learning.features.sharing import (
    EARLIEST,
    INSTANTS,
    LATEST,
    PROMOTION_DAYS,
    SHARED_DELIVERIES,
    SPINE,
    first_seen,
    paired,
    promotion_days,
    running_count,
    shared_deliveries,
    sightings,
)


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


@dataclass
class _Group:
    """What is asked of one grain in one scope and window."""

    keys: dict[str, str]
    where: list[str]
    columns: dict[str, str] = field(default_factory=dict)
    added: set[str] = field(default_factory=set)
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Key:
    """A grain, whose rows it sees, and how far back; measures that agree in all three share one pass."""

    grain: str
    scope: Scope
    window_days: int

    @property
    def table(self) -> str:
        if self.grain in RELATIONS:
            return f"feature_{self.grain}"
        return f"feature_{self.grain}_{self.scope}_{self.window_days}"


class Compiler:
    """Compiles named measures for the columns that a market has and the scalars of its norms.

    Parameters
    ----------
    columns
        Loaded table -> its canonical columns.
    scalars
        The norms' scalars, which `PRIOR` reads.
    is_few
        Whether the spine is short, so that what is shared is better read for its own things only. No value depends on
        it.
    """

    def __init__(self, columns: Columns, scalars: Mapping[str, float], *, is_few: bool = False) -> None:
        self._is_few = is_few
        self._columns = columns
        self._scalars = scalars
        self._relations: dict[str, set[str]] = {}
        self._outputs: dict[str, dict[str, str]] = {}
        self._reach_days: dict[str, int] = {}
        self._groups: dict[_Key, _Group] = {}

    def compile(self, measures: Mapping[str, Measure]) -> tuple[Step, ...]:
        """Compile measures by name; each must be computable from the columns.

        Raises
        ------
        BadInputError
            If a measure names what its grain has not, or aggregates inexactly.
        """
        for name, measure in measures.items():
            key = _Key(measure.grain, measure.scope, _window(measure.grain, measure.window_days))
            if measure.grain in RELATIONS:
                sql = self._over(key, measure.sql, self._seen_in(key))
                self._outputs.setdefault(measure.grain, {})[name] = sql
            else:
                self._group(key).outputs[name] = self._over(key, measure.sql)
        steps: list[Step] = []
        # One relation after the other, so that only one of them is in memory.
        for relation in (name for name in RELATIONS if name in self._relations):
            steps += self._relation_steps(RELATIONS[relation])
            for key, group in self._groups.items():
                if relation_of(key.grain).name == relation:
                    steps += [Step(sql, table) for table, sql in self._group_tables(key).items()]
                    steps += [_query(key.table, group.outputs)] if group.outputs else []
        return _with_ends(steps)

    def _seen_in(self, key: _Key) -> exp.Expr | None:
        """Give the condition under which a relation's row counts for a measure that aggregates it directly."""
        conditions = []
        if key.scope == "account":
            conditions.append(parse("is_self"))
        if RELATIONS[key.grain].event_time:
            conditions.append(parse(f"age_days < {key.window_days}"))
        return exp.and_(*conditions) if conditions else None

    def _over(self, key: _Key, sql: str, condition: exp.Expr | None = None) -> str:
        """Resolve SQL over a grain: its columns are asked for, and its aggregates see what satisfies the condition."""
        tree = with_our_words(parse(sql), self._scalars)
        tree = with_columns(tree, lambda column: exp.column(self._resolve(key, column.name)))
        # Asked for even where the SQL names no column, as COUNT(*) does.
        if key.grain in RELATIONS:
            self._relation(key)
        else:
            self._group(key)
        return render(filtered(tree, condition))

    def _resolve(self, key: _Key, name: str) -> str:
        """Ask a grain for a column and give its name."""
        if key.grain in RELATIONS:
            if name not in SPINE_COLUMNS:
                self._ask_relation(key, name)
            return name
        declared, group = GRAINS[key.grain], self._group(key)
        if name in declared.added:
            group.added.add(name)
            for looked_up_by in declared.behind(name):
                self._resolve(key, looked_up_by)
        elif name not in group.keys and name not in group.columns:
            group.columns[name] = self._over(self._source(key), declared.columns[name])
        return name

    def _ask_relation(self, key: _Key, name: str) -> None:
        """Ask a relation for a column, and the relations that it joins for what that reads."""
        self._relation(key).add(name)
        relation = RELATIONS[key.grain]
        chosen = best_alternative(relation, name, self._columns)
        for join in joins_of(relation, [chosen]):
            if join.relation in RELATIONS:
                below = _Key(join.relation, key.scope, key.window_days)
                for alias, column in columns_of(chosen) | columns_of(join.on):
                    if alias == join.alias:
                        self._resolve(below, column)

    def _relation(self, key: _Key) -> set[str]:
        """Give the columns asked of a relation, and remember how far back it must be read."""
        self._reach_days[key.grain] = max(self._reach_days.get(key.grain, 0), key.window_days)
        return self._relations.setdefault(key.grain, set())

    def _source(self, key: _Key) -> _Key:
        return _Key(GRAINS[key.grain].source, key.scope, key.window_days)

    def _group(self, key: _Key) -> _Group:
        """Give the request for a grain, its keys and condition resolved when it is first asked for."""
        if key not in self._groups:
            declared, source = GRAINS[key.grain], self._source(key)
            keys = {name: self._over(source, sql) for name, sql in key_names(key.grain).items() if name != OTHER}
            where = [self._over(source, declared.where)] if declared.where else []
            if declared.companions is not None:
                self._group(source)
                keys[OTHER] = OTHER
            if source.grain in RELATIONS:
                where += [f"age_days < {key.window_days}", *(["is_self"] if key.scope == "account" else [])]
            # Registered after its source, so that groups come in the order in which they can be filled.
            self._groups[key] = _Group(keys, where)
        return self._groups[key]

    def _relation_steps(self, relation: Relation) -> list[Step]:
        """Give the table of a relation: the one place where market tables meet the spine, cut as of its instants."""
        columns = {
            name: self._written(best_alternative(relation, name, self._columns))
            for name in sorted(self._relations[relation.name])
        }
        joins = joins_of(relation, columns.values())
        parts = ["x.row_id", "x.member_no", "x.is_self"]
        source, where = f"{SPINE} AS x", "x.is_self"
        if relation.table:
            parts.append(f"{age_days(relation.event_time)} AS age_days")
            source += f' JOIN "{relation.table}" AS e ON e.account_id = x.account_id AND {_cut("e")}'
            reach = self._reach_days[relation.name]
            time = f"e.{relation.event_time}"
            # The first two only spare the join what the third and the cut would throw away after it.
            where = (
                f"{time} > {EARLIEST} - INTERVAL {reach} DAY AND e.visible_at <= {LATEST} "
                f"AND {time} > x.as_of - INTERVAL {reach} DAY"
            )
        parts += [f"{sql} AS {name}" for name, sql in columns.items()]
        source += "".join(joined(join, as_of=True) for join in joins)
        table = f"feature_{relation.name}"
        read = {relation.table, *(join.table for join in joins)}
        steps = [Step(sql, name) for name, sql in self._derived().items() if name in read]
        steps.append(Step(f"SELECT {', '.join(parts)} FROM {source} WHERE {where}", table))
        outputs = self._outputs.get(relation.name)
        return [*steps, _query(table, outputs)] if outputs else steps

    def _group_tables(self, key: _Key) -> dict[str, str]:
        """Give the tables of one grain: pairs first, its groups, and what they share with the whole market."""
        grain, group = GRAINS[key.grain], self._groups[key]
        source = self._source(key).table
        tables: dict[str, str] = {}
        if grain.companions is not None:
            tables[f"{key.table}_seen"] = self._sightings(grain.companions, of_table=source)
            tables[f"{key.table}_first"] = first_seen(grain.companions, f"{key.table}_seen")
            own = "m.is_self" if key.scope == "account" else "TRUE"
            tables[f"{key.table}_pairs"] = paired(grain.companions, source, f"{key.table}_first", own=own)
            source = f"{key.table}_pairs"
        keys = [f"{sql} AS {name}" for name, sql in group.keys.items()]
        columns = [f"{sql} AS {alias}" for alias, sql in group.columns.items()]
        where = f" WHERE {' AND '.join(f'({part})' for part in group.where)}" if group.where else ""
        positions = ", ".join(str(1 + index) for index in range(1 + len(keys)))
        sql = f"SELECT {', '.join(['row_id', *keys, *columns])} FROM {source}{where} GROUP BY {positions}"
        for lookup in grain.lookups:
            sql = self._looked_up(sql, lookup, group.added)
        shared_counts = [count for count in grain.shared if count.name in group.added]
        return tables | (self._shared_tables(key.table, sql, shared_counts) if shared_counts else {key.table: sql})

    def _shared_tables(self, table: str, sql: str, counts: Iterable[SharedCount]) -> dict[str, str]:
        """Give the tables of a grain that counts what it shares: alone, seen and counted, joined as of the instant."""
        tables = {f"{table}_alone": sql}
        sql = f"SELECT * FROM {table}_alone"
        for count in counts:
            seen = f"{table}_{count.name}_seen"
            tables[seen] = self._sightings(count, of_table=f"{table}_alone")
            tables[f"{table}_{count.name}"] = running_count(count.keys, seen)
            match = " AND ".join(f"{count.name}.{key} = g.{key}" for key in count.keys)
            sql = (
                f"SELECT g.*, COALESCE({count.name}.accounts, 1) AS {count.name} FROM ({sql}) AS g "
                f"JOIN {INSTANTS} AS i USING (row_id) ASOF LEFT JOIN {table}_{count.name} AS {count.name} "
                f"ON {match} AND i.as_of >= {count.name}.changed_at"
            )
        return tables | {table: sql}

    def _looked_up(self, sql: str, lookup: Lookup, wanted: set[str]) -> str:
        """Add a norm's columns to a grain, where they are asked for."""
        columns = {name: text for name, text in lookup.columns.items() if name in wanted}
        if not columns:
            return sql
        if lookup.is_market:
            return self._looked_up_in_market(sql, lookup, columns)
        added = ", ".join(f"{self._written(text)} AS {name}" for name, text in columns.items())
        return f"SELECT g.*, {added} FROM ({sql}) AS g LEFT JOIN {lookup.table} AS n ON {lookup.on}"

    def _looked_up_in_market(self, sql: str, lookup: Lookup, wanted: Iterable[str]) -> str:
        """Add columns of a relation without events to a grain, cut as of the row's instant."""
        relation = RELATIONS[lookup.table]
        columns = {name: best_alternative(relation, name, self._columns) for name in wanted}
        added = ", ".join(f"{text} AS {name}" for name, text in columns.items())
        if not any(columns_of(text) for text in columns.values()):
            return f"SELECT g.*, {added} FROM ({sql}) AS g"
        on = lookup.on.replace("n.", "e.")
        return (
            f"SELECT g.*, {added} FROM ({sql}) AS g JOIN {INSTANTS} AS x USING (row_id) "
            f'LEFT JOIN "{relation.table}" AS e ON {on} AND {_cut("e")}'
        )

    def _derived(self) -> dict[str, str]:
        """Give the tables that are made from the market before anything is cut; they keep the version columns."""
        has_places = "geohash" in self._columns.get("addresses", ())
        return {
            PROMOTION_DAYS: promotion_days(),
            SHARED_DELIVERIES: shared_deliveries(has_places=has_places, is_few=self._is_few),
        }

    def _sightings(self, count: SharedCount | Companions, *, of_table: str) -> str:
        """Give the SELECT of who in the whole market was seen with the things of a grain."""
        relation = RELATIONS[count.relation]
        keys = {key: best_alternative(relation, key, self._columns) for key in count.keys}
        joins = joins_of(relation, keys.values())
        text = "".join(joined(join, as_of=False) for join in joins)
        aliases = [join.alias for join in joins if not join.is_cut]
        return sightings(count, relation, keys, text, aliases, of_table=of_table)

    def _written(self, sql: str) -> str:
        """Write a declaration's SQL with our own words expanded."""
        return render(with_our_words(parse(sql), self._scalars))


def joins_of(relation: Relation, columns: Iterable[str]) -> tuple[Join, ...]:
    """Give the joins that these columns' SQL takes, in the order of declaration."""
    wanted = {alias for sql in columns for alias, _ in columns_of(sql)}
    for join in reversed(relation.joins):
        if join.alias in wanted:
            wanted |= {join.alias} | {alias for alias, _ in columns_of(join.on)}
    return tuple(join for join in relation.joins if join.alias in wanted)


def joined(join: Join, *, as_of: bool) -> str:
    """Write a join; with `as_of`, cut as of the spine's instant."""
    table = f'(SELECT * FROM "{join.table}" LEFT JOIN {join.with_norm})' if join.with_norm else f'"{join.table}"'
    cut = f" AND {_cut(join.alias)}" if as_of and not join.is_cut else ""
    return f" LEFT JOIN {table} AS {join.alias} ON {join.on}{cut}"


def _cut(alias: str) -> str:
    """Write the as-of cut of one table. Coalesced, so that a hash join takes it as a plain comparison."""
    return f"{alias}.visible_at <= x.as_of AND COALESCE({alias}.superseded_at, TIMESTAMP 'infinity') > x.as_of"


def _window(grain: str, window_days: int | None) -> int:
    """Give the window in force: what is asked for, but no longer than the grain and what it stands on can serve."""
    longest = window_days or LONGEST_WINDOW_DAYS
    while grain in GRAINS:
        longest = min(longest, GRAINS[grain].window_days or longest)
        grain = GRAINS[grain].source
    return min(longest, LONGEST_WINDOW_DAYS)


def _query(table: str, outputs: Mapping[str, str]) -> Step:
    parts = ", ".join(f"{sql} AS {name}" for name, sql in outputs.items())
    return Step(f"SELECT row_id, {parts} FROM {table} GROUP BY row_id", measures=tuple(outputs))


def _with_ends(steps: list[Step]) -> tuple[Step, ...]:
    """Note with every step which tables were read for the last time."""
    words = [frozenset(re.findall(r"\w+", step.sql)) for step in steps]
    last: dict[str, int] = {}
    for index, step in enumerate(steps):
        for name in (table for table in (*last, step.table) if table):
            if name == step.table or name in words[index]:
                last[name] = index
    return tuple(
        replace(step, done_with=tuple(name for name, end in last.items() if end == index))
        for index, step in enumerate(steps)
    )
