"""The as-of compiler: many measures in, a few SQL statements out, one pass over the market's data per relation.

Every market table that a statement reads is cut by `visible_at <= as_of AND (superseded_at IS NULL OR superseded_at >
as_of)` of the spine's row, here and nowhere else. What is left of a relation is a narrow table in memory; its grains
are grouped from that, each once per window, which costs a third of what filtered aggregates over the longest window
do. Measures that aggregate a relation itself share one query, their windows as FILTER clauses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from membergate.learning.features.declaration import Measure, Scope
from membergate.learning.features.derived import DERIVED, Columns
from membergate.learning.features.expressions import (
    columns_of,
    filtered,
    parse,
    render,
    with_columns,
    with_our_words,
)
from membergate.learning.features.grains import GRAINS, Companions, Grain, Lookup, RunningTotal, SharedCount
from membergate.learning.features.lineage import OTHER, SHARERS, SPINE_COLUMNS, best_alternative, key_names, relation_of
from membergate.learning.features.relations import LONGEST_WINDOW_DAYS, RELATIONS, Join, Relation, age_days
from membergate.learning.features.sharing import (
    EARLIEST,
    LATEST,
    SPINE,
    added_up,
    first_seen,
    paired,
    running_count,
    running_total,
    sightings,
)
from membergate.learning.features.statements import (
    Program,
    Running,
    Step,
    cut,
    grouped,
    joined,
    joins_of,
    looked_up,
    query,
    with_ends,
    with_running,
    without_detours,
)


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
        The norms' scalars, which `PRIOR` reads; None to write their names, for readers.
    is_few
        Whether the spine is short: one part, for which what is shared is better read for its own things only. No value
        depends on it.
    """

    def __init__(self, columns: Columns, scalars: Mapping[str, float] | None, *, is_few: bool = False) -> None:
        self._is_few = is_few
        self._columns = columns
        self._scalars = scalars
        self._relations: dict[str, set[str]] = {}
        self._outputs: dict[str, dict[str, str]] = {}
        self._reach_days: dict[str, int] = {}
        self._groups: dict[_Key, _Group] = {}
        self._shared: dict[str, str] = {}

    def compile(self, measures: Mapping[str, Measure]) -> Program:
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
        own: list[Step] = []
        # One relation after the other, so that only one of them is in memory.
        for relation in (RELATIONS[name] for name in RELATIONS if name in self._relations):
            own += [] if relation.is_static else self._relation_steps(relation)
            for key, group in self._groups.items():
                if relation_of(key.grain) is relation:
                    own += [Step(sql, table) for table, sql in self._group_tables(key).items()]
                    own += [query(key.table, group.outputs)] if group.outputs else []
        shared = [Step(sql, table) for table, sql in self._shared.items()]
        if self._is_few:
            return Program((), with_ends(without_detours(shared + own)))
        return Program(with_ends(shared, before=own), with_ends(without_detours(own)))

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
        if name == SHARERS:
            return name
        if name in declared.added:
            group.added.add(name)
            self._ask_added(key, declared, name)
        elif name not in group.keys and name not in group.columns:
            group.columns[name] = self._over(self._source(key), declared.columns[name])
        return name

    def _ask_added(self, key: _Key, grain: Grain, name: str) -> None:
        """Ask for what an added column is looked up by, and in."""
        for looked_up_by in grain.behind(name):
            self._resolve(key, looked_up_by)
        for lookup in grain.lookups:
            if name in lookup.columns and lookup.is_market and self._is_in_market(lookup, name):
                asked = {column for alias, column in columns_of(lookup.on) if alias == "n"}
                self._relations.setdefault(lookup.table, set()).update({name, *asked})
        for total in grain.totals:
            for column in total.reads if total.name == name else ():
                self._ask_joined(_Key(total.relation, key.scope, key.window_days), column)

    def _ask_relation(self, key: _Key, name: str) -> None:
        """Ask a relation for a column, and the relations that it joins for what that reads."""
        self._relation(key).add(name)
        self._ask_joined(key, name)

    def _ask_joined(self, key: _Key, name: str) -> None:
        """Ask the relations that a relation's column joins for what it reads of them."""
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
        columns = self._asked_of(relation)
        joins = joins_of(relation, columns.values())
        parts = ["x.row_id", "x.member_no", "x.is_self"]
        source, where = f"{SPINE} AS x", "x.is_self"
        if relation.table:
            parts.append(f"{age_days(relation.event_time)} AS age_days")
            source += f" JOIN {self._derive(relation.table)} AS e ON e.account_id = x.account_id AND {cut('e')}"
            reach = self._reach_days[relation.name]
            time = f"e.{relation.event_time}"
            # The first two only spare the join what the third and the cut would throw away after it.
            where = (
                f"{time} > {EARLIEST} - INTERVAL {reach} DAY AND e.visible_at <= {LATEST} "
                f"AND {time} > x.as_of - INTERVAL {reach} DAY"
            )
        parts += [f"{sql} AS {name}" for name, sql in columns.items()]
        source += "".join(self._joined(join, as_of=True) for join in joins)
        steps = [Step(f"SELECT {', '.join(parts)} FROM {source} WHERE {where}", f"feature_{relation.name}")]
        outputs = self._outputs.get(relation.name)
        return [*steps, query(f"feature_{relation.name}", outputs)] if outputs else steps

    def _static(self, relation: Relation) -> str:
        """Give the SELECT of a table without events: it keeps its versions, to be cut where it is joined."""
        columns = self._asked_of(relation)
        joins = "".join(self._joined(join, as_of=False) for join in joins_of(relation, columns.values()))
        parts = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
        return f"SELECT {parts}, e.visible_at, e.superseded_at FROM {self._derive(relation.table)} AS e{joins}"

    def _asked_of(self, relation: Relation) -> dict[str, str]:
        """Give the columns that are asked of a relation, each as its best alternative."""
        return {
            name: self._written(best_alternative(relation, name, self._columns))
            for name in sorted(self._relations[relation.name])
        }

    def _joined(self, join: Join, *, as_of: bool) -> str:
        return joined(join, self._read(join.table), as_of=as_of)

    def _read(self, table: str) -> str:
        """Have what is joined made, once for all parts of a spine; for a short one a static table is a subquery."""
        relation = RELATIONS.get(table.removeprefix("feature_"))
        if relation is None or not relation.is_static:
            return self._derive(table)
        if self._is_few:
            return f"({self._static(relation)})"
        self._shared[table] = self._static(relation)
        return table

    def _group_tables(self, key: _Key) -> dict[str, str]:
        """Give the tables of one grain: its groups, with what they share with the whole market."""
        grain, group = GRAINS[key.grain], self._groups[key]
        if grain.companions is not None:
            return self._companion_tables(key, grain.companions, group)
        sql = grouped(self._source(key).table, group.keys, group.columns, group.where)
        for lookup in grain.lookups:
            sql = self._looked_up(sql, lookup, group.added)
        sequels = ", ".join(f"{text} AS {name}" for name, text in grain.sequels.items() if name in group.added)
        sql = f"SELECT *, {sequels} FROM ({sql})" if sequels else sql
        counts = [count for count in grain.running if count.name in group.added]
        return self._shared_tables(key, sql, counts) if counts else {key.table: sql}

    def _companion_tables(self, key: _Key, companions: Companions, group: _Group) -> dict[str, str]:
        """Give the tables of a grain of pairs: who was seen, the pairs, and the groups: one for itself, one a pair."""
        source = self._source(key).table
        first, pairs = (f"{key.table}_{name}" for name in ("first", "pairs"))
        own = "m.is_self" if key.scope == "account" else "TRUE"
        weighs = any(SHARERS in sql for sql in group.columns.values())
        alone = grouped(
            f"(SELECT *, 0 AS {SHARERS} FROM {source})" if weighs else source,
            group.keys | {OTHER: "CAST(NULL AS UBIGINT)"},
            group.columns,
            group.where,
        )
        both = f"{alone} UNION ALL {grouped(pairs, group.keys, group.columns, group.where)}"
        everyone = {first: first_seen(companions, f"({self._sightings(companions, of_table=source)})")}
        return self._kept(everyone) | {
            pairs: paired(companions, source, first, own=own, weighs=weighs),
            key.table: both,
        }

    def _shared_tables(self, key: _Key, sql: str, added: Iterable[SharedCount | RunningTotal]) -> dict[str, str]:
        """Give the tables of a grain that reads running counts or totals: alone, running, joined as of the instant."""
        alone, everyone, read = f"{key.table}_alone", dict[str, str](), dict[str, Running]()
        for one in added:
            if isinstance(one, SharedCount):
                seen, table = f"{key.table}_{one.name}_seen", f"{key.table}_{one.name}"
                everyone |= {seen: self._sightings(one, of_table=alone), table: running_count(one.keys, seen)}
                read[one.name] = Running(self._own_part(table, alone, one.keys), one.keys, one.alone)
            else:
                table = f"{key.table}_{one.source}"
                everyone[table] = running_total(one, self._added_up(one, of_table=alone))
                read[one.name] = Running(self._own_part(table, alone, one.keys), one.keys, 0, one.days_ago)
        counted = with_running(f"SELECT * FROM {alone}", read)
        return {alone: sql} | self._kept(everyone) | {key.table: counted}

    def _own_part(self, table: str, of_table: str, keys: Iterable[str]) -> str:
        """Write what a shared table says of a grain's own things."""
        return table if self._is_few else f"(FROM {table} SEMI JOIN {of_table} USING ({', '.join(keys)}))"

    def _kept(self, everyone: dict[str, str]) -> dict[str, str]:
        """Put tables about the whole market among the shared ones; give them back where they are about own things."""
        if self._is_few:
            return everyone
        self._shared |= everyone
        return {}

    def _looked_up(self, sql: str, lookup: Lookup, wanted: set[str]) -> str:
        """Add a norm's columns, or a static relation's, to a grain, where they are asked for."""
        columns = {name: text for name, text in lookup.columns.items() if name in wanted}
        if not columns:
            return sql
        if not lookup.is_market:
            added = ", ".join(f"{self._written(text)} AS {name}" for name, text in columns.items())
            return f"SELECT g.*, {added} FROM ({sql}) AS g LEFT JOIN {lookup.table} AS n ON {lookup.on}"
        if not any(self._is_in_market(lookup, name) for name in columns):
            unknown = ", ".join(f"{RELATIONS[lookup.table].columns[name][-1]} AS {name}" for name in columns)
            return f"SELECT g.*, {unknown} FROM ({sql}) AS g"
        added = ", ".join(f"{text} AS {name}" for name, text in columns.items())
        return looked_up(sql, self._read(f"feature_{lookup.table}"), lookup.on, added)

    def _is_in_market(self, lookup: Lookup, name: str) -> bool:
        """Whether what the market has says anything of a column that is looked up in it."""
        return bool(columns_of(best_alternative(RELATIONS[lookup.table], name, self._columns)))

    def _derive(self, table: str) -> str:
        """Have a table made from the market before it is cut, its version columns kept; give how to read it."""
        derived = DERIVED.get(table)
        if derived is None:
            return f'"{table}"'
        if derived.is_cores:
            return f'"{table}"'
        sql = derived.write(self._columns, self._is_few)
        if not derived.is_table:
            return f"({sql})"
        self._shared[table] = sql
        return f'"{table}"'

    def _sightings(self, count: SharedCount | Companions, *, of_table: str) -> str:
        """Give the SELECT of who in the whole market was seen with things: a grain's own only, where they are few."""
        relation = RELATIONS[count.relation]
        keys, text, aliases = self._of_everyone(relation, count.keys)
        return sightings(
            count,
            relation,
            keys,
            text,
            aliases,
            of_table=of_table if self._is_few else "",
            source=self._derive(relation.table),
        )

    def _added_up(self, total: RunningTotal, *, of_table: str) -> str:
        """Give the SELECT of the rows of the whole market that a running total adds up."""
        relation = RELATIONS[total.relation]
        columns, text, aliases = self._of_everyone(relation, total.reads)
        source = f"{self._derive(relation.table)} AS e{text}"
        return added_up(total, relation, columns, source, aliases, of_table=of_table if self._is_few else "")

    def _of_everyone(self, relation: Relation, names: Iterable[str]) -> tuple[dict[str, str], str, list[str]]:
        """Give columns of a relation without the spine: their SQL, the joins they take, and the market's aliases."""
        columns = {name: self._written(best_alternative(relation, name, self._columns)) for name in names}
        joins = joins_of(relation, columns.values())
        text = "".join(self._joined(join, as_of=False) for join in joins)
        return columns, text, [join.alias for join in joins if not join.is_cut]

    def _written(self, sql: str) -> str:
        """Write a declaration's SQL with our own words expanded."""
        return render(with_our_words(parse(sql), self._scalars))


def _window(grain: str, window_days: int | None) -> int:
    """Give the window in force: what is asked for, but no longer than the grain and what it stands on can serve."""
    longest = window_days or LONGEST_WINDOW_DAYS
    while grain in GRAINS:
        longest = min(longest, GRAINS[grain].window_days or longest)
        grain = GRAINS[grain].source
    return min(longest, LONGEST_WINDOW_DAYS)
