"""Reads from the market which account was seen with which token, and when: only what can ever link two accounts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from membergate.domain.errors import BadInputError
from membergate.learning.identity import sighting_queries as queries
from membergate.learning.identity.places import name_places
from membergate.learning.identity.rules import LinkRules


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """Accounts and the tokens that they share with others.

    Parameters
    ----------
    account_ids
        (a,) object array of str, every account that the tables name, ordered by `first_visible_at`, then by id; the
        position is the account's code.
    first_visible_at
        (a,) int64 microseconds since 1970 in UTC: when any row of the account first became visible.
    rule, token_text, place_text, hub_at
        (k,) each, one entry a token: the index of its rule, the token, the address that it is bound to (else empty),
        and the instant from which it is a hub (`queries.OPEN_END` if never).
    token, account, seen_at, ended_at
        (s,) each, one entry a sighting, ordered by token, then account, then time: the token and account codes, and the
        half-open span in microseconds in which the row that shows it is visible. Accounts that reached a token after
        it became a hub are left out: they can link with nobody through it.
    hubs
        The largest hubs: index of the rule, token, place, and the number of accounts ever seen with it.
    """

    account_ids: NDArray[np.object_]
    first_visible_at: NDArray[np.int64]
    rule: NDArray[np.int64]
    token_text: NDArray[np.object_]
    place_text: NDArray[np.object_]
    hub_at: NDArray[np.int64]
    token: NDArray[np.int64]
    account: NDArray[np.int64]
    seen_at: NDArray[np.int64]
    ended_at: NDArray[np.int64]
    hubs: tuple[tuple[int, str, str, int], ...] = ()


def read_sightings(connection: duckdb.DuckDBPyConnection, rules: LinkRules) -> Sightings:
    """Read the sightings that the rules name; tables and columns that do not exist are left out.

    Parameters
    ----------
    connection
        Holds views named as the canonical tables, with `account_id`, `visible_at` and, where rows have versions,
        `superseded_at`. Temporary tables are made and dropped.
    rules
        Which columns to read, and the caps.

    Raises
    ------
    BadInputError
        If a table that is read has no `account_id` or no `visible_at`.
    """
    columns = _existing_columns(connection, rules)
    tables = sorted(set(columns) - {"addresses", "order_lines"})
    if not tables:
        return _sightings_of({}, {}, {})
    try:
        connection.execute(queries.make_accounts(tables))
        accounts = _columns_of(connection.execute(queries.READ_ACCOUNTS))
        selects = queries.source_selects(rules, columns) + _together(connection, rules, columns)
        if not any(selects):
            return _sightings_of(accounts, {}, {})
        connection.execute(queries.make_earliest(selects, has_address_kinds="kind" in columns.get("addresses", ())))
        connection.execute(queries.MAKE_TOKENS)
        connection.execute(queries.MAKE_SIGHTINGS)
        tokens = _columns_of(connection.execute(queries.READ_TOKENS))
        hubs = tuple(connection.execute(queries.READ_HUBS).fetchall())
        spans = _columns_of(connection.execute(queries.read_spans(rules, selects)))
        return replace(_sightings_of(accounts, tokens, spans), hubs=hubs)
    finally:
        placed = [queries.placed_table(index) for index in range(len(rules.every))]
        for table in (*queries.TEMPORARY_TABLES, *placed):
            connection.execute(f"DROP TABLE IF EXISTS {table}")


def _existing_columns(connection: duckdb.DuckDBPyConnection, rules: LinkRules) -> dict[str, frozenset[str]]:
    wanted = {"accounts"} | {source.table for rule in rules.rules for source in rule.sources}
    wanted |= {"orders", "order_lines"} if rules.together else set()
    rows = connection.execute("SELECT table_name, column_name FROM information_schema.columns").fetchall()
    columns = {table: frozenset(c for t, c in rows if t == table) for table in wanted | {"addresses"}}
    for table in sorted(wanted):
        if columns[table] and not {"account_id", "visible_at"} <= columns[table]:
            raise BadInputError(
                f"the table {table} cannot be read as of an instant",
                where=table,
                allowed="a table with account_id and visible_at",
            )
    return {table: names for table, names in columns.items() if names}


def _together(
    connection: duckdb.DuckDBPyConnection, rules: LinkRules, columns: dict[str, frozenset[str]]
) -> queries.Selects:
    """Prepare what is bought together at shared places; nothing for a rule whose columns do not exist."""
    selects: queries.Selects = []
    orders, lines = columns.get("orders", frozenset()), columns.get("order_lines", frozenset())
    for index, rule in enumerate(rules.together, start=len(rules.rules)):
        if not ({"order_id", "ordered_at", rule.column} <= orders and {"order_id", "sku_id"} <= lines):
            selects.append([])
            continue
        if rule.is_address and {"address_id", "geohash", "text"} <= columns.get("addresses", frozenset()):
            name_places(connection, queries.PLACES)
            columns = columns | {queries.PLACES: frozenset({"address_id", "place"})}
        connection.execute(queries.make_placed(index, rule, columns))
        selects.append([queries.together_select(index, rule, columns)])
    return selects


def _columns_of(result: duckdb.DuckDBPyConnection) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(values) for name, values in result.fetchnumpy().items()}


def _sightings_of(
    accounts: dict[str, NDArray[Any]], tokens: dict[str, NDArray[Any]], spans: dict[str, NDArray[Any]]
) -> Sightings:
    no_codes, no_texts = np.empty(0, dtype=np.int64), np.empty(0, dtype=object)
    token = spans.get("token", no_codes).astype(np.int64)
    hub_at = np.full(len(tokens.get("rule", no_codes)), queries.OPEN_END, dtype=np.int64)
    hub_at[token] = spans.get("hub_at", no_codes)
    return Sightings(
        account_ids=accounts.get("account_id", no_texts).astype(object),
        first_visible_at=accounts.get("first_visible_at", no_codes).astype(np.int64),
        rule=tokens.get("rule", no_codes).astype(np.int64),
        token_text=tokens.get("token_text", no_texts).astype(object),
        place_text=tokens.get("place", no_texts).astype(object),
        hub_at=hub_at,
        token=token,
        account=spans.get("account", no_codes).astype(np.int64),
        seen_at=spans.get("seen_at", no_codes).astype(np.int64),
        ended_at=spans.get("ended_at", no_codes).astype(np.int64),
    )
