"""explain: one account's decision, the evidence behind it, its way out, and who it belongs together with."""

from __future__ import annotations

from dataclasses import dataclass

from membergate.domain.decision import Decision
from membergate.domain.evidence import Evidence
from membergate.domain.instants import Clock
from membergate.learning.identity import Link
from membergate.operations.admission import AdmissionRequest
from membergate.operations.admit import live_desk
from membergate.operations.history import History
from membergate.operations.workspace import Workspace


@dataclass(frozen=True)
class Explanation:
    """Everything that was known when an account was decided, and what was made of it.

    Parameters
    ----------
    decision
        The decision, as the door makes it.
    evidence
        All evidence, whether the policy read it or not, in alphabetical order.
    accounts
        The operator's other accounts, each with the path of links that joins it to this one.
    """

    decision: Decision
    evidence: tuple[Evidence, ...]
    accounts: tuple[tuple[str, tuple[Link, ...]], ...]


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
    as_of = decision.as_of
    operator = history.links.operator_of(account_id, as_of)
    others = [other for other in operator.account_ids if other != account_id]
    return Explanation(
        decision,
        tuple(case.evidence[name] for name in sorted(case.evidence)),
        tuple((other, history.links.explain(account_id, other, as_of)) for other in others),
    )
