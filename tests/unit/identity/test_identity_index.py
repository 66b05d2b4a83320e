"""The three ways to ask an index, its explanations, its ids, and what happens where data are missing or wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import duckdb
import numpy as np
import pytest

from membergate.domain.errors import BadInputError
from membergate.learning.identity import LinkIndex, LinkKind, operator_id_of

Row = dict[str, object]
Market = Callable[..., duckdb.DuckDBPyConnection]
At = Callable[[float], datetime]


def instants(at: At, *days: float) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    """Give days as the naive UTC instants that tables hold."""
    return np.array([at(d).replace(tzinfo=None) for d in days], dtype="datetime64[us]")


@pytest.fixture
def chain(market: Market) -> duckdb.DuckDBPyConnection:
    """Link old to middle by phone on day 4, middle to young by card and warehouse on day 8; a stranger stays alone."""
    return market(
        accounts=[
            {"account_id": "young", "seen": 2, "phone_tok": "phone-of-young"},
            {"account_id": "old", "seen": 1, "phone_tok": "phone-in-common"},
            {"account_id": "middle", "seen": 4, "phone_tok": "phone-in-common"},
            {"account_id": "stranger", "seen": 3},
        ],
        orders=[
            {"account_id": "middle", "payment_tok": "card-123456", "address_id": "stock-123456", "seen": 6},
            {"account_id": "young", "payment_tok": "card-123456", "address_id": "stock-123456", "seen": 8},
        ],
        addresses=[{"address_id": "stock-123456", "kind": "warehouse", "seen": 0}],
    )


def test_an_operator_is_named_after_its_first_visible_account(chain: duckdb.DuckDBPyConnection, at: At) -> None:
    """Accounts that join do not rename an operator; when two turn out to be one, the older name stays."""
    index = LinkIndex.build(chain)
    assert index.operator_of("middle", at(5)).operator_id == operator_id_of("old")
    assert index.operator_of("young", at(7)).operator_id == operator_id_of("young")
    assert index.operator_of("young", at(8)).operator_id == operator_id_of("old")


def test_accounts_visible_together_are_ordered_by_id(market: Market, at: At) -> None:
    """Where two accounts became visible at one instant, the smaller id names the operator, whatever the row order."""
    rows: list[Row] = [{"account_id": name, "phone_tok": "p", "seen": 0} for name in ("b", "c", "a")]
    for order in (rows, rows[::-1]):
        assert set(LinkIndex.build(market(accounts=order)).operators_as_of(at(1)).values()) == {operator_id_of("a")}


def test_operators_as_of_names_only_visible_accounts(chain: duckdb.DuckDBPyConnection, at: At) -> None:
    """An account that nobody could have seen by then is not in the answer."""
    assert set(LinkIndex.build(chain).operators_as_of(at(2))) == {"old", "young"}


def test_each_row_is_resolved_as_of_its_own_instant(chain: duckdb.DuckDBPyConnection, at: At) -> None:
    """One account asked about at two instants gives two answers, in the order of the rows."""
    table = LinkIndex.build(chain).resolve(["young", "old", "nobody", "young", "old"], instants(at, 9, 1, 1, 5, 5))
    assert [table.members(row) for row in range(len(table))] == [
        ("old", "young", "middle"),
        ("old",),
        ("nobody",),
        ("young",),
        ("old", "middle"),
    ]
    assert table.sizes.tolist() == [3, 1, 1, 1, 2]
    assert table.offsets.tolist() == [0, 3, 4, 5, 6, 8]
    assert table.member_rows().tolist() == [0, 0, 0, 1, 2, 3, 4, 4]
    names = [operator_id_of(name) for name in ("old", "old", "nobody", "young", "old")]
    assert table.operator_ids.tolist() == names


def test_resolving_nothing_gives_an_empty_table(chain: duckdb.DuckDBPyConnection) -> None:
    """No rows, no operators, no error."""
    table = LinkIndex.build(chain).resolve([], np.array([], dtype="datetime64[us]"))
    assert len(table) == 0
    assert table.offsets.tolist() == [0]


def test_an_explanation_is_the_path_of_links(chain: duckdb.DuckDBPyConnection, at: At) -> None:
    """From old to young the reader sees the phone, then card and warehouse, with shortened tokens and both instants."""
    links = LinkIndex.build(chain).explain("old", "young", at(9))
    assert [(link.kind, link.account_ids) for link in links] == [
        (LinkKind.PHONE, ("old", "middle")),
        (LinkKind.PAYMENT, ("middle", "young")),
        (LinkKind.ADDRESS, ("middle", "young")),
    ]
    phone, payment, address = links
    assert (phone.token, payment.token, address.token) == ("phone-…", "card-1…", "stock-…")
    assert phone.seen_at == (at(1), at(4))
    assert payment.since == at(8)
    assert (phone.weight, payment.weight + address.weight) == (100, 100)


def test_an_explanation_read_backwards_names_the_accounts_backwards(chain: duckdb.DuckDBPyConnection, at: At) -> None:
    """The accounts of a link stand in the order of the path, and so do their instants."""
    links = LinkIndex.build(chain).explain("young", "old", at(9))
    assert [link.account_ids for link in links] == [("young", "middle"), ("young", "middle"), ("middle", "old")]
    assert links[-1].seen_at == (at(4), at(1))


@pytest.mark.parametrize(("a", "b"), [("old", "stranger"), ("old", "old"), ("old", "nobody"), ("nobody", "old")])
def test_there_is_nothing_to_explain_between_strangers(
    chain: duckdb.DuckDBPyConnection, at: At, a: str, b: str
) -> None:
    """Accounts that are not one operator, one and the same account, and unknown ones have no path."""
    assert LinkIndex.build(chain).explain(a, b, at(9)) == ()


def test_an_operator_shows_a_tree_of_links(chain: duckdb.DuckDBPyConnection, at: At) -> None:
    """Every account but the first is reached by a link, so a reviewer sees why each belongs."""
    operator = LinkIndex.build(chain).operator_of("young", at(9))
    assert operator.account_ids == ("old", "young", "middle")
    assert {link.account_ids[1] for link in operator.links} == {"middle", "young"}


def test_a_name_at_an_address_is_shortened_on_both_sides(market: Market, at: At) -> None:
    """An address-bound token shows a little of the name and a little of the place; many shared tokens are counted."""
    orders: list[Row] = [
        {"account_id": name, "device_tok": "d", "recipient_tok": f"recipient{n}", "address_id": "address-1", "seen": n}
        for name in "ab"
        for n in (2, 1)
    ]
    device, receiver = LinkIndex.build(market(orders=orders)).explain("a", "b", at(9))
    assert (device.token, receiver.token) == ("d", "recipi… at addres…")
    assert receiver.shared_tokens == 2
    assert receiver.since == at(1)


@pytest.mark.parametrize("tables", [{}, {"accounts": [{"account_id": "a", "seen": 0}]}])
def test_without_links_every_account_is_its_own_operator(market: Market, at: At, tables: dict[str, list[Row]]) -> None:
    """A market without a table or column that could link works, and says that everyone stands alone."""
    index = LinkIndex.build(market(**tables))
    assert index.operator_of("a", at(1)).account_ids == ("a",)
    assert index.resolve(["a", "b"], instants(at, 1, 1)).sizes.tolist() == [1, 1]
    assert index.operators_as_of(at(1)) == dict.fromkeys(
        [r["account_id"] for r in tables.get("accounts", [])], operator_id_of("a")
    )


def test_a_table_without_row_versions_is_read(market: Market, at: At) -> None:
    """Where `superseded_at` is missing, rows are never replaced."""
    connection = market()
    connection.execute(
        "CREATE TEMP TABLE accounts AS SELECT unnest(['a', 'b']) AS account_id, 7 AS phone_tok,"
        " TIMESTAMP '2025-01-01' AS visible_at"
    )
    assert LinkIndex.build(connection).operator_of("a", at(1)).account_ids == ("a", "b")


def test_a_table_that_cannot_be_cut_is_refused(market: Market) -> None:
    """Without `visible_at` nothing can be said as of an instant, and the error names the table."""
    connection = market()
    connection.execute("CREATE TEMP TABLE logins AS SELECT 'a' AS account_id, 'd' AS device_tok")
    with pytest.raises(BadInputError, match="logins"):
        LinkIndex.build(connection)


def test_building_leaves_the_connection_as_it_was(chain: duckdb.DuckDBPyConnection) -> None:
    """No table of ours stays behind."""
    before = chain.execute("SELECT table_name FROM information_schema.tables ORDER BY 1").fetchall()
    LinkIndex.build(chain)
    assert chain.execute("SELECT table_name FROM information_schema.tables ORDER BY 1").fetchall() == before


def test_wrong_questions_are_refused(chain: duckdb.DuckDBPyConnection, at: At) -> None:
    """A naive instant, arrays of two lengths and a missing instant are errors, not guesses."""
    index = LinkIndex.build(chain)
    with pytest.raises(BadInputError):
        index.operator_of("old", at(1).replace(tzinfo=None))
    with pytest.raises(BadInputError):
        index.resolve(["old", "young"], instants(at, 1))
    with pytest.raises(BadInputError):
        index.resolve(["old"], np.array(["NaT"], dtype="datetime64[us]"))


def test_hubs_are_told(market: Market, at: At) -> None:
    """A phone that too many accounts registered links nobody, and is named with how many they are."""
    rows: list[Row] = [{"account_id": f"a{n}", "phone_tok": "switchboard", "seen": n / 100} for n in range(60)]
    index = LinkIndex.build(market(accounts=[*rows, {"account_id": "b", "phone_tok": "own", "seen": 1}]))
    assert [(hub.kind, hub.token, hub.accounts) for hub in index.hubs] == [(LinkKind.PHONE, "switch…", 60)]
    assert index.operator_of("a1", at(1)).account_ids == ("a1",)
