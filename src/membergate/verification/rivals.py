"""Rivals on the same sample: what detectors, clustering alone, trees, or the model less one part make of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from membergate.domain.disposition import FULL_ADMISSIONS
from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, OperatorBootstrap, measurement, percentiles
from membergate.verification.ranking import Frontier, Ranking, average_precision
from membergate.verification.sample import EvaluationSample, Floats, is_among

Statistic = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class Rival:
    """Another way to order the applicants of the sample.

    Parameters
    ----------
    name
        What a reader calls it.
    asks_labels
        Whether it learned from the labels that the model learned from.
    scores
        Larger is riskier, on any scale, shape (n,).
    """

    name: str
    asks_labels: bool
    scores: Floats


@dataclass(frozen=True, slots=True)
class RivalRow:
    """How a rival orders the applicants, and by how much the risk score orders them better.

    Parameters
    ----------
    name, asks_labels
        Which rival.
    average_precision, genuine_admission
        Of the rival alone; genuine admission by the best threshold at the strict rule's leakage.
    precision_lead, admission_lead
        The risk score's figure less the rival's, paired by operator.
    """

    name: str
    asks_labels: bool
    average_precision: Measurement
    genuine_admission: Measurement
    precision_lead: Measurement
    admission_lead: Measurement


def measure_rivals(
    sample: EvaluationSample, rivals: Sequence[Rival], *, seed: int, level: float = LEVEL
) -> tuple[RivalRow, ...]:
    """Hold rivals against the risk score, on the rows of the probability sample.

    Parameters
    ----------
    sample
        The evaluation sample.
    rivals
        Each with a score of every row of it.
    seed
        Seed of the bootstrap.
    level
        Nominal coverage of the intervals.

    Returns
    -------
    tuple of RivalRow
        The rival with the highest average precision first; none where the strict rule admits nobody.
    """
    bootstrap = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(seed))
    let_in = sample.rate_weight * is_among(sample.baseline_disposition, FULL_ADMISSIONS)
    if not let_in.any():
        return ()
    bound = float((let_in * sample.is_merchant).sum() / let_in.sum())
    own = Ranking.of(sample.risk_score, sample.is_merchant, sample.rate_weight)
    statistics: tuple[tuple[str, Statistic], ...] = (
        ("average_precision", average_precision),
        ("genuine_admission_rate", lambda m, g: Frontier.of(m, g).genuine_at(np.full(len(m), bound))),
    )
    found = []
    for rival in rivals:
        ranking = Ranking.of(rival.scores, sample.is_merchant, sample.rate_weight)
        alone = [ranking.measure(name, statistic, bootstrap, level=level) for name, statistic in statistics]
        leads = [_lead(name, statistic, (own, ranking), bootstrap, level) for name, statistic in statistics]
        found.append(RivalRow(rival.name, rival.asks_labels, alone[0], alone[1], leads[0], leads[1]))
    return tuple(sorted(found, key=lambda row: (-(row.average_precision.value or 0.0), row.name)))


def _lead(
    name: str, statistic: Statistic, pair: tuple[Ranking, Ranking], bootstrap: OperatorBootstrap, level: float
) -> Measurement:
    """Give one ranking's statistic less another's, both in the same draws of operators."""
    value, replicates = [], []
    for ranking in pair:
        value.append(float(statistic(*ranking.masses(np.ones((1, len(ranking.rows)))))[0]))
        blocks = [statistic(*ranking.masses(drawn)) for drawn in bootstrap.row_weights(ranking.rows)]
        replicates.append(np.concatenate(blocks))
    low, high = percentiles(replicates[0] - replicates[1], level)
    taking_part = np.zeros(len(bootstrap.codes), dtype=np.bool_)
    taking_part[pair[0].rows] = True
    how = f"paired difference; percentile {bootstrap}"
    return measurement(f"{name}_lead", value[0] - value[1], low, high, level, taking_part, bootstrap, how)
