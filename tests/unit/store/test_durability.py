"""What was acknowledged survives the sudden death of the process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from membergate.domain.decision import Decision
from membergate.store import open_store, write_decisions

WRITER = """
import sys
from pathlib import Path
from membergate.store import open_store, read_decisions

with open_store(Path(sys.argv[1])) as store:
    for decision in read_decisions(Path(sys.argv[2])):
        store.record([decision])
        print(decision.decision_id, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_acknowledged(
    tmp_path: Path, make_decision: Callable[..., Decision]
) -> None:
    """A process that records one decision after the other is killed midway; every id that it printed is on record."""
    decisions = [make_decision(number) for number in range(400)]
    write_decisions(decisions, tmp_path / "decisions.parquet")
    database = tmp_path / "record.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(database), str(tmp_path / "decisions.parquet")],
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(50)]
        writer.kill()
        acknowledged += writer.stdout.read().split()
    with open_store(database) as store:
        assert [store.decision(decision_id) for decision_id in acknowledged] == decisions[: len(acknowledged)]
        assert store.record(decisions) >= len(decisions) - len(acknowledged) - 1
