"""Do reviewers agree? Kappa where several judged the same case; a typed absence where nobody did.

Two reviewers who judged the same cases are compared by Cohen's kappa, each with habits of their own. Several, or ever
other pairs, by Fleiss' kappa for a number of judgements that differs between cases (Fleiss and Cuzick).

References
----------
Cohen (1960), 10.1177/001316446002000104. Fleiss and Cuzick (1979), 10.1177/014662167900300410.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from membergate.domain.evidence import Absence
from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, OperatorBootstrap, measurement, percentiles, ratio

Floats = NDArray[np.float64]

FEWEST_CASES = 10
"""Cases with several judgements below which no kappa is told."""
_PAIR = 2


@dataclass(frozen=True, slots=True)
class Opinion:
    """One reviewer's word on one case of one operator."""

    case_id: str
    operator_id: str
    reviewer: str
    is_merchant: bool


@dataclass(frozen=True, slots=True)
class ReviewerAgreement:
    """How far reviewers agree.

    Parameters
    ----------
    cases, shared_cases, reviewers
        Reviewed cases, those of them that several reviewers judged, and the reviewers of these.
    index
        `cohen` or `fleiss`; "" for none.
    kappa
        At most 1; 0 is chance. None where it is absent.
    agreement
        Share of agreeing pairs of judgements, in [0, 1]; None where it is absent.
    absence
        Why there is no kappa: `not_observed` (too few shared cases, or judgements that never vary) or `not_applicable`
        (each case carries one joint judgement); "" where there is one.
    """

    cases: int
    shared_cases: int
    reviewers: int
    index: str
    kappa: Measurement | None
    agreement: Measurement | None
    absence: str


def measure_reviewers(opinions: Sequence[Opinion], *, seed: int, level: float = LEVEL) -> ReviewerAgreement:
    """Measure the agreement of those who judged the same cases.

    Parameters
    ----------
    opinions
        Of one reviewer on one case the last counts.
    seed
        Seed of the bootstrap over operators.
    level
        Nominal coverage of the intervals.
    """
    by_case: dict[str, dict[str, bool]] = {}
    operator_of: dict[str, str] = {}
    for opinion in opinions:
        by_case.setdefault(opinion.case_id, {})[opinion.reviewer] = opinion.is_merchant
        operator_of[opinion.case_id] = opinion.operator_id
    shared = {case: said for case, said in sorted(by_case.items()) if len(said) > 1}
    reviewers = sorted({name for said in shared.values() for name in said})
    if not shared:
        return ReviewerAgreement(len(by_case), 0, 0, "", None, None, Absence.NOT_APPLICABLE.value)
    is_pair = len(reviewers) == _PAIR
    columns = _of_a_pair(shared, reviewers) if is_pair else _of_many(shared)
    statistic = _cohen if is_pair else _fleiss
    operators = np.array([operator_of[case] for case in shared], dtype=np.str_)
    kappa, agreement = _measured(columns, statistic, operators, seed, level, index := "cohen" if is_pair else "fleiss")
    if len(shared) < FEWEST_CASES or kappa.value is None:
        return ReviewerAgreement(len(by_case), len(shared), len(reviewers), "", None, None, Absence.NOT_OBSERVED.value)
    return ReviewerAgreement(len(by_case), len(shared), len(reviewers), index, kappa, agreement, "")


def _of_a_pair(shared: dict[str, dict[str, bool]], reviewers: list[str]) -> Floats:
    """Count a case: judged, agreed upon, a merchant by the first, by the second; shape (n, 4)."""
    one, other = reviewers
    rows = [[1.0, said[one] == said[other], said[one], said[other]] for said in shared.values()]
    return np.array(rows, dtype=np.float64)


def _of_many(shared: dict[str, dict[str, bool]]) -> Floats:
    """Count a case: judged, share of agreeing pairs, judgements, those for a merchant, disagreement; shape (n, 5)."""
    rows = []
    for said in shared.values():
        count, merchants = len(said), sum(said.values())
        opposed = merchants * (count - merchants)
        rows.append([1.0, 1.0 - 2.0 * opposed / (count * (count - 1)), count, merchants, opposed / count])
    return np.array(rows, dtype=np.float64)


def _cohen(sums: Floats) -> Floats:
    """Turn sums of `_of_a_pair`, shape (b, 4), into kappas, shape (b,); NaN where chance agrees always."""
    cases, agreed, one, other = sums.T
    first, second = ratio(one, cases), ratio(other, cases)
    by_chance = first * second + (1 - first) * (1 - second)
    return ratio(ratio(agreed, cases) - by_chance, 1 - by_chance)


def _fleiss(sums: Floats) -> Floats:
    """Turn sums of `_of_many`, shape (b, 5), into kappas, shape (b,); NaN where the judgements never vary."""
    cases, _, judgements, merchants, opposed = sums.T
    share, mean = ratio(merchants, judgements), ratio(judgements, cases)
    return 1 - ratio(opposed, cases * (mean - 1) * share * (1 - share))


def _measured(
    columns: Floats,
    statistic: Callable[[Floats], Floats],
    operators: NDArray[np.str_],
    seed: int,
    level: float,
    index: str,
) -> tuple[Measurement, Measurement]:
    bootstrap = OperatorBootstrap.draw(operators, np.random.default_rng(seed))
    replicates = bootstrap.replicate_sums(bootstrap.operator_sums(columns))
    whole = columns.sum(axis=0)[None]
    everyone = np.ones(len(columns), dtype=np.bool_)
    found = []
    figures = ((f"kappa_{index}", statistic), ("agreeing_pairs", lambda sums: ratio(sums[:, 1], sums[:, 0])))
    for name, figure in figures:
        value = float(figure(whole)[0])
        low, high = percentiles(figure(replicates), level)
        how = f"percentile {bootstrap}"
        found.append(measurement(name, value, low, high, level, everyone, bootstrap, how))
    return found[0], found[1]
