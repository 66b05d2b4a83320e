"""How figures are put into words: rates, intervals, the verdict, and what a reader must be warned of."""

from __future__ import annotations

from membergate.domain.measurement import Measurement
from membergate.verification.metrics import Evidence, Metrics
from membergate.verification.ranking import LEAST_MERCHANTS, LEAST_STRICT_LEAKS, EqualLeakage
from membergate.verification.sample import LARGEST_WEIGHT, SplitCheck

NONE = "–"  # noqa: RUF001 -- a dash for what there is not
MINUS = "−"  # noqa: RUF001 -- a true minus, for people
_SMALLEST_RATE = 0.0005
_FEW_OPERATORS = 100
_FEW_MERCHANT_OPERATORS = 20


def percent(share: float | None) -> str:
    """Write a share with one decimal: none and all as 0% and 100%, what merely rounds to them as <0.1% and >99.9%."""
    if share is None:
        return NONE
    if share in (0, 1):
        return f"{100 * share:.0f}%"
    if share > 1 - _SMALLEST_RATE:
        return ">99.9%"
    return "<0.1%" if 0 <= share < _SMALLEST_RATE else f"{100 * share:.1f}%".replace("-", MINUS)


def points(difference: float | None) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    return NONE if difference is None else f"{100 * difference:+.1f} points".replace("-", MINUS)


def percent_interval(measurement: Measurement) -> str:
    """Write a share's interval: `1.2 to 3.4%`."""
    if measurement.low is None or measurement.high is None:
        return "no interval"
    return f"{100 * measurement.low:.1f} to {100 * measurement.high:.1f}%".replace("-", MINUS)


def points_interval(measurement: Measurement) -> str:
    """Write the interval of a difference of shares: `+1.2 to +3.4`."""
    if measurement.low is None or measurement.high is None:
        return "no interval"
    return f"{100 * measurement.low:+.1f} to {100 * measurement.high:+.1f}".replace("-", MINUS)


def money(measurement: Measurement) -> str:
    """Write an amount, given in minor units, in whole ones with two decimals and a true minus."""
    return NONE if measurement.value is None else _amount(measurement.value)


def money_interval(measurement: Measurement) -> str:
    """Write an amount's interval: `1.20 to 3.40`."""
    if measurement.low is None or measurement.high is None:
        return "no interval"
    return f"{_amount(measurement.low)} to {_amount(measurement.high)}"


def _amount(minor: float) -> str:
    return f"{minor / 100:,.2f}".replace("-", MINUS)


def decimal(value: float | None) -> str:
    """Write a plain figure with three decimals and a true minus."""
    return NONE if value is None else f"{value:.3f}".replace("-", MINUS)


def verdict(metrics: Metrics) -> str:
    """Say whether the score admits more genuine applicants than the strict rule at the same leakage.

    Where merchants are too few to tell, say what the candidate would do as it is, and how many there are.
    """
    comparison = metrics.equal_leakage
    gain, strict = comparison.difference, comparison.strict_genuine_admission
    if gain.value is None:
        return f"{_as_deployed(metrics)} {_not_determined(comparison)}"
    beginning = f"At the strict rule's leakage ({percent(comparison.strict_leakage.value)}), "
    rates = (
        f"{percent(comparison.score_genuine_admission.value)} of genuine applicants instead of {percent(strict.value)}"
    )
    end = f"{points(gain.value)} ({gain.level:.0%} interval {points_interval(gain)})"
    if gain.low is not None and gain.low > 0:
        return f"{beginning}admitting by risk score lets in {rates}: {end}."
    if gain.high is not None and gain.high < 0:
        return f"{beginning}admitting by risk score does worse: {rates}, {end}."
    return f"{beginning}no difference is shown: admitting by risk score lets in {rates}, {end}."


def _as_deployed(metrics: Metrics) -> str:
    """Hold the candidate as it would decide against what is live, or the strict rule."""
    told = [
        f"{'in full' if row.scope == 'full' else 'trials too'} {points(row.genuine_admission.value)} "
        f"({points_interval(row.genuine_admission)}) of genuine applicants and {points(row.leakage.value)} "
        f"({points_interval(row.leakage)}) of leakage"
        for row in metrics.deployed
        if row.genuine_admission.value is not None and row.leakage.value is not None
    ]
    if not told:
        return "What the candidate would change cannot be measured: nobody is labelled, or nobody is admitted."
    against = "what is live" if metrics.deployed[0].against == "incumbent" else "the strict rule"
    return f"As it would decide, against {against}: {'; '.join(told)}."


def _not_determined(comparison: EqualLeakage) -> str:
    if comparison.is_determined:
        return (
            "Genuine admission at equal leakage cannot be measured: the probability sample lacks merchants or genuine "
            "applicants, or the strict rule admits nobody in it."
        )
    return (
        f"Genuine admission at equal leakage is not determined: {comparison.merchants} operators with a merchant, "
        f"{comparison.strict_leaks} of them admitted by the strict rule; at least {LEAST_MERCHANTS} and "
        f"{LEAST_STRICT_LEAKS} are needed."
    )


def warnings(metrics: Metrics, split: SplitCheck | None) -> tuple[str, ...]:
    """Say what a reader must know before believing a figure; the gravest first."""
    evidence = metrics.evidence
    found = [*_about_labels(evidence), *_about_weights(evidence)]
    if split is None:
        found.append("Nobody has checked that the sample is later than, and disjoint by operator from, training.")
    if any(map(any, evidence.by_grade.values())) and not metrics.calibration.is_calibrated:
        found.append(
            "The model is uncalibrated: it orders applicants but states no probability, so calibration is not measured."
        )
    return tuple(found)


def _about_labels(evidence: Evidence) -> list[str]:
    if not evidence.sampled:
        return ["There is no labelled probability sample (L3 with a propensity): no rate can be measured."]
    found = []
    if not evidence.sampled_merchants:
        found.append("The probability sample holds no merchant: leakage has an upper end only, and nothing is ranked.")
    if not evidence.sampled_genuine:
        found.append("The probability sample holds no genuine applicant: genuine admission cannot be measured.")
    if evidence.operators < _FEW_OPERATORS or evidence.merchant_operators < _FEW_MERCHANT_OPERATORS:
        found.append(
            f"Labels are few: {evidence.operators} operators, {evidence.merchant_operators} of them with a merchant. "
            "Intervals are wide, and their coverage is approximate."
        )
    return found


def _about_weights(evidence: Evidence) -> list[str]:
    found = []
    if evidence.without_propensity:
        found.append(f"{evidence.without_propensity} L3 labels carry no propensity and are in no rate.")
    if evidence.clipped:
        found.append(
            f"{evidence.clipped} weights were clipped at {LARGEST_WEIGHT:.0f} (the largest is "
            f"{evidence.largest_weight:.0f}), which leans the rates towards the likelier sampled."
        )
    if evidence.sampled and evidence.effective_size < evidence.sampled / 2:
        found.append(
            f"Uneven weights leave an effective sample of {evidence.effective_size:.0f} out of {evidence.sampled} rows."
        )
    return found
