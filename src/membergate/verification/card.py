"""What goes with the figures: the model card, how its explanations fared, and the findings somebody has to close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from membergate.verification.bootstrap import LEVEL
from membergate.verification.certificate import CertificateReport
from membergate.verification.drift import Drift
from membergate.verification.gate import GateJudgement
from membergate.verification.planted import FOUND_AT_LEAST
from membergate.verification.refusals import RefusalCertificate
from membergate.verification.shares import clopper_pearson
from membergate.verification.unlabelled import WithoutLabels


@dataclass(frozen=True, slots=True)
class CardFeature:
    """One feature that the model reads: what it is, why it is there, which way it may push, whom it may harm."""

    id: str
    name: str
    rationale: str
    sense: int
    harms: tuple[str, ...]
    absent: float


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What the model is, for whoever has to answer for it.

    Parameters
    ----------
    features
        In catalogue order; `absent` is the share of evaluated applications without a value.
    excluded
        Features of the catalogue that this market's data cannot feed, or that learning leaves out.
    learned_accounts
        Accounts that took part in learning.
    trained_until, known_at
        ISO 8601 instants: up to which applications were learned from, and labels known.
    holdout_share
        Share of operators kept out of learning.
    is_calibrated, has_head
        Whether it states probabilities, and whether labels speak in it.
    parts_left_out
        Parts of the model that were switched off.
    notes
        What learning said of itself.
    """

    features: tuple[CardFeature, ...]
    excluded: tuple[str, ...]
    learned_accounts: int
    trained_until: str
    known_at: str
    holdout_share: float
    is_calibrated: bool
    has_head: bool
    parts_left_out: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Materiality:
    """What hangs on the door: how much verification it deserves.

    Parameters
    ----------
    tier
        `high` where the policy may refuse or terminate by itself; `medium` where a person stands before every refusal;
        `low` where nothing it says keeps anybody out.
    applications_a_year
        At the pace of the applications that were decided here.
    value_minor, loss_minor
        Yearly contribution of a genuine member, and yearly loss from a merchant, as the policy states them, in minor
        units; None where it weighs no money.
    at_stake_minor
        Merchants among a year's applicants, at the estimated share, times the loss from one: what an open door would
        lose; None where either is unknown.
    operator_cap
        Accounts of one operator that may hold membership; None for no limit.
    currency
        ISO 4217 code of the policy's amounts; "" where it weighs no money.
    """

    tier: str
    applications_a_year: float
    value_minor: float | None
    loss_minor: float | None
    at_stake_minor: float | None
    operator_cap: int | None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Conduct:
    """How the door fared on the applications decided here.

    Parameters
    ----------
    decided, degraded
        How many, and how many with a source at fault.
    timed, median_ms, p99_ms
        Decisions timed with everything witnessed at hand, after a few that are not, and how long one took, in
        milliseconds, on the machine that made the report; None without any.
    looked_up, looked_up_median_ms, looked_up_longest_ms
        The same where all features and the model's word were looked up anew first.
    """

    decided: int
    degraded: int
    timed: int = 0
    median_ms: float | None = None
    p99_ms: float | None = None
    looked_up: int = 0
    looked_up_median_ms: float | None = None
    looked_up_longest_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Friction:
    """What the door asks of people, for a thousand applications decided here.

    Parameters
    ----------
    decided
        How many were.
    per_thousand
        Disposition -> how often it was given, for a thousand applications.
    review_minutes
        Reviewers' minutes, as the policy states what one review takes; None where it does not.
    capacity_minutes
        Reviewers' minutes that the policy says there are, in the time of a thousand applications; None where it does
        not.
    """

    decided: int
    per_thousand: dict[str, float]
    review_minutes: float | None
    capacity_minutes: float | None


@dataclass(frozen=True, slots=True)
class Explanations:
    """How the reasons and ways out of decisions fare, on those not admitted in full.

    Parameters
    ----------
    asked
        Decisions looked at.
    with_reason
        How many name a reason.
    with_counterfactual
        How many name one evidence that the policy reads whose change alone would make the answer milder.
    valid
        How many of these give just that answer when they are decided again with the change made.
    behaved
        Decisions for which a way out in behaviour was sought: features that move towards what is typical of the
        applicant's peers, scored again by the model.
    with_way_out, with_one_change
        How many have one; and one of a single feature.
    way_out_valid
        How many of these give just the answer that they name when model and policy are asked once more, with nothing
        but the changes that are told.
    """

    asked: int
    with_reason: int
    with_counterfactual: int
    valid: int
    behaved: int = 0
    with_way_out: int = 0
    with_one_change: int = 0
    way_out_valid: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that somebody has to close.

    Parameters
    ----------
    severity
        `high`: not before it is closed does the candidate go live. `medium`: within 30 days. `low`: by the next report.
    what
        The finding.
    owner
        The role that closes it.
    due
        In words.
    """

    severity: str
    what: str
    owner: str
    due: str


_DUE = {"high": "before it goes live", "medium": "within 30 days", "low": "by the next verification"}


def findings_of(
    judgement: GateJudgement,
    certificates: Sequence[CertificateReport],
    refusals: Sequence[RefusalCertificate],
    without_labels: WithoutLabels | None,
    drift: Drift | None,
) -> tuple[Finding, ...]:
    """Draw the findings from what was measured, the gravest first."""
    found: list[tuple[str, str, str]] = []
    if not judgement.opens:
        found += [("high", reason, "model owner") for reason in judgement.reasons]
    for each in certificates:
        if not each.certificate.holds:
            where = ("full admissions" if each.scope == "full" else "all holders") + (
                ", in promotions" if each.regime else ""
            )
            found.append(("medium", f"No certificate, {where}: {each.certificate.reason}", "risk analyst"))
    open_refusals = [
        f"{each.group} ({each.operators} of {each.needed_operators})" for each in refusals if not each.holds
    ]
    if open_refusals:
        what = f"Refusals are not certified; operators of those needed without a refusal: {', '.join(open_refusals)}."
        found.append(("low", what, "risk analyst"))
    refused = [
        f"{each.group} ({each.refused} of {each.accounts})"
        for each in refusals
        if each.refusal is not None and clopper_pearson(each.refusal, each.operators, LEVEL)[0] > each.bound
    ]
    if refused:
        what = f"Genuine people of these kinds are refused more often than the bound allows: {', '.join(refused)}."
        found.append(("medium", what, "risk business partner"))
    if drift is not None and drift.moved:
        names = ", ".join(row.name for row in drift.moved[:8])
        grave = "medium" if any(row.name == "risk_score" for row in drift.moved) else "low"
        found.append((grave, f"Moved by more than chance since learning: {names}.", "data scientist"))
    found += _about_structure(without_labels)
    ranks = list(_DUE)
    found.sort(key=lambda item: ranks.index(item[0]))
    return tuple(Finding(severity, what, owner, _DUE[severity]) for severity, what, owner in found)


def _about_structure(without_labels: WithoutLabels | None) -> list[tuple[str, str, str]]:
    if without_labels is None:
        return []
    dissolved = [row for region in without_labels.regions for row in region.clusters if row.verdict == "dissolved"]
    found = []
    if dissolved:
        names = ", ".join(f"{row.cluster} (overlap {row.jaccard:.2f})" for row in dissolved)
        what = f"Clusters that do not come back when other operators are drawn, so build no rule on them: {names}."
        found.append(("low", what, "data scientist"))
    planted = without_labels.planted
    if planted is not None:
        for row in planted.rings:
            if (row.caught.value or 0.0) < FOUND_AT_LEAST:
                what = f"Planted rings ({row.attack.words}): {row.caught.value or 0:.0%} are kept from full admission."
                found.append(("medium", what, "risk analyst"))
    return found
