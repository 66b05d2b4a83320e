"""Simulate a market folder, to try everything on before real behaviour is at hand."""

from __future__ import annotations

from membergate.market.simulator import SimulationReport, simulate

__all__ = ["SimulationReport", "simulate"]
