"""Cores of the graph of accounts and what they share: right, as of their week, and of nothing later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from membergate.engine.graph.cores import DEEPEST, weighted_cores
from membergate.engine.graph.spans import changing_graph
from membergate.learning.features.cores import WEEK_US, core_tables, rarity_cores

if TYPE_CHECKING:
    from tests.unit.features.conftest import Ask, TinyMarket

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
_NONE = np.zeros(0, np.int64)


def _levels(member: Ints, thing: Ints, weights: Ints, members: int) -> NDArray[np.int32]:
    """Peel a graph whose edges come in any order."""
    sizes = np.bincount(thing, minlength=len(weights))
    return weighted_cores(member[np.argsort(thing)], sizes, weights, members)


def _peeled_in_rounds(member: Ints, thing: Ints, weights: Ints, members: int) -> Ints:
    """Take away whatever has least, again and again: the definition, written down."""
    found, level = np.zeros(members, np.int64), 0
    while len(member):
        has = np.bincount(member, weights=weights[thing], minlength=members).astype(np.int64)
        of_thing = weights * np.bincount(thing, minlength=len(weights))
        least = np.minimum(has[member], of_thing[thing])
        level = max(level, int(least.min()))
        found[member] = np.maximum(found[member], level)
        member, thing = member[least > level], thing[least > level]
    return found


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 8)), max_size=60, unique=True), st.integers(0, 99))
def test_cores_are_those_of_the_definition(edges: list[tuple[int, int]], seed: int) -> None:
    """Whatever the graph, its weights and the order of its edges."""
    member, thing = (np.array([edge[side] for edge in edges], np.int64) for side in (0, 1))
    weights = np.random.default_rng(seed).integers(1, 50, 9)
    assert (_levels(member, thing, weights, 12) == _peeled_in_rounds(member, thing, weights, 12)).all()


def test_equal_weights_give_core_numbers() -> None:
    """With weights of one it is the core number that networkx gives."""
    draw = np.random.default_rng(5)
    edges = np.unique(draw.integers(0, 40, (300, 2)), axis=0)
    graph = nx.Graph([(("member", m), ("thing", t)) for m, t in edges.tolist()])
    expected = nx.core_number(graph)
    found = _levels(edges[:, 0], edges[:, 1], np.ones(40, np.int64), 40)
    assert all(found[m] == expected.get(("member", m), 0) for m in range(40))


def test_levels_end_somewhere() -> None:
    """Beyond the deepest level nothing is told apart, so that the queue is bounded."""
    member, sizes = np.tile(np.arange(3), 3), np.full(3, 3)
    assert (weighted_cores(member, sizes, np.full(3, 10 * DEEPEST), 3) == DEEPEST).all()


def test_sums_that_do_not_fit_are_refused() -> None:
    """Sums are kept in 32 bits; what could exceed them is said, and not worked out wrongly."""
    with pytest.raises(ValueError, match="at most 2147483647 is allowed"):
        weighted_cores(np.arange(2), np.array([2]), np.array([1 << 30]), 2)


def test_nobody_shares_nothing() -> None:
    """An empty graph gives no depth."""
    empty = np.zeros(0, np.int32)
    assert (rarity_cores(empty, empty, 2) == 0).all()


Spans = list[tuple[int, int, int, int]]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5), st.integers(0, 5), st.integers(1, 4)), max_size=50),
    st.integers(-1, 9),
)
def test_a_graph_stands_as_its_spans_say(spans: Spans, time: int) -> None:
    """Members are there once however many spans they have; what one has alone, and what a crowd has, is left out."""
    member, thing, since, length = (
        (np.array(side, np.int64) for side in zip(*spans, strict=True)) if spans else (_NONE,) * 4
    )
    members, things = ((codes.astype(np.uint64) << np.uint64(40)) + np.uint64(7) for codes in (member, thing))
    graph, places = changing_graph(members, things, since, since + length)
    found, sizes = graph.at(time, most=4)
    expected: dict[int, set[int]] = {}
    for m, t, begin, duration in spans:
        if begin <= time < begin + duration:
            expected.setdefault(t, set()).add(m)
    ends = np.cumsum(sizes)
    shared = [sorted(member[places[found[end - size : end]]].tolist()) for size, end in zip(sizes, ends, strict=True)]
    assert sorted(shared) == sorted(sorted(those) for those in expected.values() if 2 <= len(those) <= 4)


def test_cores_of_several_weeks_are_those_of_each_alone() -> None:
    """One row may say the same of several weeks in turn; a week that nobody asks about has none."""
    draw = np.random.default_rng(11)
    account, thing, first = (draw.integers(0, below, 200, np.int64) for below in (20, 40, 9))
    edges = {"account": account.astype(np.uint64), "thing": thing.astype(np.uint64), "first": first, "upto": first + 4}
    week = np.timedelta64(WEEK_US, "us")

    def cores_at(instants: list[int], at: int) -> dict[int, float]:
        as_of = np.datetime64(0, "us") + np.array(instants) * week
        name = "feature_link_cores"
        found = core_tables(frozenset([name]), {}, as_of, lambda _: pa.table(edges))[name].to_pydict()
        rows = zip(*(found[column] for column in ("account", "core", "visible_at", "superseded_at")), strict=True)
        instant = (np.datetime64(0, "us") + at * week).item()
        inside = [(code, core) for code, core, since, until in rows if since <= instant < until]
        assert len(dict(inside)) == len(inside)
        return dict(inside)

    asked = [2, 3, 4, 7, 8]
    for at in asked:
        assert cores_at([at], at) == cores_at(asked, at) != {}
    assert cores_at(asked, 5) == cores_at(asked, 9) == {}


def test_h4_sees_the_graph_of_the_start_of_the_week(market: TinyMarket, ask: Ask) -> None:
    """A and b share phone and device, known on the 20th; from Thursday the 26th on each has both: 2 / ln 4."""
    for account in ("a", "b"):
        market.buys(account, "2025-06-20", address=None, phone="f", device="d", recipient=None)
    assert ask("H4", when="2025-06-25T23:00") == 0.0
    assert ask("H4", when="2025-06-26") == pytest.approx(2 / np.log(4), abs=2 / 64)


def test_h6_needs_several_who_buy_the_same_on_the_same_days(market: TinyMarket, ask: Ask) -> None:
    """Three accounts buy s1 and s2 on one day each: two weights of 1 / ln 5; camouflage adds nothing to it."""
    for account in ("a", "b", "c"):
        market.buys(account, "2025-06-10", sku="s1")
        market.buys(account, "2025-06-12", sku="s2")
    assert ask("H6") == pytest.approx(2 / np.log(5), abs=2 / 64)
    for day in range(1, 9):
        market.buys("a", f"2025-06-0{day}", sku="s3")
    assert ask("H6") == pytest.approx(2 / np.log(5), abs=2 / 64)
