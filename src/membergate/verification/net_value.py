"""Net value per applicant: what a policy's decisions are worth, beside doing nothing, one threshold, and knowing all.

Who somebody is stands in the label, and what a decision about such a person is worth in the policy's own economics
(Economics): the amounts are stated, the people are measured.

References
----------
Fay and Feuer (1997), Confidence intervals for directly standardized rates, Statistics in Medicine 16(7), 791-801.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from membergate.domain.disposition import LADDERS, Checkpoint, Disposition
from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, Floats, OperatorBootstrap, measurement, percentiles, ratio
from membergate.verification.ranking import Ranking
from membergate.verification.sample import EvaluationSample, Text
from membergate.verification.shares import typical_weight

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
    if not sample.rate_weight.any():
        return ()
    bootstrap = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(seed))
    ways = _fixed(sample, worth, bootstrap)
    ways["best_two_way"] = _best_two_way(sample, worth, bootstrap)
    own = ways["candidate"]
    cost = np.where(sample.is_merchant, np.maximum(-worth[Disposition.ADMIT], 0.0), 0.0)
    weighing = _Weighing(sample, bootstrap, level, cost)
    return tuple(
        NetValueRow(
            name,
            weighing.measured(f"net_value_{name}", way, _NOTHING),
            None if name == "candidate" else weighing.measured(f"net_value_over_{name}", own, way),
        )
        for name, way in ways.items()
    )


@dataclass(frozen=True)
class _Way:
    """What one way to decide is worth about each row, shape (n,); its mean, and its mean in every draw of operators.

    `may_lose` and `may_spare` tell whether it could lose to, or keep the loss from, a merchant who was not seen.
    """

    rows: Floats
    value: float
    replicates: Floats
    may_lose: bool = True
    may_spare: bool = True


_NOTHING = _Way(np.zeros(1), 0.0, np.zeros(1), may_lose=False)


@dataclass(frozen=True)
class _Weighing:
    sample: EvaluationSample
    bootstrap: OperatorBootstrap
    level: float
    cost: Floats
    """What each row costs if it is let in, shape (n,); 0 for who is genuine."""

    def measured(self, name: str, way: _Way, other: _Way) -> Measurement:
        """Measure by how much one way is worth more than another, paired by operator.

        A draw of operators cannot hold a leak that was not seen, and one leak costs more than ten genuine members
        bring, so the interval is held out by what may have been lost beyond what was seen.
        """
        low, high = percentiles(way.replicates - other.replicates, self.level)
        value = way.value - other.value
        method = f"self-normalised inverse-propensity mean; percentile {self.bootstrap}"
        loss, other_loss = (
            np.where(self.sample.is_merchant, np.maximum(-each.rows, 0.0), 0.0) for each in (way, other)
        )
        most = self._unseen(loss - other_loss) if way.may_lose and other.may_spare else 0.0
        less = self._unseen(other_loss - loss) if other.may_lose and way.may_spare else 0.0
        if most or less:
            low, high = (value if end is None else end for end in (low, high))
            low, high = min(low, value - most), max(high, value + less)
            method += "; held out for losses that nobody saw"
        rows = self.sample.is_sampled
        return measurement(name, value, low, high, self.level, rows, self.bootstrap, method, unit="minor")

    def _unseen(self, lost: Floats) -> float:
        """Give how much more may be lost, per applicant, than was seen to be.

        By the upper end of Fay and Feuer's gamma interval for a weighted sum of rare events; the next, unseen one is as
        dear as the operator behind a typical merchant would be if let in.
        """
        total = self.sample.rate_weight.sum()
        columns = np.stack([np.maximum(lost, 0.0), self.cost], axis=1) * (self.sample.rate_weight / total)[:, None]
        losing, cost = self.bootstrap.operator_sums(columns).T
        next_one = typical_weight(cost)
        if not next_one:
            return 0.0
        mean, spread = losing.sum() + next_one, np.square(losing).sum() + next_one**2
        tail = (1 - self.level) / 2
        return float(special.gammaincinv(mean**2 / spread, 1 - tail) * spread / mean - losing.sum())


def _fixed(sample: EvaluationSample, worth: Worth, bootstrap: OperatorBootstrap) -> dict[str, _Way]:
    """Weigh every policy that is not chosen by looking at all rows."""
    policies = {"candidate": sample.disposition}
    if sample.incumbent_disposition is not None:
        policies["incumbent"] = sample.incumbent_disposition
    policies["strict"] = sample.baseline_disposition
    found = {name: _worth_of(taken, worth) for name, taken in policies.items()}
    ladder = np.stack([worth[disposition] for disposition in LADDERS[Checkpoint.ADMISSION]])
    found |= {"admit_all": worth[Disposition.ADMIT], "oracle": ladder.max(axis=0)}
    weight = sample.rate_weight
    by_operator = bootstrap.operator_sums(np.stack([*(weight * rows for rows in found.values()), weight], axis=1))
    drawn, total = bootstrap.replicate_sums(by_operator), by_operator.sum(axis=0)
    return {
        name: _Way(
            rows,
            float(ratio(total[i], total[-1])),
            ratio(drawn[:, i], drawn[:, -1]),
            may_lose=name != "oracle",
            may_spare=name != "admit_all",
        )
        for i, (name, rows) in enumerate(found.items())
    }


def _worth_of(taken: Text, worth: Worth) -> Floats:
    found = np.zeros(len(taken))
    for disposition, values in worth.items():
        found = np.where(taken == disposition.value, values, found)
    return found


def _best_two_way(sample: EvaluationSample, worth: Worth, bootstrap: OperatorBootstrap) -> _Way:
    """Choose the threshold anew in every draw: all thresholds at once, as running sums along the order of risk."""
    ranking = Ranking.of(sample.risk_score, sample.is_merchant, sample.rate_weight)
    weight = sample.rate_weight[ranking.rows]
    refused = worth[Disposition.DENY][ranking.rows]
    gained = worth[Disposition.ADMIT][ranking.rows] - refused

    def gains(drawn: Floats) -> Floats:
        """Give what admitting up to each score is worth beyond refusing everybody, nobody first, shape (b, 1 + t)."""
        summed = np.cumsum(np.add.reduceat(drawn * weight * gained, ranking.starts, axis=1), axis=1)
        return np.concatenate([np.zeros((len(drawn), 1)), summed], axis=1)

    def best(drawn: Floats) -> Floats:
        weighted = drawn * weight
        return ratio((weighted * refused).sum(axis=1) + gains(drawn).max(axis=1), weighted.sum(axis=1))

    everybody = np.ones((1, len(weight)))
    bound = np.concatenate([[-np.inf], ranking.scores])[int(gains(everybody).argmax())]
    rows = np.where(sample.risk_score <= bound, worth[Disposition.ADMIT], worth[Disposition.DENY])
    replicates = np.concatenate([best(drawn) for drawn in bootstrap.row_weights(ranking.rows)])
    return _Way(rows, float(best(everybody)[0]), replicates)
