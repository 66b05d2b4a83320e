"""A process that writes decisions, list changes and cap uses from several threads is killed at random, again and again.

After each kill the record is opened anew: everything that was acknowledged must be there, no limit may be overshot, and
the audit chain must verify. Printed are how much was acknowledged and how long the slowest restart took.

    python benchmarks/sudden_death.py --kills 200
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Thread

import numpy as np

from membergate.domain.decision import Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.evidence import Evidence
from membergate.domain.instants import utc
from membergate.domain.labels import LabelGrade
from membergate.domain.limits import Ask, Limit
from membergate.domain.listing import ListEntry, RiskList, Subject, SubjectType
from membergate.store import Head, OperationalRecord, open_store

NOW = utc(2026, 1, 15)
DAY = timedelta(days=1)
STOCK = Limit("stock", 2_000, NOW - 30 * DAY)
THREADS = 6


@dataclass
class Survived:
    """What the kills left.

    Parameters
    ----------
    kills
        How often the process was killed.
    acknowledged
        How many writes it had acknowledged by then.
    lost
        Those of them that were not on record afterwards.
    faults
        What verifying the chain found.
    overshot
        Whether more of the stock was granted than there is.
    slowest_restart_s
        The longest time from opening the record to its first answer, in seconds.
    """

    kills: int = 0
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    overshot: bool = False
    slowest_restart_s: float = 0.0


def decision_named(name: str) -> Decision:
    """Make a decision."""
    return Decision(
        decision_id=name, checkpoint=Checkpoint.ADMISSION, application_id=f"ap-{name}", order_id=None,
        account_id=f"a-{name}", operator_id=f"op-{name}", decided_at=NOW, as_of=NOW, disposition=Disposition.TRIAL,
        merchant_probability=0.25, risk_score=0.5, reason_codes=("FEW_ORDERS",),
        evidence=(Evidence("risk_score", 0.5, "model:m-1", NOW), Evidence("history_days", 7.0, "market", NOW)),
        counterfactual=None, caps=None, policy_version="p-1", model_version="m-1", promotion_id=None,
        degraded=False, explore=False, propensity=None,
    )  # fmt: skip


def entry_named(name: str) -> ListEntry:
    """Make a list entry."""
    return ListEntry(
        name, RiskList.WATCH, Subject(SubjectType.ACCOUNT, f"a-{name}"), "RESALE_BULK", LabelGrade.L1, "partner", False,
        0.9, NOW, NOW, NOW + 90 * DAY,
    )  # fmt: skip


def write(store: OperationalRecord, prefix: str) -> None:
    """Write until killed, and acknowledge each write only after it returned: one line at a time, whole."""
    number = 0
    while True:
        name = f"{prefix}-{number}"
        store.record([decision_named(f"d.{name}")])
        os.write(1, f"d d.{name}\n".encode())
        store.lists.change([entry_named(f"e.{name}")], at=NOW, by="load")
        os.write(1, f"e e.{name}\n".encode())
        granted = store.caps.draw([Ask(f"u.{name}", 1, (STOCK,))], at=NOW)[f"u.{name}"]
        os.write(1, f"u u.{name} {granted}\n".encode())
        if number % 3 == 2:
            store.caps.release([f"u.{name}"], at=NOW)
            os.write(1, f"r u.{name}\n".encode())
        number += 1


def work(url: str, round_no: int) -> None:
    """Be the process that is killed."""
    with open_store(url) as store:
        threads = [Thread(target=write, args=(store, f"{round_no}-{place}"), daemon=True) for place in range(THREADS)]
        for thread in threads:
            thread.start()
        threads[0].join()


def load_and_kill(url: str, round_no: int, after_s: float) -> list[str]:
    """Start a process, kill it some time after its first acknowledgement; gives every acknowledgement."""
    command = [sys.executable, __file__, "--work", url, "--round", str(round_no)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = process.stdout or sys.stdin
        acknowledged = [told.readline()]
        time.sleep(after_s)
        process.kill()
        acknowledged += told.readlines()
    return [line.strip() for line in acknowledged if line.endswith("\n")]


def missing(store: OperationalRecord, acknowledged: list[str]) -> Iterator[str]:
    """Name what was acknowledged and is not on record."""
    entries = {entry.entry_id for entry in store.lists.entries()}
    released = {line.split()[1] for line in acknowledged if line.startswith("r ")}
    for line in acknowledged:
        kind, name, *rest = line.split()
        if kind == "d" and store.decision(name) != decision_named(name):
            yield line
        if kind == "e" and name not in entries:
            yield line
        # a repeat gets its first answer, so asking again shows what is on record
        if kind == "u" and name not in released:
            again = store.caps.draw([Ask(name, 1, (Limit("stock", 0, STOCK.since),))], at=NOW)[name]
            if again not in (int(rest[0]), 0) or (again == 0 and rest[0] == "1" and not name_may_be_released(name)):
                yield line
        if kind == "r" and store.caps.draw([Ask(name, 1, (STOCK,))], at=NOW)[name] != 0:
            yield line


def name_may_be_released(name: str) -> bool:
    """Tell whether a release may have been under way when the process was killed: every third use is released."""
    return int(name.rsplit("-", 1)[1]) % 3 == 2


def survive(url: str, kills: int, seed: int = 0) -> Survived:
    """Kill so many times, and look after each what is left."""
    generator, found, head = np.random.default_rng(seed), Survived(), Head(0, "")
    for round_no in range(kills):
        acknowledged = load_and_kill(url, round_no, float(generator.uniform(0.0, 0.4)))
        begun = time.monotonic()
        with open_store(url) as store:
            store.check()
            found.slowest_restart_s = max(found.slowest_restart_s, time.monotonic() - begun)
            found.lost += missing(store, acknowledged)
            audited = store.audit.verify(head if head.number else None)
            found.faults += [audited.fault] if audited.fault else []
            found.overshot |= store.caps.used("stock", STOCK.since) > STOCK.most
            head = store.audit.head()
        found.kills += 1
        found.acknowledged += len(acknowledged)
    return found


def main() -> None:
    """Kill, look, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--url", help="another database than an SQLite file of our own; it should be empty")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--round", type=int, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.work:
        work(told.work, told.round)
    with tempfile.TemporaryDirectory() as folder:
        found = survive(told.url or f"sqlite:///{Path(folder) / 'record.sqlite'}", told.kills)
    print(f"{found.kills} kills, {found.acknowledged} writes acknowledged before them")
    print(f"lost: {len(found.lost)} {found.lost[:5]}; chain: {found.faults[:5] or 'verifies each time'}")
    print(f"stock overshot: {found.overshot}; slowest restart: {found.slowest_restart_s:.2f} s")
    sys.exit(bool(found.lost or found.faults or found.overshot))


if __name__ == "__main__":
    main()
