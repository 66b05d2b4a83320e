"""Who stands behind several accounts, and who belongs to another operator than before."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from membergate.domain.errors import BadInputError
from membergate.operations.history import History
from membergate.operations.operators import operators

if TYPE_CHECKING:
    from membergate.operations.learn import Learned
    from membergate.operations.workspace import Workspace


def test_operators_and_their_changes_are_those_of_two_instants(
    learned_workspace: tuple[Workspace, Learned],
) -> None:
    """What following the links gives is the difference of two full looks; each operator's links hold it together."""
    workspace, _ = learned_workspace
    history = History(workspace.warehouse())
    end = history.last_instant
    found = operators(workspace, since=end - timedelta(days=120), most=10_000)
    before, now = (history.links.operators_as_of(at) for at in (found.since or end, end))
    sizes = Counter(now.values())
    assert (found.accounts, found.operators) == (len(now), len(sizes))
    assert {each.operator_id: len(each.account_ids) for each in found.largest} == {
        k: n for k, n in sizes.items() if n > 1
    }
    assert all(sum(each.kinds.values()) >= len(each.account_ids) - 1 for each in found.largest)
    moved = {account for account, operator in now.items() if account in before and before[account] != operator}
    joined = {account for account, operator in now.items() if account not in before and sizes[operator] > 1}
    assert {move.account_id for move in found.moved} == moved
    assert {move.account_id for move in found.joined} == joined
    assert moved
    assert joined
    few = operators(workspace, since=end - timedelta(days=120), most=2)
    assert (few.largest, len(few.moved), few.of_several) == (found.largest[:2], 2, found.of_several)


def test_nothing_lies_between_an_instant_and_itself(learned_workspace: tuple[Workspace, Learned]) -> None:
    """An earlier instant that is not earlier is refused."""
    workspace, _ = learned_workspace
    end = History(workspace.warehouse()).last_instant
    with pytest.raises(BadInputError, match="nothing between"):
        operators(workspace, as_of=end, since=end)
