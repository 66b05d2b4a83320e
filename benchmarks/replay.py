"""What replaying a policy over a million recorded decisions costs, beside deciding each by the door's own path.

    membergate demo --workspace WS
    PYTHONPATH=. python benchmarks/replay.py --workspace WS --rows 1000000

The record of a workspace is copied and filled up: copies of its decisions get ids, instants and last bits of their own
(`record.py`). Then `membergate replay` runs in a process of its own with the policy that is live there; printed are its
CPU seconds and its peak. Beside it, a part of the decisions is read and decided one by one, and both paths are compared
row by row. Target: a million in 60 CPU seconds.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from benchmarks.record import copy_of

from membergate.domain.disposition import Checkpoint
from membergate.operations.policies import read_policy
from membergate.operations.replay import replay
from membergate.operations.replaying import Replayer
from membergate.operations.workspace import Workspace
from membergate.store import decision_from_record, open_store

TOGETHER = 1_000
ONE_BY_ONE = 20_000
"""Decisions that are decided by the door's own path as well."""


def fill(workspace: Workspace, rows: int) -> int:
    """Fill the record up to so many decisions; give how many were there."""
    with open_store(workspace.record) as record:
        found = [decision_from_record(row) for some in record.scan(Checkpoint.ADMISSION) for row in some]
        copies = (copy_of(found[n % len(found)], n // len(found)) for n in range(len(found), rows))
        while some := list(islice(copies, TOGETHER)):
            record.record(some)
    return len(found)


def whole(root: str, policy: str) -> dict[str, float]:
    """Replay everything, as the command does."""
    before = time.process_time()
    done = replay(Workspace(Path(root)), read_policy(Path(policy)))
    return {"cpu_s": time.process_time() - before, "decisions": done.groups[0].decisions, "peak_mb": peak_mb()}


def one_by_one(root: str, policy: str) -> dict[str, float]:
    """Decide a part by the door's own path, and count the rows of which the columns say otherwise."""
    tried = Replayer(read_policy(Path(policy)), Checkpoint.ADMISSION, {}, {})
    spent, seen, differing = 0.0, 0, 0
    with open_store(Workspace(Path(root)).record) as record:
        names = read_policy(Path(policy)).reads_at[Checkpoint.ADMISSION]
        for columns in record.scan_evidence(Checkpoint.ADMISSION, names, None, None):
            tried.take(columns)
            if (seen := seen + len(columns)) >= ONE_BY_ONE:
                break
        compared = 0
        for some in record.scan(Checkpoint.ADMISSION):
            part = some[: min(seen, ONE_BY_ONE) - compared]
            before = time.process_time()
            differing += len(tried.disagreeing(part))
            spent += time.process_time() - before
            if (compared := compared + len(part)) >= min(seen, ONE_BY_ONE):
                break
    return {"cpu_s": spent, "decisions": compared, "differing": differing, "peak_mb": peak_mb()}


def peak_mb() -> float:
    """Give this process's peak of resident memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(work: Callable[[str, str], dict[str, float]], root: Path, policy: Path) -> dict[str, float]:
    """Run it in a process of its own."""
    with get_context("spawn").Pool(1) as pool:
        return dict(pool.apply(work, (str(root), str(policy))))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, help="with decisions on record and a live policy")
    parser.add_argument("--rows", type=int, default=1_000_000)
    told = parser.parse_args()
    if told.workspace is None:
        print("name a workspace with decisions on record: --workspace WS, as `membergate demo` leaves it")
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "workspace"
        shutil.copytree(told.workspace, root)
        workspace = Workspace(root)
        print(f"{told.rows:,} decisions, made of {fill(workspace, told.rows):,}", flush=True)
        if (live := workspace.live()) is None:
            print("nothing is live in that workspace: membergate publish")
            return
        policy = workspace.policies / live.policy_file
        print("| path | decisions | CPU s | CPU s a million | peak MB |\n|-|-:|-:|-:|-:|")
        found = {work.__name__: apart(work, root, policy) for work in (whole, one_by_one)}
        for name, cost in found.items():
            a_million = cost["cpu_s"] / cost["decisions"] * 1e6
            print(
                f"| {name} | {cost['decisions']:,} | {cost['cpu_s']:.1f} | {a_million:.0f} | {cost['peak_mb']:,.0f} |"
            )
        print(f"{found['one_by_one']['differing']:.0f} rows come out otherwise")


if __name__ == "__main__":
    main()
