"""explain: one account's decision, the evidence behind it, its way out, who is like it, and what was missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.domain.decision import Decision
from membergate.domain.evidence import Absence, Evidence
from membergate.domain.instants import Clock
from membergate.learning.features import CATALOGUE, FeatureTable, Spine, evidence_name
from membergate.learning.identity import Link
from membergate.learning.model.cards import ClusterCard, card_of, words_of
from membergate.operations.admission import AdmissionDesk, AdmissionRequest, Case
from membergate.operations.admit import live_desk
from membergate.operations.history import History
from membergate.operations.way_out import WayOut, way_out
from membergate.operations.workspace import Workspace


@dataclass(frozen=True)
class Contribution:
    """What one column adds to the log-odds of being a merchant.

    Parameters
    ----------
    column, words
        Its name, and what it measures in the catalogue's words.
    added
        Larger is riskier; with the model's intercept all of them sum to the score.
    value, typical
        The applicant's value, and the middle of those of like tenure and regime, in the feature's unit; None where the
        column is no feature or the value is missing.
    """

    column: str
    words: str
    added: float
    value: float | None
    typical: float | None


@dataclass(frozen=True)
class Missing:
    """A feature that the model reads and that was not there.

    Parameters
    ----------
    feature, words
        Its id and what it measures.
    reason
        Why there is none.
    added
        What its absence added to the log-odds; 0 where the model ignores absences.
    """

    feature: str
    words: str
    reason: Absence
    added: float


@dataclass(frozen=True)
class Explanation:
    """Everything that was known when an account was decided, and what was made of it.

    Parameters
    ----------
    decision
        The decision, as the door makes it.
    contributions
        All that moved the score, strongest first.
    cluster
        The card of the account's cluster; None where it lies in none.
    way_out
        What would have to differ in behaviour for a milder decision; None where nothing that was tried would do.
    missing
        What the model reads and could not.
    evidence
        All evidence, whether the policy read it or not, in alphabetical order.
    accounts
        The operator's other accounts, each with the path of links that joins it to this one.
    unread
        Names of the evidence that stands for a feature which this model does not read, and which is therefore absent.
    """

    decision: Decision
    contributions: tuple[Contribution, ...]
    cluster: ClusterCard | None
    way_out: WayOut | None
    missing: tuple[Missing, ...]
    evidence: tuple[Evidence, ...]
    accounts: tuple[tuple[str, tuple[Link, ...]], ...]
    unread: tuple[str, ...] = ()


def explain(workspace: Workspace, account_id: str, *, clock: Clock, model_version: str | None = None) -> Explanation:
    """Decide an account's latest application again, and tell all of it.

    Raises
    ------
    UnknownSubjectError
        If the account is unknown.
    WorkspaceError
        If nothing is live and no model is named.
    """
    history = History(workspace.warehouse())
    desk = live_desk(workspace, history, model_version)
    case, decision = desk.decide_asked(AdmissionRequest(account_id), clock())
    table = _table(history, desk, decision)
    as_of = decision.as_of
    operator = history.links.operator_of(account_id, as_of)
    others = [other for other in operator.account_ids if other != account_id]
    contributions = _contributions(desk, table)
    return Explanation(
        decision,
        contributions,
        _card(desk, case),
        way_out(desk.model, desk.model_version, desk.policy_at(as_of), table, case, decision),
        _missing(table, contributions),
        tuple(case.evidence[name] for name in sorted(case.evidence)),
        tuple((other, history.links.explain(account_id, other, as_of)) for other in others),
        tuple(sorted(evidence_name(each) for each in CATALOGUE.values() if each.id not in desk.model.features)),
    )


def _table(history: History, desk: AdmissionDesk, decision: Decision) -> FeatureTable:
    """Give the one row of features that the decision stood on."""
    asked = np.array([np.datetime64(decision.as_of.replace(tzinfo=None), "us")])
    spine = Spine(np.array([decision.application_id or ""]), np.array([decision.account_id]), asked)
    return history.features(spine, history.operators(spine), desk.model.norms, desk.model.features)


def _contributions(desk: AdmissionDesk, table: FeatureTable) -> tuple[Contribution, ...]:
    said = desk.model.witness(table)
    typical = dict(zip(table.features, desk.model.groundwork.space.typical(table)[0].tolist(), strict=True))
    values = dict(zip(table.features, table.values[0].tolist(), strict=True))
    found = []
    for column, added in zip(said.columns, said.contributions[0].tolist(), strict=True):
        value = values.get(column, np.nan)
        seen = bool(np.isfinite(value))
        found.append(
            Contribution(column, words_of(column), added, value if seen else None, typical[column] if seen else None)
        )
    return tuple(sorted(found, key=lambda each: (-abs(each.added), each.column)))


def _card(desk: AdmissionDesk, case: Case) -> ClusterCard | None:
    cluster = case.evidence["cluster_id"]
    ground = desk.model.groundwork
    return None if cluster.is_absent else card_of(ground.clusters, desk.model.features, str(cluster.value))


def _missing(table: FeatureTable, contributions: tuple[Contribution, ...]) -> tuple[Missing, ...]:
    added = {each.column: each.added for each in contributions}
    return tuple(
        Missing(feature, CATALOGUE[feature].summary, absence, added.get(feature, 0.0))
        for feature in table.features
        if (absence := table.absence(0, feature)) is not None
    )
