"""A policy's life, as a policy author, an approver and the one on duty meet it.

I write a draft with the examples that I expect of it. I try it, submit it, and cannot approve it myself. A colleague
does. It stands in shadow beside the live policy, which counts where the two differ. We let it go live; it annoys
somebody; we roll back at one stroke. The history says who did what.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from membergate.cli.settings import present
from membergate.deciding.policy import Policy, load_policy
from membergate.domain.disposition import Disposition
from membergate.domain.errors import PolicyError
from membergate.operations import policy_lifecycle
from membergate.operations.admit import live_desk
from membergate.operations.history import History, aware
from membergate.operations.policies import read_policy, store_policy
from membergate.operations.testimony import vocabulary
from membergate.operations.verify import Judgement, name_of
from membergate.operations.workspace import Live, Workspace, write_atomically
from membergate.store import PolicyState, open_store
from membergate.verification.report import digest_of

if TYPE_CHECKING:
    from tests.journey.conftest import CommandLine

DRAFT = """
name: shop
version: "{version}"
description: Looks at everyone.
rules:
  - {{id: everyone, purpose: A person looks., when: operator_accounts >= 1, at_least: review, reason: LOOK}}
examples:
  - {{id: one, evidence: {{operator_accounts: 1}}, expect: {expect}, reasons: [LOOK], hits: [everyone]}}
"""


@pytest.fixture
def place(workspace: Workspace) -> Workspace:
    """Give a workspace in which a model and the default policy are live."""
    (version,) = workspace.model_versions()
    workspace.set_live(Live(version, store_policy(workspace, read_policy(None)), "2026-01-01T00:00:00Z"))
    return workspace


def open_gate(place: Workspace, policy: Policy) -> None:
    """Say that the live model was verified with a policy, and the gate opened."""
    judgement = Judgement(
        opens=True,
        reasons=(),
        policy_digest=policy.digest,
        incumbent=name_of(place.required_live()),
        warehouse=place.warehouse().fingerprint,
        report_digest=digest_of(b"{}"),
    )
    folder = place.report_folder(place.required_live().model_version)
    write_atomically(folder / "report.json", b"{}")
    write_atomically(folder / "judgement.json", msgspec.json.encode(judgement))


def draft(folder: Path, version: str = "1", expect: str = "review", more: str = "") -> Path:
    """Write a draft."""
    file = folder / f"draft-{version}-{expect}.yaml"
    file.write_text(DRAFT.format(version=version, expect=expect) + more)
    return file


def test_from_a_draft_to_the_door_and_back(run: CommandLine, place: Workspace, tmp_path: Path) -> None:
    """Two people, four steps, one step back; every step out of turn is refused with exit code 1."""
    file, where = draft(tmp_path), ("--workspace", place.root)
    default = place.required_live().policy_file
    assert "1 examples hold" in run("policy", "check", file, *where)[1]
    assert run("policy", "approve", file, "--by", "bert", *where)[0] == 1
    assert "draft" in run("policy", "submit", file, "--by", "anna", *where)[1]
    assert "on record already" in run("policy", "submit", file, "--by", "carl", *where)[1]
    assert run("policy", "activate", "shop-1", "--by", "bert", *where)[0] == 1
    code, _, err = run("policy", "approve", "shop-1", "--by", "Anna", *where)
    assert (code, "second person" in err) == (1, True)
    for step in ("approve", "shadow"):
        assert run("policy", step, "shop-1", "--by", "bert", *where)[0] == 0
    submitted = History(place.warehouse()).applications().submitted_at
    since = str(aware(submitted[-10]).isoformat())
    answer = json.loads(run("admit", "--since", since, "--json", *where)[1])
    assert sum(row["decisions"] for row in answer["shadows"]) == answer["decisions"]
    assert {row["its"] for row in answer["shadows"]} <= {"review", "trial"}
    code, _, err = run("policy", "activate", "shop-1", "--by", "bert", *where)
    assert (code, "was not verified" in err) == (1, True)
    open_gate(place, read_policy(file))
    assert "shop-1" in run("policy", "activate", "shop-1", "--by", "bert", "--note", "try", *where)[1]
    admitted = json.loads(run("admit", "--since", since, "--json", *where)[1])
    assert (admitted["mix"], admitted["shadows"]) == ({"review": answer["decisions"]}, [])
    active = place.required_live()
    assert default in run("policy", "rollback", "--by", "dora", *where)[1]
    assert place.required_live().policy_file == default
    place.set_live(active)  # as a crash leaves it, between the record and the pointer
    assert run("policy", "rollback", "--by", "dora", *where)[0] == 0
    assert place.required_live().policy_file == default
    assert run("policy", "rollback", "--by", "dora", *where)[0] == 1
    events = json.loads(run("policy", "history", "--json", *where)[1])
    told = [(event["name"], event["state"], event["by"]) for event in events]
    assert told == [
        *[("shop", "draft", "anna"), ("default", "draft", "membergate"), ("default", "live", "membergate")],
        *[("shop", "approved", "bert"), ("shop", "shadow", "bert")],
        *[("default", "retired", "bert"), ("shop", "live", "bert")],
        *[("shop", "retired", "dora"), ("default", "live", "dora")],
    ]
    assert events[-1]["note"] == "rollback from shop-1"


def test_a_shadow_that_cannot_be_read_keeps_nobody_from_deciding(run: CommandLine, place: Workspace) -> None:
    """Its text names evidence of a version long gone: the door decides without it, and says so."""
    text = DRAFT.format(version="0", expect="review").replace("operator_accounts", "gone_evidence")
    with open_store(place.record) as record:
        record.policies.submit("old", "0", "0" * 64, text, at=present(), by="anna")
        record.policies.advance("0" * 64, PolicyState.SHADOW, allowed_from=tuple(PolicyState), at=present(), by="bert")
    found = policy_lifecycle.shadow_policies(place)
    assert (found.readable, found.unreadable["old-0"].what) == ((), "there is no evidence named gone_evidence")
    window = ("--since", str(aware(History(place.warehouse()).applications().submitted_at[-3]).isoformat()))
    answer = json.loads(run("admit", *window, "--json", "--workspace", place.root)[1])
    assert (answer["decisions"] > 0, answer["shadows"], answer["unread_shadows"]) == (True, [], ["old-0"])
    assert "old-0 stands in shadow and cannot be read" in run("admit", *window, "--workspace", place.root)[1]
    by = ("--by", "bert", "--workspace", place.root)
    assert "old-0: retired, was shadow" in run("policy", "retire", "old-0", *by)[1]
    assert policy_lifecycle.shadow_policies(place).unreadable == {}
    code, _, err = run("policy", "retire", "old-0", *by)
    assert (code, "is retired" in err) == (1, True)
    code, _, err = run("policy", "retire", "nobody-1", *by)
    assert (code, "no such policy is on record" in err) == (2, True)


def test_a_draft_whose_example_does_not_hold(run: CommandLine, tmp_path: Path) -> None:
    """It is told by `test` and refused by `check` and `submit`; nothing goes on record."""
    file, where = draft(tmp_path, expect="deny"), ("--workspace", tmp_path / "w")
    code, out, _ = run("policy", "test", file, *where)
    assert (code, "one: expected deny, decided review" in out, "0 of 1" in out) == (1, True, True)
    for arguments in (("check", file), ("submit", file, "--by", "anna")):
        code, _, err = run("policy", *arguments, *where)
        assert (code, "do not hold" in err) == (1, True)
    assert not (tmp_path / "w").exists()


def test_a_version_never_changes(run: CommandLine, tmp_path: Path) -> None:
    """Another text under the same version is refused."""
    where = ("--workspace", tmp_path / "w")
    assert run("policy", "submit", draft(tmp_path), "--by", "anna", *where)[0] == 0
    code, _, err = run("policy", "submit", draft(tmp_path, more="# a change\n"), "--by", "anna", *where)
    assert (code, "versions never change" in err) == (2, True)


def test_policies_are_shown_and_compared(run: CommandLine, tmp_path: Path) -> None:
    """Rules, what they read, and what differs; an unknown name lists what would do."""
    where = ("--workspace", tmp_path / "w")
    assert "deny-list-match" in run("policy", "show", "default", *where)[1]
    shown = json.loads(run("policy", "show", "strict", "--json", *where)[1])
    assert {"id", "checkpoint", "when", "at_least", "reason"} == set(shown["rules"][0])
    compared = json.loads(run("policy", "diff", draft(tmp_path), draft(tmp_path, "2"), "--json", *where)[1])
    assert compared == [{"path": "version", "old": "1", "new": "2"}]
    code, _, err = run("policy", "show", "nothing", *where)
    assert (code, "default, strict, library, live" in err) == (2, True)


def test_a_policy_decides_only_while_it_is_in_effect(run: CommandLine, place: Workspace, tmp_path: Path) -> None:
    """Before its start the policy decides that was live before it; where none is in effect, nobody is decided."""
    submitted = History(place.warehouse()).applications().submitted_at
    begin, since = aware(submitted[-5]), aware(submitted[-10])
    file, where = draft(tmp_path, more=f"effective_from: {begin.isoformat()}\n"), ("--workspace", place.root)
    open_gate(place, read_policy(file))
    for step, person in (("submit", "anna"), ("approve", "bert"), ("shadow", "bert"), ("activate", "bert")):
        assert run("policy", step, file, "--by", person, *where)[0] == 0
    desk = live_desk(place, History(place.warehouse()))
    decided = desk.decide_window(since)
    for decision in decided:
        is_new = decision.as_of >= begin
        assert decision.policy_version.startswith("shop-1" if is_new else "default-1.1")
        assert decision.disposition is Disposition.REVIEW or not is_new
    desk.standby = ()
    with pytest.raises(PolicyError, match="no policy is in effect"):
        desk.decide_window(since)


def test_record_and_pointer_agree_whoever_races(place: Workspace) -> None:
    """Several make policies live at once: what the record calls live in the end is what decides at the door."""
    policies = [
        load_policy(DRAFT.format(version=str(number), expect="review"), origin="draft", vocabulary=vocabulary())
        for number in range(1, 5)
    ]
    for policy in policies:
        policy_lifecycle.submit(place, policy, by="anna", clock=present)

    def lead(policy: Policy) -> None:
        policy_lifecycle.go_live(place, policy, tuple(PolicyState), by="bert", clock=present, note="")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lead, policies * 3))
    last = [event for event in policy_lifecycle.history(place) if event.state is PolicyState.LIVE][-1]
    assert last.digest[:12] in place.required_live().policy_file
