"""Cores of the graph of accounts and what they share: right, as of their week, and of nothing later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from membergate.engine.graph.cores import DEEPEST, weighted_cores
from membergate.learning.features.cores import rarity_cores

if TYPE_CHECKING:
    from tests.unit.features.conftest import Ask, TinyMarket

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]


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
    assert (weighted_cores(member, thing, weights, 12) == _peeled_in_rounds(member, thing, weights, 12)).all()


def test_equal_weights_give_core_numbers() -> None:
    """With weights of one it is the core number that networkx gives."""
    draw = np.random.default_rng(5)
    edges = np.unique(draw.integers(0, 40, (300, 2)), axis=0)
    graph = nx.Graph([(("member", m), ("thing", t)) for m, t in edges.tolist()])
    expected = nx.core_number(graph)
    found = weighted_cores(edges[:, 0], edges[:, 1], np.ones(40, np.int64), 40)
    assert all(found[m] == expected.get(("member", m), 0) for m in range(40))


def test_levels_end_somewhere() -> None:
    """Beyond the deepest level nothing is told apart, so that the queue is bounded."""
    member, thing = np.repeat(np.arange(3), 3), np.tile(np.arange(3), 3)
    assert (weighted_cores(member, thing, np.full(3, 10 * DEEPEST), 3) == DEEPEST).all()


def test_nobody_shares_nothing() -> None:
    """An empty graph, a thing of one account's own and a crowd give no depth."""
    empty = np.zeros(0, np.int64)
    assert (rarity_cores(empty, empty, 2) == 0).all()
    assert (rarity_cores(np.arange(101), np.zeros(101, np.int64), 101) == 0).all()
    assert (rarity_cores(np.array([0]), np.array([0]), 1) == 0).all()


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
