"""One small simulated market, shared by every test that needs real behaviour; made once, whoever asks first."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import find, strategies

from membergate.domain.instants import utc
from membergate.operations.history import History, aware
from membergate.operations.ingest import ingest
from membergate.operations.learn import Learned, learn
from membergate.operations.simulate import simulate
from membergate.operations.workspace import Workspace

NOW = utc(2026, 1, 1)


@pytest.fixture(scope="session", autouse=True)
def table_of_characters() -> None:
    """Draw one text: Hypothesis then makes its table of characters, and would blame the test that comes first."""
    find(strategies.text(), lambda _text: True)


def clock() -> datetime:
    """Stand still."""
    return NOW


@contextmanager
def made_once(folder: Path) -> Iterator[bool]:
    """Let one of several test processes make a folder; the others wait. Yields whether it is ours to make."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / ".done"
        yield not done.exists()
        done.touch()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Give the folder that all test processes of this run share, and no other run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if hasattr(request.config, "workerinput") else base) / "shared"


@pytest.fixture(scope="session")
def simulated(shared: Path) -> Path:
    """Give a simulated market of 2,000 accounts: folders `market` and `truth`."""
    folder = shared / "simulated"
    with made_once(folder) as ours:
        if ours:
            simulate(folder, preset="tiny", seed=5)
    return folder


@pytest.fixture(scope="session")
def market(simulated: Path) -> Path:
    """Give the market folder alone."""
    return simulated / "market"


@pytest.fixture(scope="session")
def learned_workspace(shared: Path, market: Path) -> tuple[Workspace, Learned]:
    """Give a workspace with the market ingested and a model learned at its middle. Read it, never change it."""
    folder = shared / "workspace"
    workspace = Workspace(folder)
    with made_once(folder) as ours:
        if ours:
            ingest(folder, market, clock=clock)
        history = History(workspace.warehouse())
        submitted = history.applications().submitted_at
        middle = aware(submitted[len(submitted) // 2])
        learned = learn(workspace, as_of=middle, trained_until=middle, history=history)
    return workspace, learned


@pytest.fixture
def workspace(learned_workspace: tuple[Workspace, Learned], tmp_path: Path) -> Workspace:
    """Give a copy of the learned workspace that a test may change."""
    copy = tmp_path / "workspace"
    shutil.copytree(learned_workspace[0].root, copy)
    return Workspace(copy)


@pytest.fixture(scope="session")
def still_clock() -> Callable[[], datetime]:
    """Give a clock that stands still."""
    return clock
