"""What accompanies the features: how much there is to judge by, the promotion calendar, look-alikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from membergate.learning.features import CATALOGUE, LOOK_ALIKES

if TYPE_CHECKING:
    from tests.unit.features.conftest import TinyMarket

Context = Callable[..., dict[str, object]]


def test_counts_are_those_of_the_account(market: TinyMarket, context: Context) -> None:
    """Orders, units and days are the account's own, whoever else belongs to its operator."""
    market.buys("a", "2025-06-20", units=3)
    market.buys("a", "2025-06-28", units=2)
    market.buys("b", "2025-06-29", units=50)
    known = context(members=("a", "b"))
    assert (known["orders"], known["units"], known["history_days"]) == (2.0, 5.0, 10.0)
    assert known["tenure_days"] == 546.0


def test_an_account_without_history_has_zero_counts(market: TinyMarket, context: Context) -> None:
    """Nobody's counts are 0, its invoices unknown, and it looks like a newcomer."""
    market.buys("b", "2025-06-20")
    known = context(account="a")
    assert (known["orders"], known["units"], known["history_days"]) == (0.0, 0.0, 0.0)
    assert np.isnan(known["company_invoice_ratio"])  # type: ignore[call-overload] # a number
    assert known["look_alike"] == "newcomer"


def test_evidence_travels_with_every_feature(market: TinyMarket, context: Context) -> None:
    """Every feature of the catalogue says how much stands behind it."""
    market.buys("a", "2025-06-20", units=3)
    known = context()
    assert {f"n_eff_{name.lower()}" for name in CATALOGUE} <= set(known)
    assert known["n_eff_a2"] == 3.0


@pytest.mark.parametrize(
    ("when", "regime"),
    [
        ("2025-06-01", "ordinary"),
        ("2025-06-06", "pre_heat"),
        ("2025-06-12", "burst"),
        ("2025-06-20", "post"),
        ("2025-07-20", "ordinary"),
    ],
)
def test_regime_follows_the_calendar(market: TinyMarket, context: Context, when: str, regime: str) -> None:
    """Warm-up, burst and the two weeks after are told apart; what is not announced yet is ordinary."""
    market.buys("a", "2025-01-20")
    days = {"warm_up_starts_at": "2025-06-05", "starts_at": "2025-06-10", "ends_at": "2025-06-15"}
    known = {name: np.datetime64(day, "us").astype(object) for name, day in days.items()}
    seen = np.datetime64("2025-06-05", "us").astype(object)
    row = {"promotion_id": "p", "name": "p", "ingested_at": seen, "visible_at": seen, "superseded_at": None}
    market.promotions.append(row | known)
    assert context(when)["regime"] == regime


def test_pickup_members_are_recognised(market: TinyMarket, context: Context) -> None:
    """Someone whose parcels go to a pickup point is typed as one, however many share it."""
    for day in range(10, 15):
        market.buys("a", f"2025-06-{day}", address="pickup")
    assert context()["look_alike"] == "rural_pickup"


def test_every_harmed_look_alike_is_declared() -> None:
    """A feature may only harm look-alikes that have a guard."""
    declared = {look_alike.name for look_alike in LOOK_ALIKES}
    assert {name for feature in CATALOGUE.values() for name in feature.harms} <= declared
