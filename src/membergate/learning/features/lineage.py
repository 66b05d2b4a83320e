"""What a feature needs, read off its own SQL: from its expression down through grains to the market's columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from membergate.domain.errors import BadInputError
from membergate.learning.features.declaration import Feature, Measure
from membergate.learning.features.derived import DERIVED, Columns
from membergate.learning.features.expressions import columns_of, parse, priors_of, render
from membergate.learning.features.grains import GRAINS
from membergate.learning.features.relations import RELATIONS, Relation
from membergate.market.schema import TABLES

BaseColumn = tuple[str, str]
"""A relation's name and one of its columns."""
SPINE_COLUMNS = frozenset({"row_id", "member_no", "is_self", "age_days"})
"""Columns that every relation has from the spine."""
OTHER = "other"
"""The key of a grain of pairs: the account that shares something."""
SHARERS = "sharers"
"""What columns of a grain of pairs may read of a pair: how many accounts outside the operator share the thing."""
NORM_NEEDS = {"fee_minor": frozenset({"memberships.fee_minor"})}
"""Scalars of the norms that stand on columns which a market may lack."""


@dataclass(frozen=True)
class Availability:
    """Whether a feature can be computed from the data that is there.

    Parameters
    ----------
    feature
        The feature.
    is_computable
        Whether everything that it needs is there.
    missing
        `table.column` names that it needs and the data has not.
    improved_by
        `table.column` names that the data has not and that would make it better; it works without them.
    """

    feature: Feature
    is_computable: bool
    missing: tuple[str, ...]
    improved_by: tuple[str, ...]


def measures_of(feature: Feature) -> tuple[Measure, ...]:
    """Give everything that is computed for a feature: value, evidence, what it is divided by, denominator."""
    parts = (feature.value, feature.evidence_count, feature.per, feature.denominator)
    return tuple(dict.fromkeys(measure for measure in parts if measure is not None))


def base_columns(grain: str, sql: str) -> frozenset[BaseColumn]:
    """Walk from SQL over a grain or relation down to the relations' columns that it stands on.

    Raises
    ------
    BadInputError
        If it names a column that its grain has not.
    """
    found: set[BaseColumn] = set()
    for _, name in columns_of(sql):
        found |= _below(grain, name)
    return frozenset(found | _frame(grain))


def needs(measures: Iterable[Measure]) -> frozenset[str]:
    """Give the market's columns, `table.column`, without which the measures cannot be computed."""
    found: set[str] = set()
    for measure in measures:
        found |= _relation_needs(relation_of(measure.grain))
        found |= frozenset[str]().union(*(NORM_NEEDS.get(name, frozenset()) for name in priors_of(measure.sql)))
        for relation, column in base_columns(measure.grain, measure.sql):
            found |= market_columns(RELATIONS[relation], RELATIONS[relation].columns[column][-1])
    return frozenset(found)


def uses(measures: Iterable[Measure]) -> frozenset[str]:
    """Give the market's columns that the measures read where they are there, needed or not."""
    found: set[str] = set()
    for measure in measures:
        found |= needs([measure])
        for relation, column in base_columns(measure.grain, measure.sql):
            for sql in RELATIONS[relation].columns[column]:
                found |= market_columns(RELATIONS[relation], sql, at_best=True)
    return frozenset(found)


def availability_of(feature: Feature, columns: Columns) -> Availability:
    """Say whether a feature can be computed from these columns, and what is missing."""
    present = _present(columns)
    needed = needs(measures_of(feature))
    missing = tuple(sorted(needed - present))
    improved_by = tuple(sorted(uses(measures_of(feature)) - needed - present))
    return Availability(feature, not missing, missing, improved_by)


def is_computable(measure: Measure, columns: Columns) -> bool:
    """Whether a measure can be computed from these columns."""
    return needs([measure]) <= _present(columns)


def best_alternative(relation: Relation, column: str, columns: Columns) -> str:
    """Give the SQL of a relation's column: its best alternative whose market columns all exist.

    Raises
    ------
    BadInputError
        If not even the last one can be had; ask `availability_of` first.
    """
    present = _present(columns)
    for sql in relation.columns[column]:
        if market_columns(relation, sql) <= present:
            return sql
    raise BadInputError(f"{relation.name}.{column} cannot be computed from this data")


def relation_of(grain: str) -> Relation:
    """Give the relation that a grain stands on."""
    while grain in GRAINS:
        grain = GRAINS[grain].source
    return RELATIONS[grain]


def market_columns(relation: Relation, sql: str, *, at_best: bool = False) -> frozenset[str]:
    """Give the market's columns that a relation's SQL reads, those of the joins that it takes included.

    Parameters
    ----------
    relation
        Whose aliases the SQL uses.
    sql
        The SQL of one column.
    at_best
        Count every alternative of what it joins, and not only the least of them.
    """
    read = set(columns_of(sql))
    # Backwards: a join's condition names its own alias and earlier ones.
    for join in reversed(relation.joins):
        if any(alias == join.alias for alias, _ in read):
            read |= columns_of(join.on)
    found: set[str] = set()
    for alias, name in read:
        if alias == "x":
            continue
        join_of_alias = relation.join(alias)
        if join_of_alias is not None and join_of_alias.relation in RELATIONS:
            found |= _columns_behind(RELATIONS[join_of_alias.relation], name, at_best=at_best)
        else:
            table = relation.table if join_of_alias is None else join_of_alias.table
            found |= _market_column(table, name, at_best=at_best)
    return frozenset(found)


def _columns_behind(relation: Relation, column: str, *, at_best: bool) -> frozenset[str]:
    """Give the market's columns behind one column of a relation that is joined."""
    alternatives = relation.columns.get(column, ())
    counted = alternatives if at_best else alternatives[-1:]
    return _relation_needs(relation).union(*(market_columns(relation, sql, at_best=at_best) for sql in counted))


def _market_column(table: str, name: str, *, at_best: bool) -> frozenset[str]:
    if table in DERIVED:
        return DERIVED[table].needs | (DERIVED[table].better_with if at_best else frozenset())
    if table in TABLES and name in TABLES[table].column_names:
        return frozenset({f"{table}.{name}"})
    return frozenset()


def _relation_needs(relation: Relation) -> frozenset[str]:
    """Give what a relation needs whatever is asked of it: its account and its time."""
    if not relation.event_time:
        return frozenset()
    return market_columns(relation, f"e.account_id = e.{relation.event_time}")


def _below(grain: str, name: str) -> frozenset[BaseColumn]:
    """Give the relations' columns under one column of a grain."""
    if name in {OTHER, SHARERS} or (name in SPINE_COLUMNS and (grain in RELATIONS or name in key_names(grain))):
        return frozenset()
    if grain in RELATIONS:
        if name not in RELATIONS[grain].columns:
            raise BadInputError(f"{grain} has no column {name!r}", allowed=", ".join(RELATIONS[grain].columns))
        return frozenset({(grain, name)})
    declared = GRAINS[grain]
    if name in declared.added:
        looked_up = {(lookup.table, name) for lookup in declared.lookups if lookup.is_market and name in lookup.columns}
        looked_up |= {(count.relation, key) for count in declared.shared if count.name == name for key in count.keys}
        looked_up |= {(total.relation, read) for total in declared.totals if total.name == name for read in total.reads}
        return frozenset(looked_up).union(*(_below(grain, column) for column in declared.behind(name)))
    sql = declared.columns.get(name) or key_names(grain).get(name)
    if sql is None:
        raise BadInputError(f"{grain} has no column {name!r}", allowed=", ".join((*declared.columns, *declared.added)))
    return base_columns(declared.source, sql)


def _frame(grain: str) -> frozenset[BaseColumn]:
    """Give what a grain stands on whatever is asked of it: its keys, its condition, those of its sources."""
    if grain in RELATIONS:
        return frozenset()
    declared = GRAINS[grain]
    found: set[BaseColumn] = set()
    for sql in (*key_names(grain).values(), declared.where or "TRUE"):
        found |= base_columns(declared.source, sql)
    return frozenset(found)


@cache
def key_names(grain: str) -> dict[str, str]:
    """Give a grain's keys: name -> SQL over its source."""
    keys = (parse(key) for key in GRAINS[grain].keys)
    return {key.alias_or_name: render(key.unalias()) for key in keys}


def _present(columns: Columns) -> frozenset[str]:
    return frozenset(f"{table}.{name}" for table, names in columns.items() for name in names)
