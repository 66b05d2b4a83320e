"""What links two accounts and what does not, under the default rules, told as small stories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import duckdb
import pytest

from membergate.learning.identity import LinkIndex

Row = dict[str, object]
Market = Callable[..., duckdb.DuckDBPyConnection]
At = Callable[[float], datetime]


def accounts(*names: str, **same: str) -> list[Row]:
    """Register accounts on days 0, 1, 2, …, all with the same extra values."""
    return [{"account_id": name, "seen": number, **same} for number, name in enumerate(names)]


def sizes(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> list[int]:
    """Count the accounts of each operator, largest first."""
    return sorted(Counter(LinkIndex.build(connection).operators_as_of(as_of).values()).values(), reverse=True)


@pytest.mark.parametrize("column", ["phone_tok", "email_tok", "id_tok", "seller_id"])
def test_what_was_registered_links_alone(market: Market, at: At, column: str) -> None:
    """Two accounts with one phone, mailbox, document or shop are one operator."""
    connection = market(accounts=[*accounts("a", "b", **{column: "same"}), *accounts("c", **{column: "other"})])
    assert sizes(connection, at(9)) == [2, 1]


@pytest.mark.parametrize(
    "shared",
    [
        {"payment_tok": "card"},
        {"device_tok": "tablet"},
        {"recipient_phone_tok": "phone", "recipient_tok": "grandmother", "address_id": "home"},
    ],
)
def test_one_lent_thing_never_merges_two_families(market: Market, at: At, shared: Row) -> None:
    """Two families that share one card, one tablet, or the grandmother they both send to, stay two families."""
    homes = {"a1": "family-a", "a2": "family-a", "b1": "family-b", "b2": "family-b"}
    orders: list[Row] = [
        {"account_id": account, "address_id": home, "payment_tok": f"card-{home}", "seen": 10}
        for account, home in homes.items()
    ]
    orders += [{"account_id": "a1", "seen": 11, **shared}, {"account_id": "b1", "seen": 12, **shared}]
    connection = market(
        accounts=[{"account_id": account, "phone_tok": home, "seen": 0} for account, home in homes.items()],
        orders=orders,
        addresses=[{"address_id": a, "kind": "home", "seen": 0} for a in ("family-a", "family-b", "home")],
    )
    resolved = LinkIndex.build(connection).operators_as_of(at(20))
    assert resolved["a1"] == resolved["a2"]
    assert resolved["b1"] == resolved["b2"]
    assert resolved["a1"] != resolved["b1"]


@pytest.mark.parametrize("kind", ["home", None])
def test_a_family_under_one_roof_stays_persons(market: Market, at: At, kind: str | None) -> None:
    """A roof says nothing, nor does the parents' card, nor the child's tablet that the mother uses as well."""
    names = ["mother", "father", "child"]
    logins: list[Row] = [
        {"account_id": name, "device_tok": f"of-{name}", "seen": n} for name in names for n in range(9)
    ]
    logins += [{"account_id": "mother", "device_tok": "of-child", "seen": 10 + n} for n in range(3)]
    connection = market(
        accounts=accounts(*names),
        orders=[
            {"account_id": name, "address_id": "roof", "payment_tok": f"card-{n // 2}", "seen": 9}
            for n, name in enumerate(names)
        ],
        logins=logins,
        addresses=[{"address_id": "roof", "kind": kind, "seen": 0}],
    )
    assert sizes(connection, at(20)) == [1, 1, 1]


def test_a_couple_with_one_purse_and_one_tablet_is_one_operator(market: Market, at: At) -> None:
    """Two lent things between the same two accounts do link: an operator may be a household."""
    connection = market(
        accounts=accounts("wife", "husband"),
        orders=[{"account_id": name, "payment_tok": "card", "seen": 3} for name in ("wife", "husband")],
        logins=[{"account_id": name, "device_tok": "tablet", "seen": 4} for name in ("wife", "husband")],
    )
    assert sizes(connection, at(9)) == [2]


def test_a_device_that_both_live_on_links_alone_while_they_do(market: Market, at: At) -> None:
    """From the third use on, while it is half of all uses of either account; moving to another device ends the link."""
    connection = market(
        accounts=accounts("a", "b"),
        applications=[{"account_id": "a", "device_tok": "d", "seen": 2}],
        orders=[{"account_id": "a", "device_tok": "d", "seen": 3}, {"account_id": "a", "device_tok": "d", "seen": 4}],
        logins=[
            *({"account_id": "b", "device_tok": "d", "seen": 5 + n} for n in range(3)),
            *({"account_id": "b", "device_tok": "new", "seen": 10 + n} for n in range(4)),
        ],
    )
    index = LinkIndex.build(connection)
    linked = [len(set(index.operators_as_of(at(d)).values())) == 1 for d in (6.9, 7, 12, 13)]
    assert linked == [False, True, True, False]


def test_a_public_device_is_nobodys_main_device(market: Market, at: At) -> None:
    """Who has no device but the library's is not linked to the others there: the hub counts all who ever came."""
    names = [f"reader{number:02d}" for number in range(21)]
    uses = {name: 3 if name in {"reader00", "reader01"} else 1 for name in names}
    logins: list[Row] = [
        {"account_id": n, "device_tok": "library", "seen": 30 + u} for n in names for u in range(uses[n])
    ]
    assert sizes(market(accounts=accounts(*names), logins=logins), at(40)) == [1] * 21
    assert sizes(market(accounts=accounts(*names), logins=logins[:-1]), at(40)) == [2] + [1] * 19


def test_a_gift_is_one_fact_and_not_three(market: Market, at: At) -> None:
    """A parcel to a friend shows the friend's phone, name and address together, and still does not link the two."""
    parcel = {"recipient_phone_tok": "friend", "recipient_tok": "friend", "address_id": "friends-home"}
    connection = market(
        accounts=accounts("giver", "friend"),
        orders=[{"account_id": "giver", "seen": 3, **parcel}, {"account_id": "friend", "seen": 3, **parcel}],
        addresses=[{"address_id": "friends-home", "kind": "home", "seen": 0}],
    )
    assert sizes(connection, at(9)) == [1, 1]


def test_facts_of_one_facet_do_not_add_up_before_a_second_facet_is_known(market: Market, at: At) -> None:
    """The gift alone links at no instant; only the device that they share from day 6 on does, with it."""
    parcel = {"recipient_phone_tok": "friend", "recipient_tok": "friend", "address_id": "friends-home"}
    connection = market(
        accounts=accounts("giver", "friend"),
        orders=[{"account_id": "giver", "seen": 3, **parcel}, {"account_id": "friend", "seen": 3, **parcel}],
        logins=[{"account_id": name, "device_tok": "d", "seen": 6} for name in ("giver", "friend")],
    )
    index = LinkIndex.build(connection)
    assert len(set(index.operators_as_of(at(5.9)).values())) == 2
    assert len(set(index.operators_as_of(at(6)).values())) == 1


def test_two_independent_facets_link(market: Market, at: At) -> None:
    """One device and one receiver together are one operator, from the instant at which the second fact is known."""
    connection = market(
        accounts=accounts("a", "b"),
        logins=[{"account_id": name, "device_tok": "d", "seen": 3} for name in "ab"],
        orders=[{"account_id": name, "recipient_phone_tok": "r", "seen": 4 + n} for n, name in enumerate("ab")],
    )
    index = LinkIndex.build(connection)
    assert len(set(index.operators_as_of(at(4.9)).values())) == 2
    assert len(set(index.operators_as_of(at(5)).values())) == 1


@pytest.mark.parametrize("kind", ["dorm", "pickup", "office", "school", "locker", "forwarder"])
def test_people_under_a_public_roof_stay_apart(market: Market, at: At, kind: str) -> None:
    """Neighbours who pay for one another and ship to one public place are not one operator: only the card is shared."""
    names = [f"n{number}" for number in range(6)]
    connection = market(
        accounts=accounts(*names),
        orders=[{"account_id": name, "address_id": "roof", "payment_tok": "card", "seen": 9} for name in names],
        addresses=[{"address_id": "roof", "kind": kind, "seen": 0}],
    )
    assert sizes(connection, at(20)) == [1] * 6


def test_hired_leaves_of_one_hub_stay_persons(market: Market, at: At) -> None:
    """Real people who ship to one stock location, with cards and devices of their own, are not merged."""
    names = [f"leaf{number}" for number in range(10)]
    connection = market(
        accounts=accounts(*names),
        orders=[
            {
                "account_id": name,
                "address_id": "stock",
                "recipient_tok": "boss",
                "recipient_phone_tok": "boss",
                "payment_tok": f"card-{name}",
                "device_tok": f"device-{name}",
                "seen": 20,
            }
            for name in names
        ],
        addresses=[{"address_id": "stock", "kind": "warehouse", "seen": 0}],
    )
    assert sizes(connection, at(30)) == [1] * 10


def test_a_token_is_a_hub_once_too_many_were_seen_with_it(market: Market, at: At) -> None:
    """Fifty accounts on one number are one operator; the fifty-first shows that the number is public, for good."""
    rows = accounts(*(f"a{number:02d}" for number in range(51)), phone_tok="switchboard")
    rows[3]["replaced"] = 60
    index = LinkIndex.build(market(accounts=rows))
    assert len(set(index.operators_as_of(at(49)).values())) == 1
    assert len(set(index.operators_as_of(at(50)).values())) == 51
    assert len(set(index.operators_as_of(at(61)).values())) == 51


def test_a_token_that_everybody_has_costs_no_pairs(market: Market, at: At) -> None:
    """A placeholder shared by a hundred thousand accounts links nobody and leaves no pairs behind."""
    connection = market()
    connection.execute(
        "CREATE TEMP TABLE accounts AS SELECT 'a' || i AS account_id, 'unknown' AS phone_tok,"
        " TIMESTAMP '2025-01-01' + INTERVAL (i) SECOND AS visible_at FROM range(100000) AS r(i)"
    )
    index = LinkIndex.build(connection)
    assert len(index._sightings.token) == 50
    assert len(set(index.operators_as_of(at(30)).values())) == 100_000


def test_empty_tokens_say_nothing(market: Market, at: At) -> None:
    """A blank is no token: two accounts without a phone do not share one."""
    assert sizes(market(accounts=accounts("a", "b", phone_tok=" ")), at(9)) == [1, 1]


def test_a_replaced_row_links_until_it_is_replaced(market: Market, at: At) -> None:
    """Who changes the number is linked while they have it, and again when they take it back."""
    connection = market(
        accounts=[
            {"account_id": "a", "phone_tok": "p", "seen": 0},
            {"account_id": "b", "phone_tok": "p", "seen": 1, "replaced": 2},
            {"account_id": "b", "phone_tok": "p", "seen": 2, "replaced": 3},
            {"account_id": "b", "phone_tok": "q", "seen": 3, "replaced": 5},
            {"account_id": "b", "phone_tok": "p", "seen": 5},
        ]
    )
    index = LinkIndex.build(connection)
    linked = [len(set(index.operators_as_of(at(d)).values())) == 1 for d in (1, 2.5, 3, 4.9, 5, 9)]
    assert linked == [True, True, False, False, True, True]


def test_the_kind_of_an_address_counts_from_when_it_is_known(market: Market, at: At) -> None:
    """An address that may be a home supports nothing; once it is known to be a warehouse it supports a shared card."""
    connection = market(
        accounts=accounts("a", "b"),
        orders=[{"account_id": name, "address_id": "x", "payment_tok": "card", "seen": 2} for name in "ab"],
        addresses=[{"address_id": "x", "kind": "warehouse", "seen": 7}],
    )
    index = LinkIndex.build(connection)
    assert len(set(index.operators_as_of(at(6.9)).values())) == 2
    assert len(set(index.operators_as_of(at(7)).values())) == 1
