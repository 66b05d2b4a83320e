"""What is odd about an export although each of its rows is in order: said to the reader, and nothing is refused for it.

One account with a million orders, one address of a million accounts, an article in every basket, ids that differ in
upper and lower case only, clocks that run backwards, a category tree with holes: each is a sign of a placeholder or of
a fault in the export, and costs the features that count on it. Every look is one grouping of the new rows by one
column, which DuckDB keeps within its memory limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import duckdb

from membergate.market.warehouse import count

FEWEST_ROWS = 1_000
"""Rows below which no share is worth a word."""
LARGEST_SHARE = {"account_id": 0.02, "address_id": 0.1, "recipient_tok": 0.02, "device_tok": 0.02, "sku_id": 0.5}
"""Share of rows from which on one value of a column is odd; a parcel locker serves many, a device does not."""
_COMPARED = {"accounts": "account_id", "skus": "sku_id", "addresses": "address_id", "stores": "store_id"}
_BACKWARDS = (
    ("orders", "paid_at", "ordered_at"),
    ("memberships", "ended_at", "started_at"),
    ("shipments", "delivered_at", "ordered_at"),
    ("promotions", "ends_at", "starts_at"),
)
_CLOCK_SKEW = "INTERVAL 1 MINUTE"  # two machines never agree to the second
_REGISTRATION_SLACK = "INTERVAL 1 DAY"  # many exports hold the day of registration only
_SHARED_BY = {"address_id", "recipient_tok", "device_tok"}


def oddities(
    connection: duckdb.DuckDBPyConnection, rows: Mapping[str, str], columns: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """Look over the rows of one ingest.

    Parameters
    ----------
    rows
        Table -> SQL relation of its accepted rows.
    columns
        Table -> its columns that the source has, and those that it inherits.

    Yields
    ------
    str
        One sentence for each oddity.
    """
    for table, key in _COMPARED.items():
        if table in rows:
            yield from _written_differently(connection, table, key, rows[table])
    for table, names in (("orders", tuple(LARGEST_SHARE)[:-1]), ("order_lines", ("sku_id",))):
        for name in names:
            if table in rows and name in columns[table]:
                yield from _too_large(connection, table, name, rows[table])
    yield from _backwards(connection, rows, columns)
    if {"orders", "accounts"} <= set(rows):
        yield from _before_registration(connection, rows["orders"], rows["accounts"])
    if "skus" in rows:
        yield from _holes(connection, rows["skus"], columns["skus"])


def _written_differently(connection: duckdb.DuckDBPyConnection, table: str, key: str, rows: str) -> Iterator[str]:
    alike = f"lower(regexp_replace({key}, '\\s', '', 'g'))"
    # Ids are compared by hashes: a million of them are eight megabytes, however long they are.
    groups = f"SELECT hash({alike}) AS h, min({key}) AS one, max({key}) AS other FROM {rows} GROUP BY h"
    found = connection.execute(
        f"SELECT count(*), min(one), min_by(other, one) FROM ({groups}) WHERE one <> other"
    ).fetchone()
    if found and found[0]:
        yield (
            f"{table}: {found[0]:,} ids differ from another in upper and lower case or spaces only ({found[1]!r} and "
            f"{found[2]!r}); they are taken for different ones: if they are not, write them alike in a mapping, "
            f"such as lower(trim({key}))"
        )


def _too_large(connection: duckdb.DuckDBPyConnection, table: str, name: str, rows: str) -> Iterator[str]:
    found = connection.execute(
        f"SELECT {name}, n, total FROM (SELECT {name}, count(*) AS n, sum(count(*)) OVER () AS total FROM {rows} "
        f"WHERE {name} IS NOT NULL GROUP BY {name}) ORDER BY n DESC, {name} LIMIT 1"
    ).fetchone()
    if not found or found[2] < FEWEST_ROWS or found[1] < LARGEST_SHARE[name] * found[2]:
        return
    value, held, total = found
    shared = ""
    if name in _SHARED_BY:
        people = connection.execute(
            f"SELECT count(DISTINCT account_id) FROM {rows} WHERE {name} = ?", [value]
        ).fetchone()
        shared = f", from {people[0]:,} accounts" if people else ""
    share = f"{held / total:.0%} of the rows ({held:,} of {int(total):,}{shared})"
    yield (
        f"{table}: one {name}, {value!r}, stands on {share}; "
        "if it is a placeholder (a till, a guest, a test), leave it out or empty it in a mapping"
    )


def _backwards(
    connection: duckdb.DuckDBPyConnection, rows: Mapping[str, str], columns: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    for table, later, earlier in _BACKWARDS:
        if table in rows and {later, earlier} <= set(columns[table]):
            wrong = count(connection, f"(SELECT 1 FROM {rows[table]} WHERE {later} < {earlier} - {_CLOCK_SKEW})")
            if wrong:
                yield f"{table}: in {wrong:,} rows {later} lies before {earlier}; a clock is wrong, or a time zone"


def _before_registration(connection: duckdb.DuckDBPyConnection, orders: str, accounts: str) -> Iterator[str]:
    registered = f"(SELECT account_id, min(registered_at) AS registered_at FROM {accounts} GROUP BY account_id)"
    early = count(
        connection,
        f"(SELECT 1 FROM {orders} JOIN {registered} USING (account_id) "
        f"WHERE ordered_at < registered_at - {_REGISTRATION_SLACK})",
    )
    if early:
        yield (
            f"orders: {early:,} lie more than a day before their account's registration; if registered_at is when an "
            "account was imported, or these were guests, tenure begins too late"
        )


def _holes(connection: duckdb.DuckDBPyConnection, rows: str, columns: tuple[str, ...]) -> Iterator[str]:
    if {"category_l2", "category_l3"} <= set(columns):
        gaps = count(connection, f"(SELECT 1 FROM {rows} WHERE category_l3 IS NOT NULL AND category_l2 IS NULL)")
        if gaps:
            yield f"skus: {gaps:,} rows have a category_l3 and no category_l2 above it"
    for upper, lower in (("category_l1", "category_l2"), ("category_l2", "category_l3")):
        if {upper, lower} <= set(columns):
            several = count(
                connection,
                f"(SELECT {lower} FROM {rows} WHERE {lower} IS NOT NULL GROUP BY {lower} "
                f"HAVING min({upper}) <> max({upper}))",
            )
            if several:
                yield f"skus: {several:,} values of {lower} hang below more than one {upper}"
