"""What verification may not know, learning may not see, and the other way round: the whole promise of honesty.

Here: no account, operator or future row crosses from the test into training, and labels that echo a rule or a penalty
never evaluate. Elsewhere: with shuffled labels quality falls to chance, and what a column or its presence gives away is
suspected (`tests/unit/model/test_honesty.py`); truth that was leaked into a market on purpose shuts the gate
(`test_dishonest_markets.py`); features cannot see past their instant (`tests/property/test_as_of.py`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from membergate.domain.labels import EVALUATING_GRADES
from membergate.learning.model import load_model
from membergate.learning.model.storage import read_manifest
from membergate.market.warehouse import literal
from membergate.operations.evaluation import unmet
from membergate.operations.history import History, aware
from membergate.operations.ingest import ingest
from membergate.operations.learn import HOLDOUT_SHARE, Learned, held_out, learn
from membergate.operations.verify import Verified, verify
from membergate.operations.workspace import Workspace

pytestmark = pytest.mark.xdist_group("verified")


def altered(market: Path, folder: Path, changes: dict[str, str]) -> Path:
    """Copy a market with some tables replaced by what a query makes of them; `market` holds them all."""
    shutil.copytree(market, folder)
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for file in market.glob("*.parquet"):
            connection.execute(f"CREATE VIEW {file.stem} AS SELECT * FROM {literal(str(file))}")
        for name, query in changes.items():
            connection.execute(f"COPY ({query}) TO {literal(str(folder / f'{name}.parquet'))}")
    return folder


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_no_operator_account_or_instant_crosses(learned_workspace: tuple[Workspace, Learned], share: float) -> None:
    """Wherever the market is cut, what is learned from is earlier than, and shares nobody with, what is measured on.

    By the links of the end of the data: an operator whose accounts were only joined later is on one side too, and a
    ring that is one operator is on one side with all its accounts.
    """
    workspace, learned = learned_workspace
    history = History(workspace.warehouse())
    model = load_model(workspace.models / learned.model_version)
    everyone = history.applications()
    cut = everyone.submitted_at[int(len(everyone) * share)]
    assert (share == 0.5) == (aware(cut) == learned.trained_until)  # there, the real run of learning is compared
    by_then = history.links.operators_as_of(aware(cut))
    operators = np.array([by_then.get(name, name) for name in everyone.account_ids.tolist()])
    trained = everyone.take((everyone.submitted_at < cut) & ~held_out(operators, HOLDOUT_SHARE))
    lineage = replace(model.lineage, trained_until=aware(cut), accounts=np.unique(trained.account_ids))
    measured = unmet(history, replace(model, lineage=lineage), everyone.take(everyone.submitted_at >= cut))
    by_now = history.links.operators_as_of(history.last_instant)
    sides = [{by_now.get(name, name) for name in side.account_ids.tolist()} for side in (trained, measured)]
    if aware(cut) == learned.trained_until:
        assert set(trained.account_ids.tolist()) == set(model.lineage.accounts.tolist())
    assert len(sides[0]) > 50
    assert len(sides[1]) > 20
    assert len(measured) > len(sides[1])  # some operators have several accounts
    assert sides[0].isdisjoint(sides[1])
    assert set(trained.account_ids.tolist()).isdisjoint(measured.account_ids.tolist())
    assert trained.submitted_at.max() < measured.submitted_at.min()


def test_the_future_changes_nothing_that_was_learned(
    learned_workspace: tuple[Workspace, Learned], market: Path, tmp_path: Path, still_clock: Callable[[], datetime]
) -> None:
    """Every later order is ten times as deep, every later label says the opposite, one later order is moved: no bit.

    The model's files and its manifest are compared byte for byte, all but the fingerprint of the data and the version
    that stands on it.
    """
    workspace, learned = learned_workspace
    history = History(workspace.warehouse())
    after = f"TIMESTAMPTZ '{learned.as_of.isoformat()}'"
    moved = history.connection.execute(
        f"SELECT max_by(order_id, ordered_at) FROM orders WHERE ordered_at > {after}"
    ).fetchall()[0][0]
    folder = altered(
        market,
        tmp_path / "market",
        {
            "orders": f"SELECT * REPLACE (ordered_at + INTERVAL 1 HOUR * (order_id = {literal_text(moved)})::INT "
            "AS ordered_at) FROM orders",
            "order_lines": f"SELECT l.* REPLACE (CASE WHEN ordered_at > {after} THEN quantity * 10 ELSE quantity END "
            "AS quantity) FROM order_lines AS l JOIN orders USING (order_id)",
            "labels": f"SELECT * REPLACE (CASE WHEN decided_at <= {after} THEN label WHEN label = 'merchant' "
            "THEN 'genuine' ELSE 'merchant' END AS label) FROM labels",
        },
    )
    other = Workspace(tmp_path / "workspace")
    ingest(other.root, folder, clock=still_clock)
    elsewhere = History(other.warehouse())
    assert elsewhere.warehouse.fingerprint != history.warehouse.fingerprint
    known = [history.labels(history.last_instant), elsewhere.labels(elsewhere.last_instant)]
    assert sum(one.is_merchant != two.is_merchant for one, two in zip(*known, strict=True)) > 100
    assert history.labels(learned.as_of) == elsewhere.labels(learned.as_of)
    again = learn(other, as_of=learned.as_of, trained_until=learned.trained_until, history=elsewhere)
    assert content(other, again) == content(workspace, learned)


def test_labels_that_echo_never_evaluate(
    verified: Verified, market: Path, tmp_path: Path, still_clock: Callable[[], datetime]
) -> None:
    """Every L1 and L2 label says the opposite, and no number of the report moves."""
    place = Workspace(verified.html.parents[2])
    opposite = "CASE WHEN label = 'merchant' THEN 'genuine' ELSE 'merchant' END"
    echoes = f"SELECT * REPLACE (CASE WHEN grade IN ('L1', 'L2') THEN {opposite} ELSE label END AS label) FROM labels"
    folder = altered(market, tmp_path / "market", {"labels": echoes})
    other = Workspace(tmp_path / "workspace")
    ingest(other.root, folder, clock=still_clock)
    shutil.copytree(place.models, other.models)
    history, elsewhere = (History(each.warehouse()) for each in (place, other))
    end = history.last_instant
    known = history.labels(end), elsewhere.labels(end)
    changed = [one.grade for one, two in zip(*known, strict=True) if one.is_merchant != two.is_merchant]
    assert len(changed) > 50
    assert EVALUATING_GRADES.isdisjoint(changed)
    again = verify(other, clock=still_clock, model_version=verified.model_version, history=elsewhere)
    assert numbers(again) == numbers(verified)


def content(workspace: Workspace, learned: Learned) -> dict[str, Any]:
    """Give a model's manifest, with the digest of every file, but for the data's fingerprint."""
    manifest = read_manifest(workspace.models / learned.model_version)
    lineage = {name: value for name, value in manifest["lineage"].items() if name != "warehouse"}
    return {name: value for name, value in manifest.items() if name != "version"} | {"lineage": lineage}


def numbers(verified: Verified) -> dict[str, Any]:
    """Read a report as it was written, but for the data's fingerprint, and how long decisions took."""
    report: dict[str, Any] = json.loads(verified.json.read_bytes())
    del report["origin"]["lineage"]["warehouse"]
    conduct = report["surroundings"]["conduct"]
    report["surroundings"]["conduct"] = {name: value for name, value in conduct.items() if not name.endswith("_ms")}
    return report


def literal_text(text: str) -> str:
    """Quote a text for SQL."""
    return "'" + text.replace("'", "''") + "'"
