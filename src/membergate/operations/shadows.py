"""Policies that stand in shadow decide the evaluation sample: what would each change against the candidate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from membergate.deciding.policy import Policy
from membergate.operations.admission import Case
from membergate.operations.sensitivity import decided_again
from membergate.verification.sample import EvaluationSample
from membergate.verification.shadows import ShadowRow, measure_shadows


def try_shadows(
    policy: Policy, shadows: Sequence[Policy], sample: EvaluationSample, cases: Sequence[Case], *, seed: int
) -> tuple[ShadowRow, ...]:
    """Measure what each policy in shadow would change, on what the candidate decided by.

    Operators' holders are left as they were decided. Where a shadow is not in effect it changes nothing.

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
    decided = {
        shadow.full_version: np.where(
            [shadow.is_effective(case.application.submitted_at) for case in cases],
            decided_again(shadow, cases, evidence),
            sample.disposition,
        )
        for shadow in shadows
        if shadow.digest != policy.digest
    }
    return measure_shadows(sample, decided, seed=seed)
