"""The contract, as a platform engineer meets it.

I am handed a market folder. I ingest it, learn as of an instant, verify, publish and admit a window. I get one decision
an application, with the record's columns. I run it again and get the same bytes. Then I grow suspicious: I delete from
the folder everything that became known after an application, start from nothing with the same model, and look whether
its decision has changed. It must not have.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from membergate.domain.disposition import Disposition
from membergate.domain.instants import format_instant
from membergate.learning.model import Parts, load_model
from membergate.market.schema import TABLES
from membergate.operations.admission import AdmissionDesk
from membergate.operations.history import History, aware
from membergate.operations.ingest import ingest
from membergate.operations.learn import Learned
from membergate.operations.policies import read_policy, shipped_policy
from membergate.operations.workspace import Workspace
from membergate.store.tabular import SCHEMA, read_decisions

if TYPE_CHECKING:
    from tests.journey.conftest import CommandLine

Clock = Callable[[], datetime]


class Commands:
    """Commands that must succeed."""

    def __init__(self, run: CommandLine) -> None:
        self._run = run

    def __call__(self, *arguments: object) -> str:
        """Run one and give what it printed."""
        code, out, err = self._run(*arguments)
        assert code == 0, err
        return out


@pytest.fixture
def command(run: CommandLine) -> Commands:
    """Give the command line, for commands that must succeed."""
    return Commands(run)


def cut_market(market: Path, out: Path, instant: datetime) -> None:
    """Copy a market folder without any row that happened, or became known, after an instant.

    Applications submitted by then stay even where they arrived later: they are what is asked.
    """
    out.mkdir()
    limit = pa.scalar(instant.replace(tzinfo=None), pa.timestamp("us"))
    for file in market.glob("*.parquet"):
        table = TABLES[file.stem]
        rows = before(pq.read_table(file), file.stem, limit)
        if table.parent is not None:
            kept = pq.read_table(market / f"{table.parent.table}.parquet")
            kept = kept if table.parent.table == file.stem else before(kept, table.parent.table, limit)
            rows = rows.filter(pc.is_in(rows[table.parent.key], kept[table.parent.key].combine_chunks()))
        pq.write_table(rows, out / file.name)


def before(rows: pa.Table, name: str, limit: pa.Scalar) -> pa.Table:
    """Keep the rows of a table whose event and arrival are not after an instant."""
    arrival = () if name == "applications" else ("ingested_at",)
    for column in (*TABLES[name].event[:1], *arrival):
        if column in rows.column_names:
            instants = pc.cast(rows[column], pa.timestamp("us"))
            rows = rows.filter(pc.fill_null(pc.less_equal(instants, limit), fill_value=True))
    return rows


def test_the_whole_cycle_from_the_command_line(market: Path, tmp_path: Path, command: Commands) -> None:
    """Five commands lead from a folder to decisions, one an application, and a second run writes the same bytes."""
    place = ("--workspace", tmp_path / "w")
    submitted = sorted(pq.read_table(market / "applications.parquet")["submitted_at"].to_pylist())
    middle, end = (format_instant(aware_of(submitted[int(len(submitted) * part)])) for part in (0.5, 0.9))
    command("ingest", market, *place)
    command("learn", "--as-of", middle, *place)
    for step, person in (("submit", "anna"), ("approve", "bert"), ("shadow", "anna")):
        command("policy", step, "strict", "--by", person, *place)
    measured = json.loads(command("verify", "--ablations", "--json", *place))["report"]["surroundings"]
    assert {row["name"] for row in measured["ablations"]} == {part.name for part in fields(Parts)}
    assert [row["policy"].split("-")[0] for row in measured["shadows"]] == ["strict"]
    command("publish", *place)
    out = [tmp_path / "first.parquet", tmp_path / "second.parquet"]
    for file in out:
        command("admit", "--since", middle, "--until", end, "--out", file, *place)
    assert out[0].read_bytes() == out[1].read_bytes()
    decided = read_decisions(out[0])
    assert pq.read_schema(out[0]).names == SCHEMA.names
    window = [t for t in submitted if middle <= format_instant(aware_of(t)) < end]
    assert len(decided) == len(window) == len({decision.application_id for decision in decided})
    assert all(decision.as_of <= decision.decided_at for decision in decided)
    told = command("explain", decided[0].account_id, *place)
    assert decided[0].account_id in told
    assert "Evidence" in told
    assert "has not applied" not in told
    everybody = set(pq.read_table(market / "accounts.parquet")["account_id"].to_pylist())
    others = sorted(everybody - set(pq.read_table(market / "applications.parquet")["account_id"].to_pylist()))
    assert "has not applied: so it would be decided if it applied then" in command("explain", others[0], *place)


def aware_of(instant: datetime) -> datetime:
    """Take a Parquet instant, zoned or not, as UTC."""
    return instant.replace(tzinfo=UTC)


@pytest.mark.parametrize("part", [0.55, 0.7, 0.95])
def test_nothing_after_an_application_can_change_its_decision(
    part: float,
    market: Path,
    learned_workspace: tuple[Workspace, Learned],
    tmp_path: Path,
    still_clock: Clock,
) -> None:
    """With every later row removed from the folder, the decisions up to then are the same, to the last digit."""
    workspace, learned = learned_workspace
    model = load_model(workspace.models / learned.model_version)
    policy = shipped_policy("default")
    whole = History(workspace.warehouse())
    applications = whole.applications()
    instant = aware(applications.submitted_at[int(len(applications) * part)])
    cut_market(market, tmp_path / "cut", instant)
    ingest(tmp_path / "w", tmp_path / "cut", clock=still_clock)
    shorter = History(Workspace(tmp_path / "w").warehouse())
    since, until = max(learned.as_of, instant - timedelta(days=20)), instant + timedelta(microseconds=1)
    then, now = (
        AdmissionDesk(history, model, learned.model_version, policy).decide_window(since, until)
        for history in (whole, shorter)
    )
    assert len(now) > 5
    assert then == now


def test_a_snoozed_rule_lets_its_account_pass_until_its_date(
    learned_workspace: tuple[Workspace, Learned], tmp_path: Path
) -> None:
    """A rule that refuses everyone spares the account that it names, before the date that it names, and nobody else."""
    workspace, learned = learned_workspace
    history = History(workspace.warehouse())
    late = history.applications(since=learned.as_of)
    last = late.take(np.arange(len(late)) >= len(late) - 3)
    text = """
name: closed
version: "1"
description: Refuses everyone, but for two snoozes of which one is over.
rules:
  - id: closed
    purpose: A door that is shut.
    when: operator_accounts >= 1
    at_least: deny
    snoozes:
"""
    for account, until in zip(last.account_ids[:2], ("2030-01-01", "2025-01-01"), strict=True):
        text += f"      - {{account: {account}, until: {until}}}\n"
    (tmp_path / "closed.yaml").write_text(text)
    model = load_model(workspace.models / learned.model_version)
    desk = AdmissionDesk(history, model, learned.model_version, read_policy(tmp_path / "closed.yaml"))
    decided = desk.decide_window(aware(last.submitted_at[0]), None)
    found = {decision.account_id: decision.disposition for decision in decided}
    spared, overdue, other = (found[account] for account in last.account_ids)
    assert spared is Disposition.ADMIT
    assert (overdue, other) == (Disposition.DENY, Disposition.DENY)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_folder_of_text_files_decides_like_a_folder_of_parquet(
    form: str,
    market: Path,
    learned_workspace: tuple[Workspace, Learned],
    tmp_path: Path,
    still_clock: Clock,
) -> None:
    """The form of the files makes no difference to any decision."""
    workspace, learned = learned_workspace
    texts = tmp_path / "texts"
    texts.mkdir()
    for file in market.glob("*.parquet"):
        option = "(HEADER)" if form == "csv" else "(FORMAT JSON)"
        duckdb.sql(f"COPY (FROM '{file}') TO '{texts / file.stem}.{form}' {option}")
    ingest(tmp_path / "w", texts, clock=still_clock)
    other = History(Workspace(tmp_path / "w").warehouse())
    assert other.warehouse.rows() == workspace.warehouse().rows()
    model = load_model(workspace.models / learned.model_version)
    policy = shipped_policy("default")
    since = aware(other.applications().submitted_at[-40])
    one, two = (
        AdmissionDesk(history, model, learned.model_version, policy).decide_window(since)
        for history in (History(workspace.warehouse()), other)
    )
    assert one == two


def test_any_optional_table_may_be_missing(market: Path, tmp_path: Path, command: Commands) -> None:
    """With the required tables and columns alone, the cycle still runs and says what it lacks."""
    bare = tmp_path / "bare"
    bare.mkdir()
    for table in TABLES.values():
        if table.is_required:
            rows = pq.read_table(market / f"{table.name}.parquet", columns=list(table.required_columns))
            pq.write_table(rows, bare / f"{table.name}.parquet")
    place = ("--workspace", tmp_path / "w")
    command("ingest", bare, *place)
    listed = json.loads(command("features", "list", *place, "--json"))
    lacking = {entry["id"]: entry["missing"] for entry in listed if entry["missing"]}
    assert "orders.recipient_tok" in lacking["E2"]
    learned = json.loads(command("learn", *place, "--json"))
    assert not learned["is_calibrated"]
    assert any("uncalibrated" in note for note in learned["notes"])
    admitted = json.loads(command("admit", "--model", learned["model_version"], *place, "--json"))
    assert admitted["decisions"] == len(pq.read_table(bare / "applications.parquet"))
    assert "deny" not in admitted["mix"]
