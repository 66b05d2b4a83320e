"""Operators that follow the links as they come and go."""

from __future__ import annotations

import pytest

from membergate.domain.errors import BadInputError
from membergate.domain.instants import utc
from membergate.learning.identity import Event, LinkChange, RollingOperators, operator_id_of

AT = utc(2025, 1, 1)


def seen(*names: str) -> list[LinkChange]:
    """Let accounts become visible."""
    return [LinkChange(AT, Event.SEEN, name) for name in names]


def linked(a: str, b: str) -> list[LinkChange]:
    """Let two accounts become linked."""
    return [LinkChange(AT, Event.LINKED, a, b)]


def withdrawn(a: str, b: str) -> list[LinkChange]:
    """Let a link end."""
    return [LinkChange(AT, Event.WITHDRAWN, a, b)]


def test_the_older_names_and_the_cut_off_part_is_renamed() -> None:
    """Two operators that turn out to be one take the older's id; cut off, the younger part gets its own again."""
    rolling = RollingOperators()
    rolling.follow([*seen("old", "middle", "young", "alone"), *linked("middle", "young")])
    assert rolling.operator_id("young") == operator_id_of("middle")
    assert rolling.follow(linked("young", "old")) == {"old", "middle", "young"}
    assert rolling.members("middle") == ("old", "middle", "young")
    assert rolling.operator_id("middle") == operator_id_of("old")
    assert rolling.follow(withdrawn("old", "young")) == {"old", "middle", "young"}
    assert rolling.operator_id("young") == operator_id_of("middle")
    assert rolling.operator_id("alone") == operator_id_of("alone")
    assert rolling.operator_id("nobody") == operator_id_of("nobody")


def test_another_path_keeps_them_together() -> None:
    """A link that is withdrawn from a ring with another way round changes nobody's operator."""
    rolling = RollingOperators()
    rolling.follow([*seen("a", "b", "c"), *linked("a", "b"), *linked("b", "c"), *linked("a", "c")])
    assert rolling.follow(withdrawn("a", "b")) == {"a", "b"}
    assert rolling.members("b") == ("a", "b", "c")


@pytest.mark.parametrize(
    "changes", [linked("a", "nobody"), withdrawn("a", "b"), seen("a"), [*linked("a", "b"), *withdrawn("b", "nobody")]]
)
def test_changes_that_cannot_be_are_refused(changes: list[LinkChange]) -> None:
    """Links of unseen accounts, withdrawals of what is not there and accounts seen twice are errors."""
    rolling = RollingOperators()
    rolling.follow(seen("a", "b"))
    with pytest.raises(BadInputError):
        rolling.follow(changes)
