"""Learn-then-Test: of several doors, ordered from strict to lenient, the most lenient that can be certified.

The doors are laid down before any label is looked at: "admit up to this risk score, at most M accounts of one operator"
for scores at fixed shares of the applicants. Each is tested for "leakage is at least alpha". Testing starts at the
first door that has power, which its number of labels tells and no label's value, and stops at the first that is not
rejected: so the probability that any certified door leaks alpha or more is at most delta, however many are tried, and
the most lenient may be picked (fixed-sequence testing).

Three tests stand side by side. `betting` and `hoeffding_bentkus` take operators as independent, and rings that identity
resolution knows do not mislead them. `binomial` takes the capped accounts as independent: it is the practical figure,
exact for a cap of 1 and approximate beyond.

References
----------
Angelopoulos, Bates, Candès, Jordan and Lei (2021), Learn then Test, arXiv:2110.01052.
Bates, Angelopoulos, Lei, Malik and Jordan (2021), Distribution-free, risk-controlling prediction sets,
arXiv:2101.02703.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from membergate.verification.bootstrap import Floats, effective_count
from membergate.verification.certificate import Terms, betting_log_wealth
from membergate.verification.sample import EvaluationSample, Flags
from membergate.verification.sample_sizes import binomial_tail, clean_accounts

TESTS = ("betting", "hoeffding_bentkus", "binomial")
DOORS = 50
"""Doors in the sequence: thresholds at so many evenly spaced shares of the applicants."""
HEAD_START = 2.0
"""The first door tested has so many times the labels that a test without any leak would need."""


@dataclass(frozen=True, slots=True)
class Door:
    """One door of the sequence: admit up to a risk score.

    Parameters
    ----------
    threshold
        The largest risk score that is admitted.
    accounts, operators, leaked_operators
        Labelled admitted accounts within the cap, their operators, and those with a leak.
    leakage, genuine_admission
        Estimates, weighted by inverse propensity; None where nothing was labelled.
    p_values
        Test -> p-value of "leakage is at least alpha".
    """

    threshold: float
    accounts: int
    operators: int
    leaked_operators: int
    leakage: float | None
    genuine_admission: float | None
    p_values: dict[str, float]


@dataclass(frozen=True, slots=True)
class SequenceReport:
    """What fixed-sequence testing certifies.

    Parameters
    ----------
    alpha, delta, operator_cap
        The terms; alpha is the bound that labels are held against.
    doors
        The sequence, from strict to lenient.
    first
        Test -> position of the first door tested; -1 where none has the labels.
    certified
        Test -> position of the most lenient door certified; -1 where none is.
    """

    alpha: float
    delta: float
    operator_cap: int
    doors: tuple[Door, ...]
    first: dict[str, int]
    certified: dict[str, int]

    def most_lenient(self, test: str) -> Door | None:
        """Give the most lenient door that a test certifies; None where there is none."""
        at = self.certified[test]
        return None if at < 0 else self.doors[at]


@dataclass(frozen=True)
class CappedRows:
    """The probability sample, sorted by operator and time, so that a cap is a running count.

    Parameters
    ----------
    operators
        Each row's operator as a number, ascending, shape (n,).
    is_merchant, weight, score
        Each row's label, weight and risk score, shape (n,).
    """

    operators: NDArray[np.int64]
    is_merchant: Flags
    weight: Floats
    score: Floats

    @staticmethod
    def of(sample: EvaluationSample) -> CappedRows:
        """Sort a sample: operators by their first application, rows of one operator by time."""
        kept = sample.take(np.flatnonzero(sample.is_sampled))
        names, codes = np.unique(kept.operator_ids, return_inverse=True)
        seen = np.full(len(names), np.iinfo(np.int64).max)
        np.minimum.at(seen, codes, kept.submitted_at.astype(np.int64))
        rank = np.empty(len(names), dtype=np.int64)
        rank[np.argsort(seen, kind="stable")] = np.arange(len(names))
        rows = np.lexsort((kept.application_ids, kept.submitted_at, rank[codes]))
        return CappedRows(rank[codes][rows], kept.is_merchant[rows], kept.weight[rows], kept.risk_score[rows])

    def totals(self, admitted: Flags, cap: int | None) -> tuple[Floats, Flags]:
        """Sum the weights of merchants and of everyone whom a door admits, by operator; and mark who is counted.

        Parameters
        ----------
        admitted
            Whom the door admits, shape (n,).
        cap
            Most accounts of an operator; None for no cap.

        Returns
        -------
        totals
            Shape (operators that are admitted, 2), in order of their first application.
        counted
            The rows within the cap, shape (n,).
        """
        counted = admitted
        if cap is not None:
            running = np.cumsum(admitted)
            earlier = np.where(self._first_rows > 0, running[self._first_rows - 1], 0)
            counted = admitted & (running - earlier <= cap)
        weight = self.weight * counted
        sums = np.stack([np.bincount(self.operators, weights=each) for each in (weight * self.is_merchant, weight)], 1)
        return sums[sums[:, 1] > 0].astype(np.float64), counted

    @cached_property
    def _first_rows(self) -> NDArray[np.int64]:
        """Position of the first row of each row's operator, shape (n,)."""
        return np.searchsorted(self.operators, self.operators, side="left").astype(np.int64)


def hoeffding_bentkus(mean: float, trials: float, alpha: float) -> float:
    """Give the p-value of "the mean of so many independent values in [0, 1] is at least alpha".

    Parameters
    ----------
    mean
        The mean that was observed, in [0, 1].
    trials
        How many values.
    alpha
        The bound, in (0, 1).

    Returns
    -------
    float
        min(exp(-n KL(min(mean, alpha), alpha)), e P(Bin(n, alpha) <= ceil(n mean)), 1).
    """
    if trials <= 0:
        return 1.0
    least = min(mean, alpha)
    divergence = (1 - least) * np.log((1 - least) / (1 - alpha))
    if least > 0:
        divergence += least * np.log(least / alpha)
    hoeffding = float(np.exp(-trials * divergence))
    bentkus = float(np.e) * binomial_tail(float(np.ceil(trials * mean - 1e-9)), trials, alpha)
    return min(1.0, hoeffding, bentkus)


def p_values(totals: Floats, weights: Floats, terms: Terms, largest: float) -> dict[str, float]:
    """Test "leakage is at least alpha" in three ways.

    Parameters
    ----------
    totals
        Weights of merchants and of everyone, by operator, within the cap, shape (k, 2).
    weights
        Weights of the rows behind them, shape (n,).
    terms
        Bound and cap.
    largest
        The largest weight that the design allows.
    """
    if not len(totals):
        return dict.fromkeys(TESTS, 1.0)
    alpha = terms.tested_alpha
    sums = (totals[:, 0] - alpha * totals[:, 1]) / (terms.operator_cap * largest)
    wealth = max(0.0, float(betting_log_wealth(sums, alpha)[-1]))
    effective = effective_count(weights)
    leaks = effective * float(totals[:, 0].sum() / totals[:, 1].sum())
    return {
        "betting": float(np.exp(-wealth)),
        "hoeffding_bentkus": hoeffding_bentkus(float(sums.mean()) + alpha, len(sums), alpha),
        "binomial": binomial_tail(leaks, effective, alpha),
    }


def fixed_sequence(values: Sequence[float], delta: float, first: int = 0) -> int:
    """Give the last position of the unbroken run of p-values at most delta that begins at `first`; -1 for none."""
    at = first
    while 0 <= at < len(values) and values[at] <= delta:
        at += 1
    return at - 1 if at > first >= 0 else -1


def score_thresholds(scores: Floats, doors: int = DOORS) -> Floats:
    """Lay down thresholds at evenly spaced shares of the applicants, ascending and distinct; no label is looked at."""
    shares = np.arange(1, doors + 1) / doors
    laid: Floats = np.unique(np.quantile(scores, shares, method="higher")) if len(scores) else np.zeros(0)
    return laid


def certify_doors(sample: EvaluationSample, terms: Terms, *, doors: int = DOORS) -> SequenceReport:
    """Test doors from strict to lenient and say which are certified.

    Parameters
    ----------
    sample
        The evaluation sample; its probability sample counts, with unclipped weights.
    terms
        What is to be certified.
    doors
        How many doors to lay down, at least 1.
    """
    return walk(CappedRows.of(sample), score_thresholds(sample.risk_score, doors), terms)


def walk(rows: CappedRows, thresholds: Floats, terms: Terms) -> SequenceReport:
    """Test given thresholds, ascending, on sorted rows.

    Parameters
    ----------
    rows
        The probability sample.
    thresholds
        The doors, from strict to lenient, shape (doors,).
    terms
        What is to be certified.
    """
    largest = 1 / terms.smallest_propensity if terms.smallest_propensity else float(rows.weight.max(initial=1.0))
    laid = tuple(_door(rows, float(threshold), terms, largest) for threshold in thresholds)
    needed = HEAD_START * clean_accounts(terms.tested_alpha, terms.delta)
    # An operator's sum is held against the largest that its cap and the design's weights allow, which costs so much.
    spread = terms.operator_cap * largest / max(float(rows.weight.mean()) if len(rows.weight) else 1.0, 1.0)
    enough = {"betting": needed * spread, "hoeffding_bentkus": needed * spread, "binomial": needed}
    first = {test: _first(laid, test, enough[test]) for test in TESTS}
    certified = {test: fixed_sequence([d.p_values[test] for d in laid], terms.delta, first[test]) for test in TESTS}
    return SequenceReport(terms.tested_alpha, terms.delta, terms.operator_cap, laid, first, certified)


def _first(doors: Sequence[Door], test: str, enough: float) -> int:
    """Give the first door with enough labels for a test, -1 for none: by counts, never by what the labels say."""
    counts = [door.accounts if test == "binomial" else door.operators for door in doors]
    return next((at for at, count in enumerate(counts) if count >= enough), -1)


def _door(rows: CappedRows, threshold: float, terms: Terms, largest: float) -> Door:
    totals, counted = rows.totals(rows.score <= threshold, terms.operator_cap)
    leaked, everyone = totals.sum(axis=0) if len(totals) else (0.0, 0.0)
    genuine = float(rows.weight[~rows.is_merchant].sum())
    return Door(
        threshold=threshold,
        accounts=int(counted.sum()),
        operators=len(totals),
        leaked_operators=int((totals[:, 0] > 0).sum()),
        leakage=float(leaked / everyone) if everyone else None,
        genuine_admission=float((everyone - leaked) / genuine) if genuine else None,
        p_values=p_values(totals, rows.weight[counted], terms, largest),
    )
