"""A record of an older version is taken over whole, chained, and can be given back to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import text

from membergate.domain.decision import Decision
from membergate.domain.evidence import Evidence
from membergate.domain.instants import utc
from membergate.domain.labels import LabelGrade
from membergate.domain.limits import Ask, Limit
from membergate.domain.listing import ListEntry, RiskList, Subject, SubjectType
from membergate.store import OperationalRecord, migrating, open_store

NOW = utc(2026, 1, 15)
SKU = Limit("sku", 9, NOW - timedelta(days=30))
ENTRY = ListEntry(
    "e-1", RiskList.WATCH, Subject(SubjectType.ACCOUNT, "account-1"), "RESALE_BULK", LabelGrade.L1, "partner", False,
    0.9, NOW, NOW, NOW + timedelta(days=90),
)  # fmt: skip


def migrate(store: OperationalRecord, revision: str) -> None:
    """Bring an open store to a revision."""
    with store._writing.begin() as connection:
        migrating.migrate(connection, revision)


def test_everything_survives_down_and_up(store_url: str, make_decision: Callable[..., Decision]) -> None:
    """Decisions, their list entries, list changes, policies and cap uses, released ones too, are the same after."""
    touched = make_decision(7, evidence=(Evidence("list_watch", True, "list:watch:e-1", NOW),), order_id="o-1")
    decisions = [*(make_decision(number) for number in range(5)), touched]
    with open_store(store_url) as store:
        store.record(decisions)
        store.lists.change([ENTRY], at=NOW, by="anna")
        store.policies.submit("p", "1", "digest", "text", at=NOW, by="anna")
        store.caps.draw([Ask("kept", 2, (SKU,)), Ask("back", 3, (SKU,))], at=NOW)
        store.caps.release(["back"], at=NOW)
        migrate(store, "0006")
        with store._engine.connect() as connection:
            rows = connection.execute(text("SELECT decision_id, operator_id FROM decisions ORDER BY 1")).all()
        assert [tuple(row) for row in rows] == [(d.decision_id, d.operator_id) for d in decisions]
    with open_store(store_url) as store:
        assert [store.decision(d.decision_id) for d in decisions] == decisions
        assert store.decisions_touched("e-1") == (touched,)
        assert store.lists.entries() == (ENTRY,)
        assert store.policies.text_of("digest") == "text"
        assert store.caps.used("sku", SKU.since) == 2
        assert store.caps.draw([Ask("kept", 2, (SKU,)), Ask("back", 3, (SKU,))], at=NOW) == {"kept": 2, "back": 0}
        found = store.audit.verify()
        assert found.fault == ""
        assert found.rows > len(decisions)
        assert store.record(decisions) == 0
