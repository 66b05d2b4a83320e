"""Values of the features of people, worked out by hand: devices, links, sessions, coupons, labels, applications."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from membergate.domain.evidence import Absence

if TYPE_CHECKING:
    from tests.unit.features.conftest import Ask, TinyMarket


def _at(text: str) -> object:
    return np.datetime64(text, "us").astype(object)


def test_d8_and_m1_watch_coupons(market: TinyMarket, ask: Ask) -> None:
    """Template t is seen at noon and claimed 9 s and 99 s later; the first of the claims lies in the warm-up."""
    market.buys("a", "2025-01-01")
    market.promotes("2025-06-12", "2025-06-14", "2025-06-10")
    for account, action, when in (
        ("z", "issued", "2025-06-11T12:00:00"),
        ("a", "claimed", "2025-06-11T12:00:09"),
        ("a", "claimed", "2025-06-12T12:00:00"),
    ):
        row = {"template_id": "t", "account_id": account, "action": action, "occurred_at": _at(when)}
        market.adds("coupon_events", when, **row)
    assert ask("D8") == pytest.approx(np.log(10))
    assert ask("M1", M1=0.0) == pytest.approx(1 / 7)


def test_f2_counts_devices_by_region(market: TinyMarket, ask: Ask) -> None:
    """One device in two regions and another one: three; sign-ins without a device do not count."""
    market.buys("a", "2025-06-20")
    for device, region in (("d", "x"), ("d", "y"), ("e", "x"), ("d", "x"), (None, "x")):
        market.signs_in("a", "2025-06-20", device=device, region=region)
    assert ask("F2") == pytest.approx(np.log(3))


def test_f3_sees_devices_that_never_signed_in(market: TinyMarket, ask: Ask) -> None:
    """One of three orders comes from a device that the account never signed in with; five orders of prior 0."""
    market.signs_in("a", "2025-06-20", device="d")
    for device in ("d", "d", "x"):
        market.buys("a", "2025-06-20", device=device)
    assert ask("F3") == pytest.approx(1 / 8)


def test_f6_sees_orders_in_step(market: TinyMarket, ask: Ask) -> None:
    """Of two orders on network n one is in the same minute as b's; three accounts use n that day: 1 / ln 4."""
    market.buys("a", "2025-06-20T10:00:10", network="n")
    market.buys("a", "2025-06-20T11:00:10", network="n")
    market.buys("b", "2025-06-20T10:00:50", network="n")
    market.buys("c", "2025-06-20T15:00:50", network="n")
    assert ask("F6") == pytest.approx(1 / np.log(4) / 7, abs=1e-5)
    assert ask("F6", members=("a", "b")) == 0.0


def test_f7_is_the_age_at_the_first_benefit(market: TinyMarket, ask: Ask) -> None:
    """Registered on 1 January 2025, first member price two days and an hour later: ln 50."""
    market.accounts["a"] = _at("2025-01-01")  # type: ignore[assignment] # a datetime
    market.buys("a", "2025-01-02")
    market.buys("a", "2025-01-03T01:00", saved=(5, 0))
    assert ask("F7") == pytest.approx(np.log(50))


def test_h2_and_h3_look_at_neighbours(market: TinyMarket, ask: Ask) -> None:
    """Account b shares phone and device, c the phone only; b was confirmed by then; what three share weighs less."""
    market.buys("a", "2025-06-20", address=None, phone="f", device="d", recipient=None)
    market.buys("b", "2025-06-20", address=None, phone="f", device="d", recipient=None)
    market.buys("c", "2025-06-20", address="home", phone="f", recipient=None)
    row = {"subject_type": "account", "subject_id": "b", "label": "merchant", "source": "review"}
    market.adds("labels", "2025-06-25", grade="L3", decided_at=_at("2025-06-25"), **row)
    assert ask("H2") == pytest.approx(np.log(2))
    phone, device = 1 / np.log(5), 1 / np.log(4)
    assert ask("H3", H3=0.0) == pytest.approx((phone + device) / (2 * phone + device) * 3 / 8, abs=1e-5)
    assert ask("H3", H3=0.0, when="2025-06-24") == 0.0
    assert ask("H3", H3=0.0, members=("a", "b")) == 0.0


def test_h3_forgets_who_was_cleared(market: TinyMarket, ask: Ask) -> None:
    """An appeal of b is upheld on the 28th: from then on its neighbours are nobody's."""
    for account in ("a", "b"):
        market.buys(account, "2025-06-20")
    for label, grade, when in (("merchant", "L2", "2025-06-25"), ("genuine", "L0", "2025-06-28")):
        row = {"subject_type": "account", "subject_id": "b", "source": "x", "decided_at": _at(when)}
        market.adds("labels", when, label=label, grade=grade, **row)
    assert ask("H3", H3=0.0, when="2025-06-26") == pytest.approx(1 / 6)
    assert ask("H3", H3=0.0) == 0.0


def test_h8_h11_and_l4_follow_invitations(market: TinyMarket, ask: Ask) -> None:
    """Three accounts opened on one day by invitation of i, one of whom was confirmed; b's siblings are a and c."""
    for account in ("a", "b", "c"):
        market.accounts[account] = _at("2025-06-01")  # type: ignore[assignment] # a datetime
        market.invited_by[account] = "i"
    market.buys("i", "2025-01-01")
    row = {"subject_type": "account", "subject_id": "a", "label": "merchant", "source": "review"}
    market.adds("labels", "2025-06-25", grade="L3", decided_at=_at("2025-06-25"), **row)
    assert ask("H8", account="b") == pytest.approx(np.log(3))
    assert ask("H8", account="i") == 0.0
    assert ask("H11", account="i") == pytest.approx(np.log(4))
    assert ask("L4", account="b", L4=0.0) == pytest.approx(1 / 7)
    assert ask("L4", account="a", L4=0.0) == 0.0


def test_h12_is_how_long_a_companion_stays(market: TinyMarket, ask: Ask) -> None:
    """Account b shares purchases nine days apart: ln 10."""
    for account in ("a", "b"):
        market.buys(account, "2025-06-10")
        market.buys(account, "2025-06-19", sku="s2")
    assert ask("H12") == pytest.approx(np.log(10))


def test_i1_and_i3_set_browsing_against_buying(market: TinyMarket, ask: Ask) -> None:
    """Three views for four units, and five units of prior 0; two readings of 500 ms for one order."""
    market.buys("a", "2025-06-20", units=4)
    market.buys("b", "2025-06-20")
    market.looks("a", "2025-06-20", "v", "product_view", "product_view", "product_view")
    market.looks("a", "2025-06-20", "v", "review_read", "review_read", dwell_ms=500)
    assert ask("I1") == pytest.approx(3 / 9)
    assert ask("I3") == 1000.0
    assert ask("I3", account="b") == 0.0


def test_i4_and_i5_watch_sessions(market: TinyMarket, ask: Ask) -> None:
    """From basket to checkout 1 s and 60 s; of four sessions two have one shape each and two another."""
    market.buys("a", "2025-06-20")
    for session, seconds in (("v", 1), ("w", 60)):
        market.looks("a", "2025-06-20T10:00:00", session, "product_view", "add_to_cart")
        market.looks("a", f"2025-06-20T10:{seconds // 60:02}:{seconds % 60:02}", session, "checkout")
    for session in ("x", "y"):
        market.looks("a", "2025-06-20", session, "search", "product_view")
    assert ask("I4") == pytest.approx(np.log(1001))
    assert ask("I5") == pytest.approx(np.log(2) + 1 / 8, abs=1e-5)


def test_j3_j4_and_j6_count_what_is_said(market: TinyMarket, ask: Ask) -> None:
    """One review for two lines; a question about cartons and one for a neutral parcel; two orders, ten of prior."""
    order = market.buys("a", "2025-06-20")
    market.buys("a", "2025-06-20")
    line = {"line_id": "l0", "account_id": "a", "order_id": order, "sku_id": "s1"}
    market.adds("reviews", "2025-06-25", reviewed_at=_at("2025-06-25"), **line)
    for topic in ("carton_price", "neutral_parcel", "delivery"):
        market.adds("support_cases", "2025-06-21", account_id="a", opened_at=_at("2025-06-21"), topic=topic)
    assert [ask(name) for name in ("J3", "J4", "J6")] == pytest.approx([1 / 12] * 3)


def test_j8_and_k5_read_verdicts(market: TinyMarket, ask: Ask) -> None:
    """An upheld appeal and a price slip, each from its own day on; another account has neither."""
    for account in ("a", "b"):
        market.buys(account, "2025-06-20")
    for grade, source, when in (("L0", "appeal_upheld", "2025-06-22"), ("L4", "price_slip", "2025-06-24")):
        row = {"subject_type": "account", "subject_id": "a", "label": "genuine" if grade == "L0" else "merchant"}
        market.adds("labels", when, grade=grade, source=source, decided_at=_at(when), **row)
    assert (ask("J8"), ask("K5")) == (1.0, 1.0)
    assert (ask("J8", when="2025-06-23"), ask("K5", when="2025-06-23")) == (1.0, 0.0)
    assert (ask("J8", account="b"), ask("K5", account="b")) == (0.0, 0.0)


def test_l1_counts_down_to_what_is_announced(market: TinyMarket, ask: Ask) -> None:
    """Announced on 1 July, it starts on the 10th: unknown before, nine days ahead, 0 while it runs, over then."""
    market.buys("a", "2025-01-01")
    market.promotes("2025-07-10", "2025-07-12", "2025-07-01")
    assert ask("L1") is Absence.NOT_OBSERVED
    assert ask("L1", when="2025-07-01") == 9.0
    assert ask("L1", when="2025-07-11") == 0.0
    assert ask("L1", when="2025-07-13") is Absence.NOT_OBSERVED


def test_l5_and_m5_count_orders(market: TinyMarket, ask: Ask) -> None:
    """Three orders, one within the last hour."""
    for when in ("2025-06-01", "2025-06-30T10:00", "2025-06-30T11:30"):
        market.buys("a", when)
    market.buys("b", "2025-07-01")
    assert ask("L5") == pytest.approx(np.log(4))
    assert ask("M5") == 1.0
    assert (ask("L5", account="b"), ask("M5", account="b")) == (0.0, 0.0)


def test_h9_is_what_neighbours_earn(market: TinyMarket, ask: Ask) -> None:
    """Neighbour b buys six where two are normal, gains 20 a unit: 4 x 20; c has no excess; a's own is left out."""
    market.buys("a", "2025-06-20", units=50, address=None, phone="f", recipient=None)
    market.buys("b", "2025-06-20", units=6, address=None, phone="f", recipient=None)
    market.buys("c", "2025-06-21", units=1, address=None, phone="f", recipient=None)
    assert ask("H9", H9=0.0) == pytest.approx(80 / 5)
    assert ask("H9", H9=0.0, when="2025-06-20T12:00") == pytest.approx(80 / 4)
    assert ask("H9", H9=0.0, members=("a", "b")) == 0.0


def test_h9_forgets_after_ninety_days(market: TinyMarket, ask: Ask) -> None:
    """What b bought to resell 100 days ago counts no more; two lines of one month are one quantity."""
    for day in ("2025-03-20", "2025-06-20"):
        market.buys("b", day, units=4, address=None, phone="f", recipient=None)
        market.buys("b", day, units=2, address=None, phone="f", recipient=None)
    market.buys("a", "2025-06-20", address=None, phone="f", recipient=None)
    assert ask("H9", H9=0.0) == pytest.approx(80 / 4)


def test_l3_counts_who_was_not_let_in(market: TinyMarket, ask: Ask) -> None:
    """Of the operator's other accounts b was never let in, c was; two weeks must pass, and what a asked is its own."""
    for account, when in (("a", "2025-05-30"), ("b", "2025-06-01"), ("c", "2025-06-01")):
        market.applies(account, when, f"q{account}")
    row = {"membership_id": "m", "account_id": "c", "started_at": _at("2025-06-02")}
    market.adds("memberships", "2025-06-02", plan="plus", state="active", **row)
    everyone = ("a", "b", "c")
    assert ask("L3", members=everyone) == 1.0
    assert ask("L3", members=everyone, when="2025-06-14") == 0.0
    assert ask("L3") == 0.0


def test_k6_reads_what_another_account_was_found_to_be(market: TinyMarket, ask: Ask) -> None:
    """Account b was found to be a merchant, later cleared; a's own label says nothing, nor does a stranger's."""
    for account in ("a", "b"):
        market.buys(account, "2025-06-01")
    row = {"subject_type": "account", "source": "review"}
    for subject, label, grade, when in (
        ("a", "merchant", "L3", "2025-06-05"),
        ("b", "merchant", "L3", "2025-06-10"),
        ("b", "genuine", "L0", "2025-06-20"),
    ):
        market.adds("labels", when, subject_id=subject, label=label, grade=grade, decided_at=_at(when), **row)
    both = ("a", "b")
    assert [ask("K6", members=both, when=f"2025-06-{day}") for day in ("08", "12", "25")] == [0.0, 1.0, 0.0]
    assert ask("K6", when="2025-06-12") == 0.0


def test_m4_is_the_share_of_a_limited_sku(market: TinyMarket, ask: Ask) -> None:
    """Of ten limited units sold in a week 4 went to the operator, with twenty of prior: 4 / 30; later sales unseen."""
    for account, units in (("a", 3), ("b", 1), ("c", 6)):
        market.buys(account, "2025-06-20", units=units)
    market.buys("a", "2025-06-20", units=9, sku="s2")
    market.buys("c", "2025-06-21", units=70, known="2025-07-02")
    assert ask("M4", members=("a", "b")) == pytest.approx(4 / 30)
    assert ask("M4") == pytest.approx(3 / 30)


def test_h9_weighs_rare_links_more(market: TinyMarket, ask: Ask) -> None:
    """Neighbour b shares what only two have, c what three have: b's profit counts for more than c's nothing."""
    for account, things in (("a", ("f", "g")), ("b", ("f",)), ("c", ("g",)), ("d", ("g",))):
        for thing in things:
            market.buys(account, "2025-06-20", address=None, phone=thing, recipient=None)
    market.buys("b", "2025-06-20", units=5, address=None, phone="f", recipient=None)
    two, three = 1 / np.log(4), 1 / np.log(5)
    assert ask("H9", H9=0.0) == pytest.approx(80 * two / (two + 2 * three) * 3 / 6, abs=1e-3)
