"""What was acknowledged survives the sudden death of a process under load, and the audit chain with it."""

from __future__ import annotations

import pytest
from benchmarks.sudden_death import survive


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_under_load_nothing_acknowledged_is_lost(store_url: str, seed: int) -> None:
    """Decisions, list changes, cap uses and releases of six threads, killed four times at random on each backend."""
    found = survive(store_url, kills=4, seed=seed)
    assert (found.lost, found.faults, found.overshot) == ([], [], False)
    assert found.acknowledged > 4
