"""What is metered, and how counts become evidence, such as `velocity_account_orders_1h`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from membergate.deciding.velocity.timeline import WINDOWS
from membergate.domain.evidence import Absence, Evidence
from membergate.domain.instants import utc

_EPOCH = utc(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


class Scope(StrEnum):
    """Whose activity is counted."""

    ACCOUNT = "account"
    OPERATOR = "operator"
    DEVICE = "device"
    ADDRESS = "address"
    SKU = "sku"


class Activity(StrEnum):
    """What is counted."""

    APPLICATIONS = "applications"
    LOGINS = "logins"
    ORDERS = "orders"
    UNITS = "units"
    COUPONS = "coupons"


METERED: Mapping[Activity, tuple[Scope, ...]] = {
    Activity.APPLICATIONS: (Scope.ACCOUNT, Scope.OPERATOR, Scope.DEVICE),
    Activity.LOGINS: (Scope.ACCOUNT, Scope.OPERATOR, Scope.DEVICE),
    Activity.ORDERS: tuple(Scope),
    Activity.UNITS: tuple(Scope),
    Activity.COUPONS: (Scope.ACCOUNT, Scope.OPERATOR),
}
"""Which activity is counted of whom."""
NAMES: tuple[str, ...] = tuple(
    f"velocity_{scope}_{activity}_{window}"
    for activity, scopes in METERED.items()
    for scope in scopes
    for window in WINDOWS
)
"""The evidence that velocity gives; all are numbers."""
_PLACES = {
    f"velocity_{scope}_{activity}_{window}": ((activity, scope), place)
    for activity, scopes in METERED.items()
    for scope in scopes
    for place, window in enumerate(WINDOWS)
}
Counts = tuple[int | None, ...]
"""One count a window, shortest first; None where the window begins before everything is known."""


@dataclass(frozen=True, slots=True)
class Meter:
    """One subject's activity of one kind.

    Parameters
    ----------
    activity, scope
        What is counted, and of what kind of subject.
    key
        The subject's id or token.
    """

    activity: Activity
    scope: Scope
    key: str


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened, once.

    Parameters
    ----------
    event_id
        Its id; the same id again is the same happening.
    at
        When, in event time; aware.
    charges
        What it charges, and with how much: an order charges 1 to `orders` of its account and its units to `units`.
    """

    event_id: str
    at: datetime
    charges: tuple[tuple[Meter, int], ...]


class Velocity(Protocol):
    """Counters, in one process or shared. Reading sees every happening that was added before."""

    def add(self, happenings: Sequence[Happening], now: datetime) -> int:
        """Count happenings, in any order of event time; gives how many were new and not too old."""

    def counts(self, meters: Sequence[Meter], as_of: datetime) -> list[Counts]:
        """Give each meter's counts in (as_of - window, as_of]."""


def evidence_about(
    velocity: Velocity, subjects: Mapping[Scope, Sequence[str]], as_of: datetime, names: Collection[str] | None = None
) -> dict[str, Evidence]:
    """Ask the counters about everything that a subject of decision is or touches.

    Parameters
    ----------
    velocity
        The counters.
    subjects
        Keys by scope: the account, all accounts of its operator, the order's device, address and SKUs. An operator's
        count is that of its accounts together, as they are linked now; of several keys of another scope the busiest
        counts.
    as_of
        The instant; what happened at it counts.
    names
        Those of `NAMES` that are asked for; all of them where None.

    Returns
    -------
    dict
        By name: a whole number, `not_observed` where the counters do not reach back far enough, or
        `not_applicable` where there is no such subject.
    """
    wanted = {name: _PLACES[name] for name in (NAMES if names is None else names)}
    meters = [
        (kind, Meter(kind[0], Scope.ACCOUNT if kind[1] is Scope.OPERATOR else kind[1], key))
        for kind in dict.fromkeys(kind for kind, _ in wanted.values())
        for key in dict.fromkeys(subjects.get(kind[1], ()))
    ]
    found: dict[tuple[Activity, Scope], Counts] = {}
    for (kind, _), counts in zip(meters, velocity.counts([meter for _, meter in meters], as_of), strict=True):
        joined = _sum if kind[1] is Scope.OPERATOR else _larger
        found[kind] = tuple(map(joined, found[kind], counts)) if kind in found else counts
    told: dict[str, Evidence] = {}
    for name, (kind, place) in wanted.items():
        count = found.get(kind, _NO_SUBJECT)[place]
        value = Absence.NOT_APPLICABLE if count == _NOTHING else Absence.NOT_OBSERVED if count is None else count
        told[name] = Evidence(name, value, "velocity", as_of)
    return told


_NOTHING = -1
_NO_SUBJECT: Counts = (_NOTHING,) * len(WINDOWS)


def _larger(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def microseconds(instant: datetime) -> int:
    """Give an aware instant as whole microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND
