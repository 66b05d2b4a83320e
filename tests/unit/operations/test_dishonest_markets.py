"""A market whose columns know the answer: verification says so, publish refuses, and a refusal changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import duckdb
import pytest

from membergate.domain.errors import RefusedError
from membergate.domain.instants import format_instant
from membergate.market.schema import TABLES
from membergate.market.simulator import simulate
from membergate.market.warehouse import literal
from membergate.operations.admit import live_desk
from membergate.operations.audits import verify_audit
from membergate.operations.hindsight import find_hindsight
from membergate.operations.history import History, aware
from membergate.operations.ingest import ingest
from membergate.operations.learn import learn
from membergate.operations.lists import NewEntry, add_entry, entries_in_force
from membergate.operations.opening import open_record
from membergate.operations.policies import STRICT, shipped_policy, store_policy
from membergate.operations.policy_lifecycle import earlier_policies
from membergate.operations.publish import publish
from membergate.operations.verify import verify
from membergate.operations.workspace import Live, Workspace
from membergate.verification.report import Report

SCENARIO = "preset: tiny\nseed: 9002\nreview_share: 0.9\nreview_share_spenders: 0.9\n"
"""Reviewers err, so that a handful of their labels would not tell the truth itself from good behaviour."""
pytestmark = pytest.mark.xdist_group("dishonest")


@dataclass(frozen=True)
class Refused:
    """A workspace whose candidate was verified and found wanting; something else is live, and on record."""

    workspace: Workspace
    report: Report
    html: str


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory, still_clock: Callable[[], datetime]) -> Refused:
    """Verify a candidate of a market in which two columns were filled in from the truth."""
    folder = tmp_path_factory.mktemp("dishonest")
    (folder / "scenario.yaml").write_text(SCENARIO, encoding="utf-8")
    simulate(folder / "simulated", scenario_file=folder / "scenario.yaml")
    shutil.copytree(folder / "simulated" / "market", folder / "market")
    fill_in_from_the_truth(folder / "simulated", folder / "market")
    workspace = Workspace(folder / "workspace")
    ingest(workspace.root, folder / "market", clock=still_clock)
    history = History(workspace.warehouse())
    submitted = history.applications().submitted_at
    middle = aware(submitted[len(submitted) // 2])
    learned = learn(workspace, as_of=middle, trained_until=middle, history=history)
    strict = store_policy(workspace, shipped_policy(STRICT))
    workspace.set_live(Live(learned.model_version, strict, format_instant(still_clock())))
    with open_record(workspace) as record:
        record.record(live_desk(workspace, history).decide_window(aware(submitted[-30])))
    listed = NewEntry("deny", "account", str(history.applications().account_ids[0]), "RESALE_BULK", "L4")
    add_entry(workspace, listed, by="anna", clock=still_clock)
    verified = verify(workspace, clock=still_clock, history=history)
    return Refused(workspace, verified.report, verified.html.read_text(encoding="utf-8"))


def fill_in_from_the_truth(simulated: Path, market: Path) -> None:
    """Mark merchants' sign-ins as an emulator's, and let the fraction of a second of an application tell who buys."""
    with duckdb.connect(":memory:") as connection:
        for name in ("accounts", "operators"):
            source = literal(str(simulated / "truth" / f"truth_{name}.parquet"))
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {source}")
        for name in ("orders", "order_lines", "logins", "applications"):
            source = literal(str(simulated / "market" / f"{name}.parquet"))
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {source}")
        connection.execute(
            """
            CREATE TABLE known AS
            WITH truth AS (
                SELECT account_id, bool_or(is_merchant) AS is_merchant
                FROM accounts JOIN operators USING (operator_id) GROUP BY account_id
            )
            SELECT account_id, any_value(is_merchant) AS is_merchant,
              percent_rank() OVER (ORDER BY any_value(is_merchant), max(quantity)) AS depth
            FROM truth LEFT JOIN orders USING (account_id) LEFT JOIN order_lines USING (order_id) GROUP BY account_id
            """
        )
        fraction = "date_trunc('second', submitted_at) + to_microseconds(CAST(900000 * depth AS BIGINT))"
        for name, answer in (("logins", "is_merchant AS emulator"), ("applications", f"{fraction} AS submitted_at")):
            connection.execute(
                f"COPY (SELECT {name}.* REPLACE ({answer}) FROM {name} JOIN known USING (account_id)) "
                f"TO {literal(str(market / f'{name}.parquet'))}"
            )


def digests(workspace: Workspace) -> dict[str, str]:
    """Give every file of a workspace, the record and the warehouse among them, with its digest."""
    return {
        str(path.relative_to(workspace.root)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(workspace.root.rglob("*"))
        if path.is_file()
    }


def test_a_column_that_knows_the_answer_shuts_the_gate(refused: Refused, still_clock: Callable[[], datetime]) -> None:
    """The report names the feature, the gate stays shut, and publish gives the reason with the next step."""
    hindsight = refused.report.surroundings.hindsight
    assert hindsight is not None
    assert [leak.feature for leak in hindsight.leaks if leak.by == "value"] == ["F4"]
    assert not refused.report.judgement.opens
    assert refused.report.findings[0].severity == "high"
    assert "f4_emulator_share" in refused.html
    with pytest.raises(RefusedError) as told:
        publish(refused.workspace, clock=still_clock)
    assert "the value of F4 (f4_emulator_share) alone tells merchants" in str(told.value.where)
    assert "leave them out of the mapping, then ingest, learn and verify again" in str(told.value.where)
    assert told.value.next_step == "read the report; nothing was changed"


def test_evidence_from_the_future_shuts_the_gate(refused: Refused) -> None:
    """One statement that is later than its decision is found, named, and refuses."""
    history = History(refused.workspace.warehouse())
    desk = live_desk(refused.workspace, history)
    decided = list(desk.decide_with_evidence(history.applications(desk.model.lineage.trained_until)))[:20]
    assert find_hindsight(history, desk.model, history.last_instant, decided).late_statements == 0
    case, decision = decided[3]
    late = replace(case.evidence["risk_score"], observed_at=decision.as_of + timedelta(microseconds=1))
    decided[3] = (replace(case, evidence=case.evidence | {"risk_score": late}), decision)
    found = find_hindsight(history, desk.model, history.last_instant, decided)
    assert found.late_statements == 1
    failed = [control for control in found.controls if not control.passes]
    assert [control.name for control in failed] == ["no_leak", "no_late_evidence"]
    assert f"risk_score of application {case.application.application_id}" in failed[1].sentence


def test_a_row_seen_before_it_happened_shuts_the_gate(refused: Refused) -> None:
    """Rows whose visibility precedes their event are counted by table."""
    history = History(refused.workspace.warehouse())
    desk = live_desk(refused.workspace, history)
    history.connection.execute(
        "CREATE OR REPLACE TEMP VIEW logins AS SELECT * REPLACE (logged_in_at - INTERVAL 1 DAY AS visible_at) "
        f"FROM ({history.warehouse.relation(TABLES['logins'])}) LIMIT 7"
    )
    found = find_hindsight(history, desk.model, history.last_instant, [])
    assert [(each.table, each.rows) for each in found.early_rows] == [("logins", 7)]
    assert "7 of logins" in found.controls[-1].sentence
    assert not found.controls[-1].passes


def test_a_failed_negative_control_refuses_and_changes_nothing(
    refused: Refused, still_clock: Callable[[], datetime]
) -> None:
    """The score goes with what cannot matter, so publish refuses; every byte of the workspace is as it was.

    Compared are the live pointer, what the lists say, the audit chain of the record, and the digest of every file.
    """
    checked = refused.report.surroundings.without_labels
    assert checked is not None
    failed = [control.against for control in checked.score_controls if not control.passes]
    assert failed == ["the fraction of a second of the submission"]
    workspace = refused.workspace

    def state() -> object:
        listed = entries_in_force(workspace, still_clock())
        return workspace.required_live(), listed, verify_audit(workspace), earlier_policies(workspace)

    state()  # whoever reads the record first may leave files of the database's own behind
    told, before = state(), digests(workspace)
    assert len(entries_in_force(workspace, still_clock())) == 1
    assert {"live.json", "candidate.json", "membergate.sqlite"} < set(before)
    assert any(name.startswith("warehouse/") for name in before)
    with pytest.raises(RefusedError, match="the gate refuses model") as refusal:
        publish(workspace, clock=still_clock)
    assert "Negative control: the score goes with the fraction of a second" in str(refusal.value.where)
    assert digests(workspace) == before
    assert state() == told
