"""What the tests of members share: a real desk on the shared market, and empty records to decide into."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

import pytest

from membergate.domain.decision import Decision
from membergate.domain.instants import format_instant
from membergate.operations.admission import AdmissionDesk
from membergate.operations.admit import live_desk
from membergate.operations.history import History
from membergate.operations.learn import Learned
from membergate.operations.members import Members
from membergate.operations.policies import store_policy
from membergate.operations.verify import Verified, verify
from membergate.operations.witnessing import KeptTestimony
from membergate.operations.workspace import Live, Workspace
from membergate.store import OperationalRecord, open_store


@dataclass(frozen=True)
class Shop:
    """A desk, decisions that it made, and an instant after them all."""

    desk: AdmissionDesk
    decisions: tuple[Decision, ...]
    now: datetime

    def someone(self, *dispositions: str) -> Decision:
        """Give a decision with one of these dispositions."""
        return next(decision for decision in self.decisions if decision.disposition.value in dispositions)

    def clock(self) -> datetime:
        """Stand still after everything that was loaded."""
        return self.now


@pytest.fixture(scope="session")
def shop(learned_workspace: tuple[Workspace, Learned]) -> Shop:
    """Give a real desk with its decisions of the last applications."""
    workspace, learned = learned_workspace
    history = History(workspace.warehouse())
    desk = live_desk(workspace, history, learned.model_version)
    since = history.last_instant - timedelta(days=40)
    return Shop(desk, tuple(desk.decide_window(since)), history.last_instant + timedelta(days=1))


@pytest.fixture(scope="session")
def verified(
    learned_workspace: tuple[Workspace, Learned],
    tmp_path_factory: pytest.TempPathFactory,
    still_clock: Callable[[], datetime],
) -> Verified:
    """Verify the learned model in a copy of its workspace. Tests that ask for it share the group `verified`."""
    copy = tmp_path_factory.mktemp("verifying") / "workspace"
    shutil.copytree(learned_workspace[0].root, copy)
    return verify(Workspace(copy), clock=still_clock)


@pytest.fixture
def record(tmp_path: Path) -> Iterator[OperationalRecord]:
    """Give an empty record."""
    with open_store(tmp_path / "record.sqlite") as store:
        yield store


@pytest.fixture
def members(shop: Shop, record: OperationalRecord, monkeypatch: pytest.MonkeyPatch) -> Members:
    """Give the members of a shop whose decisions are on record; nobody was looked up yet."""
    record.record(shop.decisions)
    monkeypatch.setattr(shop.desk, "kept", KeptTestimony(shop.desk.names))
    return Members(shop.desk, record, lock=Lock())


@pytest.fixture
def clock(shop: Shop) -> Callable[[], datetime]:
    """Give a clock that stands still after everything that was loaded."""
    return shop.clock


@pytest.fixture(scope="session")
def make_live(learned_workspace: tuple[Workspace, Learned], shop: Shop) -> Callable[[Workspace], Workspace]:
    """Give what makes the learned model and the default policy live in a workspace, with the shop's decisions."""

    def make(place: Workspace) -> Workspace:
        policy = store_policy(place, shop.desk.policy)
        place.set_live(Live(learned_workspace[1].model_version, policy, format_instant(shop.now)))
        with open_store(place.record) as store:
            store.record(shop.decisions)
        return place

    return make


@pytest.fixture
def live(workspace: Workspace, make_live: Callable[[Workspace], Workspace]) -> Workspace:
    """Give a workspace of one's own in which the learned model and the default policy are live."""
    return make_live(workspace)
