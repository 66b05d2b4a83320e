"""What a feature tells in a workspace: nothing about labels, where it is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from membergate.operations.features import portrait_of

if TYPE_CHECKING:
    from membergate.operations.learn import Learned
    from membergate.operations.workspace import Workspace


def test_what_is_made_of_labels_is_not_held_against_them(learned_workspace: tuple[Workspace, Learned]) -> None:
    """Upheld breaches and penalties are labels themselves: their area would say how well labels agree with labels."""
    for feature, is_of_labels in (("K5", True), ("A2", False)):
        here = portrait_of(feature, learned_workspace[0])
        assert here is not None
        assert (here.is_of_labels, here.power is None) == (is_of_labels, is_of_labels)
