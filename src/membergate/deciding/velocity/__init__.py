"""Velocity: how often something happened lately, in sliding windows of event time. Pure; the store keeps the log."""

from membergate.deciding.velocity.counters import VelocityCounters
from membergate.deciding.velocity.meters import (
    METERED,
    NAMES,
    Activity,
    Counts,
    Happening,
    Meter,
    Scope,
    Velocity,
    evidence_about,
)
from membergate.deciding.velocity.timeline import MOST_ENTRIES, WINDOWS

__all__ = [
    "METERED",
    "MOST_ENTRIES",
    "NAMES",
    "WINDOWS",
    "Activity",
    "Counts",
    "Happening",
    "Meter",
    "Scope",
    "Velocity",
    "VelocityCounters",
    "evidence_about",
]
