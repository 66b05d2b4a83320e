"""The calendar: which day belongs to which phase of which promotion, and at what hour people shop.

Inside the simulator time is a float: days of local time since the scenario's first midnight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import Bools, Floats, Ints, pick

ORDINARY, WARM_UP, BURST, AFTER = range(4)
AFTER_DAYS = 14
FESTIVAL_DAYS = (28, 278, 365, 412)
"""Spring Festival, Mid-Autumn, New Year's Day, Spring Festival: when people give."""
FESTIVAL_RUN_UP_DAYS = 21
MINUTE = 1 / 1440
SECOND = MINUTE / 60
NEVER = np.inf
_WEEK, _WEEKDAY_OF_DAY_0, _SATURDAY = 7, 2, 5

_HOURS = {
    "daily": (2, 1, 1, 0.5, 0.5, 1, 2, 4, 5, 6, 7, 6, 7, 6, 5, 5, 5, 5, 6, 7, 9, 9, 7, 4),
    "evening": (1, 0.5, 0.3, 0.3, 0.3, 0.5, 2, 3, 4, 4, 4, 4, 5, 4, 3, 3, 3, 4, 7, 10, 14, 14, 8, 3),
    "night": (9, 6, 3, 1, 0.5, 0.3, 0.5, 1, 2, 3, 4, 5, 6, 4, 4, 4, 4, 5, 6, 7, 8, 9, 11, 11),
    "business": (0.3, 0, 0, 0, 0, 0.3, 0.6, 1.5, 5, 12, 14, 11, 5, 8, 12, 12, 10, 6, 2.5, 1.5, 1.5, 1.2, 1, 0.6),
    "any": (4, 3, 2, 2, 2, 2, 3, 4, 5, 6, 7, 6, 6, 6, 6, 6, 6, 5, 5, 6, 8, 8, 7, 5),
}  # fmt: skip
HOUR_NAMES = tuple(_HOURS)
_HOUR_CUMULATIVE = np.cumsum(np.array([_HOURS[name] for name in HOUR_NAMES], dtype=np.float64), axis=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The phase of every day.

    Parameters
    ----------
    phase
        ORDINARY, WARM_UP, BURST or AFTER, shape (days,).
    promotion
        Index of the day's promotion, -1 where there is none, shape (days,).
    strength
        Exponent on the archetypes' lifts, shape (days,).
    opens_at
        Local instant at which a promotion opens on that day, NEVER where none does, shape (days,).
    is_festive
        Whether a festival is at most three weeks ahead, shape (days,).
    """

    phase: NDArray[np.int8]
    promotion: Ints
    strength: Floats
    opens_at: Floats
    is_festive: Bools


def calendar_of(scenario: Scenario) -> Calendar:
    """Lay the scenario's promotions and festivals over its days."""
    days = np.arange(scenario.days)
    phase = np.full(scenario.days, ORDINARY, dtype=np.int8)
    promotion = np.full(scenario.days, -1, dtype=np.int64)
    strength = np.zeros(scenario.days)
    opens_at = np.full(scenario.days, NEVER)
    for number, sale in enumerate(scenario.promotions):
        first = int(sale.start_day)
        last = int(np.ceil(sale.start_day + sale.days))
        spans = (
            (AFTER, last, last + AFTER_DAYS),
            (WARM_UP, int(sale.start_day - sale.warm_up_days), first),
            (BURST, first, last),
        )
        for kind, start, end in spans:
            # a later promotion's warm-up takes over from an earlier one's aftermath
            phase[start:end] = kind
            promotion[start:end] = number
            strength[start:end] = sale.strength
        opens_at[first] = sale.start_day
    is_festive = np.zeros(scenario.days, dtype=bool)
    for festival in FESTIVAL_DAYS:
        is_festive |= (days < festival) & (days >= festival - FESTIVAL_RUN_UP_DAYS)
    return Calendar(phase, promotion, strength, opens_at, is_festive)


def is_weekend(day: int) -> bool:
    """Say whether a day of the scenario is a Saturday or Sunday; day 0 is a Wednesday."""
    return (day + _WEEKDAY_OF_DAY_0) % _WEEK >= _SATURDAY


def is_sunday(day: Floats) -> Bools:
    """Say which days of the scenario are Sundays, shape as `day`."""
    is_so: Bools = (day + _WEEKDAY_OF_DAY_0) % _WEEK == _SATURDAY + 1
    return is_so


def time_of_day(rng: np.random.Generator, hours: Ints) -> Floats:
    """Draw a time of day, as a fraction of a day.

    Parameters
    ----------
    rng
        The random stream.
    hours
        Index into HOUR_NAMES for each draw, shape (n,).

    Returns
    -------
    numpy.ndarray
        In [0, 1), shape (n,).
    """
    draws = rng.random(len(hours))
    hour = np.zeros(len(hours))
    for profile in range(len(HOUR_NAMES)):
        of_profile = hours == profile
        hour[of_profile] = pick(_HOUR_CUMULATIVE[profile], draws[of_profile])
    return (hour + rng.random(len(hours))) / 24


def rush(rng: np.random.Generator, count: int, *, automated: Bools | None = None) -> Floats:
    """Draw how long after an opening an order of those who wait for it falls, in days.

    Parameters
    ----------
    rng
        The random stream.
    count
        How many orders.
    automated
        Which of them a script places, within a second or two, shape (count,).

    Returns
    -------
    numpy.ndarray
        Positive, shape (count,).
    """
    scale = np.full(count, 45.0)
    if automated is not None:
        scale[automated] = 1.2
    waits: Floats = rng.exponential(1.0, count) * scale * SECOND + 0.3 * SECOND
    return waits
