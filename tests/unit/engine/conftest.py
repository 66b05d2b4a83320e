"""Gives the tests of the engine their data shapes."""

from __future__ import annotations

import fcntl
import importlib.util
import sys
from pathlib import Path

import pytest

from membergate.engine import warm_up

_SPECIFICATION = importlib.util.spec_from_file_location("engine_shapes", Path(__file__).with_name("shapes.py"))
assert _SPECIFICATION is not None
assert _SPECIFICATION.loader is not None
_MODULE = importlib.util.module_from_spec(_SPECIFICATION)
sys.modules["engine_shapes"] = _MODULE
_SPECIFICATION.loader.exec_module(_MODULE)


@pytest.fixture(scope="session", autouse=True)
def compiled(shared: Path) -> None:
    """Let one test process compile the kernels while the others wait; they find them on disk."""
    with (shared.parent / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        warm_up()
