"""What goes in and what comes out: who is asked about as of when, and the table of features that answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from membergate.domain.errors import BadInputError
from membergate.domain.evidence import Absence
from membergate.learning.identity import OperatorTable

OBSERVED = 0
"""Code in `FeatureTable.absences` for a value that is there."""
ABSENCES: tuple[Absence, ...] = tuple(Absence)
"""Typed absences in the order of their codes: code k > 0 is `ABSENCES[k - 1]`."""
NOT_OBSERVED = 1 + ABSENCES.index(Absence.NOT_OBSERVED)
NOT_APPLICABLE = 1 + ABSENCES.index(Absence.NOT_APPLICABLE)


@dataclass(frozen=True)
class Spine:
    """Who is asked about, and as of when; one row a question.

    Parameters
    ----------
    subject_ids
        (n,) ids of the questions, usually application ids.
    account_ids
        (n,) accounts asked about; one account may be asked about more than once.
    as_of
        (n,) datetime64[us], UTC: nothing later is visible to the row.

    Raises
    ------
    BadInputError
        If the three are not of one length, or an instant is missing.
    """

    subject_ids: NDArray[Any]
    account_ids: NDArray[Any]
    as_of: NDArray[np.datetime64]

    def __post_init__(self) -> None:
        if not len(self.subject_ids) == len(self.account_ids) == len(self.as_of):
            raise BadInputError("a spine needs as many subjects as accounts and instants")
        if np.isnat(np.asarray(self.as_of, dtype="datetime64[us]")).any():
            raise BadInputError("a spine's row has no instant", allowed="datetime64[us] without NaT")

    def __len__(self) -> int:
        return len(self.account_ids)


def part_of(spine: Spine, operators: OperatorTable, rows: NDArray[np.int64]) -> tuple[Spine, OperatorTable]:
    """Give some rows of a spine, with their operators."""
    sizes = operators.sizes[rows]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    members = np.arange(offsets[-1]) + np.repeat(operators.offsets[rows] - offsets[:-1], sizes)
    subjects, accounts = np.asarray(spine.subject_ids), np.asarray(spine.account_ids)
    return (
        Spine(subjects[rows], accounts[rows], np.asarray(spine.as_of)[rows]),
        OperatorTable(operators.operator_ids[rows], sizes, operators.member_ids[members], offsets),
    )


@dataclass(frozen=True)
class FeatureTable:
    """Features and context of every row of a spine.

    Parameters
    ----------
    spine
        The questions.
    operator_ids
        (n,) the operator of each row's account, as of the row's instant.
    features
        Feature ids in catalogue order, the f columns.
    values
        (n, f) float64; NaN exactly where `absences` is not 0.
    absences
        (n, f) uint8; 0 where observed, else 1 + index into `list(Absence)`.
    context
        (n,) arrays by name: what peers, fairness tables and policies read. Never a sense of risk. The amount of
        evidence behind feature `A2` is `n_eff_a2`.
    """

    spine: Spine
    operator_ids: NDArray[Any]
    features: tuple[str, ...]
    values: NDArray[np.float64]
    absences: NDArray[np.uint8]
    context: dict[str, NDArray[Any]]

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> FeatureTable:
        """Select rows.

        Parameters
        ----------
        rows
            Positions, or a mask of shape (n,).
        """
        subjects, accounts, as_of = (
            np.asarray(column)[rows] for column in (self.spine.subject_ids, self.spine.account_ids, self.spine.as_of)
        )
        return FeatureTable(
            Spine(subjects, accounts, as_of),
            np.asarray(self.operator_ids)[rows],
            self.features,
            self.values[rows],
            self.absences[rows],
            {name: column[rows] for name, column in self.context.items()},
        )

    def column(self, feature: str) -> NDArray[np.float64]:
        """Give one feature's values, shape (n,)."""
        return self.values[:, self.features.index(feature)]

    def absence(self, row: int, feature: str) -> Absence | None:
        """Give the typed absence of one value, or None where it was observed."""
        code = int(self.absences[row, self.features.index(feature)])
        return None if code == OBSERVED else ABSENCES[code - 1]
