"""The replay's machinery: recorded decisions become columns of evidence, and DuckDB decides them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from membergate.deciding.policy import Policy, decide, witnesses
from membergate.deciding.policy.replay import verdicts_to_duckdb
from membergate.deciding.policy.verdicts import admissible
from membergate.domain.disposition import Checkpoint, severity
from membergate.domain.evidence import Absence, Evidence, EvidenceKind
from membergate.domain.labels import Label
from membergate.operations.admission import draw
from membergate.store import EvidenceColumns, decision_from_record

_TYPES = {EvidenceKind.NUMBER: pa.float64(), EvidenceKind.BOOLEAN: pa.bool_(), EvidenceKind.TEXT: pa.string()}
_MADE = """
create temp table replayed (
  decision_id varchar, subject varchar, decided_at timestamptz, old varchar, rung integer, is_merchant boolean,
  hits integer[], groups integer[], lacks integer
)
"""
_REVIEWED = "create temp table reviewed (decision_id varchar, operator varchar, weight double, is_leak boolean)"


class Replayer:
    """Decides recorded decisions again, and gathers what came of it in the table `replayed`.

    Those of accounts that were reviewed by chance stand in the table `reviewed` as well.

    Parameters
    ----------
    policy
        The policy to try; its effective dates do not count, its overlays and snoozes do.
    checkpoint
        Which decisions.
    truth
        Who turned out a merchant, by subject type and id.
    reviews
        Accounts' latest reviews by chance.
    """

    def __init__(
        self,
        policy: Policy,
        checkpoint: Checkpoint,
        truth: Mapping[tuple[str, str], bool],
        reviews: Mapping[str, Label],
    ) -> None:
        self.connection = duckdb.connect()
        self.rules = tuple(rule for rule in policy.rules if rule.checkpoint is checkpoint)
        self._policy = policy
        self._checkpoint = checkpoint
        self._truth = truth
        self._reviews = reviews
        self._rungs: dict[str, int] | None = None
        self._snoozed = {account for rule in policy.rules for account, _ in rule.snoozes}
        self.connection.execute(_MADE)
        self.connection.execute(_REVIEWED)

    def take(self, told: EvidenceColumns) -> None:
        """Decide some decisions again, column by column; those of accounts for which a rule sleeps go one by one."""
        by_overlays: dict[tuple[bool, ...], list[int]] = {}
        for place, as_of in enumerate(told.as_of):
            holding = tuple(overlay.holds(as_of) for overlay in self._policy.overlays)
            by_overlays.setdefault(holding, []).append(place)
        self._note_reviewed(told)
        table = self._columns(told)
        for places in by_overlays.values():
            some = table if len(places) == len(told) else table.take(pa.array(places))
            self._decide(self._policy.at(told.as_of[places[0]]), some)
        for place, head in enumerate(told.heads):
            if head.account_id in self._snoozed:
                self.connection.execute(
                    "update replayed set rung = $rung where decision_id = $decision_id",
                    {"rung": self._asleep(told, place), "decision_id": head.decision_id},
                )

    def _note_reviewed(self, told: EvidenceColumns) -> None:
        found = [(head, review) for head in told.heads if (review := self._reviews.get(head.account_id))]
        if found:
            reviews = pa.table(
                {
                    "decision_id": [head.decision_id for head, _ in found],
                    "operator": [head.operator_id for head, _ in found],
                    "weight": [1 / (review.propensity or 1.0) for _, review in found],
                    "is_leak": [review.is_merchant for _, review in found],
                }
            )
            self.connection.register("some_reviewed", reviews)
            self.connection.execute("insert into reviewed select * from some_reviewed")
            self.connection.unregister("some_reviewed")

    def exactly(self, record: Mapping[str, Any]) -> int:
        """Give the rung that the door's own path decides on a record's evidence."""
        decision = decision_from_record(record)
        evidence = {witnessed.name: witnessed for witnessed in decision.evidence}
        return self._rung(evidence, decision.operator_id, decision.account_id, decision.as_of)

    def disagreeing(self, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """Give the ids of the records of which both paths decide differently; all must have been taken."""
        if self._rungs is None:
            self._rungs = dict(self.connection.execute("select decision_id, rung from replayed").fetchall())
        rungs = self._rungs
        return [r["decision_id"] for r in records if rungs.get(r["decision_id"]) != self.exactly(r)]

    def _asleep(self, told: EvidenceColumns, place: int) -> int:
        head, as_of = told.heads[place], told.as_of[place]
        said = ((name, column[place]) for name, column in told.values.items())
        evidence = {name: Evidence(name, value, "record", as_of) for name, value in said if value is not None}
        return self._rung(evidence, head.operator_id, head.account_id, as_of)

    def _rung(self, evidence: Mapping[str, Evidence], operator_id: str, account_id: str, as_of: datetime) -> int:
        verdict = decide(
            self._policy.at(as_of),
            self._checkpoint,
            evidence,
            lottery=draw(operator_id, self._policy),
            snoozed=self._policy.snoozed_for(account_id, as_of),
        )
        return severity(verdict.disposition, self._checkpoint)

    def _decide(self, policy: Policy, evidence: pa.Table) -> None:
        self.connection.register("evidence", evidence)
        verdicts = verdicts_to_duckdb(policy, self._checkpoint, "evidence")
        hits = _indices([f'"hit:{rule.rule_id}"' for rule in self.rules])
        groups = _indices([f"({segment.when.sql})" for segment in self._policy.segments])
        self.connection.execute(
            f"insert into replayed select decision_id, subject, decided_at, old, rung, is_merchant, {hits}, {groups}, "
            f"lacks from ({verdicts})"
        )
        self.connection.unregister("evidence")

    def _columns(self, told: EvidenceColumns) -> pa.Table:
        """Lay the decisions out as the query takes them: a typed column a name, and the names whose witness failed."""
        truth, heads = self._truth, told.heads
        failed: list[list[str]] = [[] for _ in heads]
        lacks = [0] * len(heads)
        columns = {name: self._column(name, column, failed, lacks) for name, column in told.values.items()}
        merchants = [truth.get(("account", h.account_id), truth.get(("operator", h.operator_id))) for h in heads]
        return pa.table(
            {
                "decision_id": [head.decision_id for head in heads],
                "subject": [head.application_id or head.order_id or head.decision_id for head in heads],
                "decided_at": pa.array([head.decided_at for head in heads], pa.timestamp("us", tz="UTC")),
                "old": told.dispositions,
                "lottery": [draw(head.operator_id, self._policy) for head in heads],
                "is_merchant": pa.array(merchants, pa.bool_()),
                "failed": pa.array(failed, pa.list_(pa.string())),
                "lacks": pa.array(lacks, pa.int32()),
                **columns,
            }
        )

    def _column(self, name: str, said: Sequence[Any], failed: list[list[str]], lacks: list[int]) -> pa.Array:
        kind, is_share = self._policy.kinds[name], name in witnesses.IN_UNIT_INTERVAL
        facts: list[Any] = []
        for place, value in enumerate(said):
            fact: Any = None
            if type(value) is float and kind is EvidenceKind.NUMBER and (not is_share or 0.0 <= value <= 1.0):
                fact = value
            elif value is None:
                lacks[place] += 1
            elif value is Absence.SOURCE_FAILED:
                failed[place].append(name)
            elif not isinstance(value, Absence):
                fact = admissible(name, value, kind)
                if fact is None:
                    failed[place].append(name)
            facts.append(fact)
        return pa.array(facts, _TYPES[kind])


def _indices(conditions: Sequence[str]) -> str:
    """Write a list of the positions of the conditions that hold."""
    listed = ", ".join(f"case when {condition} then {index} end" for index, condition in enumerate(conditions))
    return f"list_filter([{listed or 'null'}], lambda x: x is not null)::integer[]"
