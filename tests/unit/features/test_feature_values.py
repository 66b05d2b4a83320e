"""Each feature's value, worked out by hand on a handful of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from membergate.domain.evidence import Absence

if TYPE_CHECKING:
    from tests.unit.features.conftest import Ask, TinyMarket


def test_a2_counts_what_lies_beyond_the_norm(market: TinyMarket, ask: Ask) -> None:
    """12 teas in one month against an allowance of 2 leave 10 of 12; ten units of prior 0 make it 10 / 22."""
    market.buys("a", "2025-06-20", units=12)
    assert ask("A2") == pytest.approx(10 / 22)


def test_a2_sums_over_the_operator(market: TinyMarket, ask: Ask) -> None:
    """Two accounts that stay within the norm each exceed it together: 4 - 2 = 2 of 4, and the prior 0.1."""
    market.buys("a", "2025-06-20", units=2)
    market.buys("b", "2025-06-20", units=2)
    assert ask("A2", A2=0.1) == pytest.approx((0 + 10 * 0.1) / 12)
    assert ask("A2", members=("a", "b"), A2=0.1) == pytest.approx((2 + 10 * 0.1) / 14)


def test_a2_takes_months_apart(market: TinyMarket, ask: Ask) -> None:
    """Twice the allowance in two different months is no excess."""
    market.buys("a", "2025-06-20", units=2)
    market.buys("a", "2025-05-01", units=2)
    assert ask("A2") == 0.0


def test_a3_is_the_largest_day_without_gifts(market: TinyMarket, ask: Ask) -> None:
    """Two orders of a day add up; a gift of nine does not count; another SKU is another SKU."""
    market.buys("a", "2025-06-20T01:00", units=3)
    market.buys("a", "2025-06-20T23:00", units=4)
    market.buys("a", "2025-06-20T23:30", units=5, sku="s2")
    market.buys("a", "2025-06-21", units=9, gift=True)
    assert ask("A3") == 7.0


def test_a4_is_the_share_of_limits_reached(market: TinyMarket, ask: Ask) -> None:
    """One window of s1 reaches its limit of 3, another does not; s2 has none: (1 + 4 x 0.25) / (2 + 4)."""
    market.buys("a", "2025-06-20", units=3)
    market.buys("a", "2025-04-01", units=1)
    market.buys("a", "2025-06-20", units=50, sku="s2")
    assert ask("A4", A4=0.25) == pytest.approx((1 + 1) / 6)


def test_b1_is_the_corrected_entropy(market: TinyMarket, ask: Ask) -> None:
    """Two teas' lines and two soaps' lines: ln 2, and (2 - 1) / (2 x 4) for Miller and Madow."""
    for sku in ("s1", "s1", "s2", "s3"):
        market.buys("a", "2025-06-20", sku=sku)
    assert ask("B1") == pytest.approx(np.log(2) + 1 / 8, abs=1e-5)


def test_b1_needs_three_lines(market: TinyMarket, ask: Ask) -> None:
    """The entropy of two lines says nothing."""
    market.buys("a", "2025-06-20")
    market.buys("a", "2025-06-21")
    assert ask("B1") is Absence.NOT_OBSERVED


def test_b3_sets_units_against_skus(market: TinyMarket, ask: Ask) -> None:
    """Nine units of two SKUs: ln 10 - ln 3; what is older than 90 days does not count."""
    market.buys("a", "2025-06-20", units=8)
    market.buys("a", "2025-06-20", sku="s2")
    market.buys("a", "2025-01-20", units=500, sku="s3")
    assert ask("B3") == pytest.approx(np.log(10) - np.log(3))


def test_b4_is_the_mean_score_of_units(market: TinyMarket, ask: Ask) -> None:
    """Three units at 0.5 and one at 0.75; five units of prior 0.6."""
    market.buys("a", "2025-06-20", units=3)
    market.buys("a", "2025-06-20", sku="s2")
    assert ask("B4", B4=0.6) == pytest.approx((3 * 0.5 + 0.75 + 5 * 0.6) / 9)


def test_c2_compares_restocking_with_depletion(market: TinyMarket, ask: Ask) -> None:
    """Twenty units gone in ten days, where a household uses one a day: ln (21 / 11). The last purchase is in stock."""
    market.buys("a", "2025-06-10", units=20)
    market.buys("a", "2025-06-20", units=99)
    market.buys("a", "2025-06-20", units=5, sku="s2")
    assert ask("C2") == pytest.approx(np.log(21 / 11))


def test_c6_is_the_share_of_the_three_largest_promotion_days(market: TinyMarket, ask: Ask) -> None:
    """Days of 5, 4, 3 and 2 units in a promotion and 6 outside: 12 of 20; ten units of prior 0.2."""
    when = {"starts_at": "2025-06-01", "ends_at": "2025-06-10"}
    known = {name: np.datetime64(text, "us").astype(object) for name, text in when.items()}
    seen = np.datetime64("2025-05-20", "us").astype(object)
    version = {"ingested_at": seen, "visible_at": seen, "superseded_at": None}
    market.promotions.append({"promotion_id": "p", "name": "p", **known, **version})
    for day, units in (("01", 5), ("02", 4), ("03", 3), ("04", 2), ("20", 6)):
        market.buys("a", f"2025-06-{day}T05:00", units=units)
    assert ask("C6", C6=0.2) == pytest.approx((12 + 2) / 30)


def test_d3_is_what_was_taken_off(market: TinyMarket, ask: Ask) -> None:
    """20 off each of 3 units at 80, nothing off the other line: 60 / 320, and five lines of prior 0.1."""
    market.buys("a", "2025-06-20", units=3)
    market.buys("a", "2025-06-20", net=80, listed=80)
    assert ask("D3", D3=0.1) == pytest.approx((2 * 60 / 320 + 5 * 0.1) / 7)


def test_d4_is_the_margin_over_units(market: TinyMarket, ask: Ask) -> None:
    """s1 sells for 100: a quarter on 80, and -1 at least; five units of prior 0."""
    market.buys("a", "2025-06-20", units=3, net=80)
    market.buys("a", "2025-06-20", units=1, net=200, listed=200)
    assert ask("D4") == pytest.approx((3 * 0.25 - 0.5) / 9, abs=1e-6)


def test_d4_leaves_out_what_has_no_known_price(market: TinyMarket, ask: Ask) -> None:
    """Neither a thing whose resale price nobody knows, nor one that was given away, has a margin, high or low."""
    market.buys("a", "2025-06-20", units=4, sku="s3")
    market.buys("a", "2025-06-20", units=9, net=0)
    assert ask("D4") is Absence.NOT_OBSERVED
    market.buys("a", "2025-06-20", units=3, net=80)
    assert ask("D4") == pytest.approx(3 * 0.25 / 8, abs=1e-6)


def test_unnamed_places_and_people_are_nobodys(market: TinyMarket, ask: Ask) -> None:
    """Orders without address and recipient, of many accounts, are no crowded place and no one-time recipient."""
    for account in ("a", "b", "c", "d"):
        market.buys(account, "2025-06-20", address=None, recipient=None)
        market.buys(account, "2025-06-21", address=None, recipient=None)
    market.buys("e", "2025-06-20", address="home")
    for feature in ("E2", "E4", "E5"):
        assert ask(feature) is Absence.NOT_OBSERVED, feature
    market.buys("a", "2025-06-22", address="home2", recipient="x")
    assert ask("E5") == pytest.approx(np.log(2) - np.log(2), abs=1e-5)


def test_d5_is_the_gain_on_the_excess(market: TinyMarket, ask: Ask) -> None:
    """Ten of 12 units are excess and each would earn 20: 200."""
    market.buys("a", "2025-06-20", units=12, net=80)
    assert ask("D5") == pytest.approx(200.0, abs=1e-3)


def test_e2_leaves_the_main_recipient_out(market: TinyMarket, ask: Ask) -> None:
    """Recipients used 2, 1 and 1 times: 2 of 3, and eight of prior 0.5; a single recipient is never one-time."""
    for recipient in ("x", "x", "y", "z"):
        market.buys("a", "2025-06-20", recipient=recipient)
    market.buys("b", "2025-06-20", recipient="w")
    assert ask("E2", E2=0.5) == pytest.approx((2 + 4) / 11)
    assert ask("E2", account="b", E2=0.5) == pytest.approx((0 + 4) / 9)


def test_e4_is_the_share_sent_to_ones_own_places(market: TinyMarket, ask: Ask) -> None:
    """Home twice is a habit (6 units), the shop never is (3), another home once is not (1): 6 of 10, prior 1."""
    market.buys("a", "2025-06-20", units=4)
    market.buys("a", "2025-06-22", units=2)
    market.buys("a", "2025-06-22", units=3, address="shop")
    market.buys("a", "2025-06-23", units=1, address="home2")
    assert ask("E4", E4=1.0) == pytest.approx((6 + 5) / 15)


def test_e5_counts_accounts_at_the_address_above_its_kind(market: TinyMarket, ask: Ask) -> None:
    """Three accounts at a home where one is typical: ln 4 - ln 2. The fourth comes later and is not counted."""
    for account in ("a", "b", "c"):
        market.buys(account, "2025-06-20")
    market.buys("d", "2025-07-02")
    assert ask("E5") == pytest.approx(np.log(4) - np.log(2), abs=1e-5)
    assert ask("E5", when="2025-07-03") == pytest.approx(np.log(5) - np.log(2), abs=1e-5)


def test_h1_is_the_operators_size(market: TinyMarket, ask: Ask) -> None:
    """Three accounts of one operator."""
    market.buys("a", "2025-06-20")
    assert ask("H1", members=("a", "b", "c")) == 3.0


def test_h5_wants_the_same_companion_on_two_days(market: TinyMarket, ask: Ask) -> None:
    """Account b shares s1 and s2 on two days (rarity 5) of a's three purchases; c shares one day only: 5 / (5 + 3)."""
    for day, sku in (("10", "s1"), ("12", "s2"), ("14", "s3")):
        market.buys("a", f"2025-06-{day}T08:00", sku=sku)
    market.buys("b", "2025-06-10T20:00", sku="s1")
    market.buys("c", "2025-06-10T20:00", sku="s1")
    assert ask("H5") == 0.0
    market.buys("b", "2025-06-12T20:00", sku="s2")
    assert ask("H5") == pytest.approx(5 / 8)


def test_h7_counts_strangers_at_one_place(market: TinyMarket, ask: Ask) -> None:
    """Two strangers had s1 sent to the same pickup point in the week, where 0.01 x 2 accounts were to be expected."""
    for account in ("a", "b", "c"):
        market.delivers(market.buys(account, "2025-06-20"), "2025-06-21", "pickup")
    expected = 2 * np.log(2 / 0.02) - (2 - 0.02)
    assert ask("H7") == pytest.approx(expected, abs=1e-5)
    assert ask("H7", members=("a", "b", "c")) == 0.0


def test_l2_counts_the_operators_other_applications(market: TinyMarket, ask: Ask) -> None:
    """One application of the other account lies within 30 days; its own (`q`) and an old one do not count."""
    market.applies("a", "2025-06-30T12:00", "q")
    market.applies("b", "2025-06-20", "q1")
    market.applies("b", "2025-04-20", "q2")
    assert ask("L2", members=("a", "b")) == 1.0
    assert ask("L2") == 0.0


def test_a6_is_the_herfindahl_index_of_units(market: TinyMarket, ask: Ask) -> None:
    """Six units of one SKU and two of another: (36 + 4) / 64; four units alone are too few to say."""
    market.buys("a", "2025-06-20", units=6)
    market.buys("a", "2025-06-21", units=2, sku="s2")
    market.buys("b", "2025-06-21", units=4)
    assert ask("A6") == pytest.approx(40 / 64)
    assert ask("A6", account="b") is Absence.NOT_OBSERVED


def test_a7_is_the_share_of_whole_cartons(market: TinyMarket, ask: Ask) -> None:
    """s2 comes in sixes: one line of 12 is whole cartons, one of 5 is not; s1 has no cartons. Prior 0.2."""
    for units in (12, 5):
        market.buys("a", "2025-06-20", units=units, sku="s2")
    market.buys("a", "2025-06-20", units=6)
    assert ask("A7", A7=0.2) == pytest.approx((1 + 5 * 0.2) / 7)


def test_a8_is_the_log_of_the_spend(market: TinyMarket, ask: Ask) -> None:
    """Two units at 80 and one at 40."""
    market.buys("a", "2025-06-20", units=2, net=80)
    market.buys("a", "2025-06-20", net=40)
    assert ask("A8") == pytest.approx(np.log(201))


def test_b5_is_the_share_of_subsidised_units(market: TinyMarket, ask: Ask) -> None:
    """Six of eight units are subsidised, and ten units of prior 0.5; nothing subsidised is 0, not unknown."""
    market.buys("a", "2025-06-20", units=6, subsidy="platform")
    market.buys("a", "2025-06-20", units=2)
    market.buys("b", "2025-06-20", units=2)
    assert ask("B5", B5=0.5) == pytest.approx((6 + 5) / 18)
    assert ask("B5", account="b") == 0.0


def test_d1_sums_what_was_saved_and_d7_counts_how(market: TinyMarket, ask: Ask) -> None:
    """30 by member price and 20 by coupon, then 5 by coupon on a subsidised line: 55; 2 and 2 incentives on 3 lines."""
    market.buys("a", "2025-06-20", saved=(30, 20))
    market.buys("a", "2025-06-20", saved=(0, 5), subsidy="store")
    market.buys("a", "2025-06-20")
    assert ask("D1") == 55.0
    assert ask("D7", D7=1.0) == pytest.approx((4 + 5) / 8)


def test_e7_and_e8_tell_kinds_of_places_apart(market: TinyMarket, ask: Ask) -> None:
    """Of ten units three go to a shop and two to a forwarder; five units of prior 0."""
    for units, place in ((3, "shop"), (2, "forwarder"), (5, "home")):
        market.buys("a", "2025-06-20", units=units, address=place)
    assert ask("E7") == pytest.approx(3 / 15)
    assert ask("E8") == pytest.approx(2 / 15)


def test_f1_and_g1_count_accounts_behind_devices_and_cards(market: TinyMarket, ask: Ask) -> None:
    """Three accounts use a's device, by then; one more pays with its card. Unknown devices are nobody's."""
    market.buys("a", "2025-06-20", device="d", payer="y")
    market.buys("a", "2025-06-21", payer="y")
    for account in ("b", "c"):
        market.buys(account, "2025-06-20", device="d")
    market.buys("e", "2025-06-20", payer="y")
    market.buys("f", "2025-07-05", device="d", payer="y")
    assert ask("F1") == pytest.approx(np.log(3), abs=1e-5)
    assert ask("G1") == pytest.approx(np.log(2), abs=1e-5)
    assert ask("F1", account="e") is Absence.NOT_OBSERVED


def test_f4_and_f5_are_shares_of_sign_ins(market: TinyMarket, ask: Ask) -> None:
    """One of four sign-ins is from an emulator, two hide behind a proxy or a data centre; five of prior 0."""
    market.buys("a", "2025-06-20")
    for network in ("proxy", "datacentre", "mobile"):
        market.signs_in("a", "2025-06-20", network)
    market.signs_in("a", "2025-06-21", emulator=True)
    assert ask("F4") == pytest.approx(1 / 9)
    assert ask("F5") == pytest.approx(2 / 9)


def test_i2_and_i6_tell_lists_from_discovery(market: TinyMarket, ask: Ask) -> None:
    """Of two ordering sessions one began with a search; one page in five is interest; priors 0."""
    market.buys("a", "2025-06-20")
    market.looks("a", "2025-06-20", "v1", "search", "review_read", "checkout")
    market.looks("a", "2025-06-21", "v2", "product_view", "checkout")
    assert ask("I2") == pytest.approx(1 / 7)
    assert ask("I6") == pytest.approx(1 / 25)


def test_j5_and_k1_tell_who_trades(market: TinyMarket, ask: Ask) -> None:
    """One order of two has a company invoice; a is linked to a seller, b is known not to be."""
    market.buys("a", "2025-06-20", invoice="company")
    market.buys("a", "2025-06-20")
    market.buys("b", "2025-06-20")
    market.sellers.add("a")
    assert ask("J5") == pytest.approx(1 / 7)
    assert ask("K1") == 1.0
    assert ask("K1", account="b") == 0.0
