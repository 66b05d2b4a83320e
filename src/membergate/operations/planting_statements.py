"""The statements that plant: which rows are copied, how they are altered, and how they are laid over the market.

They run in a connection that holds the market's views and a table `planting` (see `planting._plan`); nothing they make
outlives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Columns = Mapping[str, tuple[str, ...]]

ORDERS, SPAN_DAYS = 8, 60
"""Planted orders an account, and the days before the ring's first application over which they are spread."""
ARTICLES = 24
"""Articles that rings resell: those on which most is to be earned."""
KEPT = ("accounts", "applications", "logins")
"""Tables of which even a fresh account has rows."""
ADDRESSES = """
SELECT a.* FROM addresses AS a WHERE address_id IN (
    SELECT address_id FROM planted_orders UNION SELECT address_id FROM planting_own)
"""
_OWN = ("address_id", "recipient_tok", "recipient_phone_tok", "payment_tok", "device_tok", "ip_tok")
_SHARED_BY = {
    "address_id": "p.shares_addresses", "recipient_tok": "p.shares_addresses",
    "recipient_phone_tok": "p.shares_addresses", "payment_tok": "p.shares_devices",
    "device_tok": "p.shares_devices", "ip_tok": "p.shares_devices",
}  # fmt: skip


def prepare(columns: Columns) -> Iterator[str]:
    """Find what each account mostly uses, and which articles would be resold: `planting_own`, `planting_template`."""
    orders = columns["orders"]
    own = ", ".join(
        f"coalesce(mode(o.{name}), md5('{name}' || p.account_id)) AS {name}" if name in orders
        else f"md5('{name}' || p.account_id) AS {name}"
        for name in _OWN
    )  # fmt: skip
    yield (
        "CREATE TEMP TABLE planting_own AS SELECT p.account_id, any_value(p.ring) AS ring, "
        f"any_value(p.position) AS position, {own} FROM planting AS p LEFT JOIN orders AS o "
        "USING (account_id) GROUP BY p.account_id"
    )
    skus = columns.get("skus", ())
    price = "s.market_price_minor" if "market_price_minor" in skus else "NULL"
    saved = "l.member_discount_minor / l.quantity" if "member_discount_minor" in columns["order_lines"] else "NULL"
    join = "JOIN skus AS s USING (sku_id)" if "skus" in columns else ""
    yield f"""
    CREATE TEMP TABLE planting_template AS
    WITH lines AS (
        SELECT l.sku_id, l.line_id, l.order_id, {saved} AS saved,
               coalesce({price}, l.list_price_minor) / nullif(l.net_price_minor, 0) - 1 AS margin
        FROM order_lines AS l {join}
        WHERE l.ordered_at >= (SELECT min(first_as_of) FROM planting) - INTERVAL {SPAN_DAYS} DAY
          AND l.ordered_at < (SELECT max(first_as_of) FROM planting)
    ), articles AS (
        SELECT sku_id, row_number() OVER (ORDER BY median(margin) DESC, sku_id) - 1 AS article,
               coalesce(median(saved) FILTER (WHERE saved > 0), 0)::BIGINT AS benefit_minor
        FROM lines GROUP BY sku_id HAVING count(*) >= 8 AND median(margin) > 0.05
        QUALIFY article < {ARTICLES}
    )
    SELECT article, sku_id, benefit_minor, line_id, order_id FROM articles JOIN lines USING (sku_id)
    QUALIFY row_number() OVER (PARTITION BY article ORDER BY margin DESC, line_id) = 1
    """


def copied(name: str) -> str:
    """Copy the altered accounts' rows of one table; of fresh accounts only what every account has."""
    kept = "TRUE" if name in KEPT else "p.keeps_past"
    return (
        f'CREATE TEMP TABLE planted_{name} AS SELECT t.* FROM "{name}" AS t JOIN planting AS p USING (account_id) '
        f"WHERE {kept}"
    )


def overlaid(name: str, relation: str) -> str:
    """Lay the altered rows over the market's."""
    return (
        f"SELECT * FROM ({relation}) WHERE account_id NOT IN (SELECT account_id FROM planting) "
        f"UNION ALL BY NAME SELECT * FROM planted_{name}"
    )


def alter(columns: Columns) -> Iterator[str]:
    """Make rings of some of the copied rows, and put innocents under one roof or deal their things out by chance."""
    yield f"""
    UPDATE planted_accounts AS a
    SET registered_at = least(a.registered_at, p.since), visible_at = least(a.visible_at, p.since),
        ingested_at = least(a.ingested_at, p.since)
    FROM (SELECT account_id, first_as_of - INTERVAL {SPAN_DAYS + 1} DAY AS since FROM planting WHERE is_ring) AS p
    WHERE a.account_id = p.account_id
    """
    yield from _resale(columns)
    for table in ("orders", "logins", "applications"):
        given = columns.get(table, ())
        for name in ("device_tok", "ip_tok"):
            if name in given:
                yield _ring_shares(table, name)
    yield from _innocents(columns)


def _resale(columns: Columns) -> Iterator[str]:
    """Let every ring account order the ring's articles, at prices that were really paid for them."""
    yield f"""
    CREATE TEMP TABLE planting_order AS
    SELECT md5('order' || p.account_id || n.i) AS new_order, p.*, t.line_id, t.order_id AS from_order,
           t.sku_id, t.benefit_minor,
           p.first_as_of - INTERVAL 1 HOUR * (24 * {SPAN_DAYS} * (n.i + 1) // {ORDERS + 1})
           + INTERVAL 3 MINUTE * p.position AS at
    FROM planting AS p CROSS JOIN range({ORDERS}) AS n(i)
    JOIN planting_template AS t
      ON t.article = (p.ring * 3 + n.i % 3) % (SELECT max(article) + 1 FROM planting_template)
    WHERE p.is_ring
    """
    yield _insert("orders", "JOIN planting_order AS p ON t.order_id = p.from_order", _order_values(columns))
    values = {
        "line_id": "md5('line' || p.new_order)", "order_id": "p.new_order", "quantity": "p.units",
        "account_id": "p.account_id", **_times(),
    }  # fmt: skip
    # A line's discounts are for all its units, and another number of units is ordered.
    for name in ("member_discount_minor", "coupon_discount_minor"):
        if name in columns["order_lines"]:
            values[name] = f"t.{name} * p.units // t.quantity"
    yield _insert("order_lines", "JOIN planting_order AS p ON t.line_id = p.line_id", values)
    if "shipments" in columns:
        values = {
            "shipment_id": "md5('ship' || p.new_order)", "order_id": "p.new_order", "account_id": "p.account_id",
            **_times(), "ingested_at": "p.at + INTERVAL 2 DAY", "visible_at": "p.at + INTERVAL 2 DAY",
        }  # fmt: skip
        optional = {"delivered_at": "p.at + INTERVAL 2 DAY", "address_id": _shared("address_id"),
                    "collector_tok": "NULL", "rerouted_from": "NULL"}  # fmt: skip
        values |= {name: value for name, value in optional.items() if name in columns["shipments"]}
        join = f"JOIN planting_order AS p ON t.order_id = p.from_order {_OWNERS}"
        yield _insert("shipments", join, values, "QUALIFY row_number() OVER (PARTITION BY p.new_order) = 1")


_OWNERS = (
    "JOIN planting_own AS mine ON mine.account_id = p.account_id "
    "JOIN planting_own AS hub ON hub.ring = p.ring AND hub.position = 0"
)


def _order_values(columns: Columns) -> dict[str, str]:
    given = columns["orders"]
    values = {
        "order_id": "p.new_order", "account_id": "p.account_id",
        "total_minor": "(SELECT any_value(net_price_minor) FROM order_lines WHERE line_id = p.line_id) * p.units",
        **_times(),
    }  # fmt: skip
    values |= {name: _shared(name) for name in _OWN if name in given}
    optional = {"paid_at": "p.at + INTERVAL 30 SECOND", "session_id": "NULL", "invoice_type": "'none'", "gift": "FALSE"}
    return values | {name: value for name, value in optional.items() if name in given}


def _times() -> dict[str, str]:
    visible = "p.at + INTERVAL 1 MINUTE"
    return {"ordered_at": "p.at", "ingested_at": visible, "visible_at": visible, "superseded_at": "NULL"}


def _shared(name: str) -> str:
    """Give a ring's own or common thing."""
    return f"CASE WHEN {_SHARED_BY[name]} THEN hub.{name} ELSE mine.{name} END"


def _insert(table: str, join: str, values: Mapping[str, str], tail: str = "") -> str:
    """Insert altered copies of real rows: `t` is the real row, `p` the planted order."""
    owners = "" if "mine" in join or table == "order_lines" else _OWNERS
    replaced = ", ".join(f"{value} AS {name}" for name, value in values.items())
    return (
        f"INSERT INTO planted_{table} BY NAME SELECT t.* REPLACE ({replaced}) "
        f'FROM "{table}" AS t {join} {owners} {tail}'
    )


def _ring_shares(table: str, name: str) -> str:
    return (
        f"UPDATE planted_{table} AS t SET {name} = hub.{name} FROM planting AS p JOIN planting_own AS hub "
        "ON hub.ring = p.ring AND hub.position = 0 "
        "WHERE t.account_id = p.account_id AND p.shares_devices"
    )


def _innocents(columns: Columns) -> Iterator[str]:
    roof = "(SELECT first(address_id ORDER BY address_id) FROM planting_own)"
    if "kind" in columns.get("addresses", ()):
        dorm = "(SELECT min(address_id) FROM addresses WHERE kind = 'dorm')"
        roof = f"coalesce({dorm}, {roof})"
    for table in ("orders", "shipments"):
        if "address_id" in columns.get(table, ()):
            yield _hostel(table, "address_id", roof)
            yield _dealt(table, "address_id")
    for table in ("orders", "logins"):
        if "ip_tok" in columns.get(table, ()):
            yield _hostel(table, "ip_tok", "'hostel-line'")
        if "device_tok" in columns.get(table, ()):
            yield _dealt(table, "device_tok")


def _hostel(table: str, name: str, value: str) -> str:
    return (
        f"UPDATE planted_{table} AS t SET {name} = {value} FROM planting AS p "
        "WHERE t.account_id = p.account_id AND p.scenario = 'hostel'"
    )


def _dealt(table: str, name: str) -> str:
    """Give every row the thing of somebody of the deal, by a digest of the row's own time."""
    when = "logged_in_at" if table == "logins" else "ordered_at"
    return (
        f"UPDATE planted_{table} AS t SET {name} = own.{name} FROM planting AS p, planting_own AS own, "
        "(SELECT count(*) AS n FROM planting WHERE scenario = 'shuffled') AS everyone "
        "WHERE t.account_id = p.account_id AND p.scenario = 'shuffled' AND own.ring = p.ring "
        f"AND own.position = (hash(t.account_id || t.{when}::TEXT) % everyone.n)::BIGINT"
    )
