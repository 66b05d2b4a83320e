"""What a policy that stands in shadow would change: the same labelled sample, decided by it and by the candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL
from membergate.verification.metrics import SCOPES
from membergate.verification.sample import EvaluationSample, Text
from membergate.verification.sensitivity import Variation, measure_sensitivity


@dataclass(frozen=True, slots=True)
class ShadowRow:
    """What one policy in shadow would change.

    Parameters
    ----------
    policy
        Its name and version.
    changed
        Decisions of the sample that would be different.
    moved
        Share of all applicants whose decision would be, as far as the sample tells.
    genuine_admission, leakage
        Scope (`full`, `holders`) -> the shadow's rate less the candidate's: paired differences of shares. Where the
        very same rows are admitted they are 0 without an interval.
    unmeasured
        Names of the evidence that it reads and that only the live door witnesses: here it decided as where nothing was
        observed.
    """

    policy: str
    changed: int
    moved: Measurement
    genuine_admission: dict[str, Measurement]
    leakage: dict[str, Measurement]
    unmeasured: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnreadShadow:
    """A policy that stands in shadow and cannot be read any more.

    Parameters
    ----------
    policy
        Its name and version.
    why
        What is wrong with its text.
    """

    policy: str
    why: str


def measure_shadows(
    sample: EvaluationSample, decided: Mapping[str, Text], *, seed: int, level: float = LEVEL
) -> tuple[ShadowRow, ...]:
    """Hold policies in shadow against the candidate on the same rows, paired by operator.

    Parameters
    ----------
    sample
        The evaluation sample, decided by the candidate.
    decided
        Name and version of each policy -> its disposition of each row, shape (n,).
    seed
        Seed of the bootstrap.
    level
        Nominal coverage of the intervals.
    """
    variations = [Variation(policy, 1.0, disposition) for policy, disposition in decided.items()]
    by_scope = {
        scope: measure_sensitivity(sample, variations, seed=seed, admitting=dispositions, level=level)
        for scope, dispositions in SCOPES.items()
    }
    return tuple(
        ShadowRow(
            row.parameter,
            row.changed,
            row.moved,
            {scope: rows[place].genuine_admission for scope, rows in by_scope.items()},
            {scope: rows[place].leakage for scope, rows in by_scope.items()},
        )
        for place, row in enumerate(by_scope["full"])
    )
