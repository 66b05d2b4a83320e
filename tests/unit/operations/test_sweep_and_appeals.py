"""Members judged again: changes are recorded once, told, taken back by a person, and appealed against."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.errors import BadInputError, RefusedError, UnknownSubjectError
from membergate.domain.labels import LabelGrade
from membergate.domain.listing import RiskList
from membergate.domain.membership import AppealState, Standing
from membergate.operations.appeals import appeals, decide_appeal, open_appeal
from membergate.operations.events import load_events
from membergate.operations.history import History
from membergate.operations.learn import Learned
from membergate.operations.members import Members
from membergate.operations.sweep import Swept, notices, reinstate, sweep
from membergate.operations.workspace import Workspace
from membergate.store import open_store


@pytest.fixture(scope="module")
def swept_once(
    learned_workspace: tuple[Workspace, Learned],
    make_live: Callable[[Workspace], Workspace],
    shop: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Swept]:
    """Give a workspace in which one sweep was made, to be copied."""
    folder = tmp_path_factory.mktemp("swept") / "workspace"
    shutil.copytree(learned_workspace[0].root, folder)
    return folder, sweep(make_live(Workspace(folder)), clock=shop.clock)


@pytest.fixture
def swept(swept_once: tuple[Path, Swept]) -> Swept:
    """Give what the sweep found."""
    return swept_once[1]


@pytest.fixture
def live(swept_once: tuple[Path, Swept], tmp_path: Path) -> Workspace:
    """Give a workspace of one's own after the sweep."""
    shutil.copytree(swept_once[0], tmp_path / "workspace")
    return Workspace(tmp_path / "workspace")


def standing_of(shop: Any, workspace: Workspace, account_id: str) -> Standing:
    """Tell how an account stands in a workspace."""
    with open_store(workspace.record) as record:
        return Members(shop.desk, record).standing(account_id, shop.now).standing


def test_a_sweep_judges_every_member_and_tells_what_changed(live: Workspace, swept: Swept, shop: Any) -> None:
    """Each change is a decision with reasons and a notice; a second sweep changes nothing."""
    assert sum(swept.judged.values()) >= len(shop.desk.ledger.accounts(shop.now)) > 0
    assert swept.changes
    assert {d.checkpoint for d in swept.changes} == {Checkpoint.SWEEP}
    assert all(d.reason_codes for d in swept.changes)
    told = {notice.decision_id: notice for notice in notices(live)}
    assert set(told) == {d.decision_id for d in swept.changes}
    assert all("appeal" in told[d.decision_id].sentences[-1] for d in swept.changes)
    one = next(d for d in swept.changes if d.disposition is Disposition.ADMIT_CAPPED)
    back = reinstate(live, one.account_id, by="anna", note="", clock=shop.clock)
    again = sweep(live, clock=shop.clock, is_trial_run=True)
    assert not again.changes
    assert again.judged["keep"] == swept.judged["keep"] + 1  # who was reinstated is spared for a while
    assert back.decision_id in {notice.decision_id for notice in notices(live, one.account_id)}


def test_a_suspension_is_taken_back_by_a_person(live: Workspace, swept: Swept, shop: Any) -> None:
    """The member stands as before, is told, and both decisions stay on record; there is nothing to take back twice."""
    resting = [d for d in swept.changes if d.disposition is Disposition.SUSPEND_BENEFIT]
    account = resting[0].account_id
    assert standing_of(shop, live, account) is Standing.SUSPENDED
    with pytest.raises(BadInputError):
        reinstate(live, account, by=" ", note="", clock=shop.clock)
    back = reinstate(live, account, by="anna", note="receipts seen", clock=shop.clock)
    assert (back.disposition, back.reason_codes) == (Disposition.KEEP, ("REINSTATED",))
    assert {e.name: e.value for e in back.evidence}["decided_by"] == "anna"
    assert sorted(notice.kind for notice in notices(live, account)) == ["reinstated", "sweep"]
    with open_store(live.record) as record:
        assert resting[0] in record.decisions_of(account)
    with pytest.raises(RefusedError, match="no sweep"):
        reinstate(live, "nobody", by="anna", note="", clock=shop.clock)


def test_nobody_is_judged_as_of_the_future(live: Workspace, shop: Any) -> None:
    """The future is refused before anything is looked up."""
    with pytest.raises(BadInputError, match="future"):
        sweep(live, clock=shop.clock, as_of=shop.now.replace(year=2100))


def test_an_upheld_appeal_reverses_and_is_remembered(live: Workspace, swept: Swept, shop: Any) -> None:
    """The member is back, stands on the allow list, and the next ingest of events brings a label, genuine, L0."""
    taken = swept.changes[0]
    appeal = open_appeal(live, taken.decision_id, "we are a family of nine", clock=shop.clock)
    assert open_appeal(live, taken.decision_id, "again", clock=shop.clock) == appeal
    assert appeals(live, AppealState.OPEN) == (appeal,)
    ruling = decide_appeal(live, appeal.appeal_id, AppealState.UPHELD, by="bert", note="true", clock=shop.clock)
    assert ruling.decision is not None
    assert (ruling.decision.disposition, ruling.decision.reason_codes) == (Disposition.KEEP, ("APPEAL_UPHELD",))
    assert decide_appeal(live, appeal.appeal_id, AppealState.UPHELD, by="bert", note="true", clock=shop.clock) == ruling
    with pytest.raises(RefusedError, match="upheld by bert already"):
        decide_appeal(live, appeal.appeal_id, AppealState.REJECTED, by="carl", note="no", clock=shop.clock)
    with open_store(live.record) as record:
        entries = [e for e in record.lists.entries() if e.subject.key == taken.account_id]
    assert [(e.risk_list, e.grade, e.reason_code) for e in entries] == [
        (RiskList.ALLOW, LabelGrade.L0, "CLEARED_ON_APPEAL")
    ]
    assert load_events(live, clock=shop.clock).taken == {"labels": 1}
    labels = [x for x in History(live.warehouse()).labels(shop.now) if x.subject_id == taken.account_id]
    assert any(x.grade is LabelGrade.L0 and not x.is_merchant and x.source == "appeal" for x in labels)
    assert load_events(live, clock=shop.clock).taken == {}


def test_a_rejected_appeal_leaves_the_decision(live: Workspace, swept: Swept, shop: Any) -> None:
    """Nothing is reversed; the label has grade L2, which may not evaluate."""
    taken = swept.changes[0]
    appeal = open_appeal(live, taken.decision_id, "please", clock=shop.clock)
    ruling = decide_appeal(live, appeal.appeal_id, AppealState.REJECTED, by="bert", note="resale", clock=shop.clock)
    assert ruling.decision is None
    with open_store(live.record) as record:
        (_, event) = record.inbox.waiting()[0]
    assert json.loads(event.body)["grade"] == "L2"
    assert json.loads(event.body)["label"] == "merchant"


def test_what_cannot_be_appealed(live: Workspace, swept: Swept, shop: Any) -> None:
    """Nothing said, an unknown decision, a decision that took nothing, a ruling without a person or a reason."""
    taken = swept.changes[0]
    with pytest.raises(BadInputError):
        open_appeal(live, taken.decision_id, " ", clock=shop.clock)
    with pytest.raises(UnknownSubjectError):
        open_appeal(live, "d-none", "please", clock=shop.clock)
    full = shop.someone("admit")
    with pytest.raises(RefusedError, match="took nothing"):
        open_appeal(live, full.decision_id, "please", clock=shop.clock)
    appeal = open_appeal(live, taken.decision_id, "please", clock=shop.clock)
    with pytest.raises(BadInputError):
        decide_appeal(live, appeal.appeal_id, AppealState.UPHELD, by="", note="x", clock=shop.clock)
    with pytest.raises(UnknownSubjectError):
        decide_appeal(live, "p-none", AppealState.UPHELD, by="anna", note="x", clock=shop.clock)
