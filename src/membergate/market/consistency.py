"""Checks that need more than one row: one currency a market, and totals that their lines explain."""

from __future__ import annotations

import duckdb

from membergate.market.linking import accepted
from membergate.market.quarantine import Quarantine, Reason
from membergate.market.reading import Checked
from membergate.market.warehouse import count, literal

TAX_ALLOWANCE = 1.30
"""A total may exceed its lines and shipping by this factor: the highest consumption taxes are below 30 %."""
ROUNDING_SHARE = 0.02
"""A total may lie this share below its lines and discounts: totals are rounded, points are redeemed."""
SUSPICIOUS_SHARE = 0.05
"""From this share of mismatched totals on, the reader is told that the export itself is probably at fault."""


def settle_currency(connection: duckdb.DuckDBPyConnection, orders: Checked, held: str, quarantine: Quarantine) -> str:
    """Give the market's one currency, and refuse the orders in any other.

    Money is compared between accounts, so a market has one currency: that of the orders loaded before (`held`), else
    the most frequent one (the first in the alphabet where two are equally so). Converting is left to whoever knows the
    rates.
    """
    rows = accepted(orders, quarantine)
    found = connection.execute(
        f"SELECT currency FROM {rows} GROUP BY currency ORDER BY count(*) DESC, currency LIMIT 1"
    ).fetchone()
    currency = held or (found[0] if found else "")
    quarantine.refuse(
        orders.table,
        f"(SELECT * FROM {rows} WHERE currency <> {literal(currency)})",
        reason=Reason.OTHER_CURRENCY,
        column="currency",
        value="currency",
    )
    return currency


def refuse_mismatched_totals(
    connection: duckdb.DuckDBPyConnection, orders: Checked, lines: Checked, quarantine: Quarantine
) -> str:
    """Refuse the orders whose total nothing explains; give a warning where so many are that the export is at fault.

    Shops differ in whether a total includes taxes and shipping, and whether prices are before or after discounts. So a
    total is accepted anywhere between the lines at net price less every discount, and the lines at the higher of their
    prices plus shipping plus the highest tax. What lies outside is no convention but a wrong unit (factor 100), lines
    that are missing from the export, or a forged total; its money would poison every margin computed from it.

    Orders are left alone that were cancelled or refunded, that have no line in this source, or of which a line was
    itself refused. The lines of a refused order are refused with it.
    """
    discount = _optional(orders, "discount_minor")
    shipping = _optional(orders, "shipping_minor")
    off = " + ".join(_optional(lines, name) for name in ("member_discount_minor", "coupon_discount_minor"))
    incomplete = f"(SELECT order_id FROM {lines.relation} WHERE _reason IS NOT NULL AND order_id IS NOT NULL)"
    # Doubles: they cannot overflow, and are exact for whole amounts up to 9e15.
    connection.execute(
        f"CREATE TABLE suspect_orders AS WITH line AS ("
        "SELECT order_id, quantity::DOUBLE AS q, net_price_minor AS net, list_price_minor AS list, "
        f"({off})::DOUBLE AS off "
        f"FROM {_once(lines, quarantine)}), summed AS ("
        "SELECT order_id, sum(q * net) AS net, sum(q * greatest(net, list)) AS list, sum(off) AS off, sum(q) AS units "
        f"FROM line WHERE order_id NOT IN {incomplete} GROUP BY order_id) "
        f"SELECT o.*, s.net AS lines_minor, "
        f"o.total_minor > {TAX_ALLOWANCE} * (s.list + {shipping}) + s.units / 2 + 1 OR "
        f"o.total_minor < (1 - {ROUNDING_SHARE}) * (s.net - {discount} - s.off) - s.units / 2 - 1 AS is_mismatch "
        f"FROM {accepted(orders, quarantine)} AS o JOIN summed AS s USING (order_id) "
        "WHERE o.status NOT IN ('cancelled', 'refunded')"
    )
    quarantine.refuse(
        orders.table,
        "(SELECT * FROM suspect_orders WHERE is_mismatch)",
        reason=Reason.TOTAL_MISMATCH,
        column="total_minor",
        value="concat(total_minor, ' against lines of ', CAST(lines_minor AS HUGEINT))",
    )
    compared = count(connection, "suspect_orders")
    wrong = count(connection, "(SELECT * FROM suspect_orders WHERE is_mismatch)")
    connection.execute("DROP TABLE suspect_orders")
    if wrong <= SUSPICIOUS_SHARE * compared:
        return ""
    return (
        f"orders: {wrong:,} of {compared:,} totals do not match their lines; that is no accident: are prices per unit, "
        "are totals and prices in the same unit, is every line exported?"
    )


def _optional(checked: Checked, column: str) -> str:
    return f"coalesce({column}, 0)" if column in checked.columns else "0"


def _once(lines: Checked, quarantine: Quarantine) -> str:
    """Give the accepted lines, each key once: a line that is repeated in the source is one line."""
    rows = accepted(lines, quarantine)
    # Numbering every line would hold millions of keys; only those whose hash comes twice are numbered.
    repeated = f"(SELECT hash(line_id) AS h FROM {rows} GROUP BY h HAVING count(*) > 1)"
    return (
        f"(SELECT * FROM {rows} WHERE hash(line_id) NOT IN {repeated} UNION ALL "
        f"SELECT * FROM {rows} WHERE hash(line_id) IN {repeated} "
        "QUALIFY row_number() OVER (PARTITION BY line_id ORDER BY _seq) = 1)"
    )
