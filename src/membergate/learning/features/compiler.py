"""The as-of compiler: many measures in, a few SQL statements out, one pass over the data per grain.

Every market table that a statement reads is cut by `visible_at <= as_of AND (superseded_at IS NULL OR superseded_at >
as_of)` of the spine's row, here and nowhere else; windows become FILTER clauses, so measures of one grain share its
pass whatever their windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
    Grain,
    Join,
    Lookup,
    Relation,
    SharedCount,
    age_days,
)
from membergate.learning.features.lineage import OTHER, SPINE_COLUMNS, Columns, best_alternative, key_names, relation_of
from membergate.learning.features.sharing import (
    INSTANTS,
    PROMOTION_DAYS,
    SPINE,
    paired,
    promotion_days,
    running_count,
    sightings,
)

ROWS = "rows"
"""Stem of the columns that count a group's source rows inside a window: a group without one is not there."""


@dataclass(frozen=True)
class Query:
    """Gives `row_id` and one column per measure, one row per spine row that the grain knows."""

    sql: str
    measures: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """What to run for a set of measures, in order.

    Parameters
    ----------
    tables
        Temporary table -> the SELECT that fills it, in order.
    queries
        What to ask then.
    """

    tables: dict[str, str]
    queries: tuple[Query, ...]


@dataclass
class _Group:
    """What is asked of one grain in one scope."""

    keys: dict[str, str]
    where: list[str]
    columns: dict[str, str] = field(default_factory=dict)
    added: set[str] = field(default_factory=set)


class Compiler:
    """Compiles named measures for the columns that a market has and the scalars of its norms.

    Parameters
    ----------
    columns
        Loaded table -> its canonical columns.
    scalars
        The norms' scalars, which `PRIOR` reads.
    """

    def __init__(self, columns: Columns, scalars: Mapping[str, float]) -> None:
        self._columns = columns
        self._scalars = scalars
        self._relations: dict[str, set[str]] = {}
        self._reach_days: dict[str, int] = {}
        self._groups: dict[tuple[str, Scope], _Group] = {}

    def compile(self, measures: Mapping[str, Measure]) -> Program:
        """Compile measures by name; each must be computable from the columns.

        Raises
        ------
        BadInputError
            If a measure names what its grain has not, or aggregates inexactly.
        """
        outputs: dict[tuple[str, Scope], dict[str, str]] = {}
        for name, measure in measures.items():
            self._extend_reach(measure)
            is_base = measure.grain in RELATIONS
            own_only = parse("is_self") if is_base and measure.scope == "account" else None
            sql = self._over(measure.grain, measure.scope, measure.sql, measure.window_days, own_only)
            outputs.setdefault((measure.grain, "operator" if is_base else measure.scope), {})[name] = sql
        relations = {f"feature_{name}": self._relation_sql(RELATIONS[name]) for name in self._relations}
        tables = {PROMOTION_DAYS: promotion_days()} if any(PROMOTION_DAYS in sql for sql in relations.values()) else {}
        tables |= relations
        for grain, scope in self._groups:
            tables.update(self._group_tables(GRAINS[grain], scope))
        queries = tuple(
            Query(_select_measures(_table(grain, scope), columns), tuple(columns))
            for (grain, scope), columns in outputs.items()
        )
        return Program(tables, queries)

    def _over(
        self, grain: str, scope: Scope, sql: str, window_days: int | None, condition: exp.Expr | None = None
    ) -> str:
        """Resolve SQL over a grain: columns asked for below, aggregates filtered to the window."""
        tree = with_our_words(parse(sql), self._scalars)
        tree = with_columns(tree, lambda column: exp.column(self._resolve(grain, scope, column.name, window_days)))
        conditions = [part for part in (condition, self._window(grain, scope, window_days)) if part is not None]
        # Asked for even where the SQL names no column, as COUNT(*) does.
        if grain in RELATIONS:
            self._relations.setdefault(grain, set())
        else:
            self._group(grain, scope)
        return render(filtered(tree, exp.and_(*conditions) if conditions else None))

    def _resolve(self, grain: str, scope: Scope, name: str, window_days: int | None) -> str:
        """Ask a grain for a column inside a window and give the name that it will have."""
        if grain in RELATIONS:
            if name not in SPINE_COLUMNS:
                self._relations.setdefault(grain, set()).add(name)
            return name
        declared, group = GRAINS[grain], self._group(grain, scope)
        if name in group.keys:
            return name
        if name in declared.added:
            group.added.add(name)
            return name
        below = None if _carries_age(grain) else window_days
        alias = name if below is None else f"{name}__{below}"
        if alias not in group.columns:
            group.columns[alias] = self._over(declared.source, scope, declared.columns[name], below)
        return alias

    def _window(self, grain: str, scope: Scope, window_days: int | None) -> exp.Expr | None:
        """Give the condition that a grain's row lies, in part, inside the window."""
        if window_days is None or window_days >= _longest(grain):
            return None
        if _carries_age(grain):
            return parse(f"age_days < {window_days}")
        alias = f"{ROWS}__{window_days}"
        group = self._group(grain, scope)
        if alias not in group.columns:
            group.columns[alias] = self._over(GRAINS[grain].source, scope, "COUNT(*)", window_days)
        return parse(f"{alias} > 0")

    def _group(self, grain: str, scope: Scope) -> _Group:
        """Give the request for a grain, its keys and condition resolved when it is first asked for."""
        if (grain, scope) not in self._groups:
            declared = GRAINS[grain]
            source = declared.source
            keys = {
                name: self._over(source, scope, sql, None) for name, sql in key_names(grain).items() if name != OTHER
            }
            if declared.companions is not None:
                self._resolve(source, scope, declared.companions.shared, None)
                keys[OTHER] = OTHER
            where = [self._over(source, scope, declared.where, None)] if declared.where else []
            if source in RELATIONS and scope == "account":
                where.append("is_self")
            if declared.window_days is not None:
                where.append(f"age_days < {declared.window_days}")
            # Registered after its source, so that groups come in the order in which they can be filled.
            self._groups[grain, scope] = _Group(keys, where)
        return self._groups[grain, scope]

    def _extend_reach(self, measure: Measure) -> None:
        """Remember how far back a relation must be read."""
        days = min(measure.window_days or LONGEST_WINDOW_DAYS, _longest(measure.grain))
        relation = relation_of(measure.grain).name
        self._reach_days[relation] = max(self._reach_days.get(relation, 0), days)

    def _relation_sql(self, relation: Relation) -> str:
        """Give the SELECT of a relation: the one place where market tables meet the spine, cut as of its instants."""
        columns = {
            name: self._written(best_alternative(relation, name, self._columns))
            for name in sorted(self._relations[relation.name])
        }
        parts = ["x.row_id", "x.member_no", "x.is_self"]
        source = f"{SPINE} AS x"
        if relation.table:
            parts.append(f"{age_days(relation.event_time)} AS age_days")
            source += f' JOIN "{relation.table}" AS e ON e.account_id = x.account_id AND {_cut("e")}'
        parts += [f"{sql} AS {name}" for name, sql in columns.items()]
        for join in joins_of(relation, columns.values()):
            source += joined(join, as_of=True)
        where = "x.is_self"
        if relation.table:
            reach = self._reach_days[relation.name]
            where = f"e.{relation.event_time} > x.as_of - INTERVAL {reach} DAY"
        return f"SELECT {', '.join(parts)} FROM {source} WHERE {where}"

    def _group_tables(self, grain: Grain, scope: Scope) -> dict[str, str]:
        """Give the tables of one grain: pairs first, its groups, and what they share with the whole market."""
        group = self._groups[grain.name, scope]
        table, source = _table(grain.name, scope), _table(grain.source, scope)
        tables: dict[str, str] = {}
        if grain.companions is not None:
            shared = next(count for count in GRAINS[grain.source].shared if count.name == grain.companions.shared)
            tables[f"{table}_pairs"] = paired(
                shared.keys,
                source,
                f"{source}_{shared.name}_seen",
                most_accounts=grain.companions.most_accounts,
                own="m.is_self" if scope == "account" else "TRUE",
            )
            source = f"{table}_pairs"
        keys = [f"{sql} AS {name}" for name, sql in group.keys.items()]
        columns = [f"{sql} AS {alias}" for alias, sql in group.columns.items()]
        where = f" WHERE {' AND '.join(f'({part})' for part in group.where)}" if group.where else ""
        positions = ", ".join(str(1 + index) for index in range(1 + len(keys)))
        sql = f"SELECT {', '.join(['row_id', *keys, *columns])} FROM {source}{where} GROUP BY {positions}"
        for lookup in grain.lookups:
            sql = self._looked_up(sql, lookup, group.added)
        shared_counts = [count for count in grain.shared if count.name in group.added]
        if shared_counts:
            tables[f"{table}_alone"] = sql
            sql = f"SELECT * FROM {table}_alone"
        for count in shared_counts:
            tables[f"{table}_{count.name}_seen"] = self._sightings(count, of_table=f"{table}_alone")
            tables[f"{table}_{count.name}"] = running_count(count.keys, f"{table}_{count.name}_seen")
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
        added = ", ".join(f"{self._written(text)} AS {name}" for name, text in columns.items())
        return f"SELECT g.*, {added} FROM ({sql}) AS g LEFT JOIN {lookup.table} AS n USING ({lookup.key})"

    def _sightings(self, count: SharedCount, *, of_table: str) -> str:
        """Give the SELECT of who in the whole market was seen with the things of a grain."""
        relation = RELATIONS[count.relation]
        keys = {key: best_alternative(relation, key, self._columns) for key in count.keys}
        joins = joins_of(relation, keys.values())
        text = "".join(joined(join, as_of=False) for join in joins)
        aliases = [join.alias for join in joins if not join.is_norm]
        return sightings(count, relation, keys, text, aliases, of_table=of_table)

    def _written(self, sql: str) -> str:
        """Write a declaration's SQL with our own words expanded."""
        return render(with_our_words(parse(sql), self._scalars))


def joins_of(relation: Relation, columns: Iterable[str]) -> tuple[Join, ...]:
    """Give the joins that these columns' SQL takes, inner ones always, in the order of declaration."""
    wanted = {alias for sql in columns for alias, _ in columns_of(sql)}
    for join in reversed(relation.joins):
        if join.alias in wanted or join.is_inner:
            wanted |= {join.alias} | {alias for alias, _ in columns_of(join.on)}
    return tuple(join for join in relation.joins if join.alias in wanted)


def joined(join: Join, *, as_of: bool) -> str:
    """Write a join; with `as_of`, cut as of the spine's instant."""
    kind = "JOIN" if join.is_inner else "LEFT JOIN"
    cut = f" AND {_cut(join.alias)}" if as_of and not join.is_norm else ""
    return f' {kind} "{join.table}" AS {join.alias} ON {join.on}{cut}'


def _cut(alias: str) -> str:
    """Write the as-of cut of one table. Coalesced, so that a hash join takes it as a plain comparison."""
    return f"{alias}.visible_at <= x.as_of AND COALESCE({alias}.superseded_at, TIMESTAMP 'infinity') > x.as_of"


def _table(grain: str, scope: Scope) -> str:
    return f"feature_{grain}" if grain in RELATIONS else f"feature_{grain}_{scope}"


def _carries_age(grain: str) -> bool:
    return bool(RELATIONS[grain].event_time) if grain in RELATIONS else "age_days" in key_names(grain)


def _longest(grain: str) -> int:
    """Give the longest window that a grain can serve: its own, or that of what it stands on."""
    longest = LONGEST_WINDOW_DAYS
    while grain in GRAINS:
        longest = min(longest, GRAINS[grain].window_days or longest)
        grain = GRAINS[grain].source
    return longest


def _select_measures(table: str, columns: Mapping[str, str]) -> str:
    parts = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    return f"SELECT row_id, {parts} FROM {table} GROUP BY row_id"
