"""Values of the features of trade, worked out by hand: depth, baskets, rhythm, economics, fulfilment, promotions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from membergate.domain.evidence import Absence

if TYPE_CHECKING:
    from tests.unit.features.conftest import Ask, TinyMarket


def test_a1_is_a_high_quantile_of_depth_in_norms(market: TinyMarket, ask: Ask) -> None:
    """Months of 1 / 2, 8 / 2 and 2 / 4 norms: the 95th percentile of three is the largest."""
    market.buys("a", "2025-06-20", units=8)
    market.buys("a", "2025-05-20", units=1)
    market.buys("a", "2025-06-20", units=2, sku="s2")
    assert ask("A1") == 4.0


def test_a5_forgives_two_repeats(market: TinyMarket, ask: Ask) -> None:
    """Four orders of s1 inside one window of its limit are three repeats, one more than is forgiven."""
    for day in ("11", "12", "13"):
        market.buys("a", f"2025-06-{day}")
    assert ask("A5") == 0.0
    market.buys("a", "2025-06-14")
    assert ask("A5") == 1.0
    market.buys("b", "2025-06-14", sku="s2")
    assert ask("A5", account="b") is Absence.NOT_OBSERVED


def test_b2_counts_everyday_categories(market: TinyMarket, ask: Ask) -> None:
    """Tea is one of four everyday categories, soap is none."""
    for sku in ("s1", "s1", "s2"):
        market.buys("a", "2025-06-20", sku=sku)
    assert ask("B2") == 0.25


def test_b6_wants_the_same_companion_in_two_weeks(market: TinyMarket, ask: Ask) -> None:
    """Account b shares s1 and s2 in two weeks (rarity 5) of a's three (5 + 4): 5 / (5 + 9); c shares one week only."""
    for day, sku in (("02", "s1"), ("10", "s2"), ("18", "s3")):
        market.buys("a", f"2025-06-{day}", sku=sku)
    market.buys("b", "2025-06-03", sku="s1")
    market.buys("c", "2025-06-18", sku="s3")
    assert ask("B6") == 0.0
    market.buys("b", "2025-06-11", sku="s2")
    assert ask("B6") == pytest.approx(5 / 14, abs=1e-5)


def test_b7_is_the_entropy_inside_a_family(market: TinyMarket, ask: Ask) -> None:
    """Two sizes of one sock, two units each: ln 2 over four units, and five units of prior 0."""
    for sku in ("v1", "v2"):
        market.buys("a", "2025-06-20", units=2, sku=sku)
    market.buys("a", "2025-06-20", units=9)
    assert ask("B7") == pytest.approx(4 * np.log(2) / 9, abs=1e-5)


def test_c1_is_the_variation_of_gaps(market: TinyMarket, ask: Ask) -> None:
    """Gaps of 2 and 6 days: standard deviation 2, mean 4; equal gaps vary by 0."""
    for day in ("10", "12", "18"):
        market.buys("a", f"2025-06-{day}")
        market.buys("a", f"2025-06-{day}")
    for day in ("10", "14", "18"):
        market.buys("b", f"2025-06-{day}")
    assert ask("C1") == pytest.approx(0.5, abs=1e-5)
    assert ask("C1", account="b") == 0.0


def test_c3_and_j7_know_the_shops_hours(market: TinyMarket, ask: Ask) -> None:
    """Eight hours east, 02:00 UTC is ten in the morning: Friday counts, Saturday and 12:00 UTC do not."""
    for when in ("2025-06-20T02:00", "2025-06-21T02:00", "2025-06-20T12:00"):
        market.delivers(market.buys("a", when), when, "home")
    assert ask("C3", C3=0.2) == pytest.approx((1 + 1) / 8)
    assert ask("J7", J7=0.0) == pytest.approx(1 / 8)


def test_c4_and_m2_watch_promotions(market: TinyMarket, ask: Ask) -> None:
    """One of two orders falls into the opening minute; eight units there against four x 0.25 elsewhere: ln 9 / 2."""
    market.promotes("2025-06-10T12:00", "2025-06-11", "2025-06-08")
    market.buys("a", "2025-06-10T12:00:40", units=8)
    market.buys("a", "2025-06-20", units=4)
    assert ask("C4") == pytest.approx(1 / 7)
    assert ask("M2") == pytest.approx(np.log(9 / 2))


def test_c5_is_goh_and_barabasis_burstiness(market: TinyMarket, ask: Ask) -> None:
    """Gaps of 1, 1 and 7 days: mean 3, sd sqrt(8); a promotion day between is left out."""
    market.promotes("2025-06-14", "2025-06-14T12:00", "2025-06-12")
    for day in ("10", "11", "12", "14", "19"):
        market.buys("a", f"2025-06-{day}")
    assert ask("C5") == pytest.approx((np.sqrt(8) - 3) / (np.sqrt(8) + 3))


def test_c7_sees_who_wakes_up(market: TinyMarket, ask: Ask) -> None:
    """A hundred days of silence end on the 10th; with a third buying day it is a reactivation."""
    market.buys("a", "2025-03-02")
    for day in ("10", "11"):
        market.buys("a", f"2025-06-{day}")
    assert ask("C7") == 0.0
    market.buys("a", "2025-06-12")
    assert ask("C7") == pytest.approx(np.log(101))


def test_c8_is_a_slope(market: TinyMarket, ask: Ask) -> None:
    """Units 1, 1, 5, 5, 3 at discounts 0, 0, .4, .4, .2: covariance 0.32 over variance 0.032 and ridge 0.0025."""
    for units, net in ((1, 100), (1, 100), (5, 60), (5, 60), (3, 80)):
        market.buys("a", "2025-06-20", units=units, net=net)
    assert ask("C8") == pytest.approx(0.32 / 0.0345, rel=1e-4)


def test_d2_and_d9_set_benefits_against_the_fee(market: TinyMarket, ask: Ask) -> None:
    """The usual fee is 1 a day: 45 taken in 90 days is 0.5; a year's 365 are recovered after nine days."""
    market.adds("memberships", "2025-01-01", account_id="b", fee_minor=365)
    market.buys("a", "2025-06-20", saved=(30, 15))
    assert ask("D2") == pytest.approx(0.5)
    assert ask("D9") is Absence.NOT_OBSERVED
    market.buys("a", "2025-06-25", saved=(300, 0))
    assert ask("D9") is Absence.NOT_OBSERVED
    market.buys("a", "2025-06-29", saved=(0, 20))
    assert ask("D9") == 9.0


def test_e1_and_e6_read_the_map(market: TinyMarket, ask: Ask) -> None:
    """Four addresses: two wordings of one spot, one in the same cell, one far off, and a gift's that is left out."""
    spots = {"home": "wx4g0abc", "home1": "wx4g0abc", "home2": "wx4g0zzz", "home3": "u33dxxxx", "home4": "9q8yyyyy"}
    market.geohashes.update(spots)
    for place in spots:
        market.buys("a", "2025-06-20", address=place, gift=place == "home4")
    assert ask("E1") == pytest.approx(np.log(2))
    assert ask("E6") == pytest.approx(np.log(5 / 4))


def test_e3_is_the_entropy_of_phones(market: TinyMarket, ask: Ask) -> None:
    """Two phones, two orders each: ln 2 and 1 / 8; unknown phones are nobody's."""
    for phone in ("x", "x", "y", "y", None):
        market.buys("a", "2025-06-20", phone=phone)
    assert ask("E3") == pytest.approx(np.log(2) + 1 / 8, abs=1e-5)


def test_e9_and_h10_tell_leaves_from_the_hub(market: TinyMarket, ask: Ask) -> None:
    """One of a's two parcels is sent on to where two others' go: ln 3 / 2. Who orders there is the hub: ln 4."""
    for account in ("a", "b", "c"):
        market.delivers(market.buys(account, "2025-06-20"), "2025-06-21", "shop", instead_of="home")
    market.delivers(market.buys("a", "2025-06-22"), "2025-06-23", "home")
    market.delivers(market.buys("h", "2025-06-22", address="shop"), "2025-06-23", "shop")
    assert ask("E9") == pytest.approx(np.log(3) / 2, abs=1e-5)
    assert ask("E9", account="h") == 0.0
    assert ask("H10", account="h") == pytest.approx(np.log(4))
    assert ask("H10") == 0.0


def test_e10_counts_whom_a_collector_serves(market: TinyMarket, ask: Ask) -> None:
    """The collector of a's parcel takes another account's as well; parcels that nobody collects do not count."""
    for account in ("a", "b"):
        market.delivers(market.buys(account, "2025-06-20"), "2025-06-21", "pickup", collector="z")
    market.delivers(market.buys("a", "2025-06-20"), "2025-06-21", "home")
    assert ask("E10") == pytest.approx(np.log(2), abs=1e-5)


def test_m3_wants_two_rushes_together(market: TinyMarket, ask: Ask) -> None:
    """Account b is there in the same quarter of an hour twice: rarity 5 of 5, and five of ballast."""
    market.promotes("2025-06-10", "2025-06-12", "2025-06-08")
    for account in ("a", "b"):
        market.buys(account, "2025-06-10T12:01")
    market.buys("a", "2025-06-11T12:01", sku="s2")
    assert ask("M3") == 0.0
    market.buys("b", "2025-06-11T12:09", sku="s2")
    assert ask("M3") == pytest.approx(5 / 10, abs=1e-5)


def test_j1_j2_and_m6_weigh_what_comes_back(market: TinyMarket, ask: Ask) -> None:
    """Six of 20 teas come back after nine days, one soap at once; households return a tenth and a fifth."""
    market.promotes("2025-06-10", "2025-06-12", "2025-06-08")
    tea, soap = market.buys("a", "2025-06-11", units=20), market.buys("a", "2025-06-11", units=5, sku="s2")
    market.returns(tea, "2025-06-20", 6)
    market.returns(soap, "2025-06-12T12:00", 1)
    market.buys("b", "2025-06-11")
    assert ask("J1") == pytest.approx(7 / 5, abs=1e-5)
    assert ask("J2") == pytest.approx(np.log(7))
    assert ask("M6") == pytest.approx(6 / 35)
    assert [ask(name, account="b") for name in ("J1", "J2", "M6")] == [0.0, 0.0, 0.0]


def test_k2_and_k3_see_a_shop_restocked(market: TinyMarket, ask: Ask) -> None:
    """Three teas and four soaps bought, two teas listed: cosine 3 / 5; one of two was dearer, and soon enough."""
    market.shops.update(a="se")
    market.buys("a", "2025-06-10", units=3)
    market.buys("a", "2025-06-10", units=4, sku="s2")
    for price, when in ((100, "2025-06-20"), (70, "2025-06-21")):
        market.adds(
            "listings", when, listing_id=when, seller_id="se", sku_id="s1", price_minor=price, listed_at=_at(when)
        )
    assert ask("K2") == pytest.approx(3 / 5)
    assert ask("K3") == pytest.approx(np.log(2))
    market.buys("b", "2025-06-10")
    assert ask("K2", account="b") is Absence.NOT_OBSERVED
    assert ask("K3", account="b") == 0.0


def _at(text: str) -> object:
    return np.datetime64(text, "us").astype(object)


def test_d6_counts_orders_just_above_a_threshold(market: TinyMarket, ask: Ask) -> None:
    """The threshold is 200, its reach ends at 206: of 199, 200, 205 and 206 two count; five orders of prior 0."""
    for amount in (199, 200, 205, 206):
        market.buys("a", "2025-06-20", net=amount)
    assert ask("D6", D6=0.0) == pytest.approx(2 / 9)
