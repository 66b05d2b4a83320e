"""Evidence: a witnessed value, or a typed absence. Absence is never 0, NaN or an empty text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

EvidenceValue = bool | int | float | str
"""What a witness may say. Floats are finite; shares and probabilities lie in [0, 1]."""


class Absence(StrEnum):
    """Why a witness says nothing."""

    NOT_OBSERVED = "not_observed"
    """The source is there, but holds nothing (or too little) about this subject as of the instant."""
    NOT_APPLICABLE = "not_applicable"
    """The question makes no sense here, or the market has no such column."""
    SOURCE_FAILED = "source_failed"
    """The source should have answered and did not; the decision is degraded."""
    WITHHELD = "withheld"
    """The value exists and may not be used or shown here."""


class EvidenceKind(StrEnum):
    """What type of value a witness gives; a policy is type-checked against it."""

    BOOLEAN = "boolean"
    NUMBER = "number"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One witness's statement about one subject, as of an instant.

    Parameters
    ----------
    name
        What is witnessed; lower-case words joined by underscores, the unit last (`fee_minor`, `share_ratio`).
    value
        The value, or the typed absence of one.
    origin
        The witness: `feature:A2`, `model:m-3f…`, `identity`, `list:deny`, `market:memberships`.
    observed_at
        The instant as of which the statement holds, aware and in UTC.
    """

    name: str
    value: EvidenceValue | Absence
    origin: str
    observed_at: datetime

    @property
    def is_absent(self) -> bool:
        """Whether the witness says nothing."""
        return isinstance(self.value, Absence)


Vocabulary = Mapping[str, EvidenceKind]
"""The evidence names that exist here, with their types. Operations assembles it; policies are checked against it."""
