"""What the door does to whom: genuine admission and leakage, the disposition mix, and one row a look-alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from membergate.domain.disposition import FULL_ADMISSIONS, HOLDERS, LADDERS, Checkpoint, Disposition
from membergate.domain.labels import LabelGrade
from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import LEVEL, OperatorBootstrap, effective_count
from membergate.verification.calibration import Calibration, measure_calibration
from membergate.verification.ranking import (
    EqualLeakage,
    Ranking,
    average_precision,
    gini,
    kolmogorov_smirnov,
    measure_equal_leakage,
    partial_auc,
    roc_auc,
)
from membergate.verification.sample import LARGEST_WEIGHT, EvaluationSample, Flags, Floats, Text, is_among
from membergate.verification.shares import Share, measure_difference, measure_gap, measure_shares

SCOPES: dict[str, frozenset[Disposition]] = {"full": FULL_ADMISSIONS, "holders": HOLDERS}
"""What 'admitted' means: full admissions (admit, admit_capped), or everyone who holds a membership (trial too)."""
GROUP_ORDER = ("look_alike", "regime", "tenure", "region")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the figures stand on.

    Parameters
    ----------
    by_grade
        Label grade -> rows of genuine applicants and of merchants.
    sampled
        Rows of the probability sample.
    sampled_merchants, sampled_genuine
        Its rows by outcome.
    operators, merchant_operators
        Its operators, and those among them with a merchant.
    without_propensity
        L3 rows that no rate may use, since nobody wrote down how they were sampled.
    effective_size
        Kish's effective number of rows, (sum w)^2 / sum w^2.
    largest_weight, clipped
        Largest weight before clipping, and how many were clipped at `LARGEST_WEIGHT`.
    first_submitted_at, last_submitted_at
        ISO 8601 days of the first and last application; empty for an empty sample.
    """

    by_grade: dict[str, tuple[int, int]]
    sampled: int
    sampled_merchants: int
    sampled_genuine: int
    operators: int
    merchant_operators: int
    without_propensity: int
    effective_size: float
    largest_weight: float
    clipped: int
    first_submitted_at: str
    last_submitted_at: str


@dataclass(frozen=True, slots=True)
class Rates:
    """Genuine admission and leakage of one policy in one scope, by account and by operator.

    By operator, each operator counts once: in leakage if at least one of its accounts is admitted, in genuine admission
    with the share of its applications that is admitted.
    """

    genuine_admission: Measurement
    leakage: Measurement
    genuine_admission_by_operator: Measurement
    leakage_by_operator: Measurement


@dataclass(frozen=True, slots=True)
class PolicyOutcome:
    """What one policy does on the sample.

    Parameters
    ----------
    policy
        `candidate`, `strict` or `incumbent`.
    rates
        Scope (`full`, `holders`) -> rates.
    mix
        Disposition -> share of genuine applicants and share of merchants who meet it.
    """

    policy: str
    rates: dict[str, Rates]
    mix: dict[str, tuple[Measurement, Measurement]]


@dataclass(frozen=True, slots=True)
class Deployed:
    """The candidate as it would decide, less what decides now: paired by operator, each policy at its own leakage.

    Parameters
    ----------
    scope
        `full` or `holders`.
    against
        `incumbent`, or `strict` where nothing is live.
    genuine_admission, leakage
        Differences of the rates.
    """

    scope: str
    against: str
    genuine_admission: Measurement
    leakage: Measurement


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group's genuine applicants under the candidate and under the strict rule.

    Parameters
    ----------
    kind, group
        What it is a group of, and its name; "" is who belongs to none.
    genuine_admission, genuine_holding, strict_genuine_admission
        Genuine admission rate of the candidate in full and over all holders, and of the strict rule in full.
    gap
        Genuine admission over all holders, less that of everybody who is not in the group; None where it is everybody.
    hard_negatives, hard_negatives_held
        Known false alarms (L0) of this group, and how many the candidate lets in at least on trial. They were chosen
        because a door had refused them, so they are a count, not a rate.
    """

    kind: str
    group: str
    genuine_admission: Measurement
    genuine_holding: Measurement
    strict_genuine_admission: Measurement
    gap: Measurement | None
    hard_negatives: int
    hard_negatives_held: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """Everything that is measured on one sample, over one set of bootstrap draws."""

    evidence: Evidence
    outcomes: tuple[PolicyOutcome, ...]
    deployed: tuple[Deployed, ...]
    equal_leakage: EqualLeakage
    roc_auc: Measurement
    gini: Measurement
    kolmogorov_smirnov: Measurement
    partial_auc: Measurement
    average_precision: Measurement
    average_precision_all_grades: Measurement
    calibration: Calibration
    groups: tuple[GroupRow, ...]


def measure(sample: EvaluationSample, bootstrap: OperatorBootstrap, *, level: float = LEVEL) -> Metrics:
    """Measure a sample.

    Rates use the L3 probability sample, weighted by inverse propensity and self-normalised. Figures that add L0 and L4
    carry it in their name and their method.

    Parameters
    ----------
    sample
        The evaluation sample; it may be empty, hold one side only, or have no calibrated probability.
    bootstrap
        Draws over `sample.operator_ids`.
    level
        Nominal coverage of the intervals, in (0, 1).
    """
    weight = sample.rate_weight
    policies = {"candidate": sample.disposition, "strict": sample.baseline_disposition}
    if sample.incumbent_disposition is not None:
        policies["incumbent"] = sample.incumbent_disposition
    outcomes = tuple(measure_policy(sample, name, taken, bootstrap, level=level) for name, taken in policies.items())
    strict = outcomes[1].rates["full"]
    ranking = Ranking.of(sample.risk_score, sample.is_merchant, weight)
    everyone = Ranking.of(sample.risk_score, sample.is_merchant, np.ones(len(sample)))
    return Metrics(
        evidence=describe_evidence(sample),
        outcomes=outcomes,
        deployed=tuple(_deployed(sample, scope, bootstrap, level) for scope in SCOPES),
        equal_leakage=measure_equal_leakage(
            sample.risk_score,
            sample.is_merchant,
            weight,
            is_among(sample.baseline_disposition, FULL_ADMISSIONS),
            (strict.leakage, strict.genuine_admission),
            bootstrap,
            level=level,
        ),
        roc_auc=ranking.measure("roc_auc", roc_auc, bootstrap, level=level),
        gini=ranking.measure("gini", gini, bootstrap, level=level),
        kolmogorov_smirnov=ranking.measure("kolmogorov_smirnov", kolmogorov_smirnov, bootstrap, level=level),
        partial_auc=ranking.measure("partial_auc", partial_auc, bootstrap, level=level),
        average_precision=ranking.measure("average_precision", average_precision, bootstrap, level=level),
        average_precision_all_grades=everyone.measure(
            "average_precision_l0_l3_l4",
            average_precision,
            bootstrap,
            level=level,
            method="L0, L3 and L4 unweighted: an ordering of hard cases, not a rate of any population",
        ),
        calibration=measure_calibration(
            sample.merchant_probability, sample.is_merchant, weight, bootstrap, level=level
        ),
        groups=measure_groups(sample, bootstrap, level=level),
    )


def describe_evidence(sample: EvaluationSample) -> Evidence:
    """Count what the figures stand on."""
    sampled = sample.is_sampled
    merchant = sample.is_merchant
    weights = sample.weight[sampled]
    days = np.datetime_as_string(np.sort(sample.submitted_at), unit="D") if len(sample) else np.array([""])
    return Evidence(
        by_grade={
            grade.value: (int((of_grade & ~merchant).sum()), int((of_grade & merchant).sum()))
            for grade in (LabelGrade.L0, LabelGrade.L3, LabelGrade.L4)
            for of_grade in [sample.grade == grade.value]
        },
        sampled=int(sampled.sum()),
        sampled_merchants=int((sampled & merchant).sum()),
        sampled_genuine=int((sampled & ~merchant).sum()),
        operators=len(np.unique(sample.operator_ids[sampled])),
        merchant_operators=len(np.unique(sample.operator_ids[sampled & merchant])),
        without_propensity=int(((sample.grade == LabelGrade.L3.value) & ~sampled).sum()),
        effective_size=effective_count(sample.rate_weight),
        largest_weight=float(weights.max()) if len(weights) else 0.0,
        clipped=int((weights > LARGEST_WEIGHT).sum()),
        first_submitted_at=str(days[0]),
        last_submitted_at=str(days[-1]),
    )


def genuine_admission(sample: EvaluationSample, admitted: Flags) -> Share:
    """Give the genuine admission rate as a share: admitted genuine applicants among genuine applicants."""
    whole = np.where(sample.is_merchant, 0.0, sample.rate_weight)
    return Share("genuine_admission_rate", whole * admitted, whole)


def leakage(sample: EvaluationSample, admitted: Flags) -> Share:
    """Give leakage as a share: merchants among the admitted."""
    whole = sample.rate_weight * admitted
    return Share("leakage", whole * sample.is_merchant, whole, sample.rate_weight * sample.is_merchant)


def measure_policy(
    sample: EvaluationSample, policy: str, taken: Text, bootstrap: OperatorBootstrap, *, level: float = LEVEL
) -> PolicyOutcome:
    """Measure one policy's rates in both scopes, and its disposition mix.

    Parameters
    ----------
    sample
        The evaluation sample.
    policy
        The policy's name in the report.
    taken
        Its disposition of each row, shape (n,).
    bootstrap, level
        As in `measure`.
    """
    shares = []
    for scope, dispositions in SCOPES.items():
        admitted = is_among(taken, dispositions)
        for share in (genuine_admission(sample, admitted), leakage(sample, admitted)):
            shares.append(share.named(f"{share.name}_{scope}"))
            shares.append(_by_operator(share, scope, bootstrap))
    ladder = LADDERS[Checkpoint.ADMISSION]
    sides = {"genuine": ~sample.is_merchant, "merchant": sample.is_merchant}
    for disposition in ladder:
        meets = taken == disposition.value
        for side, is_side in sides.items():
            whole = sample.rate_weight * is_side
            shares.append(Share(f"{side}_{disposition.value}_share", whole * meets, whole))
    measured = iter(measure_shares(shares, bootstrap, level=level))
    rates = {}
    for scope in SCOPES:
        admission, admission_by_operator, leak, leak_by_operator = (next(measured) for _ in range(4))
        rates[scope] = Rates(admission, leak, admission_by_operator, leak_by_operator)
    return PolicyOutcome(policy, rates, {d.value: (next(measured), next(measured)) for d in ladder})


def _deployed(sample: EvaluationSample, scope: str, bootstrap: OperatorBootstrap, level: float) -> Deployed:
    is_first = sample.incumbent_disposition is None
    other = sample.baseline_disposition if sample.incumbent_disposition is None else sample.incumbent_disposition
    mine, theirs = (is_among(taken, SCOPES[scope]) for taken in (sample.disposition, other))
    admission, leak = (
        measure_difference(f"{name}_{scope}", share(sample, mine), share(sample, theirs), bootstrap, level=level)
        for name, share in (("genuine_admission_rate_gain", genuine_admission), ("leakage_gain", leakage))
    )
    return Deployed(scope, "strict" if is_first else "incumbent", admission, leak)


def measure_groups(
    sample: EvaluationSample, bootstrap: OperatorBootstrap, *, level: float = LEVEL
) -> tuple[GroupRow, ...]:
    """Measure genuine admission group by group: look-alikes first, then regime, tenure, region, and the rest."""
    held = is_among(sample.disposition, HOLDERS)
    admissions = (
        genuine_admission(sample, is_among(sample.disposition, FULL_ADMISSIONS)),
        genuine_admission(sample, held),
        genuine_admission(sample, is_among(sample.baseline_disposition, FULL_ADMISSIONS)),
    )
    false_alarm = (sample.grade == LabelGrade.L0.value) & ~sample.is_merchant
    keys: list[tuple[str, str]] = []
    shares: list[Share] = []
    for kind in sorted(sample.groups, key=_group_rank):
        of_row = sample.groups[kind]
        for group in np.unique(of_row[(admissions[0].whole > 0) | false_alarm]):
            belongs = of_row == group
            keys.append((kind, str(group)))
            shares += [share.among(belongs.astype(np.float64)) for share in admissions]
    measured = iter(measure_shares(shares, bootstrap, level=level))
    rows = []
    for kind, group in keys:
        alarms = false_alarm & (sample.groups[kind] == group)
        figures = (next(measured), next(measured), next(measured))
        gap = _gap(admissions[1], sample.groups[kind] == group, bootstrap, level)
        rows.append(GroupRow(kind, group, *figures, gap, int(alarms.sum()), int((alarms & held).sum())))
    return tuple(rows)


def _gap(share: Share, belongs: Flags, bootstrap: OperatorBootstrap, level: float) -> Measurement | None:
    if not (share.whole[~belongs] > 0).any():
        return None
    theirs, others = share.among(belongs.astype(np.float64)), share.among((~belongs).astype(np.float64))
    return measure_gap(f"{share.name}_less_others", theirs, others, bootstrap, level=level)


def _group_rank(kind: str) -> tuple[int, str]:
    return (GROUP_ORDER.index(kind) if kind in GROUP_ORDER else len(GROUP_ORDER), kind)


def _by_operator(share: Share, scope: str, bootstrap: OperatorBootstrap) -> Share:
    """Let each operator count once: divide its rows' weights by the number of its rows that take part."""
    rows: NDArray[np.int64] = np.bincount(
        bootstrap.codes, weights=share.whole > 0, minlength=bootstrap.operators
    ).astype(np.int64)
    per_row: Floats = 1.0 / np.maximum(rows, 1)[bootstrap.codes]
    once = share.among(per_row)
    return Share(f"{share.name}_{scope}_by_operator", once.part, once.whole)
