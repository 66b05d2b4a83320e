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
from membergate.verification.shares import Share, measure_difference, measure_shares
from membergate.verification.wording import percent, points

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
        Operators, and operators with a merchant, that the probability sample must hold before anything is shown by it.
    unproven_leakage
        Leakage over full admissions that a first model may have without enough labels: refused where it is higher at
        that confidence.
    """

    confidence: float = 0.95
    leakage_margin: float = 0.01
    first_leakage_margin: float = 0.02
    genuine_margin: float = 0.02
    look_alike_margin: float = 0.05
    oldest_evidence_days: float = 120.0
    least_operators: int = 100
    least_merchant_operators: int = 10
    unproven_leakage: float = 0.10

    def suffices(self, operators: int, merchant_operators: int) -> bool:
        """Whether a probability sample of so many operators may show that a candidate is no worse."""
        return operators >= self.least_operators and merchant_operators >= self.least_merchant_operators


@dataclass(frozen=True, slots=True)
class UsualSample:
    """What the probability sample would hold had no more than usual been learned from.

    Parameters
    ----------
    operators, merchant_operators
        Its operators, and those among them with a merchant.
    """

    operators: int
    merchant_operators: int


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
    is_clearly_worse: bool = False
    """Shown to be worse, not only not shown to be no worse."""


def judge(
    sample: EvaluationSample,
    bootstrap: OperatorBootstrap,
    *,
    rules: GateRules | None = None,
    observed_until: datetime | None = None,
    controls: Sequence[Control] = (),
    usual: UsualSample | None = None,
    is_live: bool = False,
) -> GateJudgement:
    """Hold the candidate against the incumbent on the same rows, paired by operator.

    The rule, with an incumbent: the upper one-sided bound of the leakage difference lies within `leakage_margin`, over
    full admissions and over all holders. For the first model: over full admissions, within `first_leakage_margin` of
    the strict-threshold policy; over all holders, leakage below the merchant share of all applicants (the door does
    better than letting everyone in). In both cases genuine admission may not be clearly lower, nor a look-alike
    clearly harmed. Too few labels refuse a successor. A first model then goes live as unproven, unless it is clearly
    worse all the same, or the labels are few only because it was trained until late.

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
    usual
        What the sample would hold had the model been trained until the usual instant; None where it was.
    is_live
        Whether the candidate is what is live already: publishing it again changes nobody's answer, so it is refused
        only where it has become clearly worse than the strict-threshold policy. The sample then has no incumbent.
    """
    rules = rules or GateRules()
    judgement = (
        _judged_again(sample, bootstrap, rules) if is_live else _judged_by_labels(sample, bootstrap, rules, usual)
    )
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


def _judged_by_labels(
    sample: EvaluationSample, bootstrap: OperatorBootstrap, rules: GateRules, usual: UsualSample | None
) -> GateJudgement:
    against = "strict" if sample.incumbent_disposition is None else "incumbent"
    evidence = describe_evidence(sample)
    findings = _findings(sample, against, bootstrap, rules) if evidence.operators else []
    if not rules.suffices(evidence.operators, evidence.merchant_operators):
        few = (
            f"Too few labels to judge: the probability sample holds {evidence.operators} operators, "
            f"{evidence.merchant_operators} of them with a merchant; {rules.least_operators} and "
            f"{rules.least_merchant_operators} are needed."
        )
        if evidence.operators:
            findings.append(_leakage_in_itself(sample, bootstrap, rules))
        return _judged_by_few(few, findings, against, rules, usual)
    opens = all(finding.is_met for finding in findings)
    return GateJudgement(
        opens=opens,
        against=against,
        reasons=tuple(finding.sentence for finding in findings if finding.is_met == opens),
        measurements=tuple(finding.measurement for finding in findings),
    )


def _judged_again(sample: EvaluationSample, bootstrap: OperatorBootstrap, rules: GateRules) -> GateJudgement:
    """Ask of what is live already whether it is clearly worse than the rule that it replaced, or leaks too much."""
    findings = []
    if sample.is_sampled.any():
        findings = _findings(sample, "strict", bootstrap, rules)
    if findings and findings[0].measurement.value is None:
        findings.append(_leakage_in_itself(sample, bootstrap, rules))
    worse = tuple(finding.sentence for finding in findings if finding.is_clearly_worse)
    met = tuple(finding.sentence for finding in findings if finding.is_met)
    same = "It is what is live already: publishing it again would change nobody's answer."
    return GateJudgement(
        opens=not worse,
        against="strict",
        reasons=(same, *(worse or met)),
        measurements=tuple(finding.measurement for finding in findings),
    )


def _judged_by_few(
    few: str, findings: list[_Finding], against: str, rules: GateRules, usual: UsualSample | None
) -> GateJudgement:
    """Refuse a successor; let a first model through unproven, unless even few labels tell, or they need not be few."""
    worse = [finding for finding in findings if finding.is_clearly_worse]
    reasons = [finding.sentence for finding in worse]
    if against == "strict" and usual is not None and rules.suffices(usual.operators, usual.merchant_operators):
        reasons.append(
            "The labels are few only because the model was trained until late: trained until the usual instant, "
            f"{usual.operators} operators would be left to judge by, {usual.merchant_operators} of them with a "
            "merchant. Learn again without --trained-until."
        )
    opens = against == "strict" and not reasons
    if opens:
        # Nothing is live that could be made worse, and without a first model no shop would ever collect labels.
        reasons = ["Unproven: nothing is live to be worse than, so the first model may go live without a judgement."]
    return GateJudgement(opens, against, (*reasons, few), tuple(finding.measurement for finding in worse))


def _findings(sample: EvaluationSample, against: str, bootstrap: OperatorBootstrap, rules: GateRules) -> list[_Finding]:
    other = sample.baseline_disposition if sample.incumbent_disposition is None else sample.incumbent_disposition
    findings = [_leakage_finding(sample, "full", other, against, bootstrap, rules)]
    if against == "incumbent":
        findings.append(_leakage_finding(sample, "holders", other, against, bootstrap, rules))
    else:
        findings.append(_better_than_open_door(sample, bootstrap, rules))
    findings.append(_genuine_finding(sample, other, against, bootstrap, rules))
    return findings + _look_alike_findings(sample, other, against, bootstrap, rules)


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
        sentence = f"{where}: the candidate lets more merchants in, {found} {bound}."
        return _Finding(False, sentence, difference, is_clearly_worse=difference.low > margin)
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
    return _Finding(is_met, verdict, difference, is_clearly_worse=difference.low is not None and difference.low > 0)


def _leakage_in_itself(sample: EvaluationSample, bootstrap: OperatorBootstrap, rules: GateRules) -> _Finding:
    """Hold leakage to a level of its own, for where the strict rule says nothing: it may admit nobody."""
    share = leakage(sample, is_among(sample.disposition, SCOPES["full"])).named("leakage_full_unproven")
    (measured,) = measure_shares((share,), bootstrap, level=_two_sided(rules.confidence))
    is_worse = measured.low is not None and measured.low > rules.unproven_leakage
    sentence = (
        f"Leakage among those admitted in full is {percent(measured.value)}, at least {percent(measured.low)} at "
        f"confidence {rules.confidence:.0%}; {percent(rules.unproven_leakage)} is the most where nothing else tells."
    )
    return _Finding(not is_worse, sentence, measured, is_clearly_worse=is_worse)


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
        return _Finding(False, f"Genuine admission is clearly lower: {found}.", difference, is_clearly_worse=True)
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
        sentence = f"Look-alike {group!r} is {verdict}: {found}."
        findings.append(_Finding(not is_harmed, sentence, difference, is_clearly_worse=is_harmed))
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
