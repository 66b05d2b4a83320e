"""Reads from the market which account was seen with which token, and when: only what can ever link two accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from membergate.domain.errors import BadInputError
from membergate.learning.identity.rules import LinkRule, LinkRules, Source

OPEN_END = np.iinfo(np.int64).max
"""The instant, in microseconds, of what has not ended."""
_KEPT = "membergate_identity_sightings"


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
        and the instant from which it is a hub (`OPEN_END` if never).
    token, account, seen_at, ended_at
        (s,) each, one entry a sighting, ordered by token, then account, then time: the token and account codes, and the
        half-open span in microseconds in which the row that shows it is visible. Accounts that reached a token after
        it became a hub are left out: they can link with nobody through it.
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


def read_sightings(connection: duckdb.DuckDBPyConnection, rules: LinkRules) -> Sightings:
    """Read the sightings that the rules name; tables and columns that do not exist are left out.

    Parameters
    ----------
    connection
        Holds views named as the canonical tables, with `account_id`, `visible_at` and, where rows have versions,
        `superseded_at`. A temporary table is made and dropped.
    rules
        Which columns to read, and the caps.

    Raises
    ------
    BadInputError
        If a table that is read has no `account_id` or no `visible_at`.
    """
    columns = _existing_columns(connection, rules)
    accounts = _read_accounts(connection, columns)
    selects = [
        (rule, _source_select(index, rule, source, columns))
        for index, rule in enumerate(rules.rules)
        for source in rule.sources
        if {source.column, source.address_column or source.column} <= columns.get(source.table, frozenset())
    ]
    if not selects:
        return _sightings_of(accounts, {})
    everything = [select for _, select in selects]
    habits = [select for rule, select in selects if rule.habit]
    counting = f"SELECT * FROM {_KEPT}"
    if habits:
        by_habit = ", ".join(str(index) for index, rule in enumerate(rules.rules) if rule.habit)
        counting += f" WHERE rule NOT IN ({by_habit}) UNION ALL BY NAME ({_habits(habits, rules)})"
    try:
        connection.execute(_keep_shared(everything, has_addresses="kind" in columns.get("addresses", ())))
        return _sightings_of(accounts, _columns_of(connection.execute(_spans(counting))))
    finally:
        connection.execute(f"DROP TABLE IF EXISTS {_KEPT}")


def _existing_columns(connection: duckdb.DuckDBPyConnection, rules: LinkRules) -> dict[str, frozenset[str]]:
    wanted = {"accounts"} | {source.table for rule in rules.rules for source in rule.sources}
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


def _read_accounts(
    connection: duckdb.DuckDBPyConnection, columns: dict[str, frozenset[str]]
) -> dict[str, NDArray[Any]]:
    tables = sorted(set(columns) - {"addresses"})
    if not tables:
        return {"account_id": np.empty(0, dtype=object), "first_visible_at": np.empty(0, dtype=np.int64)}
    rows = " UNION ALL ".join(
        f'SELECT CAST(account_id AS VARCHAR) AS account_id, min(visible_at) AS visible_at FROM "{table}" GROUP BY 1'
        for table in tables
    )
    return _columns_of(
        connection.execute(
            f"SELECT account_id, epoch_us(min(visible_at)) AS first_visible_at FROM ({rows})"
            " WHERE account_id IS NOT NULL GROUP BY account_id ORDER BY first_visible_at, account_id"
        )
    )


def _source_select(index: int, rule: LinkRule, source: Source, columns: dict[str, frozenset[str]]) -> str:
    """Select the tokens of one column, each with the cap that holds at its kind of address while that kind is known."""
    ended = "seen.superseded_at" if "superseded_at" in columns[source.table] else "CAST(NULL AS TIMESTAMP)"
    token = f'CAST(seen."{source.column}" AS VARCHAR)'
    place, cap, join = "''", str(rule.cap), ""
    since, until = "epoch_us(seen.visible_at)", f"coalesce(epoch_us({ended}), {OPEN_END})"
    if source.address_column:
        place = f'CAST(seen."{source.address_column}" AS VARCHAR)'
        if "kind" in columns.get("addresses", frozenset()):
            cases = " ".join(f"WHEN '{c.address_kind}' THEN {c.cap}" for c in rule.address_caps)
            cap = f"CASE spell.kind {cases} ELSE {rule.cap} END" if cases else cap
            join = f" LEFT JOIN spell ON spell.address_id = {place} AND spell.since < {until} AND spell.until > {since}"
            since = f"greatest({since}, coalesce(spell.since, {since}))"
            until = f"least({until}, coalesce(spell.until, {until}))"
    return (
        f"SELECT {index} AS rule, {token} AS token, {place} AS place, {cap} AS cap,"
        f" CAST(seen.account_id AS VARCHAR) AS account_id, {since} AS seen_at, {until} AS ended_at"
        f" FROM \"{source.table}\" AS seen{join} WHERE trim({token}) <> '' AND {place} IS NOT NULL"
    )


def _keep_shared(selects: list[str], *, has_addresses: bool) -> str:
    """Keep tokens seen with two accounts or more; of equal ends only the earliest sighting, the others say nothing."""
    spell = (
        "spell AS (SELECT CAST(address_id AS VARCHAR) AS address_id, kind, epoch_us(visible_at) AS since,"
        f" coalesce(epoch_us(superseded_at), {OPEN_END}) AS until FROM addresses"
        " UNION ALL SELECT CAST(address_id AS VARCHAR), NULL, 0, epoch_us(min(visible_at)) FROM addresses"
        " GROUP BY address_id HAVING epoch_us(min(visible_at)) > 0),"
        if has_addresses
        else ""
    )
    return (
        f"CREATE OR REPLACE TEMP TABLE {_KEPT} AS WITH {spell}"
        f" seen AS NOT MATERIALIZED ({' UNION ALL '.join(selects)}),"
        " earliest AS MATERIALIZED (SELECT rule, token, place, cap, account_id, ended_at, min(seen_at) AS seen_at"
        " FROM seen WHERE cap >= 2 AND seen_at < ended_at AND account_id IS NOT NULL GROUP BY ALL),"
        " shared AS (SELECT rule, token, place, cap FROM earliest GROUP BY ALL"
        " HAVING min(account_id) <> max(account_id))"
        " SELECT * FROM earliest SEMI JOIN shared USING (rule, token, place, cap)"
    )


def _habits(selects: list[str], rules: LinkRules) -> str:
    """Turn the sightings of habit kinds into the spans in which a shared token is a habit of an account.

    Every visible row counts one use from its start to its end, so that a row and its next version count once.
    """
    terms = ", ".join(
        f"({index}, {rule.habit.least_uses}, {rule.habit.least_share_percent})"
        for index, rule in enumerate(rules.rules)
        if rule.habit
    )
    return f"""
WITH term (rule, least_uses, least_share_percent) AS (VALUES {terms}),
uses AS MATERIALIZED (
    SELECT * FROM ({" UNION ALL ".join(selects)}) SEMI JOIN {_KEPT} USING (rule, account_id)
    WHERE seen_at < ended_at),
wanted AS (
    SELECT rule, token, place, cap, account_id
    FROM uses SEMI JOIN {_KEPT} USING (rule, token, account_id) JOIN term USING (rule)
    GROUP BY rule, token, place, cap, account_id, least_uses HAVING count(*) >= least_uses),
changes AS (
    SELECT rule, account_id, token, changed_at, sum(delta) AS delta
    FROM (
        SELECT rule, account_id, token, seen_at AS changed_at, 1 AS delta FROM uses
        UNION ALL SELECT rule, account_id, token, ended_at, -1 FROM uses WHERE ended_at < {OPEN_END})
    GROUP BY rule, account_id, token, changed_at),
totals AS (
    SELECT rule, account_id, changed_at,
        sum(sum(delta)) OVER (PARTITION BY rule, account_id ORDER BY changed_at) AS uses_of_any
    FROM changes GROUP BY rule, account_id, changed_at),
counted AS (
    SELECT rule, token, place, cap, account_id, changed_at AS seen_at, uses_of_any,
        lead(changed_at, 1, {OPEN_END}) OVER in_time AS ended_at, sum(coalesce(delta, 0)) OVER in_time AS uses_of_it
    FROM wanted JOIN totals USING (rule, account_id) LEFT JOIN changes USING (rule, account_id, token, changed_at)
    WINDOW in_time AS (PARTITION BY rule, token, account_id ORDER BY changed_at))
SELECT rule, token, place, cap, account_id, seen_at, ended_at
FROM counted JOIN term USING (rule)
WHERE uses_of_it >= least_uses AND 100 * uses_of_it >= least_share_percent * uses_of_any
"""


def _spans(counting: str) -> str:
    """Join the sightings that count into spans, and leave out those who came after a token had become a hub.

    A span of a token with an account is the union of the spans of the rows that show it: a row that is replaced by a
    version with the same token leaves no gap. A token is a hub from the instant at which its (cap + 1)-th account was
    seen, for good: whoever leaves it later does not make it private again.
    """
    return f"""
WITH comers AS (
    SELECT rule, token, place, cap, account_id, min(seen_at) AS came_at
    FROM {_KEPT} GROUP BY rule, token, place, cap, account_id),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY rule, token, place, cap ORDER BY came_at, account_id) AS came_as
    FROM comers),
hubs AS (
    SELECT rule, token, place, cap, came_at AS hub_at FROM ranked WHERE came_as = cap + 1),
counting AS ({counting}),
early AS (
    SELECT * FROM counting
    SEMI JOIN (SELECT * FROM ranked WHERE came_as <= cap) USING (rule, token, place, cap, account_id)),
reach AS (
    SELECT *, max(ended_at) OVER (
        PARTITION BY rule, token, place, cap, account_id ORDER BY seen_at, ended_at
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_until
    FROM early),
numbered AS (
    SELECT *, count(*) FILTER (covered_until IS NULL OR seen_at > covered_until) OVER (
        PARTITION BY rule, token, place, cap, account_id ORDER BY seen_at, ended_at
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS span
    FROM reach)
SELECT rule, token, place, cap, account_id, min(seen_at) AS seen_at, max(ended_at) AS ended_at,
    coalesce(any_value(hub_at), {OPEN_END}) AS hub_at
FROM numbered LEFT JOIN hubs USING (rule, token, place, cap)
GROUP BY rule, token, place, cap, account_id, span
ORDER BY rule, token, place, cap, account_id, seen_at
"""


def _columns_of(result: duckdb.DuckDBPyConnection) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(values) for name, values in result.fetchnumpy().items()}


def _sightings_of(accounts: dict[str, NDArray[Any]], rows: dict[str, NDArray[Any]]) -> Sightings:
    """Replace token and account texts by codes."""
    account_ids = accounts["account_id"].astype(object)
    first_visible_at = accounts["first_visible_at"].astype(np.int64)
    if not rows:
        none, no_text = np.empty(0, dtype=np.int64), np.empty(0, dtype=object)
        return Sightings(account_ids, first_visible_at, none, no_text, no_text, none, none, none, none, none)
    keys = (rows["rule"], rows["token"].astype(object), rows["place"].astype(object), rows["cap"])
    is_first = np.ones(len(keys[0]), dtype=bool)
    if len(is_first):
        is_first[1:] = np.logical_or.reduce([(key[1:] != key[:-1]).astype(bool) for key in keys])
    code_of = {account_id: code for code, account_id in enumerate(account_ids)}
    return Sightings(
        account_ids,
        first_visible_at,
        rule=keys[0][is_first].astype(np.int64),
        token_text=keys[1][is_first],
        place_text=keys[2][is_first],
        hub_at=rows["hub_at"][is_first].astype(np.int64),
        token=np.cumsum(is_first, dtype=np.int64) - 1,
        account=np.fromiter((code_of[a] for a in rows["account_id"]), dtype=np.int64, count=len(is_first)),
        seen_at=rows["seen_at"].astype(np.int64),
        ended_at=rows["ended_at"].astype(np.int64),
    )
