"""The evaluation sample: what verification is allowed to look at, checked before anything is computed from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from membergate.domain.disposition import LADDERS, Checkpoint, Disposition
from membergate.domain.errors import BadInputError, MembergateError
from membergate.domain.instants import format_instant
from membergate.domain.labels import EVALUATING_GRADES, SAMPLED_GRADE

Text = NDArray[np.str_]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LARGEST_WEIGHT = 50.0
"""Inverse-propensity weights are clipped at 1 / 0.02 in every rate (not in the certificate); the report counts them."""

_TEXTS = ("application_ids", "account_ids", "operator_ids", "grade", "disposition", "baseline_disposition")


class SplitError(MembergateError):
    """A sample that shares an operator, an account or a period with what the model has learned from."""

    code = "split"


@dataclass(frozen=True)
class EvaluationSample:
    """Labelled applications, one a row, that the model has not learned from.

    Parameters
    ----------
    application_ids, account_ids, operator_ids
        Who is asked about, shape (n,). Application ids do not repeat.
    submitted_at
        When the application came in, `datetime64[us]` in UTC, shape (n,).
    is_merchant
        What the applicant turned out to be, shape (n,).
    grade
        How well the label is founded: `L0`, `L3` or `L4`; the other grades never evaluate.
    weight
        1 / propensity, at least 1, where the row belongs to the probability sample (L3); NaN everywhere else.
    risk_score
        In [0, 1], larger is riskier.
    merchant_probability
        Calibrated, in [0, 1]; NaN where the model is uncalibrated.
    disposition, baseline_disposition, incumbent_disposition
        What is done under the candidate, under the strict-threshold policy, and under the live model and policy
        (None where nothing is live yet): dispositions of the admission ladder.
    groups
        Group kind (`look_alike`, `regime`, `tenure`, `region`, …) -> each row's group, "" for none.
    benefit_minor
        Benefits that the account took in its first 90 days of membership, in minor units; NaN where it was no member.
        None where the market does not tell.

    Raises
    ------
    BadInputError
        If the arrays differ in length, or a value lies outside its range.
    """

    application_ids: Text
    account_ids: Text
    operator_ids: Text
    submitted_at: NDArray[np.datetime64]
    is_merchant: Flags
    grade: Text
    weight: Floats
    risk_score: Floats
    merchant_probability: Floats
    disposition: Text
    baseline_disposition: Text
    incumbent_disposition: Text | None = None
    groups: Mapping[str, Text] = field(default_factory=dict)
    benefit_minor: Floats | None = None

    def __post_init__(self) -> None:
        for name in _TEXTS:
            self._settle(name, _as_text(getattr(self, name), name))
        if self.incumbent_disposition is not None:
            self._settle("incumbent_disposition", _as_text(self.incumbent_disposition, "incumbent_disposition"))
        for name in ("weight", "risk_score", "merchant_probability"):
            self._settle(name, np.asarray(getattr(self, name), dtype=np.float64))
        if self.benefit_minor is not None:
            self._settle("benefit_minor", np.asarray(self.benefit_minor, dtype=np.float64))
        self._settle("submitted_at", np.asarray(self.submitted_at, dtype="datetime64[us]"))
        self._settle("is_merchant", np.asarray(self.is_merchant, dtype=np.bool_))
        self._settle("groups", {kind: _as_text(of_row, f"groups[{kind}]") for kind, of_row in self.groups.items()})
        self._check_lengths()
        self._check_values()

    def __len__(self) -> int:
        return len(self.application_ids)

    @property
    def is_sampled(self) -> Flags:
        """Rows of the probability sample, the only ones that give unbiased rates, shape (n,)."""
        sampled: Flags = (self.grade == SAMPLED_GRADE.value) & np.isfinite(self.weight)
        return sampled

    @property
    def rate_weight(self) -> Floats:
        """Weight of each row in a rate, shape (n,): clipped at `LARGEST_WEIGHT`, 0 outside the probability sample."""
        return np.where(self.is_sampled, np.minimum(self.weight, LARGEST_WEIGHT), 0.0)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> EvaluationSample:
        """Give the sample of the chosen rows.

        Parameters
        ----------
        rows
            A mask of shape (n,), or positions in the order wanted.
        """
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "groups"}
        taken = {name: values[rows] for name, values in arrays.items() if values is not None}
        return replace(self, **taken, groups={kind: of_row[rows] for kind, of_row in self.groups.items()})

    def _settle(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_lengths(self) -> None:
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "groups"}
        arrays |= {f"groups[{kind}]": of_row for kind, of_row in self.groups.items()}
        for name, values in arrays.items():
            if values is not None and values.shape != (len(self),):
                raise BadInputError(
                    f"the evaluation sample's {name} has shape {values.shape}",
                    where=name,
                    allowed=f"shape ({len(self)},), one value an application",
                )

    def _check_values(self) -> None:
        if len(np.unique(self.application_ids)) != len(self):
            raise BadInputError("an application occurs twice in the evaluation sample", where="application_ids")
        _check_known(self.grade, "grade", tuple(sorted(EVALUATING_GRADES)))
        for name in ("disposition", "baseline_disposition", "incumbent_disposition"):
            if (given := getattr(self, name)) is not None:
                _check_known(given, name, LADDERS[Checkpoint.ADMISSION])
        _check_range(self.risk_score, "risk_score", 0.0, 1.0, may_be_absent=False)
        _check_range(self.merchant_probability, "merchant_probability", 0.0, 1.0, may_be_absent=True)
        _check_range(self.weight, "weight", 1.0, np.inf, may_be_absent=True)
        if self.benefit_minor is not None:
            _check_range(self.benefit_minor, "benefit_minor", 0.0, np.inf, may_be_absent=True)
        if np.isfinite(self.weight[self.grade != SAMPLED_GRADE.value]).any():
            raise BadInputError(
                "a label outside the probability sample carries a weight",
                where="weight",
                allowed="1 / propensity for L3 labels, NaN for L0 and L4: they were not sampled by chance",
            )


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """Proof that a sample is disjoint from what was learned: what was compared, for the report.

    Parameters
    ----------
    trained_until
        ISO 8601 instant before which every application was submitted that the model learned from.
    labels_until
        ISO 8601 instant up to which labels about those applications' operators were known to it. It may be later than
        the sample's applications: no label of an operator in the sample was used.
    embargo_days
        Days that had to lie between `trained_until` and the first application.
    first_submitted_at
        ISO 8601 instant of the sample's first application; empty for an empty sample.
    training_operators, sample_operators
        Operators on either side; none is on both.
    """

    trained_until: str
    labels_until: str
    embargo_days: float
    first_submitted_at: str
    training_operators: int
    sample_operators: int


def crosses(sample: EvaluationSample, training_operator_ids: Text, training_account_ids: Text | None = None) -> Flags:
    """Mark the rows whose operator (or account) the model has learned from, shape (n,)."""
    marked: Flags = np.isin(sample.operator_ids, np.asarray(training_operator_ids, dtype=np.str_))
    if training_account_ids is not None:
        marked |= np.isin(sample.account_ids, np.asarray(training_account_ids, dtype=np.str_))
    return marked


def check_split(
    sample: EvaluationSample,
    *,
    trained_until: datetime,
    labels_until: datetime,
    training_operator_ids: Text,
    training_account_ids: Text | None = None,
    embargo: timedelta = timedelta(0),
) -> SplitCheck:
    """Hold that the sample is later than, and shares no operator with, what the model learned from.

    Parameters
    ----------
    sample
        The evaluation sample.
    trained_until
        The instant before which every application was submitted that the model learned from, aware.
    labels_until
        The instant up to which it knew labels about them, aware.
    training_operator_ids, training_account_ids
        Operators (and accounts) with a label in training. An operator's id may change when its accounts grow together;
        giving the accounts too catches that.
    embargo
        Time that must lie between `trained_until` and the first application.

    Raises
    ------
    SplitError
        If a row is too early, or an operator or account crosses.
    """
    earliest = trained_until.astimezone(UTC).replace(tzinfo=None) + embargo
    early = sample.submitted_at < np.datetime64(earliest, "us")
    if early.any():
        raise SplitError(
            f"{int(early.sum())} of {len(sample)} evaluated applications are no later than what the model learned from",
            where=f"application {sample.application_ids[early][0]}",
            allowed=f"applications from {format_instant(earliest.replace(tzinfo=UTC))} on",
            next_step="learn from earlier applications, or evaluate later applications",
        )
    crossing = crosses(sample, training_operator_ids, training_account_ids)
    if crossing.any():
        raise SplitError(
            f"{len(np.unique(sample.operator_ids[crossing]))} operators are in training and in evaluation",
            where=f"operator {sample.operator_ids[crossing][0]}, application {sample.application_ids[crossing][0]}",
            allowed="operators, with all their accounts, on one side only: split rings flatter a model",
            next_step="leave the crossing rows out of the sample (`crosses` marks them)",
        )
    first = sample.submitted_at.min().astype(datetime).replace(tzinfo=UTC) if len(sample) else None
    return SplitCheck(
        trained_until=format_instant(trained_until),
        labels_until=format_instant(labels_until),
        embargo_days=embargo / timedelta(days=1),
        first_submitted_at=format_instant(first) if first else "",
        training_operators=len(np.unique(training_operator_ids)),
        sample_operators=len(np.unique(sample.operator_ids)),
    )


def is_among(dispositions: Text, wanted: frozenset[Disposition]) -> Flags:
    """Mark the rows whose disposition is one of those wanted, shape (n,)."""
    return np.isin(dispositions, [d.value for d in wanted])


def _as_text(values: NDArray[np.str_], name: str) -> Text:
    array = np.asarray(values)
    if array.dtype.kind == "O" and not all(isinstance(value, str) for value in array):
        raise BadInputError(f"the evaluation sample's {name} holds something that is not text", where=name)
    if array.dtype.kind not in "UO" and array.size:
        raise BadInputError(f"the evaluation sample's {name} has type {array.dtype}", where=name, allowed="text")
    return array.astype(np.str_)


def _check_known(values: Text, name: str, known: tuple[str, ...]) -> None:
    unknown = sorted(set(values.tolist()) - {str(value) for value in known})
    if unknown:
        raise BadInputError(
            f"{unknown[0]!r} is no {name.replace('_', ' ')} that can be evaluated", where=name, allowed=", ".join(known)
        )


def _check_range(values: Floats, name: str, low: float, high: float, *, may_be_absent: bool) -> None:
    present = values[~np.isnan(values)]
    if (len(present) < len(values) and not may_be_absent) or np.isinf(present).any():
        raise BadInputError(f"the evaluation sample's {name} holds a value that is not finite", where=name)
    if ((present < low) | (present > high)).any():
        worst = present[(present < low) | (present > high)][0]
        raise BadInputError(f"{name} {worst:g} is out of range", where=name, allowed=f"[{low:g}, {high:g}]")
