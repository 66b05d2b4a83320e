"""Every grain there is, by name."""

from __future__ import annotations

from membergate.learning.features import people_grains, trade_grains
from membergate.learning.features.grain import Companions, Grain, Lookup, RunningTotal, SharedCount

__all__ = ["GRAINS", "Companions", "Grain", "Lookup", "RunningTotal", "SharedCount"]

GRAINS = {grain.name: grain for grain in (*trade_grains.GRAINS, *people_grains.GRAINS)}
"""Every grain by name."""
