"""Drift: what changes in mid-course, and when, as a scenario declares it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from membergate.market.simulator.archetypes import ARCHETYPE_INDEX
from membergate.market.simulator.streams import Bools, Floats, Ints


class Change(StrEnum):
    """The kinds of change."""

    EMERGES = "emerges"
    """A way of abuse that nobody knew before: the archetype neither applies nor resells before the day."""
    FADES = "fades"
    """The archetype buys nothing more for resale from the day on."""
    RATE = "rate"
    """The archetypes' private orders grow or shrink by a factor from the day on."""
    OUTAGE = "outage"
    """What happens in a table between two days is known only at their end."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One change.

    Parameters
    ----------
    change, day
        What, and from which day of the scenario on.
    archetypes
        Whom it concerns, by code.
    factor
        On the rate of private orders, for `rate`.
    table, until_day
        For `outage`.
    """

    change: Change
    day: float
    archetypes: tuple[str, ...] = ()
    factor: float = 1.0
    table: str = ""
    until_day: float = 0.0


class Drifting(Protocol):
    """What has drifts: a scenario."""

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """What changes, in any order."""


def drifts_of(scenario: Drifting, change: Change) -> Iterable[Drift]:
    """Give the changes of one kind, in the order of their days."""
    return sorted((drift for drift in scenario.drifts if drift.change is change), key=lambda drift: drift.day)


def concerns(drift: Drift, archetype: Ints) -> Bools:
    """Mark whom a change concerns, shape as `archetype`."""
    return np.isin(archetype, [ARCHETYPE_INDEX[code] for code in drift.archetypes])


def rate_factors(scenario: Drifting, archetype: Ints, day: int) -> Floats:
    """Give the factor on each account's rate of private orders on a day, shape as `archetype`."""
    factors = np.ones(len(archetype))
    for drift in drifts_of(scenario, Change.RATE):
        if day >= drift.day:
            factors = np.where(concerns(drift, archetype), drift.factor, factors)
    return factors


def emerging_from(scenario: Drifting, archetype: Ints) -> Floats:
    """Give the day before which nobody of each account's kind comes, minus infinity for none; shape as `archetype`."""
    since = np.full(len(archetype), -np.inf)
    for drift in drifts_of(scenario, Change.EMERGES):
        since = np.where(concerns(drift, archetype), drift.day, since)
    return since


def fading_from(scenario: Drifting, archetype: Ints) -> Floats:
    """Give the day from which each account buys nothing more for resale, shape as `archetype`; infinite where never."""
    until = np.full(len(archetype), np.inf)
    for drift in drifts_of(scenario, Change.FADES):
        until = np.where(concerns(drift, archetype), drift.day, until)
    return until


def after_outages(scenario: Drifting, table: str, happened: Floats, known: Floats) -> Floats:
    """Put off to the end of an outage what would have become known of it; all in local days, shape (n,)."""
    for drift in drifts_of(scenario, Change.OUTAGE):
        if drift.table == table:
            is_hit = (happened >= drift.day) & (happened < drift.until_day)
            known = np.where(is_hit, np.maximum(known, drift.until_day), known)
    return known
