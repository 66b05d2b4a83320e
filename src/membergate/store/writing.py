"""Putting decisions on record: what is there already, what is new, and the list entries behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import bindparam, select

from membergate.domain.decision import Decision
from membergate.domain.listing import entries_behind
from membergate.store.codec import COLUMNS, decision_to_record
from membergate.store.committing import Writing
from membergate.store.errors import RecordConflictError
from membergate.store.packing import ERASED, key_of, unpack
from membergate.store.tables import DECISION_ENTRIES, DECISIONS

_T = TypeVar("_T")
ROWS = select(DECISIONS).where(DECISIONS.c.content != ERASED)
"""Decisions that stand on record."""
BY_KEY = ROWS.where(DECISIONS.c.decision_key.in_(bindparam("keys", expanding=True)))
_IDS_A_QUERY = 5_000  # backends bound the parameters of one statement: 32,766 on SQLite, 65,535 on PostgreSQL
_CONTENT = tuple(column for column in COLUMNS if column != "decided_at")


def slices(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Give items in parts that one statement can name."""
    for start in range(0, len(items), _IDS_A_QUERY):
        yield items[start : start + _IDS_A_QUERY]


def known_decisions(writing: Writing, decision_ids: Sequence[str]) -> dict[str, Decision]:
    """Give those of some decisions that are on record, by id."""
    known: dict[str, Decision] = {}
    for some in slices([key_of(decision_id) for decision_id in decision_ids]):
        for row in writing.connection.execute(BY_KEY, {"keys": some}).mappings():
            decision = unpack(row, writing.terms)
            known[decision.decision_id] = decision
    return known


def insert_decisions(writing: Writing, decisions: Sequence[Decision], rows: Sequence[dict[str, Any]]) -> None:
    """Write new decisions, given as rows too, and link them with the list entries behind them."""
    writing.insert_terms()
    first = writing.insert(DECISIONS, rows)
    links = [
        {"entry_id": entry_id, "decision_number": first + place}
        for place, decision in enumerate(decisions)
        for entry_id in dict.fromkeys(one for witnessed in decision.evidence for one in entries_behind(witnessed))
    ]
    if links:
        writing.insert(DECISION_ENTRIES, links)


def differences(kept: Decision, asked: Decision) -> RecordConflictError | None:
    """Say what differs between two decisions of one id, the instant of deciding aside; None where nothing does."""
    if kept is asked:
        return None
    stored, record = decision_to_record(kept), decision_to_record(asked)
    differing = [column for column in _CONTENT if stored[column] != record[column]]
    if not differing:
        return None
    return RecordConflictError(
        f"a decision with this id is on record with another {', '.join(differing)}",
        where=f"decision {record['decision_id']!r}",
        next_step="what was visible as of that instant has changed since: decide under a new model version",
    )
