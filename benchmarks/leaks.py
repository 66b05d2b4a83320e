"""How often the leak detector is right: honest columns, labels dealt out by chance, and columns filled in on purpose.

On each market all labelled applications are asked, as `verify` asks them, three times over: as they are (every alarm is
false), with their labels shuffled (as often as said, every alarm is false), and with one column overwritten by the
simulator's truth, or by the label itself. Printed are alarms with exact 95 % intervals over markets. Usage:
`python -m benchmarks.leaks [--accounts 2000] [--seeds 9500 ...] [--shuffles 100]`
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from membergate.domain.labels import EVALUATING_GRADES
from membergate.learning.features import LEARNED, FeatureTable, fit_norms
from membergate.learning.model import Labelling, LabelSet
from membergate.learning.model.leaks import leaks_in
from membergate.market.simulator import simulate
from membergate.market.warehouse import literal
from membergate.operations.history import History, aware
from membergate.operations.ingest import ingest
from membergate.operations.workspace import Workspace

Answers = NDArray[np.float64]


def labelled(folder: Path, seed: int, accounts: int) -> tuple[FeatureTable, Labelling, Answers]:
    """Simulate a market and give its labelled applications with what they are in truth."""
    simulate(folder, seed=seed, accounts=accounts)
    workspace = Workspace(folder / "workspace")
    ingest(workspace.root, folder / "market", clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    history = History(workspace.warehouse())
    applications = history.applications()
    by_now = history.links.operators_as_of(history.last_instant)
    names = applications.account_ids.tolist()
    known, who = LabelSet(history.labels(history.last_instant)), (names, [by_now.get(name, name) for name in names])
    labels = known.lay_sampled(*who).or_else(known.lay(*who).only(EVALUATING_GRADES))
    applications, labels = applications.take(labels.is_labelled), labels.take(labels.is_labelled)
    cut = aware(np.sort(applications.submitted_at)[len(applications) // 2])
    norms = fit_norms(history.connection, cut, LEARNED)
    table = history.features(applications.spine, history.operators(applications.spine), norms, LEARNED)
    truth = truth_of(folder / "truth")
    return table, labels, np.array([float(truth[name]) for name in applications.account_ids.tolist()])


def truth_of(folder: Path) -> Mapping[str, bool]:
    """Read which accounts belong to a merchant."""
    accounts, operators = (literal(str(folder / f"truth_{name}.parquet")) for name in ("accounts", "operators"))
    sql = f"SELECT account_id, bool_or(is_merchant) FROM {accounts} JOIN {operators} USING (operator_id) GROUP BY ALL"
    return dict(duckdb.execute(sql).fetchall())


def filled_in(table: FeatureTable, answers: Answers) -> FeatureTable:
    """Overwrite the first column."""
    values = table.values.copy()
    values[:, 0] = answers
    return replace(table, values=values)


def alarms_of(folder: Path, seed: int, accounts: int, shuffles: int) -> Counter[str]:
    """Count alarms on one market."""
    table, labels, truth = labelled(folder, seed, accounts)
    generator = np.random.default_rng(seed)
    found: Counter[str] = Counter()
    found["honest"] = bool(leaks_in(table, labels))
    for _ in range(shuffles):
        dealt = replace(labels, is_merchant=generator.permutation(labels.is_merchant))
        found["shuffled"] += bool(leaks_in(table, dealt))
    for name, answers in (("truth", truth), ("label", labels.is_merchant)):
        found[name] = any(leak.feature == table.features[0] for leak in leaks_in(filled_in(table, answers), labels))
    print(f"  seed {seed}: {len(truth)} labels, {int(np.sum(labels.is_merchant))} merchants, {dict(found)}", flush=True)
    return found


def main() -> None:
    """Print alarms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(9500, 9520)))
    parser.add_argument("--shuffles", type=int, default=100)
    given = parser.parse_args()
    total: Counter[str] = Counter()
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as folder:
            total += alarms_of(Path(folder), seed, given.accounts, given.shuffles)
    print("\n| asked | tables | alarms | share |\n|---|---|---|---|")
    for name, words, each in (
        ("honest", "honest columns", 1),
        ("shuffled", "honest columns, labels shuffled", given.shuffles),
        ("truth", "one column filled in from the truth", 1),
        ("label", "one column filled in from the label", 1),
    ):
        tables = each * len(given.seeds)
        share, ends = total[name] / tables, binomtest(total[name], tables).proportion_ci(0.95, "exact")
        print(f"| {words} | {tables} | {total[name]} | {share:.3f} [{ends.low:.4f}, {ends.high:.4f}] |")


if __name__ == "__main__":
    main()
