"""Identity resolution against brute force: only rows visible by then, every pair compared, networkx to join them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import combinations

import duckdb
import networkx as nx
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from membergate.learning.identity import (
    AddressCap,
    Facet,
    Habit,
    LinkIndex,
    LinkKind,
    LinkRule,
    LinkRules,
    RollingOperators,
    Source,
    operator_id_of,
)

START = datetime(2025, 1, 1, tzinfo=UTC)
LAST = 9
NAMES = "dbaecf"

# Caps that a handful of accounts can cross, and sums on both sides of the threshold.
RULES = LinkRules(
    (
        LinkRule(LinkKind.PHONE, Facet.REGISTRATION, 100, 3, (Source("accounts", "phone_tok"),), "links alone"),
        LinkRule(LinkKind.PAYMENT, Facet.PAYMENT, 70, 4, (Source("orders", "payment_tok"),), "needs a second"),
        LinkRule(
            LinkKind.DEVICE,
            Facet.DEVICE,
            45,
            2,
            (Source("orders", "device_tok"), Source("logins", "device_tok")),
            "two tables",
        ),
        LinkRule(
            LinkKind.MAIN_DEVICE,
            Facet.DEVICE,
            100,
            3,
            (Source("orders", "device_tok"), Source("logins", "device_tok")),
            "a habit",
            habit=Habit(2, 50),
        ),
        LinkRule(LinkKind.RECIPIENT_PHONE, Facet.DELIVERY, 60, 3, (Source("orders", "recipient_phone_tok"),), "weak"),
        LinkRule(
            LinkKind.ADDRESS,
            Facet.DELIVERY,
            50,
            3,
            (Source("orders", "address_id", address_column="address_id"),),
            "weak and bound",
            (AddressCap("dorm", 0, "never"), AddressCap("shop", 2, "few")),
        ),
    )
)


@dataclass(frozen=True)
class Row:
    """One row of any table, visible from day `seen` until day `replaced`."""

    account_id: str
    tokens: dict[str, str | None]
    seen: int
    replaced: int | None

    def is_visible(self, day: int) -> bool:
        """Apply the visibility rule of the market."""
        return self.seen <= day and (self.replaced is None or self.replaced > day)


def rows_of(columns: dict[str, tuple[str, ...]], limit: int) -> st.SearchStrategy[list[Row]]:
    """Draw rows whose tokens come from so few values that they are shared, also across accounts' row versions."""
    tokens = st.fixed_dictionaries({name: st.sampled_from([None, *values]) for name, values in columns.items()})
    row = st.builds(
        lambda account, token, seen, lasts: Row(account, token, seen, None if lasts is None else seen + lasts),
        st.sampled_from(NAMES),
        tokens,
        st.integers(0, LAST),
        st.none() | st.integers(0, 4),
    )
    return st.lists(row, max_size=limit)


markets = st.fixed_dictionaries(
    {
        "accounts": rows_of({"phone_tok": ("p", "q")}, 8),
        "orders": rows_of(
            {
                "payment_tok": ("c1", "c2"),
                "device_tok": ("d1", "d2"),
                "recipient_phone_tok": ("r1",),
                "address_id": ("x", "y", "z"),
            },
            14,
        ),
        "logins": rows_of({"device_tok": ("d1", "d2")}, 8),
    }
)
address_kinds = st.fixed_dictionaries(
    {name: st.tuples(st.sampled_from([None, "home", "dorm", "shop"]), st.integers(-1, LAST)) for name in "xyz"}
)
Market = dict[str, list[Row]]
Kinds = dict[str, tuple[str | None, int]]


@cache
def database() -> duckdb.DuckDBPyConnection:
    """Open one database for all examples: opening costs more than an example."""
    return duckdb.connect(config={"threads": 1})


def connect(market: Market, kinds: Kinds) -> duckdb.DuckDBPyConnection:
    """Put a drawn market into DuckDB, in place of the one before."""
    connection = database()
    columns = {"accounts": ["phone_tok"], "logins": ["device_tok"]}
    columns["orders"] = ["payment_tok", "device_tok", "recipient_phone_tok", "address_id"]
    for table, rows in market.items():
        arrays: dict[str, pa.Array] = {"account_id": pa.array([r.account_id for r in rows], pa.string())}
        arrays |= {name: pa.array([r.tokens[name] for r in rows], pa.string()) for name in columns[table]}
        arrays["visible_at"] = pa.array([naive(r.seen) for r in rows], pa.timestamp("us"))
        arrays["superseded_at"] = pa.array([naive(r.replaced) for r in rows], pa.timestamp("us"))
        connection.register(table, pa.table(arrays))
    known = [datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None) if d < 0 else naive(d) for _, d in kinds.values()]
    connection.register(
        "addresses",
        pa.table(
            {
                "address_id": pa.array(list(kinds), pa.string()),
                "kind": pa.array([kind for kind, _ in kinds.values()], pa.string()),
                "visible_at": pa.array(known, pa.timestamp("us")),
                "superseded_at": pa.nulls(len(kinds), pa.timestamp("us")),
            }
        ),
    )
    return connection


def naive(day: int | None) -> datetime | None:
    """Give a day as tables hold it."""
    return None if day is None else (START + timedelta(days=day)).replace(tzinfo=None)


def brute_force(market: Market, kinds: Kinds, day: int) -> dict[str, str]:
    """Resolve from the rows visible by a day, comparing every pair of accounts under every rule."""
    known = [row for rows in market.values() for row in rows if row.seen <= day]
    graph = nx.Graph()
    graph.add_nodes_from(row.account_id for row in known)
    points: defaultdict[tuple[str, str], dict[Facet, int]] = defaultdict(dict)
    for rule in RULES.rules:
        for pair in linked_by(rule, market, kinds, day):
            points[pair][rule.facet] = max(rule.weight, points[pair].get(rule.facet, 0))
    graph.add_edges_from(pair for pair, facets in points.items() if sum(facets.values()) >= RULES.threshold)
    first = {name: min(row.seen for row in known if row.account_id == name) for name in graph}
    return {
        name: operator_id_of(min(component, key=lambda member: (first[member], member)))
        for component in nx.connected_components(graph)
        for name in component
    }


def linked_by(rule: LinkRule, market: Market, kinds: Kinds, day: int) -> set[tuple[str, str]]:
    """Give the pairs that share a token of one kind which is no hub by then."""
    ever, now = defaultdict(set), defaultdict(set)
    for source in rule.sources:
        for row in market[source.table]:
            token = row.tokens[source.column]
            since = kinds[token][1] if source.address_column and token and kinds[token][1] <= day else -1
            lived = row.replaced is None or row.replaced > max(since, row.seen)
            if token and row.seen <= day and lived:
                ever[token].add(row.account_id)
            if token and row.is_visible(day) and is_habit(rule, source.column, row, market, day):
                now[token].add(row.account_id)
    caps = {cap.address_kind: cap.cap for cap in rule.address_caps}
    pairs = set()
    for token, names in now.items():
        kind = kinds[token][0] if caps and kinds[token][1] <= day else None
        if len(ever[token]) <= caps.get(kind or "", rule.cap):
            pairs |= set(combinations(sorted(names), 2))
    return pairs


def is_habit(rule: LinkRule, column: str, row: Row, market: Market, day: int) -> bool:
    """Count the visible rows of the account that show this token, and any token of the column."""
    rows = [other for source in rule.sources for other in market[source.table] if other.account_id == row.account_id]
    tokens = [other.tokens[column] for other in rows if other.is_visible(day) and other.tokens[column]]
    uses = tokens.count(row.tokens[column])
    return rule.habit is None or (
        uses >= rule.habit.least_uses and 100 * uses >= rule.habit.least_share_percent * len(tokens)
    )


@settings(max_examples=60, deadline=None)
@given(markets, address_kinds)
def test_every_instant_agrees_with_brute_force_on_what_was_visible(market: Market, kinds: Kinds) -> None:
    """Rows visible later never change an earlier answer: hubs, versions and address kinds included."""
    index = LinkIndex.build(connect(market, kinds), RULES)
    for day in range(LAST + 5):
        assert index.operators_as_of(START + timedelta(days=day)) == brute_force(market, kinds, day)


@settings(max_examples=25, deadline=None)
@given(markets, address_kinds, st.randoms(use_true_random=False))
def test_the_local_answers_equal_the_global_one(market: Market, kinds: Kinds, shuffler: object) -> None:
    """One account alone, many rows in any order and the whole market agree; within an operator there is a path."""
    index = LinkIndex.build(connect(market, kinds), RULES)
    questions = [(name, day) for name in NAMES for day in range(-1, LAST + 2)]
    shuffler.shuffle(questions)  # type: ignore[attr-defined]
    instants = np.array([naive(day) for _, day in questions], dtype="datetime64[us]")
    table = index.resolve([name for name, _ in questions], instants)
    for row, (name, day) in enumerate(questions):
        as_of = START + timedelta(days=day)
        everyone = index.operators_as_of(as_of)
        expected = everyone.get(name, operator_id_of(name))
        members = {other for other, operator_id in everyone.items() if operator_id == expected} | {name}
        operator = index.operator_of(name, as_of)
        assert table.operator_ids[row] == operator.operator_id == expected
        assert table.members(row) == operator.account_ids
        assert set(operator.account_ids) == members
        assert {link.account_ids[1] for link in operator.links} == set(operator.account_ids[1:])
        for other in NAMES:
            path = index.explain(name, other, as_of)
            assert bool(path) == (other in members and other != name)
            assert all(link.since <= as_of for link in path)


@settings(max_examples=40, deadline=None)
@given(markets, address_kinds)
def test_following_the_changes_equals_finding_anew(market: Market, kinds: Kinds) -> None:
    """Day by day, links that begin and end lead to what a full resolution finds, and only the told accounts change."""
    index, rolling = LinkIndex.build(connect(market, kinds), RULES), RollingOperators()
    before: dict[str, str] = {}
    since = None
    for day in range(LAST + 5):
        until = START + timedelta(days=day)
        touched = rolling.follow(index.changes(since, until))
        now = rolling.operators()
        assert now == index.operators_as_of(until)
        assert {name for name in now if before.get(name) != now[name]} <= touched
        for name in now:
            assert rolling.members(name) == index.operator_of(name, until).account_ids
        before, since = now, until
