"""The record is exported, audited and erased from the command line.

Somebody keeps the audit's head elsewhere, exports the decisions, and erases what is too old; later another person
changes a row in the database, and the audit names it and ends with exit code 1.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from membergate.domain.decision import Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.evidence import Evidence
from membergate.domain.instants import utc
from membergate.store import open_store, read_decisions


def decision(number: int) -> Decision:
    """Make a decision; each is ten years after the last."""
    as_of = utc(2015, 1, 1) + timedelta(days=3_650 * number)
    return Decision(
        decision_id=f"d-{number}", checkpoint=Checkpoint.ADMISSION, application_id=f"ap-{number}", order_id=None,
        account_id=f"a-{number}", operator_id=f"op-{number}", decided_at=as_of, as_of=as_of,
        disposition=Disposition.ADMIT, merchant_probability=0.1, risk_score=0.2, reason_codes=(),
        evidence=(Evidence("risk_score", 0.2, "model:m", as_of),), counterfactual=None, caps=None, policy_version="p",
        model_version="m", promotion_id=None, degraded=False, explore=False, propensity=None,
    )  # fmt: skip


def run(workspace: Path, *words: str) -> tuple[int, str]:
    """Run a command; gives its exit code and everything that it printed."""
    command = [sys.executable, "-m", "membergate", *words, "--workspace", str(workspace)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def test_the_record_is_exported_audited_and_erased(tmp_path: Path) -> None:
    """See the journey above."""
    with open_store(tmp_path / "membergate.sqlite") as store:
        store.record([decision(0), decision(1), decision(4)])
    code, head = run(tmp_path, "audit", "head")
    assert (code, head.count(":")) == (0, 1)
    code, said = run(tmp_path, "record", "export", str(tmp_path / "out.parquet"))
    assert (code, said.split()[0]) == (0, "3")
    assert read_decisions(tmp_path / "out.parquet") == (decision(0), decision(1), decision(4))
    code, said = run(tmp_path, "record", "erase", "--days", "5")
    assert code == 2
    assert "too few" in said
    code, said = run(tmp_path, "record", "erase", "--days", "180")
    assert (code, said.split()[0]) == (0, "2")
    code, said = run(tmp_path, "audit", "verify", "--head", head.strip())
    assert code == 0, said
    with sqlite3.connect(tmp_path / "membergate.sqlite") as database:
        database.execute("UPDATE decisions SET disposition = disposition + 1 WHERE number = 3")
    database.close()
    code, said = run(tmp_path, "audit", "verify", "--head", head.strip())
    assert code == 1
    assert "row 3 is not what was written" in said


def test_a_record_that_is_gone_is_not_whole(tmp_path: Path) -> None:
    """Where there is no record, an audit says so, ends with exit code 2, and makes none."""
    code, said = run(tmp_path / "nowhere", "audit", "verify")
    assert (code, "no record" in said) == (2, True)
    assert not (tmp_path / "nowhere").exists()
