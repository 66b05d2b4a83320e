"""The gate: may the candidate replace what is live? It opens on measurements, and refuses where they do not suffice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from membergate.domain.disposition import HOLDERS
from membergate.domain.measurement import Measurement
from membergate.verification.bootstrap import OperatorBootstrap
from membergate.verification.metrics import SCOPES, describe_evidence, genuine_admission, leakage
from membergate.verification.sample import EvaluationSample, Flags, Text, is_among
from membergate.verification.shares import Share, measure_difference
from membergate.verification.wording import points

_ADMITTED = {"full": "in full", "holders": "in full or on trial"}


@dataclass(frozen=True, slots=True)
class GateRules:
    """What the gate asks for.

    Parameters
    ----------
    confidence
        One-sided confidence of every bound, in (0.5, 1).
    leakage_margin
        How much higher the candidate's leakage may be than the incumbent's, at that confidence: a difference of shares.
    first_leakage_margin
        The same against the strict-threshold policy, for the first model of all.
    genuine_margin
        How much lower the genuine admission rate of everyone (over all holders) may be.
    look_alike_margin
        How much lower the genuine admission rate of a look-alike (over all holders) may be: refused where it is lower
        by more than this at that confidence, Bonferroni-corrected for the number of look-alikes.
    oldest_evidence_days
        Days that may lie between the newest application evaluated and the end of what was observed: older evidence is
        about other people than those who apply now.
    least_operators, least_merchant_operators
        Operators, and operators with a merchant, that the probability sample must hold before anything is judged.
    """

    confidence: float = 0.95
    leakage_margin: float = 0.01
    first_leakage_margin: float = 0.02
    genuine_margin: float = 0.02
    look_alike_margin: float = 0.05
    oldest_evidence_days: float = 120.0
    least_operators: int = 100
    least_merchant_operators: int = 10


@dataclass(frozen=True, slots=True)
class GateJudgement:
    """What the gate says.

    Parameters
    ----------
    opens
        Whether the candidate may go live.
    against
        What it was held against: `incumbent`, or `strict` for the first model.
    reasons
        Sentences: why it is refused, or what was shown.
    measurements
        The differences that the judgement stands on.
    """

    opens: bool
    against: str
    reasons: tuple[str, ...]
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True)
class Control:
    """A check that needs no labels: clusters that hang together by more than luck, a negative control that stays empty.

    Parameters
    ----------
    name
        What was checked.
    passes
        Whether it was passed; the gate refuses where it was not.
    sentence
        What was found, for a reader.
    """

    name: str
    passes: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class _Finding:
    is_met: bool
    sentence: str
    measurement: Measurement


def judge(
    sample: EvaluationSample,
    bootstrap: OperatorBootstrap,
    *,
    rules: GateRules | None = None,
    observed_until: datetime | None = None,
    controls: Sequence[Control] = (),
) -> GateJudgement:
    """Hold the candidate against the incumbent on the same rows, paired by operator.

    The rule, with an incumbent: the upper one-sided bound of the leakage difference lies within `leakage_margin`, over
    full admissions and over all holders. For the first model: over full admissions, within `first_leakage_margin` of
    the strict-threshold policy; over all holders, leakage below the merchant share of all applicants (the door does
    better than letting everyone in). In both cases genuine admission may not be clearly lower, nor a look-alike
    clearly harmed. Too few labels refuse a successor; a first model then goes live as unproven.

    Parameters
    ----------
    sample
        The evaluation sample.
    bootstrap
        Draws over `sample.operator_ids`.
    rules
        What is asked for; None takes the defaults.
    observed_until
        The end of what was observed, aware: evidence that is too old by then refuses. None does not ask.
    controls
        Checks without labels; one that fails refuses, whatever the labels say.
    """
    rules = rules or GateRules()
    judgement = _judged_by_labels(sample, bootstrap, rules)
    failed = [control.sentence for control in controls if not control.passes]
    if observed_until is not None and (stale := _stale(sample, observed_until, rules)):
        failed.append(stale)
    if not failed:
        return judgement
    shut = () if judgement.opens else judgement.reasons
    return replace(judgement, opens=False, reasons=(*shut, *failed))


def _stale(sample: EvaluationSample, observed_until: datetime, rules: GateRules) -> str:
    """Say that the newest evidence is too old; "" where it is not, or where there is none."""
    if not sample.is_sampled.any():
        return ""
    end = np.datetime64(observed_until.astimezone(UTC).replace(tzinfo=None), "us")
    age = float((end - sample.submitted_at[sample.is_sampled].max()) / np.timedelta64(1, "D"))
    if age <= rules.oldest_evidence_days:
        return ""
    return (
        f"The evidence has expired: the newest application evaluated is {age:.0f} days older than the data, "
        f"{rules.oldest_evidence_days:.0f} are allowed. Review later applications."
    )


def _judged_by_labels(sample: EvaluationSample, bootstrap: OperatorBootstrap, rules: GateRules) -> GateJudgement:
    against = "strict" if sample.incumbent_disposition is None else "incumbent"
    other = sample.baseline_disposition if sample.incumbent_disposition is None else sample.incumbent_disposition
    evidence = describe_evidence(sample)
    if evidence.operators < rules.least_operators or evidence.merchant_operators < rules.least_merchant_operators:
        sentence = (
            f"Too few labels to judge: the probability sample holds {evidence.operators} operators, "
            f"{evidence.merchant_operators} of them with a merchant; {rules.least_operators} and "
            f"{rules.least_merchant_operators} are needed."
        )
        if against == "strict":
            # Nothing is live that could be made worse, and without a first model no shop would ever collect labels.
            unproven = "Unproven: nothing is live to be worse than, so the first model may go live without a judgement."
            return GateJudgement(opens=True, against=against, reasons=(unproven, sentence), measurements=())
        return GateJudgement(opens=False, against=against, reasons=(sentence,), measurements=())
    findings = [_leakage_finding(sample, "full", other, against, bootstrap, rules)]
    if against == "incumbent":
        findings.append(_leakage_finding(sample, "holders", other, against, bootstrap, rules))
    else:
        findings.append(_better_than_open_door(sample, bootstrap, rules))
    findings.append(_genuine_finding(sample, other, against, bootstrap, rules))
    findings += _look_alike_findings(sample, other, against, bootstrap, rules)
    opens = all(finding.is_met for finding in findings)
    return GateJudgement(
        opens=opens,
        against=against,
        reasons=tuple(finding.sentence for finding in findings if finding.is_met == opens),
        measurements=tuple(finding.measurement for finding in findings),
    )


def _leakage_finding(
    sample: EvaluationSample, scope: str, other: Text, against: str, bootstrap: OperatorBootstrap, rules: GateRules
) -> _Finding:
    mine = leakage(sample, is_among(sample.disposition, SCOPES[scope]))
    theirs = leakage(sample, is_among(other, SCOPES[scope]))
    margin = rules.leakage_margin if against == "incumbent" else rules.first_leakage_margin
    difference = measure_difference(
        f"leakage_{scope}_candidate_less_{against}", mine, theirs, bootstrap, level=_two_sided(rules.confidence)
    )
    where = f"Leakage among those admitted {_ADMITTED[scope]}"
    if not (mine.whole > 0).any():
        return _Finding(True, f"{where}: the candidate admits nobody in the sample.", difference)
    if difference.value is None or difference.high is None:
        return _Finding(False, f"{where} cannot be compared: the {against} policy admits nobody so.", difference)
    found = f"{points(difference.value)} against the {against} policy, at most {points(difference.high)}"
    bound = f"at confidence {rules.confidence:.0%} (margin {points(margin)})"
    if difference.high <= margin:
        return _Finding(True, f"{where}: {found} {bound}.", difference)
    if difference.low is not None and difference.low > 0:
        return _Finding(False, f"{where}: the candidate lets more merchants in, {found} {bound}.", difference)
    sentence = f"{where}: not shown to be no worse, {found} {bound}."
    if difference.value < margin:
        factor = ((difference.high - difference.value) / (margin - difference.value)) ** 2
        sentence += f" About {_round_up(factor * difference.operators)} labelled operators would tell."
    return _Finding(False, sentence, difference)


def _better_than_open_door(sample: EvaluationSample, bootstrap: OperatorBootstrap, rules: GateRules) -> _Finding:
    held = leakage(sample, is_among(sample.disposition, HOLDERS))
    everyone = leakage(sample, np.ones(len(sample), dtype=np.bool_))
    difference = measure_difference(
        "leakage_holders_less_merchant_share", held, everyone, bootstrap, level=_two_sided(rules.confidence)
    )
    where = "Leakage over all holders"
    if not (held.whole > 0).any():
        return _Finding(True, f"{where}: the candidate lets nobody in.", difference)
    end = "unknown" if difference.high is None else f"at most {points(difference.high)}"
    found = f"{points(difference.value or 0.0)} against letting everyone in, {end} at confidence {rules.confidence:.0%}"
    is_met = difference.high is not None and difference.high < 0
    verdict = f"{where}: {found}." if is_met else f"{where} is not shown to be below the applicants' own: {found}."
    return _Finding(is_met, verdict, difference)


def _genuine_finding(
    sample: EvaluationSample, other: Text, against: str, bootstrap: OperatorBootstrap, rules: GateRules
) -> _Finding:
    """Refuse a door that keeps its leakage low by letting clearly fewer genuine people in."""
    mine = genuine_admission(sample, is_among(sample.disposition, HOLDERS))
    theirs = genuine_admission(sample, is_among(other, HOLDERS))
    level = _two_sided(rules.confidence)
    difference = measure_difference(f"genuine_admission_rate_less_{against}", mine, theirs, bootstrap, level=level)
    high = difference.value if difference.high is None else difference.high
    is_lower = high is not None and high < -rules.genuine_margin
    found = f"{points(difference.value or 0.0)} against the {against} policy, over all holders"
    if is_lower:
        return _Finding(False, f"Genuine admission is clearly lower: {found}.", difference)
    return _Finding(True, f"Genuine admission: {found}.", difference)


def _look_alike_findings(
    sample: EvaluationSample, other: Text, against: str, bootstrap: OperatorBootstrap, rules: GateRules
) -> list[_Finding]:
    of_row = sample.groups.get("look_alike")
    if of_row is None:
        return []
    mine = genuine_admission(sample, is_among(sample.disposition, HOLDERS))
    theirs = genuine_admission(sample, is_among(other, HOLDERS))
    present = [str(group) for group in np.unique(of_row[mine.whole > 0]) if group]
    level = _two_sided(1 - (1 - rules.confidence) / max(len(present), 1))
    findings = []
    for group in present:
        belongs: Flags = of_row == group
        difference = _difference_among(f"genuine_admission_rate_{group}", mine, theirs, belongs, bootstrap, level)
        low = difference.value if difference.high is None else difference.high
        is_harmed = low is not None and low < -rules.look_alike_margin
        found = f"genuine admission {points(difference.value or 0.0)} against the {against} policy"
        verdict = "clearly harmed" if is_harmed else "not clearly harmed"
        findings.append(_Finding(not is_harmed, f"Look-alike {group!r} is {verdict}: {found}.", difference))
    return findings


def _difference_among(
    name: str, mine: Share, theirs: Share, rows: Flags, bootstrap: OperatorBootstrap, level: float
) -> Measurement:
    mask = rows.astype(np.float64)
    return measure_difference(name, mine.among(mask), theirs.among(mask), bootstrap, level=level)


def _two_sided(confidence: float) -> float:
    """Give the two-sided level whose ends are each a one-sided bound at this confidence."""
    return 2 * confidence - 1


def _round_up(operators: float) -> str:
    digits = max(0, len(str(int(operators))) - 2)
    return f"{int(np.ceil(operators / 10**digits)) * 10**digits:,}"
