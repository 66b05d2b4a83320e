"""Velocity at the doors: events charge the counters, and what they count is evidence about accounts and orders."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from time import monotonic
from typing import Any, Self

import structlog

from membergate.deciding.velocity import NAMES, Activity, Happening, Meter, Scope, evidence_about
from membergate.domain.errors import WorkspaceError
from membergate.domain.evidence import Absence, Evidence
from membergate.domain.instants import parse_instant
from membergate.operations.workspace import Workspace
from membergate.store import VelocityLog, open_store

_log = structlog.get_logger("membergate.velocity")
_NAMES = frozenset(NAMES)
_LOOK_LASTS_S = 0.5
_SUBJECTS = ((Scope.ACCOUNT, "account_id"), (Scope.DEVICE, "device_tok"), (Scope.ADDRESS, "address_id"))
_METERED = {
    "applications": (Activity.APPLICATIONS, "submitted_at", ("application_id",), _SUBJECTS[:2]),
    "logins": (Activity.LOGINS, "logged_in_at", ("login_id",), _SUBJECTS[:2]),
    "orders": (Activity.ORDERS, "ordered_at", ("order_id",), _SUBJECTS),
    "coupon_events": (Activity.COUPONS, "occurred_at", ("coupon_id", "account_id", "occurred_at"), _SUBJECTS[:1]),
}


class VelocityWitness:
    """Says how often something happened lately; absent where nothing was ever counted, or the counters fail.

    Parameters
    ----------
    velocity
        The counters; None where nothing was ever counted.
    is_followed
        Whether what other processes count is looked up again and again: by `follow`, or with a question when that was
        not called for half a second.
    """

    def __init__(self, velocity: VelocityLog | None, *, is_followed: bool = True) -> None:
        self._velocity = velocity
        self._is_followed = is_followed
        self._looked_at = -_LOOK_LASTS_S

    @classmethod
    def now(cls, workspace: Workspace) -> Self:
        """Take the counts of a workspace as they are now."""
        if not workspace.record.exists():
            return cls(None)
        with open_store(workspace.record) as record:
            return cls(record.velocity if record.velocity.look() else None, is_followed=False)

    @property
    def is_local(self) -> bool:
        """Whether asking waits for nobody: the counters are in this process."""
        return self._velocity is None or not self._velocity.is_shared

    def follow(self) -> None:
        """Look up what other processes counted.

        Raises
        ------
        WorkspaceError
            If the log cannot be read.
        """
        if self._velocity is not None and self._is_followed:
            self._velocity.look()
            self._looked_at = monotonic()

    def about(
        self, subjects: Mapping[Scope, Sequence[str]], as_of: datetime, names: Collection[str]
    ) -> dict[str, Evidence]:
        """Give those of some names that velocity witnesses.

        Parameters
        ----------
        subjects
            See `evidence_about`.
        as_of
            The instant.
        names
            What a policy reads.
        """
        wanted = sorted(_NAMES.intersection(names))
        if not wanted:
            return {}
        if self._velocity is None:
            return _absent(wanted, Absence.NOT_OBSERVED, as_of)
        try:
            if monotonic() - self._looked_at >= _LOOK_LASTS_S:
                self.follow()
            if not self._velocity.has_counts:
                return _absent(wanted, Absence.NOT_OBSERVED, as_of)
            return evidence_about(self._velocity, subjects, as_of, wanted)
        except WorkspaceError as error:
            _log.error("velocity_failed", **error.as_record())
            return _absent(wanted, Absence.SOURCE_FAILED, as_of)


def charge(velocity: VelocityLog, rows: Sequence[tuple[str, Mapping[str, Any]]], now: datetime) -> int:
    """Count rows of the market, each once whoever repeats it, in event time; gives how many happenings were new.

    A line counts at its order's instant, and only once its order did: one that came before waits for the next charge.

    Parameters
    ----------
    velocity
        The counters.
    rows
        Table and row, in any order.
    now
        The present.

    Raises
    ------
    WorkspaceError
        If the counters cannot be written. The same rows may be charged again.
    """
    found = [h for table, row in rows if (h := _happening(table, row)) is not None]
    orders = {happening.event_id: happening for happening in found}
    lines = [row for table, row in rows if table == "order_lines"]
    missing = {_name("orders", row["order_id"]) for row in lines} - orders.keys()
    orders |= velocity.known(sorted(missing)) if missing else {}
    for row in lines:
        order = orders.get(_name("orders", row["order_id"]))
        if order is not None:
            found += _of_line(row, order)
    return velocity.add(found, now) if found else 0


def _happening(table: str, row: Mapping[str, Any]) -> Happening | None:
    if table not in _METERED or (table == "coupon_events" and row["action"] != "claimed"):
        return None
    activity, at, key, subjects = _METERED[table]
    charges = tuple((Meter(activity, scope, row[column]), 1) for scope, column in subjects if row.get(column))
    return Happening(_name(table, *(row[column] for column in key)), parse_instant(row[at]), charges)


def _of_line(row: Mapping[str, Any], order: Happening) -> tuple[Happening, Happening]:
    units, sku = row["quantity"], row["sku_id"]
    subjects = [(meter.scope, meter.key) for meter, _ in order.charges]
    charges = tuple((Meter(Activity.UNITS, scope, key), units) for scope, key in (*subjects, (Scope.SKU, sku)))
    once = ((Meter(Activity.ORDERS, Scope.SKU, sku), 1),)
    return (
        Happening(_name("order_lines", row["line_id"]), order.at, charges),
        Happening(_name("order_skus", row["order_id"], sku), order.at, once),
    )


def _name(table: str, *key: str) -> str:
    return f"{table}-" + sha256(json.dumps(key).encode()).hexdigest()[:32]


def _absent(names: Collection[str], absence: Absence, as_of: datetime) -> dict[str, Evidence]:
    return {name: Evidence(name, absence, "velocity", as_of) for name in names}
