"""How the door's figures move when parameters lie beside those that were chosen: a choice on a cliff is no choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from membergate.domain.disposition import FULL_ADMISSIONS
from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, OperatorBootstrap
from membergate.verification.metrics import genuine_admission, leakage
from membergate.verification.sample import EvaluationSample, Text, is_among
from membergate.verification.shares import measure_difference


@dataclass(frozen=True, slots=True)
class Variation:
    """One parameter moved, and what the door then decides.

    Parameters
    ----------
    parameter
        What was moved.
    factor
        By what it was multiplied.
    disposition
        Of each row of the sample, shape (n,).
    """

    parameter: str
    factor: float
    disposition: Text


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """What one moved parameter does.

    Parameters
    ----------
    parameter, factor
        What was moved, and by what it was multiplied.
    changed
        Decisions of the sample that are different.
    genuine_admission, leakage
        Of full admissions, less the chosen parameters': paired differences of shares.
    """

    parameter: str
    factor: float
    changed: int
    genuine_admission: Measurement
    leakage: Measurement


def measure_sensitivity(
    sample: EvaluationSample, variations: Sequence[Variation], *, seed: int, level: float = LEVEL
) -> tuple[SensitivityRow, ...]:
    """Hold every variation against the chosen parameters on the same rows, paired by operator.

    Parameters
    ----------
    sample
        The evaluation sample, decided with the chosen parameters.
    variations
        The same rows decided otherwise.
    seed
        Seed of the bootstrap.
    level
        Nominal coverage of the intervals.
    """
    bootstrap = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(seed))
    chosen = is_among(sample.disposition, FULL_ADMISSIONS)
    rows = []
    for each in variations:
        moved = is_among(each.disposition, FULL_ADMISSIONS)
        of_genuine, of_leaks = (
            measure_difference(f"{name}_moved", share(sample, moved), share(sample, chosen), bootstrap, level=level)
            for name, share in (("genuine_admission_rate", genuine_admission), ("leakage", leakage))
        )
        changed = int((each.disposition != sample.disposition).sum())
        rows.append(SensitivityRow(each.parameter, each.factor, changed, of_genuine, of_leaks))
    return tuple(rows)
