"""A whole shop that never was: applicants, members, merchants, orders and labels, with the truth kept apart.

It writes the canonical tables of the market schema, so what reads a real market reads this one. Its figures are design
priors; what is measured on it is an illustrative simulation, never evidence about a real shop.
"""

from membergate.market.simulator.scenario import PRESETS, Scenario
from membergate.market.simulator.simulation import SimulationReport, simulate

__all__ = ["PRESETS", "Scenario", "SimulationReport", "simulate"]
