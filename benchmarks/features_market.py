"""The market that `features.py` measures on, drawn in SQL: no row leaves the database on its way to Parquet.

Half as many orders and parcels as lines, 8 pages to 5 lines, 2 sign-ins to 5 lines; a tenth of the accounts lives in
dormitories of fifty, devices, payers, networks and phones are shared now and then. With traps, everything that makes
a join explode is there at once: every account's first order goes to one address, one account has all further
orders, one SKU is in every basket, parcels arrive before they were ordered, categories have holes, and some addresses
are spelled otherwise.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from membergate.market.warehouse import literal


def _seen_from(instant: str) -> str:
    """Write the version columns of rows that may be seen from an instant on."""
    return f"{instant} AS ingested_at, {instant} AS visible_at, NULL::TIMESTAMP AS superseded_at"


_ALWAYS = _seen_from("TIMESTAMP '1970-01-01'")
_DRAWS = """
CREATE MACRO draw(i, salt, n) AS (HASH(i * 1000003 + salt + GETVARIABLE('seed') * 7919) % n)::BIGINT;
CREATE MACRO name(prefix, i) AS prefix || '-' || LPAD(TO_BASE((HASH(i) >> 4)::BIGINT, 32), 12, '0');
CREATE MACRO is_trap(i, salt, n) AS GETVARIABLE('traps') = 1 AND draw(i, salt, n) = 0;
CREATE TABLE o AS
SELECT *, CASE WHEN GETVARIABLE('traps') = 1 AND i < GETVARIABLE('accounts') THEN 0
  WHEN a % 10 = 0 THEN GETVARIABLE('accounts') + a // 500 WHEN draw(i, 4, 10) < 9 THEN a
  ELSE draw(i, 5, GETVARIABLE('accounts')) END AS place
FROM (SELECT i, CASE WHEN GETVARIABLE('traps') = 0 THEN draw(i, 1, GETVARIABLE('accounts'))
      WHEN i < GETVARIABLE('accounts') THEN i ELSE 0 END AS a,
    TIMESTAMP '2025-01-01' + TO_MICROSECONDS(draw(i, 2, 364 * 86400000000)) AS t
  FROM RANGE(GETVARIABLE('orders')) r(i));
"""
_MARKET = {
    "orders": f"""
        SELECT name('o', i) AS order_id, name('a', a) AS account_id, t AS ordered_at, 'paid' AS status,
          'CNY' AS currency, draw(i, 3, 90000) AS total_minor,
          CASE WHEN is_trap(i, 40, 50) THEN ' ' || UPPER(name('p', place))
            ELSE name('p', place) END AS address_id,
          name('r', CASE WHEN draw(i, 6, 10) < 8 THEN a ELSE draw(i, 7, GETVARIABLE('accounts')) END) AS recipient_tok,
          CASE WHEN draw(i, 8, 30) = 0 THEN 'company' ELSE 'none' END AS invoice_type, draw(i, 9, 20) = 0 AS gift,
          CASE WHEN draw(i, 10, 40) = 0 THEN 'group_buy' ELSE 'consumer' END AS lane,
          name('d', CASE WHEN draw(i, 20, 9) = 0 THEN draw(i, 21, GETVARIABLE('accounts')) ELSE a END) AS device_tok,
          name('y', CASE WHEN draw(i, 22, 20) = 0 THEN a // 3 ELSE a END) AS payment_tok,
          name('n', CASE WHEN draw(i, 23, 3) = 0 THEN a // 200 ELSE a END) AS ip_tok,
          name('f', CASE WHEN draw(i, 24, 10) < 8 THEN a ELSE draw(i, 25, GETVARIABLE('accounts')) END)
            AS recipient_phone_tok, {_seen_from("t")}
        FROM o""",
    "order_lines": f"""
        SELECT name('l', j) AS line_id, name('o', i) AS order_id,
          name('s', CASE WHEN GETVARIABLE('traps') = 1 AND k = 0 THEN 0
            ELSE FLOOR(GETVARIABLE('skus') * POW(draw(j, 11, 1000000) / 1e6, 2.5))::BIGINT END) AS sku_id,
          1 + CASE WHEN draw(j, 12, 5) = 0 THEN draw(j, 13, 6) ELSE 0 END AS quantity,
          1000 + draw(j, 14, 9000) AS list_price_minor, 900 + draw(j, 14, 8000) AS net_price_minor,
          draw(j, 15, 300) AS member_discount_minor, draw(j, 26, 90) AS coupon_discount_minor,
          CASE WHEN draw(j, 27, 4) = 0 THEN 'platform' END AS subsidised_by,
          name('a', a) AS account_id, t AS ordered_at, {_seen_from("t")}
        FROM (SELECT *, i * 2 + k AS j FROM o, RANGE(2) r(k))""",
    "shipments": f"""
        SELECT name('h', i) AS shipment_id, name('o', i) AS order_id, name('p', place) AS address_id,
          t + TO_DAYS((CASE WHEN is_trap(i, 41, 50) THEN -3 ELSE 1 + draw(i, 16, 5) END)::INTEGER) AS delivered_at,
          name('a', a) AS account_id, t AS ordered_at,
          {_seen_from("GREATEST(t, delivered_at)")}
        FROM o""",
    "behaviors": f"""
        SELECT name('b', i) AS event_id, name('a', a) AS account_id, t AS occurred_at,
          CASE draw(i, 28, 6) WHEN 0 THEN 'search' WHEN 1 THEN 'list_view' WHEN 2 THEN 'favourite'
            WHEN 3 THEN 'add_to_cart' WHEN 4 THEN 'checkout' ELSE 'product_view' END AS event_type,
          name('v', i // 6) AS session_id, draw(i, 29, 60000) AS dwell_ms, {_seen_from("t")}
        FROM (SELECT i, draw(i // 6, 30, GETVARIABLE('accounts')) AS a,
            TIMESTAMP '2025-01-01' + TO_MICROSECONDS(draw(i // 6, 31, 364 * 86400000000) + i % 6 * 9000000) AS t
          FROM RANGE(GETVARIABLE('orders') * 16 // 5) r(i))""",
    "logins": f"""
        SELECT name('g', i) AS login_id, name('a', a) AS account_id, t AS logged_in_at, name('d', a) AS device_tok,
          CASE draw(i, 32, 20) WHEN 0 THEN 'proxy' ELSE 'mobile' END AS ip_class, draw(i, 33, 50) = 0 AS emulator,
          'r' || draw(i, 34, 9) AS region_code, {_seen_from("t")}
        FROM (SELECT i, draw(i, 35, GETVARIABLE('accounts')) AS a,
            TIMESTAMP '2025-01-01' + TO_MICROSECONDS(draw(i, 36, 364 * 86400000000)) AS t
          FROM RANGE(GETVARIABLE('orders') * 4 // 5) r(i))""",
    "applications": f"""
        SELECT name('q', a) AS application_id, name('a', a) AS account_id, 'plus' AS plan,
          TIMESTAMP '2025-11-01' + TO_MICROSECONDS(draw(a, 17, 60 * 86400000000)) AS submitted_at,
          {_seen_from("submitted_at")}
        FROM RANGE(GETVARIABLE('accounts')) r(a)""",
    "accounts": f"""
        SELECT name('a', a) AS account_id, TIMESTAMP '2024-12-31' AS registered_at, 'r1' AS region_code,
          'personal' AS declared_use, {_seen_from("registered_at")} FROM RANGE(GETVARIABLE('accounts')) r(a)""",
    "skus": f"""
        SELECT name('s', s) AS sku_id, 'w' || s % 12 AS category_l1,
          CASE WHEN is_trap(s, 42, 3) THEN NULL ELSE 'c' || s % 80 END AS category_l2,
          CASE WHEN s % 10 = 0 THEN 5 END AS limit_quantity, 30 AS limit_window_days,
          CASE WHEN s % 3 > 0 THEN 1000 + draw(s, 18, 9000) END AS market_price_minor, {_ALWAYS}
        FROM RANGE(GETVARIABLE('skus')) r(s)""",
    "addresses": f"""
        SELECT name('p', p) AS address_id, 'g' || p // 3 AS geohash,
          CASE WHEN p < GETVARIABLE('accounts') THEN 'home' WHEN p % 2 = 0 THEN 'dorm' ELSE 'pickup' END AS kind,
          {_ALWAYS}
        FROM RANGE(GETVARIABLE('accounts') + GETVARIABLE('accounts') // 500) r(p)""",
    "promotions": f"""
        SELECT 'n' || m AS promotion_id, 'sale' AS name, MAKE_TIMESTAMP(2025, m, 9, 0, 0, 0) AS starts_at,
          MAKE_TIMESTAMP(2025, m, 12, 0, 0, 0) AS ends_at, {_seen_from("starts_at")}
        FROM (VALUES (3), (6), (9), (11), (12)) v(m)""",
}
"""Table -> the SELECT of its rows."""


def generate(folder: Path, lines: int, accounts: int, seed: int, *, traps: bool) -> None:
    """Write a market of Parquet parts, sorted by account and time as a warehouse writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(config={"threads": 2, "memory_limit": "3GB", "temp_directory": str(folder / "spill")})
    sizes = {"orders": lines // 2, "skus": max(lines // 125, 10), "accounts": accounts, "seed": seed}
    sizes["traps"] = int(traps)
    for name, size in sizes.items():
        connection.execute(f"SET VARIABLE {name} = ?::BIGINT", [size])
    connection.execute(_DRAWS)
    for name, sql in _MARKET.items():
        order = "account_id, visible_at" if " AS account_id" in sql else "visible_at"
        file = literal(str(folder / name) + ".parquet")
        connection.execute(f"COPY ({sql} ORDER BY {order}) TO {file} (FORMAT parquet, COMPRESSION zstd)")
