"""Bad moments: interrupts, full disks, killed processes and two writers leave the workspace as it was."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from membergate.domain.errors import WorkspaceError
from membergate.market.warehouse import Warehouse
from membergate.market.writing import writing
from membergate.operations.ingest import ingest

Snapshot = Callable[[Path], dict[str, str]]


def add(market: Path, table: str, *lines: str) -> None:
    """Add lines to a table."""
    with (market / f"{table}.csv").open("a") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def test_an_interrupt_at_any_step_leaves_the_old_state(workspace: Path, market: Path, snapshot: Snapshot) -> None:
    """Whenever Ctrl-C comes, the workspace is as it was and the next ingest works."""
    add(market, "skus", "s3,toys")
    before = snapshot(workspace)
    steps: list[str] = []
    while True:
        told: list[str] = []

        def interrupt(step: str, done: int, of: int, told: list[str] = told) -> None:
            told.append(step)
            if len(told) > len(steps):
                raise KeyboardInterrupt

        try:
            ingest(workspace, market, progress=interrupt)
            break
        except KeyboardInterrupt:
            steps.append(told[-1])
            assert snapshot(workspace) == before
    assert steps[0] == "reading accounts"
    assert steps[-1] == "loading skus"
    assert snapshot(workspace) != before


def run(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def add_many_lines(market: Path, rows: int) -> None:
    """Give the first order a great many lines."""
    duckdb.connect().execute(
        f"COPY (SELECT 'm' || range AS line_id, 'o1' AS order_id, md5(range::VARCHAR) AS sku_id, 1 AS quantity, "
        f"0 AS list_price_minor, 0 AS net_price_minor FROM range({rows})) TO '{market}/order_lines.parquet'"
    )
    (market / "order_lines.csv").unlink()


def test_a_signal_in_the_middle_of_a_query(workspace: Path, market: Path, snapshot: Snapshot) -> None:
    """A real Ctrl-C while DuckDB works ends the process as one, without debris."""
    add_many_lines(market, 600_000)
    before = snapshot(workspace)
    done = run(
        """
        import os, signal, sys, threading
        from pathlib import Path
        from membergate.operations.ingest import ingest
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a process started in the background ignores it
        def strike(step, done, of):
            if step == "loading order_lines":
                threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        ingest(Path(sys.argv[1]), Path(sys.argv[2]), progress=strike)
        """,
        workspace,
        market,
    )
    assert done.returncode != 0
    assert "KeyboardInterrupt" in done.stderr
    assert snapshot(workspace) == before


def test_a_full_disk_leaves_the_old_state(workspace: Path, market: Path, snapshot: Snapshot) -> None:
    """When a file cannot grow, the error says that the disk is full, and nothing has changed."""
    add_many_lines(market, 60_000)
    before = snapshot(workspace)
    for limit in (3_000, 400_000):
        done = run(
            f"""
            import resource, sys
            from pathlib import Path
            from membergate.domain.errors import WorkspaceError
            from membergate.operations.ingest import ingest
            resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
            try:
                ingest(Path(sys.argv[1]), Path(sys.argv[2]))
            except WorkspaceError as error:
                print(error)
            """,
            workspace,
            market,
        )
        assert "the disk is full" in done.stdout, done.stderr
        assert snapshot(workspace) == before


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_a_disk_that_fails_at_the_last_moment(
    workspace: Path, market: Path, monkeypatch: pytest.MonkeyPatch, call: str, snapshot: Snapshot
) -> None:
    """Every single write of the commit may fail, and the old state stands each time."""
    add(market, "skus", "s3,toys")
    add(market, "accounts", "cy,2025-01-01T00:00:00Z,false")
    before = snapshot(workspace)
    real = os.fsync if call == "os.fsync" else Path.replace
    allowed = 0
    while True:
        made: list[Any] = []

        def fail(*arguments: Any, made: list[Any] = made, allowed: int = allowed) -> Any:
            made.append(arguments)
            if len(made) > allowed:
                raise OSError(28, "No space left on device")
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(call, fail)
            try:
                ingest(workspace, market)
                break
            except WorkspaceError as error:
                assert "disk is full" in error.what  # noqa: PT017 # the loop ends when there is no error
        allowed += 1
        if snapshot(workspace) != before:
            # The manifest is in place; only its folder's entry could not be flushed any more.
            assert call == "os.fsync"
            break
    assert allowed >= 2
    ingest(workspace, market)
    assert Warehouse.open(workspace / "warehouse").rows()["skus"] == 3


def test_a_killed_ingest_is_swept_away(workspace: Path, market: Path) -> None:
    """What a killed process leaves behind neither harms a reader nor outlives the next ingest."""
    add(market, "skus", "s3,toys")
    fingerprint = Warehouse.open(workspace / "warehouse").fingerprint
    run(
        """
        import os, sys
        from pathlib import Path
        from membergate.operations.ingest import ingest
        def die(step, done, of):
            if step == "loading skus":
                os._exit(9)
        ingest(Path(sys.argv[1]), Path(sys.argv[2]), progress=die)
        """,
        workspace,
        market,
    )
    assert (workspace / "warehouse" / ".staging").is_dir()
    assert Warehouse.open(workspace / "warehouse").fingerprint == fingerprint
    ingest(workspace, market)
    assert not [path for path in (workspace / "warehouse").iterdir() if path.name.startswith(".")]
    assert Warehouse.open(workspace / "warehouse").rows()["skus"] == 3


def test_two_writers_do_not_meet(workspace: Path, market: Path) -> None:
    """The second one is told at once that somebody is writing; it neither waits nor writes."""
    with writing(workspace / "warehouse"), pytest.raises(WorkspaceError, match="another process is writing"):
        ingest(workspace, market)
    ingest(workspace, market)
