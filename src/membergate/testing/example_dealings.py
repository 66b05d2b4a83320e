"""What happens around the example market's trade: coupons, returns, reviews, cases, listings, labels, memberships."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Rows = Callable[..., pa.Table]
"""Lays out rows with their version columns: `rows(visible_at, **columns)`."""
Instants = NDArray[np.datetime64]
_DAY = np.timedelta64(1, "D").astype("timedelta64[us]")


def dealings(
    rows: Rows, draw: np.random.Generator, lines: pa.Table, account_ids: Iterable[object], opening: np.datetime64
) -> dict[str, pa.Table]:
    """Draw the tables around the trade.

    Parameters
    ----------
    rows
        Lays rows out.
    draw
        Of the draw.
    lines
        The order lines.
    account_ids
        All accounts, shape (n,).
    opening
        When the market opens.
    """
    accounts = list(account_ids)
    return _after(rows, draw, lines) | _around(rows, draw, accounts, opening)


def _after(rows: Rows, draw: np.random.Generator, lines: pa.Table) -> dict[str, pa.Table]:
    """Let every fifth line come back, and every fourth be reviewed."""
    known = lines["visible_at"].to_numpy()
    back, said = np.arange(0, lines.num_rows, 5), np.arange(0, lines.num_rows, 4)
    returned_at = known[back] + draw.integers(1, 40, len(back)) * _DAY
    reviewed_at = known[said] + draw.integers(3, 30, len(said)) * _DAY

    def of_line(places: NDArray[np.int64]) -> dict[str, list[object]]:
        return {name: lines[name].take(places).to_pylist() for name in ("line_id", "account_id", "order_id", "sku_id")}

    return {
        "returns": rows(
            returned_at,
            return_id=[f"b{i}" for i in back],
            quantity=lines["quantity"].take(back).to_pylist(),
            returned_at=returned_at,
            **of_line(back),
        ),
        "reviews": rows(reviewed_at, review_id=[f"w{i}" for i in said], reviewed_at=reviewed_at, **of_line(said)),
    }


def _around(
    rows: Rows, draw: np.random.Generator, accounts: list[object], opening: np.datetime64
) -> dict[str, pa.Table]:
    def at(first: float, last: float, n: int) -> Instants:
        days = draw.uniform(first, last, n)
        instants: Instants = opening + (days * 86_400_000_000).astype(np.int64).astype("timedelta64[us]")
        return instants

    count = len(accounts)
    asked = _asked(rows, accounts, at(60, 230, 12 * count), at(30, 230, 4 * count))
    return asked | _judged(rows, accounts, at(60, 230, 40), at(40, 80, count // 2), at(50, 200, count // 2))


def _asked(rows: Rows, accounts: list[object], coupons: Instants, cases: Instants) -> dict[str, pa.Table]:
    count = len(accounts)
    return {
        "coupon_events": rows(
            coupons,
            coupon_id=[f"k{i}" for i in range(len(coupons))],
            template_id=[f"m{i % 9}" for i in range(len(coupons))],
            account_id=[accounts[i % count] for i in range(len(coupons))],
            action=[("claimed", "claimed", "used")[i % 3] for i in range(len(coupons))],
            occurred_at=coupons,
        ),
        "support_cases": rows(
            cases,
            case_id=[f"c{i}" for i in range(len(cases))],
            account_id=[accounts[i % count] for i in range(len(cases))],
            opened_at=cases,
            topic=[("delivery", "invoice", "neutral_parcel", None)[i % 4 - i % 3] for i in range(len(cases))],
        ),
    }


def _judged(
    rows: Rows, accounts: list[object], listings: Instants, started: Instants, decided: Instants
) -> dict[str, pa.Table]:
    return {
        "listings": rows(
            listings,
            listing_id=[f"i{i}" for i in range(len(listings))],
            seller_id=[f"se{i % 5}" for i in range(len(listings))],
            sku_id=[f"s{i % 12}" for i in range(len(listings))],
            price_minor=[3000 + i for i in range(len(listings))],
            listed_at=listings,
        ),
        "memberships": rows(
            started,
            membership_id=[f"e{i}" for i in range(len(started))],
            account_id=[accounts[2 * i] for i in range(len(started))],
            plan=["plus"] * len(started),
            state=["active"] * len(started),
            started_at=started,
            fee_minor=[150 if i % 3 else 100 for i in range(len(started))],
        ),
        "labels": rows(
            decided,
            subject_type=["account"] * len(decided),
            subject_id=[accounts[(2 * i + 1) % len(accounts)] for i in range(len(decided))],
            label=["genuine" if i % 3 == 0 else "merchant" for i in range(len(decided))],
            grade=["L0" if i % 3 == 0 else "L4" for i in range(len(decided))],
            source=["appeal_upheld" if i % 3 == 0 else ("price_slip", "review")[i % 2] for i in range(len(decided))],
            decided_at=decided,
        ),
    }
