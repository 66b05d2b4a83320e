"""The lists, as a risk analyst meets them.

I enter an account that was caught. From then on every application of it says so, and none from before does. My batch
writes the same bytes as yesterday, whatever I enter today. A partner sends me a file: I look at what it would change
before I take it over. One entry was wrong: I retract it, and am shown whom it touched.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from membergate.domain.decision import Decision
from membergate.domain.instants import format_instant, utc
from membergate.operations.admit import admit, live_desk
from membergate.operations.history import History, aware
from membergate.operations.keeping import enter_what_was_cut_off, keep
from membergate.operations.lists import NewEntry, add_entry
from membergate.operations.opening import open_record
from membergate.operations.policies import read_policy, store_policy
from membergate.operations.workspace import Live, Workspace
from membergate.service.desks import desks_of

if TYPE_CHECKING:
    from tests.journey.conftest import CommandLine

Clock = Callable[[], datetime]
HOUR = timedelta(hours=1)


REMEMBERING = """
name: remembering
version: "1"
description: Watches everyone for a month.
rules:
  - {id: all, purpose: Remembers., when: operator_accounts >= 1, reason: SEEN, watch: {days: 30}}
"""


@pytest.fixture
def open_door(workspace: Workspace) -> Workspace:
    """Give a workspace in which a model and the default policy are live."""
    (version,) = workspace.model_versions()
    workspace.set_live(Live(version, store_policy(workspace, read_policy(None)), "2026-01-01T00:00:00Z"))
    return workspace


def said(decision: Decision) -> dict[str, tuple[object, str]]:
    """Give what the lists said in a decision."""
    return {e.name: (e.value, e.origin) for e in decision.evidence if e.name.startswith("list_")}


def test_an_entry_counts_from_when_it_was_recorded(open_door: Workspace, tmp_path: Path, still_clock: Clock) -> None:
    """Account, operator and tokens are known to the batch and to explain; what is entered later changes no byte."""
    history = History(open_door.warehouse())
    late = history.applications().take(history.applications().submitted_at > history.applications().submitted_at[-40])
    since = aware(late.submitted_at[0])
    caught, before = str(late.account_ids[20]), aware(late.submitted_at[20]) - HOUR
    phones = history.connection.execute("SELECT account_id, phone_tok FROM accounts").fetchall()
    phone_of = dict(phones)
    person = next(str(a) for a in late.account_ids[21:] if phone_of.get(str(a)) and str(a) != caught)
    deny = NewEntry("deny", "account", caught, "RESALE_BULK", "L4")
    entry = add_entry(open_door, deny, by="anna", clock=lambda: before)
    watch = NewEntry("watch", "phone", phone_of[person], "MULTI_ACCOUNT_RING", "L2")
    add_entry(open_door, watch, by="anna", clock=lambda: before)
    first = admit(open_door, clock=still_clock, since=since, out=tmp_path / "1.parquet", history=history)
    add_entry(open_door, NewEntry("deny", "account", person, "RESALE_BULK", "L4"), by="anna", clock=still_clock)
    admit(open_door, clock=still_clock, since=since, out=tmp_path / "2.parquet", history=history)
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
    for decision in first.decisions:
        is_caught = decision.account_id == caught and decision.as_of >= before
        assert said(decision)["list_deny"] == (is_caught, f"list:deny:{entry.entry_id}" if is_caught else "list:deny")
        assert "ON_DENY_LIST" in decision.reason_codes or not is_caught
    assert {d.account_id for d in first.decisions if said(d)["list_watch"][0]} >= {person}
    with open_record(open_door) as record:
        touched = record.decisions_touched(entry.entry_id)
    assert {decision.account_id for decision in touched} == {caught}


def test_the_desk_follows_the_lists_as_they_change(open_door: Workspace, still_clock: Clock) -> None:
    """A desk that was set up with a record hears of an entry before its next decision, and of its retraction."""
    history = History(open_door.warehouse())
    application = history.applications().take(
        history.applications().submitted_at == history.applications().submitted_at[-1]
    )
    as_of = aware(application.submitted_at[0])
    with open_record(open_door) as record:
        desk = live_desk(open_door, history, record=record)

        def is_watched() -> object:
            (*_, (_, decision)) = desk.decide_with_evidence(application)
            return said(decision)["list_watch"][0]

        assert is_watched() is False
        watch = NewEntry("watch", "account", str(application.account_ids[0]), "AUTOMATION", "L1")
        entry = add_entry(open_door, watch, by="anna", clock=lambda: as_of - HOUR)
        assert is_watched() is True
        record.lists.change(retract=[entry.entry_id], at=as_of - timedelta(minutes=1), by="bert")
        assert is_watched() is False


def test_a_rules_hit_is_remembered(open_door: Workspace, tmp_path: Path) -> None:
    """Decisions kept twice enter each operator once; what would be over by now is not entered."""
    (tmp_path / "p.yaml").write_text(REMEMBERING)
    policy = read_policy(tmp_path / "p.yaml")
    history = History(open_door.warehouse())
    desk = live_desk(open_door, history)
    desk.policy = policy
    decided = desk.decide_window(aware(history.applications().submitted_at[-5]))
    with open_record(open_door) as record:
        assert keep(record, policy, decided, lambda: utc(2036, 1, 1)) == 0
        now = decided[-1].as_of + HOUR
        record.record(decided)  # and then the process dies
        assert enter_what_was_cut_off(record, read_policy(None), lambda: now) == 0
        assert enter_what_was_cut_off(record, policy, lambda: now) == len(decided)
        assert enter_what_was_cut_off(record, policy, lambda: now) == 0
        assert keep(record, policy, decided, lambda: now) == 0
        listed = record.lists.entries()
    assert {entry.source for entry in listed} == {"rule:all"}
    assert {entry.decision_id for entry in listed} == {decision.decision_id for decision in decided}


def test_a_service_that_starts_enters_what_a_crash_left_out(open_door: Workspace, tmp_path: Path) -> None:
    """Decisions stood on record without their entries; whoever takes over from running desks looks at nothing again."""
    (tmp_path / "p.yaml").write_text(REMEMBERING)
    policy = read_policy(tmp_path / "p.yaml")
    live = open_door.required_live()
    open_door.set_live(Live(live.model_version, store_policy(open_door, policy), live.published_at))
    history = History(open_door.warehouse())
    decided = live_desk(open_door, history).decide_window(aware(history.applications().submitted_at[-5]))
    with open_record(open_door) as record:
        record.record(decided)
        desks = desks_of(open_door, history, record, lambda: decided[-1].as_of + HOUR)
        assert {entry.decision_id for entry in record.lists.entries()} == {one.decision_id for one in decided}
        record.record([replace(decided[0], decision_id="d-later", account_id="another")])
        desks_of(open_door, history, record, lambda: decided[-1].as_of + HOUR, before=desks)
        assert len(record.lists.entries()) == len(decided)


def test_the_command_line_keeps_lists(run: CommandLine, open_door: Workspace, tmp_path: Path) -> None:
    """Add, show, preview, import, export, retract and rate; nothing is written by a preview."""
    place = ("--workspace", open_door.root)
    code, out, err = run(
        "list", "add", "watch", "device", "dev-1", "--reason", "AUTOMATION", "--grade", "L1", "--by", "anna", *place
    )
    assert code == 0, err
    entry_id = out.split(":")[0]
    file = tmp_path / "partner.csv"
    file.write_text("list,subject_type,key,reason_code,grade,confidence\nwatch,phone,p-1,COUPON_FARM,L2,0.8\n")
    arguments = ("list", "import", file, "--source", "partner", "--by", "anna")
    assert "1 added" in run(*arguments, *place)[1]
    assert json.loads(run("list", "show", "p-1", "--json", *place)[1]) == []
    assert "done" in run(*arguments, "--apply", *place)[1]
    exported = tmp_path / "all.jsonl"
    assert "2 entries" in run("list", "export", exported, *place)[1]
    again = run("list", "import", exported, "--source", "other", "--by", "anna", *place)[1]
    assert "0 added, 0 revised, 2 unchanged" in again
    file.write_text("list,subject_type,key,reason_code,grade,confidence\nwatch,phone,p-2,COUPON_FARM,L2,0.8\n")
    replaced = run(*arguments, "--whole", "--apply", *place)[1]
    assert "1 added, 0 revised, 0 unchanged, 1 no longer in the file (retracted)" in replaced
    shown = json.loads(run("list", "show", "--json", *place)[1])
    assert {entry["subject"]["key"] for entry in shown} == {"dev-1", "p-2"}
    code, out, err = run("list", "retract", entry_id, "--reason", "a wrong device", "--by", "bert", *place)
    assert (code, "touched 0 decisions" in out, "by bert: a wrong device" in out) == (0, True, True), err
    code, _, err = run("list", "retract", entry_id, "--reason", "again", "--by", "bert", *place)
    assert (code, "retracted before" in err) == (2, True)
    assert "2 entries" not in run("list", "export", tmp_path / "all.csv", *place)[1]
    file.write_text("list,subject_type,key,reason_code,grade,confidence\n")
    emptied = run(*arguments, "--whole", "--apply", *place)[1]
    assert "0 added, 0 revised, 0 unchanged, 1 no longer in the file (retracted)" in emptied
    assert json.loads(run("list", "show", "--json", *place)[1]) == []
    with (tmp_path / "all.csv").open() as lines:
        assert {row["withdrawn_at"] == "" for row in csv.DictReader(lines)} == {True, False}


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.txt", "", "does not say what it is"),
        ("none.csv", None, "cannot be read"),
        ("a.csv", "", "no header"),
        ("a.csv", "list,key\nwatch,x\n", "no subject_type"),
        ("a.csv", "list,subject_type,key,reason_code,grade,shoe\nwatch,phone,x,A,L1,9\n", "unknown columns: shoe"),
        ("a.csv", "list,subject_type,key,reason_code,grade\ndeny,phone,x,A,L1\n", "does not carry a denial"),
        ("a.csv", "list,subject_type,key,reason_code,grade\nwatch,cat,x,A,L1\n", "'cat' is no subject_type"),
        ("a.csv", "list,subject_type,key,reason_code,grade\n" + 2 * "watch,phone,x,A,L1\n", "says again"),
        ("a.csv", "list,subject_type,key,reason_code,grade,confidence\nwatch,phone,x,A,L1,much\n", "no number"),
        ("a.csv", "list,subject_type,key,reason_code,grade\nwatch,phone,x,A,L1,9\n", "more fields than the header"),
        ("a.csv", f"list,subject_type,key,reason_code,grade\nwatch,phone,{'x' * 140_000},A,L1\n", "at most 131072"),
        ("a.csv", "list,subject_type,key,reason_code,grade,starts_at\nwatch,phone,x,A,L1,9999-12-31\n", "calendar"),
        (
            "a.jsonl",
            '{"list":"watch","subject_type":"phone","key":"\\ud800","reason_code":"A","grade":"L1"}',
            "printable",
        ),
        ("a.jsonl", '{"list":"watch","subject_type":"phone","key":["x"],"reason_code":"A","grade":"L1"}', "no text"),
        ("a.jsonl", '{"list":"watch","subject_type":"phone","key":1.0,"reason_code":"A","grade":"L1"}', "no text"),
        (
            "a.jsonl",
            '{"list":"watch","subject_type":"phone","key":"x","reason_code":"A","grade":"L1","source_version":"\\u0000"}',
            "printable",
        ),
        ("a.jsonl", "[1]\n", "no JSON object"),
        ("a.jsonl", '{"list": 1}\n', "no subject_type"),
    ],
)
def test_a_bad_file_changes_nothing(run: CommandLine, tmp_path: Path, name: str, text: str | None, what: str) -> None:
    """The row and what is wrong with it are named."""
    if text is not None:
        (tmp_path / name).write_text(text)
    place = ("--workspace", tmp_path / "w")
    code, _, err = run("list", "import", tmp_path / name, "--source", "s", "--by", "anna", "--apply", *place)
    assert code == 2
    assert what in err
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    "looking",
    [
        ("list", "show"), ("list", "export", "all.csv"), ("policy", "history"), ("keys", "list"),
        ("webhooks", "list"), ("appeals", "list"), ("record", "export", "all.parquet"),
    ],
)  # fmt: skip
def test_whoever_only_looks_makes_no_workspace(run: CommandLine, tmp_path: Path, looking: tuple[str, ...]) -> None:
    """A misspelt workspace is told, not made."""
    code, _, err = run(*looking, "--workspace", tmp_path / "typo")
    assert code == 2
    assert "no such workspace" in err
    assert not (tmp_path / "typo").exists()


def test_sources_are_rated_by_what_accounts_turned_out_to_be(run: CommandLine, open_door: Workspace) -> None:
    """A source that watches known merchants has no false hit; one that watches genuine accounts has nothing else."""
    history = History(open_door.warehouse())
    labels = [label for label in history.labels(history.last_instant) if label.grade == "L3"]
    start = format_instant(utc(2024, 1, 1))
    for source, is_merchant in (("good", True), ("bad", False)):
        subjects = [(label.subject_type, label.subject_id) for label in labels if label.is_merchant is is_merchant]
        accounts = [subject for kind, subject in subjects if kind == "account"][:5]
        for account in accounts:
            arguments = (
                "--reason",
                "RESALE_BULK",
                "--grade",
                "L2",
                "--source",
                source,
                "--by",
                "anna",
                "--starts-at",
                start,
            )
            code, _, err = run("list", "add", "watch", "account", account, *arguments, "--workspace", open_door.root)
            assert code == 0, err
    rated = json.loads(run("list", "rates", "--json", "--workspace", open_door.root)[1])
    assert {rate["source"]: rate["false_hits"]["value"] for rate in rated} == {"good": 0.0, "bad": 1.0}
    assert all(rate["false_hits"]["low"] < rate["false_hits"]["high"] for rate in rated)


@pytest.mark.parametrize("key", ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "'=x", "''", "plain"])
def test_a_key_that_a_spreadsheet_would_run_is_marked_as_a_text(run: CommandLine, tmp_path: Path, key: str) -> None:
    """In the CSV it begins with an apostrophe; imported again, it is the key that it was."""
    place = ("--workspace", tmp_path / "w")
    said = ("--reason", "AUTOMATION", "--grade", "L1", "--by", "anna", "--source", "s")
    assert run("list", "add", "watch", "device", *said, *place, "--", key)[0] == 0
    assert run("list", "export", tmp_path / "a.csv", *place)[0] == 0
    with (tmp_path / "a.csv").open(newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert row["key"] == (key if key == "plain" else f"'{key}")
    _, told, _ = run("list", "import", tmp_path / "a.csv", "--source", "s", "--by", "anna", "--json", *place)
    found = json.loads(told)["difference"]
    assert ([each["subject"]["key"] for each in found["unchanged"]], found["added"]) == ([key], [])


@pytest.mark.parametrize(
    ("more", "what"), [(("--starts-at", "9999-12-30"), "calendar"), (("--by", "\udcff"), "not printable")]
)
def test_what_no_calendar_and_no_text_holds_is_refused(
    run: CommandLine, tmp_path: Path, more: tuple[str, str], what: str
) -> None:
    """An end beyond the year 9999, and a name that is no UTF-8."""
    said = ("--reason", "AUTOMATION", "--grade", "L1", "--by", "anna", "--workspace", tmp_path / "w")
    code, _, err = run("list", "add", "watch", "device", "x", *said, *more)
    assert code == 2
    assert what in err
