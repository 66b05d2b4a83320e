"""How often the lists are wrong: the share of false hits of each source, from what accounts turned out to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from membergate.domain.labels import EVALUATING_GRADES, Label
from membergate.domain.listing import ListEntry, RiskList, SubjectType
from membergate.domain.measurement import Measurement
from membergate.operations.history import History
from membergate.operations.opening import standing_record
from membergate.operations.workspace import Workspace
from membergate.verification.shares import clopper_pearson

LEVEL = 0.95


@dataclass(frozen=True)
class SourceRate:
    """How one source's entries on one list did.

    Parameters
    ----------
    source, risk_list
        Whose entries, and where.
    entries, decisions
        How many entries it made, and how many decisions they touched.
    operators
        How many operators they concerned.
    false_hits
        The share of labelled operators on whom the list was wrong: genuine on watch or deny, merchants on allow.
    """

    source: str
    risk_list: RiskList
    entries: int
    decisions: int
    operators: int
    false_hits: Measurement


def false_hit_rates(workspace: Workspace, history: History | None = None) -> tuple[SourceRate, ...]:
    """Rate every source of list entries by labels that may evaluate (L0, L3, L4), known by the end of the data.

    An account is concerned if an entry names it or touched its decision; one operator counts once, as a merchant if
    any of its labelled accounts is one.

    Raises
    ------
    WorkspaceError
        If no market was ingested.
    """
    history = history or History(workspace.warehouse())
    end = history.last_instant
    truth = known_truth(history.labels(end))
    entries: dict[tuple[str, RiskList], list[ListEntry]] = defaultdict(list)
    accounts: dict[tuple[str, RiskList], set[str]] = defaultdict(set)
    decisions: dict[tuple[str, RiskList], set[str]] = defaultdict(set)
    with standing_record(workspace) as record:
        for entry in record.lists.entries():
            source = (entry.source, entry.risk_list)
            entries[source].append(entry)
            if entry.subject.subject_type is SubjectType.ACCOUNT:
                accounts[source].add(entry.subject.key)
            for decision in record.decisions_touched(entry.entry_id):
                accounts[source].add(decision.account_id)
                decisions[source].add(decision.decision_id)
    rates = []
    for source in sorted(entries):
        operators = _operators(accounts[source], history, end, truth)
        rate = _rate(operators.values(), is_wrong=source[1] is RiskList.ALLOW)
        rates.append(SourceRate(*source, len(entries[source]), len(decisions[source]), len(operators), rate))
    return tuple(rates)


def known_truth(labels: Iterable[Label]) -> dict[tuple[str, str], bool]:
    """Give who is a merchant, by subject type and id; the latest evaluating label counts."""
    known = sorted((label for label in labels if label.grade in EVALUATING_GRADES), key=lambda label: label.decided_at)
    return {(label.subject_type, label.subject_id): label.is_merchant for label in known}


def _operators(
    accounts: Iterable[str], history: History, end: datetime, truth: dict[tuple[str, str], bool]
) -> dict[str, bool | None]:
    """Give each concerned operator with what it turned out to be; None where nobody knows."""
    found: dict[str, bool | None] = {}
    for account in accounts:
        operator = history.links.operator_of(account, end).operator_id
        said = truth.get(("account", account), truth.get(("operator", operator)))
        found[operator] = said if found.get(operator) is None else found[operator] or said
    return found


def _rate(truths: Iterable[bool | None], *, is_wrong: bool) -> Measurement:
    """Measure the share of `is_wrong` among those of whom the truth is known."""
    known = [truth for truth in truths if truth is not None]
    value = sum(truth is is_wrong for truth in known) / len(known) if known else None
    low, high = (None, None) if value is None else clopper_pearson(value, len(known), LEVEL)
    return Measurement(
        name="false-hit rate",
        value=value,
        low=low,
        high=high,
        level=LEVEL,
        unit="ratio",
        n=len(known),
        operators=len(known),
        method="Clopper-Pearson over operators with labels of grade L0, L3 or L4; only L3 is a probability sample",
    )
