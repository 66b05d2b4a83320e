"""Fitting spending thresholds: amounts just above which orders bunch, because something is given from there on.

A threshold is inferred from the totals alone. Where nothing is given, as many orders lie just above an amount as just
below it; what a single popular price brings does not count. Source of the idea: Kleven, Bunching, Annual Review of
Economics 8 (2016), the notch; there the excess is set against a fitted density, here against the window below.
"""

from __future__ import annotations

from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from membergate.learning.features.derived import Columns
from membergate.learning.features.norm_habits import VISIBLE
from membergate.learning.features.relation import SMALLEST_MINOR

REACH = 0.03
"""Orders are just above a threshold up to 3 % beyond it."""
BUNCHED = 1.5
"""Bunching is at least so many times as many orders above as below,"""
SIGMAS = 6.0
"""by so many standard deviations of the difference: thousands of amounts are tried."""
BUNCHING_DAYS = 365
"""Totals are those of the last so many days."""
_LEADS = 900

SCHEMA = pa.schema([("currency", pa.string()), ("amount_key", pa.int64()), ("ceiling_minor", pa.int64())])
"""The table of thresholds: every run of leading digits that one covers, and where it ends."""


def goods_amount(columns: Columns) -> str:
    """Write what an order's goods come to before thresholds give anything off, from the columns that the market has."""
    has = columns.get("orders", ())
    given = " + COALESCE(discount_minor, 0)" if "discount_minor" in has else ""
    sent = " - COALESCE(shipping_minor, 0)" if "shipping_minor" in has else ""
    return f"total_minor{given}{sent}"


def thresholds(connection: duckdb.DuckDBPyConnection, as_of: datetime, columns: Columns) -> pa.Table:
    """Infer the spending thresholds of each currency.

    Parameters
    ----------
    connection
        Holds the market.
    as_of
        The instant, naive and in UTC.
    columns
        What the market has.
    """
    counted = connection.execute(
        f"""
        SELECT currency, {goods_amount(columns)} AS amount, COUNT(*) AS orders FROM orders
        WHERE {VISIBLE} AND ordered_at > $as_of - INTERVAL {BUNCHING_DAYS} DAY
        GROUP BY 1, 2 HAVING amount >= {SMALLEST_MINOR} ORDER BY 1, 2
        """,
        {"as_of": as_of},
    ).fetchnumpy()
    rows = []
    for currency in np.unique(counted["currency"].astype(str)).tolist():
        own = counted["currency"] == currency
        for floor, end in bunched(counted["amount"][own], counted["orders"][own]):
            rows += [{"currency": currency, "amount_key": key, "ceiling_minor": end} for key in _keys(floor, end)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def bunched(amounts: NDArray[np.int64], orders: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Give the thresholds that totals bunch above, as [threshold, end of its reach), in ascending order.

    Parameters
    ----------
    amounts
        Distinct amounts, ascending, shape (n,).
    orders
        Orders of each amount, shape (n,).
    """
    upto = np.concatenate([[0], np.cumsum(orders)])

    def within(first: int, end: int) -> tuple[int, int]:
        low, high = np.searchsorted(amounts, [first, end])
        return int(upto[high] - upto[low]), int(orders[low:high].max(initial=0))

    judged: list[tuple[float, int, int]] = []
    for floor in _candidates(int(amounts.max(initial=0))):
        end = _end(floor)
        (above, spike), (below, _) = within(floor, end), within(2 * floor - end, floor)
        # What one popular price brings is no bunching.
        sigmas = (above - spike - below) / max(above - spike + below, 1) ** 0.5
        if sigmas > SIGMAS and above - spike > BUNCHED * below:
            judged.append((sigmas, floor, end))
    kept: list[tuple[int, int]] = []
    for _, floor, end in sorted(judged, key=lambda one: (-one[0], one[1])):
        if all(end <= other or floor >= other_end for other, other_end in kept):
            kept.append((floor, end))
    return sorted(kept)


def _candidates(most: int) -> list[int]:
    """Give the amounts with three leading digits and zeros behind them."""
    digits = range(3, len(str(most)) + 1)
    return [lead * 10 ** (n - 3) for n in digits for lead in range(SMALLEST_MINOR, SMALLEST_MINOR + _LEADS)]


def _end(floor: int) -> int:
    return floor + max(1, round(floor * REACH))


def _keys(floor: int, end: int) -> list[int]:
    """Give the keys of all amounts in [floor, end); a threshold begins a run of leading digits, so none has two."""
    keys, amount = [], floor
    while amount < end:
        digits = len(str(amount))
        keys.append(digits * 1000 + int(str(amount)[:3]))
        amount += 10 ** (digits - 3)
    return keys
