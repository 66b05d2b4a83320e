"""Which source feeds which canonical table, which column which, and how the tables hang together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import duckdb
import numpy as np
from scipy.optimize import linear_sum_assignment

from membergate.market.declaring import Kind, Table
from membergate.market.schema import TABLES
from membergate.market.suggesting.matching import Match, match
from membergate.market.suggesting.profiling import ColumnProfile, SourceProfile, contained
from membergate.market.suggesting.wording import TABLE_WORDINGS, table_likeness, words

LEAST = 0.78
"""Confidence below which a column is not proposed."""
_TABLE_NAME_SHARE = 0.35
_OPTIONAL_BONUS = 0.015  # for each optional column that a source has
_REPEATED_KEY_COSTS = 0.08
_LEAST_OPTIONAL_TABLE = 0.72
_LEAST_OPTIONAL_NAME = 0.75
_KEY_BY_PLACE = 0.8
"""Confidence in a key that its name does not tell."""
_ID_WORDS = frozenset({"id", "key", "pk", "uuid", "guid", "number", "no", "code"})
_MOSTLY = 0.95
_ALMOST_NONE = 0.05
_FEWEST_TO_COMPARE = 2  # different values
_SEPARATE = {"line_id", "event_id", "login_id"}
"""Keys that exports often lack, and that can be made of others."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A canonical table with the source that is to feed it.

    Parameters
    ----------
    table
        The canonical table.
    source
        The source.
    score
        In [0, 1]; of sources for the same table the highest one is taken.
    columns
        Canonical column -> the source's column.
    repeats
        Whether the source has several rows of one key, so that they must be put together.
    lookup
        Where the account is not in this source: the other source, the column that both share, and what is taken.
    """

    table: Table
    source: SourceProfile
    score: float
    columns: dict[str, Match]
    repeats: bool = False
    lookup: tuple[str, tuple[str, str], str] | None = None


def choose(connection: duckdb.DuckDBPyConnection, sources: list[SourceProfile]) -> dict[str, Choice]:
    """Choose a source for every canonical table that some source can feed."""
    chosen: dict[str, Choice] = {}
    for table in TABLES.values():
        candidates = [candidate for source in sources if (candidate := _candidate(table, source)) is not None]
        if candidates:
            chosen[table.name] = max(candidates, key=lambda choice: choice.score)
    lines = chosen.get("order_lines")
    if "skus" not in chosen and lines is not None and "sku_id" in lines.columns:
        chosen["skus"] = _of_lines(lines)
        chosen = {name: chosen[name] for name in TABLES if name in chosen}
    return {name: _linked(connection, choice, chosen) for name, choice in chosen.items()}


def _of_lines(lines: Choice) -> Choice:
    """Make the articles of those that order lines name, where no source tells them by a key of its own."""
    table, key = TABLES["skus"], lines.columns["sku_id"]
    others = {name: found for name, found in _assigned(table, lines.source.columns).items() if name != "sku_id"}
    own = replace(key, reasons=(*key.reasons, "the articles that order lines name"))
    return Choice(table, lines.source, lines.score, {"sku_id": own} | others, repeats=True)


def _candidate(table: Table, source: SourceProfile) -> Choice | None:
    columns = _assigned(table, source.columns)
    key = table.key[0]
    named = table_likeness(source.name, TABLE_WORDINGS[table.name])
    own = _own_key(source) if key not in columns and named >= _LEAST_OPTIONAL_NAME else None
    if own is not None and own.name not in {found.column for found in columns.values()}:
        columns[key] = Match(own.name, _KEY_BY_PLACE, ("the table's first id of which each row has its own",))
    if key not in columns and key not in _SEPARATE:
        return None
    needed = [name for name in table.required_columns if name not in _SEPARATE]
    met = sum(columns[name].confidence for name in needed if name in columns) / len(needed)
    bonus = _OPTIONAL_BONUS * sum(name not in table.required_columns for name in columns)
    repeats = key in columns and not source.column(columns[key].column).is_unique
    score = _TABLE_NAME_SHARE * named + (1 - _TABLE_NAME_SHARE) * met + bonus - _REPEATED_KEY_COSTS * repeats
    if 2 * sum(name in columns for name in needed) < len(needed):
        return None
    is_wanted = table.is_required and table.name != "applications"
    if not is_wanted and (named < _LEAST_OPTIONAL_NAME or score < _LEAST_OPTIONAL_TABLE):
        return None
    return Choice(table, source, score, columns, repeats=repeats)


def _own_key(source: SourceProfile) -> ColumnProfile | None:
    """Give the first column that is called an id of some kind and of which each row has its own."""
    return next((c for c in source.columns if c.is_unique and words(c.name).rpartition(" ")[2] in _ID_WORDS), None)


def _assigned(table: Table, profiles: Iterable[ColumnProfile]) -> dict[str, Match]:
    """Give each canonical column the source's column that suits it, so that all together suit best.

    The prices of a line may share a column: many exports know one price.
    """
    columns, listed = list(table.columns), list(profiles)
    matches = [[match(table, column, profile) for profile in listed] for column in columns]
    confidence = np.array([[m.confidence if m.confidence >= LEAST else 0.0 for m in row] for row in matches])
    if not listed:
        return {}
    rows, places = linear_sum_assignment(confidence, maximize=True)
    found = {
        columns[row].name: matches[row][place]
        for row, place in zip(rows, places, strict=True)
        if confidence[row, place] > 0
    }
    for row, column in enumerate(columns):
        best = max(matches[row], key=lambda m: m.confidence)
        if column.name not in found and column.is_required and column.kind is Kind.MONEY and best.confidence >= LEAST:
            found[column.name] = replace(best, reasons=(*best.reasons, "the only price there is"))
    return found


def _linked(connection: duckdb.DuckDBPyConnection, choice: Choice, chosen: dict[str, Choice]) -> Choice:
    """Hold foreign keys against the keys that they point at."""
    columns = dict(choice.columns)
    for name, found in choice.columns.items():
        parent = next((t for t in TABLES.values() if t.key == (name,) and t is not choice.table), None)
        target = chosen.get(parent.name) if parent else None
        if target is None or parent is None or name not in target.columns or target.source is choice.source:
            continue
        key = target.columns[name].column
        share = contained(connection, (choice.source.relation, found.column), (target.source.relation, key))
        distinct = choice.source.column(found.column).distinct
        where = f"{target.source.name}.{key}"
        if share >= _MOSTLY and distinct >= _FEWEST_TO_COMPARE:
            confidence = min(1.0, found.confidence + 0.1)
            columns[name] = Match(found.column, round(confidence, 3), (*found.reasons, f"its values are in {where}"))
        elif share <= _ALMOST_NONE and target.source.is_whole and distinct >= _FEWEST_TO_COMPARE:
            columns[name] = Match(
                found.column, round(found.confidence * 0.7, 3), (*found.reasons, f"but its values are not in {where}")
            )
    return replace(choice, columns=columns, lookup=_lookup(connection, choice, columns, chosen))


def _lookup(
    connection: duckdb.DuckDBPyConnection, choice: Choice, columns: dict[str, Match], chosen: dict[str, Choice]
) -> tuple[str, tuple[str, str], str] | None:
    """Find the way to the account where a source names it by another id than the accounts do."""
    accounts = chosen.get("accounts")
    own = columns.get("account_id")
    if choice.table.name != "orders" or accounts is None or accounts.source is choice.source or own is None:
        return None
    key = accounts.columns["account_id"].column
    mine = choice.source.relation, own.column
    if contained(connection, mine, (accounts.source.relation, key)) >= _MOSTLY:
        return None
    for column in accounts.source.columns:
        if column.is_unique and contained(connection, mine, (accounts.source.relation, column.name)) >= _MOSTLY:
            return accounts.source.name, (own.column, column.name), key
    return None
