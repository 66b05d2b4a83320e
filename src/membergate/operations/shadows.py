"""Policies that stand in shadow decide the evaluation sample: what would each change against the candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from membergate.deciding import velocity
from membergate.deciding.policy import Policy
from membergate.domain.disposition import Checkpoint
from membergate.operations.admission import Case
from membergate.operations.sensitivity import decided_again
from membergate.verification.sample import EvaluationSample
from membergate.verification.shadows import ShadowRow, measure_shadows


def try_shadows(
    policy: Policy, shadows: Sequence[Policy], sample: EvaluationSample, cases: Sequence[Case], *, seed: int
) -> tuple[ShadowRow, ...]:
    """Measure what each policy in shadow would change, on what the candidate decided by.

    Operators' holders are left as they were decided. Where a shadow is not in effect it changes nothing. Nobody counts
    velocity of the past, so a shadow that reads it decides as where none was observed, and its row says so.

    Parameters
    ----------
    policy
        The candidate's, which is not held against itself.
    shadows
        The policies that stand in shadow.
    sample, cases
        The labelled applications, and what was witnessed about each, row by row.
    seed
        Seed of the bootstrap.
    """
    evidence = [case.evidence for case in cases]
    others = {shadow.full_version: shadow for shadow in shadows if shadow.digest != policy.digest}
    decided = {
        version: np.where(
            [shadow.is_effective(case.application.submitted_at) for case in cases],
            decided_again(shadow, cases, evidence),
            sample.disposition,
        )
        for version, shadow in others.items()
    }
    rows = measure_shadows(sample, decided, seed=seed)
    return tuple(replace(row, unmeasured=_uncounted(others[row.policy])) for row in rows)


def _uncounted(shadow: Policy) -> tuple[str, ...]:
    """Give the names of velocity that a policy reads at admission."""
    return tuple(name for name in shadow.reads_at[Checkpoint.ADMISSION] if name in velocity.NAMES)
