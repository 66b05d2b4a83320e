"""What is witnessed about accounts, computed in batches; and what was witnessed lately, kept to be looked up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from membergate.domain.evidence import Absence, Evidence, EvidenceValue
from membergate.learning.features import FeatureTable, Spine
from membergate.learning.identity import OperatorTable
from membergate.learning.model import IdentificationModel, Testimony
from membergate.operations.history import History, aware
from membergate.operations.testimony import Witnesses

STRONGEST_CONTRIBUTIONS = 8
"""How many contributions a decision records."""
LONGEST_AGE = timedelta(hours=6)
"""For how long testimony about an account speaks of the present. Between two loads nothing happens but time passing."""
MOST_KEPT = 100_000
"""Accounts whose testimony is kept, those asked last: about 6 kB each."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What features, model and identity say of an account as of an instant; lists, counters and holders come on top.

    Parameters
    ----------
    account_id, as_of
        Whom, and the instant beyond which nothing was visible.
    operator_id, members
        Its operator then, and that operator's accounts, the account itself among them.
    evidence
        By name.
    contributions
        What moved the score, by column, strongest first.
    """

    account_id: str
    as_of: datetime
    operator_id: str
    members: tuple[str, ...]
    evidence: dict[str, Evidence]
    contributions: tuple[tuple[str, float], ...]

    def only(self, names: Collection[str]) -> Witnessed:
        """Leave out all evidence but that of some names."""
        return replace(self, evidence={name: one for name, one in self.evidence.items() if name in names})


@dataclass(frozen=True)
class Look:
    """One look at accounts, each as of its own instant: operators, features, and what the model says; a row each."""

    operators: OperatorTable
    table: FeatureTable
    testimony: Testimony


def look_at(history: History, model: IdentificationModel, spine: Spine) -> Look:
    """Look at each row of a spine."""
    operators = history.operators(spine)
    table = history.features(spine, operators, model.norms, model.features)
    return Look(operators, table, model.witness(table))


def witness(history: History, model: IdentificationModel, version: str, spine: Spine) -> Iterator[Witnessed]:
    """Ask features, model and identity about each row of a spine, as of its own instant."""
    return witnessed_in(look_at(history, model, spine), model, version)


def witnessed_in(look: Look, model: IdentificationModel, version: str) -> Iterator[Witnessed]:
    """Say what was seen, row by row."""
    operators, table, spine = look.operators, look.table, look.table.spine
    witnesses = Witnesses(table, look.testimony, model, version)
    for row in range(len(spine)):
        yield Witnessed(
            account_id=str(spine.account_ids[row]),
            as_of=aware(spine.as_of[row]),
            operator_id=str(operators.operator_ids[row]),
            members=tuple(str(member) for member in operators.members(row)),
            evidence=witnesses.about(row, _about_operator(table, operators, row)),
            contributions=_strongest(look.testimony.contributions[row], look.testimony.columns),
        )


def spine_of(asked: Sequence[tuple[str, datetime]]) -> Spine:
    """Lay out accounts, each as of its own instant."""
    names = np.array([account_id for account_id, _ in asked], dtype=np.str_)
    instants = [at.astimezone(UTC).replace(tzinfo=None) for _, at in asked]
    return Spine(names, names, np.array(instants, dtype="datetime64[us]"))


class KeptTestimony:
    """What was witnessed lately, by account. Threads may share it.

    Parameters
    ----------
    names
        The evidence worth keeping: what the policies read.
    longest_age
        For how long testimony speaks of the present.
    most
        How many accounts are kept, those asked last.
    """

    def __init__(self, names: Collection[str], *, longest_age: timedelta = LONGEST_AGE, most: int = MOST_KEPT) -> None:
        self._names = frozenset(names)
        self._longest_age = longest_age
        self._most = most
        self._present: OrderedDict[str, Witnessed] = OrderedDict()
        self._exact: OrderedDict[tuple[str, datetime], Witnessed] = OrderedDict()
        self._lock = Lock()

    @property
    def names(self) -> frozenset[str]:
        """The evidence that is kept."""
        return self._names

    def lately(self, account_id: str, at: datetime) -> Witnessed | None:
        """Give testimony that may speak of an instant: as of it, or not much earlier."""
        with self._lock:
            kept = self._present.get(account_id)
            if kept is None or not timedelta() <= at - kept.as_of <= self._longest_age:
                return None
            self._present.move_to_end(account_id)
            return kept

    def exactly(self, account_id: str, at: datetime) -> Witnessed | None:
        """Give testimony as of an instant, no earlier one."""
        with self._lock:
            kept = self._exact.get((account_id, at))
            if kept is not None:
                self._exact.move_to_end((account_id, at))
            return kept

    def keep(self, witnessed: Witnessed, *, is_present: bool) -> Witnessed:
        """Keep testimony: as what is known at present of its account, or as of its instant alone.

        Returns
        -------
        Witnessed
            What is kept of it.
        """
        kept = witnessed.only(self._names)
        with self._lock:
            if is_present:
                known = self._present.get(kept.account_id)
                if known is None or known.as_of <= kept.as_of:
                    self._present[kept.account_id] = kept
                _shorten(self._present, self._most)
            else:
                self._exact[kept.account_id, kept.as_of] = kept
                _shorten(self._exact, self._most)
        return kept

    def accounts(self) -> tuple[str, ...]:
        """Name the accounts of which something present is kept, those asked last first."""
        with self._lock:
            return tuple(reversed(self._present))

    def __len__(self) -> int:
        return len(self._present) + len(self._exact)


def _shorten(kept: OrderedDict[Any, Witnessed], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)


def _about_operator(table: FeatureTable, operators: OperatorTable, row: int) -> dict[str, EvidenceValue | Absence]:
    account = str(table.spine.account_ids[row])
    others = [member for member in operators.members(row) if member != account]
    recent = table.values[row, table.features.index("L2")] if "L2" in table.features else np.nan
    return {
        "operator_accounts": float(len(others) + 1),
        "operator_recent_applications": float(recent) if np.isfinite(recent) else Absence.NOT_OBSERVED,
    }


def _strongest(contributions: NDArray[np.float64], columns: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    order = np.lexsort((np.arange(contributions.size), -np.abs(contributions)))[:STRONGEST_CONTRIBUTIONS]
    # Rounded: the last bits of a sum over trees mean nothing and would make two equal decisions look different.
    return tuple(
        (columns[index], round(float(contributions[index]), 6)) for index in order if contributions[index] != 0
    )
