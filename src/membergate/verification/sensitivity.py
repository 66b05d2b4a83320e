"""How the door's figures move when parameters lie beside those that were chosen: a choice on a cliff is no choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from membergate.domain.disposition import FULL_ADMISSIONS, Disposition
from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, OperatorBootstrap
from membergate.verification.metrics import genuine_admission, leakage
from membergate.verification.sample import EvaluationSample, Text, is_among
from membergate.verification.shares import Share, measure_difference, measure_shares


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
    moved
        Share of all applicants whose decision is different, as far as the sample tells: with none among k operators it
        may still be up to about 3.7 / k.
    genuine_admission, leakage
        Of admissions (in full, unless asked otherwise), less the chosen parameters': paired differences of shares.
        Where no admission is different they are 0 without an interval, and `moved` says how little that shows.
    """

    parameter: str
    factor: float
    changed: int
    moved: Measurement
    genuine_admission: Measurement
    leakage: Measurement


def measure_sensitivity(
    sample: EvaluationSample,
    variations: Sequence[Variation],
    *,
    seed: int,
    admitting: frozenset[Disposition] = FULL_ADMISSIONS,
    level: float = LEVEL,
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
    admitting
        The dispositions that count as admitted.
    level
        Nominal coverage of the intervals.
    """
    bootstrap = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(seed))
    chosen = is_among(sample.disposition, admitting)
    rows = []
    for each in variations:
        is_changed = each.disposition != sample.disposition
        whole = sample.rate_weight
        (moved,) = measure_shares([Share("decisions_moved", whole * is_changed, whole)], bootstrap, level=level)
        admitted = is_among(each.disposition, admitting)
        of_genuine, of_leaks = (
            _difference(f"{name}_moved", share(sample, admitted), share(sample, chosen), bootstrap, level)
            for name, share in (("genuine_admission_rate", genuine_admission), ("leakage", leakage))
        )
        rows.append(SensitivityRow(each.parameter, each.factor, int(is_changed.sum()), moved, of_genuine, of_leaks))
    return tuple(rows)


def _difference(name: str, moved: Share, chosen: Share, bootstrap: OperatorBootstrap, level: float) -> Measurement:
    """Leave the interval out where the very same rows are counted: what could move is then told once, by `moved`."""
    found = measure_difference(name, moved, chosen, bootstrap, level=level)
    if not (np.array_equal(moved.part, chosen.part) and np.array_equal(moved.whole, chosen.whole)):
        return found
    return replace(found, low=None, high=None, method="paired difference; the same rows are counted on both sides")
