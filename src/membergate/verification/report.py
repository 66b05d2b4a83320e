"""The verification report: one frozen object, from which JSON and HTML are written."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import msgspec
import numpy as np

from membergate.domain.instants import format_instant
from membergate.verification.bootstrap import LEVEL, REPLICATES, OperatorBootstrap
from membergate.verification.card import (
    Conduct,
    Explanations,
    Finding,
    Friction,
    Materiality,
    ModelCard,
    findings_of,
)
from membergate.verification.certificate import CertificateReport, Terms, certify
from membergate.verification.confusion import ConfusionZone
from membergate.verification.drift import Drift
from membergate.verification.fixed_sequence import SequenceReport, certify_doors
from membergate.verification.gate import GateJudgement, GateRules, UsualSample, judge
from membergate.verification.hindsight import Hindsight
from membergate.verification.losses import Losses, measure_losses
from membergate.verification.metrics import SCOPES, Metrics, measure
from membergate.verification.net_value import NetValueRow
from membergate.verification.over_time import Period, measure_over_time
from membergate.verification.refusals import RefusalCertificate, certify_refusals
from membergate.verification.reviewers import ReviewerAgreement
from membergate.verification.rings import Rings
from membergate.verification.rivals import RivalRow
from membergate.verification.sample import EvaluationSample, SplitCheck
from membergate.verification.sample_sizes import SamplePlan, plan_sample
from membergate.verification.selective_labels import SelectiveEstimates
from membergate.verification.sensitivity import SensitivityRow
from membergate.verification.shadows import ShadowRow, UnreadShadow
from membergate.verification.unlabelled import WithoutLabels
from membergate.verification.wording import verdict, warnings

FORMAT = "membergate.verification-report.v2"
PROMOTION = ("pre_heat", "burst")
"""Regimes that a promotion's own certificate is about."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What was verified, from what, and by whom: enough to do it again.

    Parameters
    ----------
    model_version, policy_version, baseline_version, incumbent_version
        The candidate's model and policy, the strict-threshold policy, and what is live ("" for nothing).
    produced_at
        ISO 8601 instant at which the report is made.
    seed
        Seed of the bootstrap's generator.
    lineage
        Name -> digest or version: data, code, configuration.
    """

    model_version: str
    policy_version: str
    baseline_version: str
    incumbent_version: str
    produced_at: str
    seed: int
    lineage: dict[str, str]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was measured beyond the labelled sample; each part None where nobody measured it.

    Parameters
    ----------
    card
        The model card.
    without_labels
        What needs no label.
    drift
        Later against earlier applicants.
    explored
        What the live door's exploration lane tells: the merchant share of everybody who had a chance, and of those whom
        it would have refused.
    explanations
        How reasons and ways out fare.
    hindsight
        Whether anything knew the answer, or the future.
    reviewers
        Whether reviewers agree.
    sensitivity
        What other parameters would make of the door.
    materiality
        What hangs on the door.
    rivals
        What other ways of ordering the applicants make of the same sample.
    shadows
        What the policies that stand in shadow would change.
    unread_shadows
        Policies that stand in shadow and could not be read.
    ablations
        What the candidate is worth without each of its parts; the lead is what leaving the part out loses.
    is_lesson_whole
        Whether the candidate could be learned again from just the accounts that it was made from. Where not, no
        ablation is measured.
    confusion
        The labelled applicants about whom the door is most wrong.
    conduct
        How often a source was at fault, and how long decisions took.
    friction
        What the door asks of people.
    net_value
        What its decisions are worth, beside other ways to decide; empty where the policy states no economics.
    rings
        What becomes of known rings.
    currency
        Of the amounts of money; "" where there are none.
    """

    card: ModelCard | None = None
    without_labels: WithoutLabels | None = None
    drift: Drift | None = None
    explored: tuple[SelectiveEstimates, ...] | None = None
    explanations: Explanations | None = None
    hindsight: Hindsight | None = None
    reviewers: ReviewerAgreement | None = None
    sensitivity: tuple[SensitivityRow, ...] | None = None
    materiality: Materiality | None = None
    rivals: tuple[RivalRow, ...] | None = None
    shadows: tuple[ShadowRow, ...] | None = None
    unread_shadows: tuple[UnreadShadow, ...] = ()
    ablations: tuple[RivalRow, ...] | None = None
    is_lesson_whole: bool = True
    confusion: ConfusionZone | None = None
    conduct: Conduct | None = None
    friction: Friction | None = None
    net_value: tuple[NetValueRow, ...] | None = None
    rings: Rings | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class SignOff:
    """Who made a verified candidate live, and answers for it.

    Parameters
    ----------
    by
        The name given; "" where it was published without one.
    at, valid_until
        ISO 8601 instants: when, and until when the certificates that hold speak of those who apply; the latter "" where
        nothing is certified.
    model_version, policy_version
        What went live.
    replaced
        What was live before; "" for nothing.
    warning
        That the evidence was old by then; "" where it was not.
    """

    by: str
    at: str
    valid_until: str
    model_version: str
    policy_version: str
    replaced: str
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a reader, a program or a gate needs to judge one candidate.

    Parameters
    ----------
    format
        Name and version of this form.
    origin
        What was verified, from what.
    verdict
        Does the score admit more genuine applicants than the strict rule at the same leakage? Where merchants are too
        few to tell, what the candidate would change as it is.
    warnings
        What must be known before any figure is relied on, the gravest first.
    split
        What the split check compared; None where nobody has checked.
    level, replicates
        Nominal coverage of every interval, and bootstrap replicates.
    metrics
        The measurements.
    certificates
        One a scope: over full admissions, over all holders; then both again for promotions alone, where the sample
        holds any. Each holds at its own confidence.
    plan
        How many labels the certificate takes, beside those there are.
    doors
        Learn-then-Test: the most lenient threshold of the risk score that each test certifies.
    refusals
        One a look-alike: at most a tenth of its genuine people are refused; all hold together.
    losses
        Leakage in money; None where nobody's benefits are known.
    over_time
        Discrimination and leakage, third by third.
    surroundings
        What was measured beyond the labelled sample.
    judgement
        What the gate says.
    findings
        What somebody has to close.
    sign_off
        Who answers for what went live; None before it did.
    is_look
        Whether it is only a look at an earlier instant: the gate judged nothing by it, and nobody may publish on it.
    """

    format: str
    origin: Origin
    verdict: str
    warnings: tuple[str, ...]
    split: SplitCheck | None
    level: float
    replicates: int
    metrics: Metrics
    certificates: tuple[CertificateReport, ...]
    plan: SamplePlan
    doors: SequenceReport
    refusals: tuple[RefusalCertificate, ...]
    losses: Losses | None
    over_time: tuple[Period, ...]
    surroundings: Surroundings
    judgement: GateJudgement
    findings: tuple[Finding, ...]
    sign_off: SignOff | None = None
    is_look: bool = False


def build_report(
    sample: EvaluationSample,
    *,
    model_version: str,
    policy_version: str,
    produced_at: datetime,
    seed: int,
    observed_until: datetime | None = None,
    baseline_version: str = "strict-threshold",
    incumbent_version: str = "",
    lineage: dict[str, str] | None = None,
    split: SplitCheck | None = None,
    terms: Terms | None = None,
    rules: GateRules | None = None,
    surroundings: Surroundings | None = None,
    usual: UsualSample | None = None,
    is_live: bool = False,
    level: float = LEVEL,
    replicates: int = REPLICATES,
) -> Report:
    """Measure a sample and write down everything that was found.

    Parameters
    ----------
    sample
        The evaluation sample.
    model_version, policy_version, baseline_version, incumbent_version, lineage
        As in `Origin`.
    produced_at
        The instant at which the report is made, aware.
    observed_until
        The instant up to which the sample was observed, aware: certificates count their time from it, however late the
        report is made. None is the instant at which it is made.
    seed
        Seed of the bootstrap: the same sample and seed give the same report, byte for byte.
    split
        What `check_split` has found; None where nobody has checked, and the report then says so.
    terms, rules
        What is to be certified, and what the gate asks for; None takes the defaults.
    surroundings
        What was measured beyond the sample; its checks without labels can shut the gate.
    usual
        What the sample would hold had the model been trained until the usual instant; None where it was.
    is_live
        Whether the candidate is what is live already.
    level
        Nominal coverage of every interval, in (0, 1).
    replicates
        Bootstrap replicates.
    """
    bootstrap = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(seed), replicates)
    policies = (policy_version, baseline_version, incumbent_version)
    origin = Origin(model_version, *policies, format_instant(produced_at), seed, dict(sorted((lineage or {}).items())))
    beyond = surroundings or Surroundings()
    controls = [
        control
        for checked in (beyond.without_labels, beyond.hindsight)
        if checked is not None
        for control in checked.controls
    ]
    judgement = judge(
        sample, bootstrap, rules=rules, observed_until=observed_until, controls=controls, usual=usual, is_live=is_live
    )
    certified = _certified(sample, terms or Terms(), observed_until or produced_at)
    return _assembled(origin, split, sample, bootstrap, level, certified, beyond, judgement)


@dataclass(frozen=True)
class _Certified:
    certificates: tuple[CertificateReport, ...]
    plan: SamplePlan
    doors: SequenceReport
    refusals: tuple[RefusalCertificate, ...]


def _certified(sample: EvaluationSample, terms: Terms, issued_at: datetime) -> _Certified:
    return _Certified(
        _certificates(sample, terms, issued_at),
        _plan(sample, terms),
        certify_doors(sample, terms),
        certify_refusals(sample, terms),
    )


def _assembled(
    origin: Origin,
    split: SplitCheck | None,
    sample: EvaluationSample,
    bootstrap: OperatorBootstrap,
    level: float,
    certified: _Certified,
    beyond: Surroundings,
    judgement: GateJudgement,
) -> Report:
    metrics = measure(sample, bootstrap, level=level)
    return Report(
        format=FORMAT,
        origin=origin,
        verdict=verdict(metrics),
        warnings=(*warnings(metrics, split), *_about_currencies(beyond)),
        split=split,
        level=level,
        replicates=len(bootstrap.counts),
        metrics=metrics,
        certificates=certified.certificates,
        plan=certified.plan,
        doors=certified.doors,
        refusals=certified.refusals,
        losses=measure_losses(sample, bootstrap, beyond.currency, level=level),
        over_time=measure_over_time(sample, bootstrap, level=level),
        surroundings=beyond,
        judgement=judgement,
        findings=findings_of(
            judgement, certified.certificates, certified.refusals, beyond.without_labels, beyond.drift
        ),
    )


def _about_currencies(beyond: Surroundings) -> tuple[str, ...]:
    """Warn where the policy weighs money in another currency than the market trades in."""
    stated = beyond.materiality.currency if beyond.materiality else ""
    if not stated or not beyond.currency or stated == beyond.currency:
        return ()
    return (f"The policy weighs amounts in {stated}, and the market's are in {beyond.currency}: nothing is converted.",)


def _certificates(sample: EvaluationSample, terms: Terms, issued_at: datetime) -> tuple[CertificateReport, ...]:
    """Certify every scope; and, where the sample holds applications in promotions, those by themselves."""
    found = [certify(sample, scope, terms=terms, issued_at=issued_at) for scope in SCOPES]
    regimes = sample.groups.get("regime")
    if regimes is not None and (in_promotion := sample.is_sampled & np.isin(regimes, PROMOTION)).any():
        promoted = sample.take(np.flatnonzero(in_promotion))
        found += [certify(promoted, scope, terms=terms, issued_at=issued_at, regime="promotion") for scope in SCOPES]
    return tuple(found)


def _plan(sample: EvaluationSample, terms: Terms) -> SamplePlan:
    """Tell how many labels the certificate takes, and how long that is at the pace of this sample."""
    sampled = sample.is_sampled
    submitted, weight = sample.submitted_at[sampled], sample.weight[sampled]
    days = float((submitted.max() - submitted.min()) / np.timedelta64(1, "D")) if len(submitted) else 0.0
    largest = 1 / terms.smallest_propensity if terms.smallest_propensity else float(weight.max(initial=1.0))
    share = float(weight.mean()) / largest if len(weight) else 1.0
    return plan_sample(terms, operators=len(np.unique(sample.operator_ids[sampled])), days=days, weight_share=share)


def to_json(report: Report) -> bytes:
    """Write the report as JSON, indented; `from_json` reads it back to an equal object."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def from_json(text: bytes) -> Report:
    """Read a report that `to_json` wrote."""
    return msgspec.json.decode(text, type=Report)


def digest_of(text: bytes) -> str:
    """Give the SHA-256 of what a report on file found; who signed it since, and its spacing, do not count.

    Raises
    ------
    msgspec.MsgspecError
        If the text is no JSON object.
    """
    found = msgspec.json.decode(text, type=dict[str, object])
    found.pop("sign_off", None)
    return hashlib.sha256(msgspec.json.encode(found, order="sorted")).hexdigest()
