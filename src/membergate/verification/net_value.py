"""Net value per applicant: what a policy's decisions are worth, beside doing nothing, one threshold, and knowing all.

Who somebody is stands in the label, and what a decision about such a person is worth in the policy's own economics
(`domain.md` 10.1): the amounts are stated, the people are measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from membergate.domain.disposition import LADDERS, Checkpoint, Disposition
from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, Floats, OperatorBootstrap, measurement, percentiles, ratio
from membergate.verification.ranking import Ranking
from membergate.verification.sample import EvaluationSample, Text

Worth = Mapping[Disposition, Floats]
"""What each disposition is worth about each row, given who it is, in minor units, shape (n,)."""


@dataclass(frozen=True, slots=True)
class NetValueRow:
    """What one way to decide is worth.

    Parameters
    ----------
    policy
        `candidate`, `incumbent`, `strict`, `admit_all`, `best_two_way` (admit up to one threshold of the risk score,
        refuse beyond: the best one on this very sample, which flatters it), or `oracle` (the best disposition for
        whoever the label says it is).
    value
        Mean net value per applicant, in minor units.
    lead
        The candidate's less this one's, paired by operator; None for the candidate itself.
    """

    policy: str
    value: Measurement
    lead: Measurement | None


def measure_net_value(
    sample: EvaluationSample, worth: Worth, *, seed: int, level: float = LEVEL
) -> tuple[NetValueRow, ...]:
    """Weigh every way to decide on the probability sample, the candidate first.

    Parameters
    ----------
    sample
        The evaluation sample.
    worth
        What each disposition of the admission ladder is worth about each of its rows.
    seed
        Seed of the bootstrap.
    level
        Nominal coverage of the intervals, in (0, 1).

    Returns
    -------
    tuple of NetValueRow
        Empty where nobody was sampled by chance.
    """
    weight = sample.rate_weight
    if not weight.any():
        return ()
    bootstrap = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(seed))
    fixed = _fixed(sample, worth)
    by_operator = bootstrap.operator_sums(np.stack([*(weight * value for value in fixed.values()), weight], axis=1))
    drawn = bootstrap.replicate_sums(by_operator)
    total = by_operator.sum(axis=0)
    found = {
        name: (float(ratio(total[i], total[-1])), ratio(drawn[:, i], drawn[:, -1])) for i, name in enumerate(fixed)
    }
    found["best_two_way"] = _best_two_way(sample, worth, bootstrap)
    best, replicates = found["candidate"]
    rows = []
    for name, (value, values) in found.items():
        own = _measured(f"net_value_{name}", value, values, sample, bootstrap, level)
        lead = (
            None
            if name == "candidate"
            else _measured(f"net_value_over_{name}", best - value, replicates - values, sample, bootstrap, level)
        )
        rows.append(NetValueRow(name, own, lead))
    return tuple(rows)


def _fixed(sample: EvaluationSample, worth: Worth) -> dict[str, Floats]:
    """Give what each row is worth under every policy that is not chosen by looking at all of them."""
    policies = {"candidate": sample.disposition}
    if sample.incumbent_disposition is not None:
        policies["incumbent"] = sample.incumbent_disposition
    policies["strict"] = sample.baseline_disposition
    found = {name: _worth_of(taken, worth) for name, taken in policies.items()}
    ladder = np.stack([worth[disposition] for disposition in LADDERS[Checkpoint.ADMISSION]])
    return found | {"admit_all": worth[Disposition.ADMIT], "oracle": ladder.max(axis=0)}


def _worth_of(taken: Text, worth: Worth) -> Floats:
    found = np.zeros(len(taken))
    for disposition, values in worth.items():
        found = np.where(taken == disposition.value, values, found)
    return found


def _best_two_way(sample: EvaluationSample, worth: Worth, bootstrap: OperatorBootstrap) -> tuple[float, Floats]:
    """Choose the threshold anew in every draw: all thresholds at once, as running sums along the order of risk."""
    ranking = Ranking.of(sample.risk_score, sample.is_merchant, sample.rate_weight)
    weight = sample.rate_weight[ranking.rows]
    refused = worth[Disposition.DENY][ranking.rows]
    gained = worth[Disposition.ADMIT][ranking.rows] - refused

    def best(drawn: Floats) -> Floats:
        weighted = drawn * weight
        gains = np.cumsum(np.add.reduceat(weighted * gained, ranking.starts, axis=1), axis=1)
        return ratio((weighted * refused).sum(axis=1) + np.maximum(gains.max(axis=1), 0.0), weighted.sum(axis=1))

    value = float(best(np.ones((1, len(weight))))[0])
    return value, np.concatenate([best(drawn) for drawn in bootstrap.row_weights(ranking.rows)])


def _measured(
    name: str, value: float, replicates: Floats, sample: EvaluationSample, bootstrap: OperatorBootstrap, level: float
) -> Measurement:
    low, high = percentiles(replicates, level)
    how = f"self-normalised inverse-propensity mean; percentile {bootstrap}"
    return measurement(name, value, low, high, level, sample.is_sampled, bootstrap, how, unit="minor")
