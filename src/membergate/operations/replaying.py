"""The replay's machinery: recorded decisions become columns of evidence, and DuckDB decides them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from membergate.deciding.policy import Policy, decide, witnesses
from membergate.deciding.policy.replay import verdicts_to_duckdb
from membergate.domain.disposition import Checkpoint, severity
from membergate.domain.evidence import EvidenceKind
from membergate.operations.admission import draw
from membergate.store import decision_from_record

_FORM = '[{"name":"VARCHAR","value":"JSON","absence":"VARCHAR"}]'
_ENTRIES = f"""
select place, e.name as name, e.value as said, e.absence = 'source_failed' as is_at_fault, json_type(e.value) as kind
from (select place, unnest(from_json(evidence_json, '{_FORM}')) as e from recorded)
where list_contains($names, e.name)
"""
_TYPED = f"""
select *,
  case when kind in ('DOUBLE', 'BIGINT', 'UBIGINT', 'HUGEINT', 'UHUGEINT') and isfinite(cast(said as double))
       and (cast(said as double) between 0e0 and 1e0 or not list_contains($units, name))
       then cast(said as double) end as number,
  case when kind = 'BOOLEAN' then cast(said as boolean) end as flag,
  case when kind = 'VARCHAR' then said ->> '$' end as word
from ({_ENTRIES})
"""
"""One row a statement, with its value in the column of its kind; out of its range it has none."""
_COLUMN = {EvidenceKind.NUMBER: "number", EvidenceKind.BOOLEAN: "flag", EvidenceKind.TEXT: "word"}
_MADE = """
create temp table replayed (
  decision_id varchar, subject varchar, decided_at timestamptz, old varchar, rung integer, is_merchant boolean,
  hits integer[], groups integer[], lacks integer
)
"""


class Replayer:
    """Decides recorded decisions again, and gathers what came of it in the table `replayed`.

    Parameters
    ----------
    policy
        The policy to try; its effective dates do not count, its overlays and snoozes do.
    checkpoint
        Which decisions.
    truth
        Who turned out a merchant, by subject type and id.
    """

    def __init__(self, policy: Policy, checkpoint: Checkpoint, truth: Mapping[tuple[str, str], bool]) -> None:
        self.connection = duckdb.connect()
        self.rules = tuple(rule for rule in policy.rules if rule.checkpoint is checkpoint)
        self._policy = policy
        self._checkpoint = checkpoint
        self._truth = truth
        self._names = policy.reads_at[checkpoint]
        self._snoozed = {account for rule in policy.rules for account, _ in rule.snoozes}
        self.connection.execute(_MADE)

    def take(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Decide some records, column by column; records of accounts for which a rule sleeps go one by one."""
        by_overlays: dict[tuple[bool, ...], list[Mapping[str, Any]]] = {}
        for record in records:
            holding = tuple(overlay.holds(record["as_of"]) for overlay in self._policy.overlays)
            by_overlays.setdefault(holding, []).append(record)
        for some in by_overlays.values():
            self._decide(self._policy.at(some[0]["as_of"]), some)
        asleep = [record for record in records if record["account_id"] in self._snoozed]
        for record in asleep:
            self.connection.execute(
                "update replayed set rung = $rung where decision_id = $decision_id",
                {"rung": self.exactly(record), "decision_id": record["decision_id"]},
            )

    def exactly(self, record: Mapping[str, Any]) -> int:
        """Give the rung that the door's own path decides on a record's evidence."""
        decision = decision_from_record(record)
        verdict = decide(
            self._policy.at(decision.as_of),
            self._checkpoint,
            {witnessed.name: witnessed for witnessed in decision.evidence},
            lottery=draw(decision.operator_id, self._policy),
            snoozed=self._policy.snoozed_for(decision.account_id, decision.as_of),
        )
        return severity(verdict.disposition, self._checkpoint)

    def disagreeing(self, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """Give the ids of the records of which both paths decide differently."""
        found = dict(self.connection.execute("select decision_id, rung from replayed").fetchall())
        return [r["decision_id"] for r in records if found[r["decision_id"]] != self.exactly(r)]

    def _decide(self, policy: Policy, records: Sequence[Mapping[str, Any]]) -> None:
        self.connection.register("recorded", self._columns(records))
        laid = f"create or replace temp table evidence as {self._evidence_sql()}"
        self.connection.execute(laid, self._evidence_parameters())
        verdicts = verdicts_to_duckdb(policy, self._checkpoint, "evidence")
        hits = _indices([f'"hit:{rule.rule_id}"' for rule in self.rules])
        groups = _indices([f"({segment.when.sql})" for segment in self._policy.segments])
        self.connection.execute(
            f"insert into replayed select decision_id, subject, decided_at, old, rung, is_merchant, {hits}, {groups}, "
            f"lacks from ({verdicts})"
        )
        self.connection.unregister("recorded")

    def _columns(self, records: Sequence[Mapping[str, Any]]) -> pa.Table:
        truth = self._truth
        return pa.table(
            {
                "place": range(len(records)),
                "decision_id": [r["decision_id"] for r in records],
                "subject": [r["application_id"] or r["order_id"] or r["decision_id"] for r in records],
                "decided_at": pa.array([r["decided_at"] for r in records], pa.timestamp("us", tz="UTC")),
                "old": [r["disposition"] for r in records],
                "evidence_json": [r["evidence"] for r in records],
                "lottery": [draw(r["operator_id"], self._policy) for r in records],
                "is_merchant": pa.array(
                    [
                        truth.get(("account", r["account_id"]), truth.get(("operator", r["operator_id"])))
                        for r in records
                    ],
                    pa.bool_(),
                ),
            }
        )

    def _evidence_sql(self) -> str:
        """Write the query that turns each document of evidence into a typed column a name."""
        kinds = self._policy.kinds
        columns = "".join(
            f", any_value({_COLUMN[kinds[name]]}) filter (name = '{name}') as \"{name}\"" for name in self._names
        )
        bad = " or ".join(
            f"({column} is null and list_contains(${column}s, name))" for column in sorted(set(_COLUMN.values()))
        )
        failed = f"coalesce(list(name) filter (is_at_fault or (said is not null and ({bad}))), [])"
        pivot = f"select place, {failed} as failed, count(*) as found{columns} from ({_TYPED}) group by place"
        lacks = f"{len(self._names)} - coalesce(found, 0) as lacks"
        kept = f"recorded.* exclude (evidence_json), coalesce(failed, []) as failed, {lacks}"
        names = "".join(f', "{name}"' for name in self._names)
        return f"select {kept}{names} from recorded left join ({pivot}) as told using (place)"

    def _evidence_parameters(self) -> dict[str, list[str]]:
        kinds = self._policy.kinds
        by_kind = {
            f"{column}s": [name for name in self._names if kinds[name] is kind] for kind, column in _COLUMN.items()
        }
        return {"names": list(self._names), "units": sorted(witnesses.IN_UNIT_INTERVAL), **by_kind}


def _indices(conditions: Sequence[str]) -> str:
    """Write a list of the positions of the conditions that hold."""
    listed = ", ".join(f"case when {condition} then {index} end" for index, condition in enumerate(conditions))
    return f"list_filter([{listed or 'null'}], lambda x: x is not null)::integer[]"
