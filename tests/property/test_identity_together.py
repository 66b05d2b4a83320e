"""What is bought together against brute force, which looks only at the rows that are visible by then."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import combinations

import duckdb
import networkx as nx
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from membergate.learning.identity import (
    Facet,
    LinkIndex,
    LinkKind,
    LinkRule,
    LinkRules,
    Source,
    TogetherRule,
    operator_id_of,
)

START = datetime(2025, 1, 1, tzinfo=UTC)
LAST = 8
CAP, DAYS = 3, 2
RULES = LinkRules(
    (LinkRule(LinkKind.PHONE, Facet.REGISTRATION, 100, 3, (Source("accounts", "phone_tok"),), "links alone"),),
    together=(TogetherRule(LinkKind.TOGETHER_ON_LINE, Facet.TOGETHER, 100, "ip_tok", CAP, DAYS, "a list"),),
)
Order = tuple[str, str, str, int, int, int | None]
"""Account, line, SKU, day ordered, day seen, days until it is replaced."""
orders = st.lists(
    st.tuples(
        st.sampled_from("abcde"), st.sampled_from("xy"), st.sampled_from("st"), st.integers(0, 4), st.integers(0, LAST),
        st.none() | st.integers(1, 5),
    ),
    max_size=24,
)  # fmt: skip


def naive(day: int | None) -> datetime | None:
    """Give a day as tables hold it."""
    return None if day is None else (START + timedelta(days=day)).replace(tzinfo=None)


@cache
def database() -> duckdb.DuckDBPyConnection:
    """Open one database for all examples."""
    return duckdb.connect(config={"threads": 1})


def connect(rows: list[Order]) -> duckdb.DuckDBPyConnection:
    """Put drawn orders, each of one line, into DuckDB."""
    stamps = pa.timestamp("us")
    names = pa.array([str(number) for number in range(len(rows))], pa.string())
    accounts = pa.array([row[0] for row in rows], pa.string())
    seen = pa.array([naive(row[4]) for row in rows], stamps)
    placed = {
        "order_id": names, "account_id": accounts, "ip_tok": pa.array([row[1] for row in rows], pa.string()),
        "ordered_at": pa.array([naive(row[3]) for row in rows], stamps), "visible_at": seen,
        "superseded_at": pa.array([None if row[5] is None else naive(row[4] + row[5]) for row in rows], stamps),
    }  # fmt: skip
    connection = database()
    connection.register("orders", pa.table(placed))
    skus = pa.array([row[2] for row in rows], pa.string())
    lines = {"order_id": names, "account_id": accounts, "sku_id": skus, "visible_at": seen}
    connection.register("order_lines", pa.table(lines))
    return connection


def brute_force(rows: list[Order], day: int) -> dict[str, str]:
    """Compare every pair of accounts on what is visible by a day."""
    known = [row for row in rows if row[4] <= day]
    visible = [row for row in known if row[5] is None or day < row[4] + row[5]]
    graph = nx.Graph()
    graph.add_nodes_from(row[0] for row in known)
    users = defaultdict(set)
    for row in known:
        users[row[1]].add(row[0])
    for a, b in combinations(sorted(graph), 2):
        shared = {
            one[3] for one in visible for other in visible if (one[0], other[0]) == (a, b) and one[1:4] == other[1:4]
            and len(users[one[1]]) <= CAP
        }  # fmt: skip
        if len(shared) >= DAYS:
            graph.add_edge(a, b)
    first = {name: min(row[4] for row in known if row[0] == name) for name in graph}
    return {
        name: operator_id_of(min(part, key=lambda member: (first[member], member)))
        for part in nx.connected_components(graph)
        for name in part
    }


@settings(max_examples=80, deadline=None)
@given(orders)
def test_what_is_bought_together_agrees_with_brute_force_at_every_instant(rows: list[Order]) -> None:
    """Later rows change no earlier answer; links end when a row is replaced or the line becomes a hub."""
    index = LinkIndex.build(connect(rows), RULES)
    for day in range(LAST + 6):
        as_of = START + timedelta(days=day)
        expected = brute_force(rows, day)
        assert index.operators_as_of(as_of) == expected
        for name in expected:
            operator = index.operator_of(name, as_of)
            assert operator.operator_id == expected[name]
            assert {link.account_ids[1] for link in operator.links} == set(operator.account_ids[1:])
