"""Whether probabilities settle where their interval says, by how much was seen, and what the interval does at the door.

On fresh markets a model is learned at 45 % of the applications. Operators that it never met are then looked at as of
earlier instants, like those it learned from: counted is how often the later probability, once the orders had at least
doubled, lies in the interval that was stated earlier (nominal 80 %), beside the spread of the model's own members. Then
later applications of such operators are decided twice, with either lower end; who is who is read from the simulator's
truth. Printed are means over markets with 95 % t intervals, cut at 0 and 1. Usage:
`python -m benchmarks.settling [--accounts 10000] [--seeds 9501 ...]`
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from benchmarks.intervals import SHARE, interval
from numpy.typing import NDArray

from membergate.deciding.policy import decide
from membergate.domain.disposition import FULL_ADMISSIONS, HOLDERS, Checkpoint, Disposition
from membergate.learning.features import FeatureTable, Spine
from membergate.learning.model import IdentificationModel, load_model
from membergate.learning.model.head import HeadInputs
from membergate.learning.model.settling import EDGES, earlier_instants, has_grown
from membergate.market.simulator import simulate
from membergate.market.warehouse import literal
from membergate.operations.admission import draw
from membergate.operations.evaluation import Decided, evaluate, measuring_desk
from membergate.operations.history import History, aware
from membergate.operations.ingest import ingest
from membergate.operations.learn import learn
from membergate.operations.policies import read_policy
from membergate.operations.workspace import Workspace

BANDS = [f"{int(low)} to {int(high) - 1}" for low, high in zip([0, *EDGES[:-1]], EDGES, strict=True)]
BANDS = [band.removesuffix(" to 0") for band in BANDS] + [f"{int(EDGES[-1])} and more"]
Figures = dict[tuple[str, str], list[float]]


def members_of(model: IdentificationModel, table: FeatureTable) -> NDArray[np.float64]:
    """Give what the members of a calibrated model say, shape (1 + folds, n)."""
    if model.head is None or model.calibration is None:
        raise SystemExit("the market has too few reviews for a calibrated model: give it more accounts")
    inputs = HeadInputs.of(table, model.groundwork.see(table), model.settings.parts)
    return model.calibration.probability(model.head.judge(inputs)[0])


def covered(history: History, model: IdentificationModel, figures: Figures) -> None:
    """Look at operators that the model never met as of earlier instants."""
    everyone = history.applications()
    by_now = history.links.operators_as_of(history.last_instant)
    met = {by_now.get(name, name) for name in model.lineage.accounts.tolist()}
    unmet = np.array([by_now.get(name, name) not in met for name in everyone.account_ids.tolist()])
    spine = everyone.take(unmet).spine
    later = history.features(spine, history.operators(spine), model.norms, model.features)
    settled = model.witness(later).merchant_probability
    found: dict[str, list[NDArray[Any]]] = defaultdict(list)
    for rows, instants in earlier_instants(spine.as_of, later.context["history_days"].astype(np.float64)):
        asked = Spine(spine.subject_ids[rows], spine.account_ids[rows], instants)
        table = history.features(asked, history.operators(asked), model.norms, model.features)
        orders = table.context["orders"].astype(np.float64)
        grown = has_grown(orders, later.context["orders"][rows].astype(np.float64))
        said, members, at = model.witness(table), members_of(model, table), settled[rows]
        found["band"].append(np.digitize(orders, EDGES)[grown])
        found["inside"].append(((said.probability_low <= at) & (at <= said.probability_high))[grown])
        found["inside members"].append(((members.min(axis=0) <= at) & (at <= members.max(axis=0)))[grown])
        found["width"].append((said.probability_high - said.probability_low)[grown])
    band = np.concatenate(found.pop("band"))
    for name, parts in found.items():
        for place, words in enumerate(BANDS):
            if (band == place).any():
                figures[name, words].append(float(np.concatenate(parts)[band == place].mean()))


def decided_twice(workspace: Workspace, history: History, version: str, truth: Path, figures: Figures) -> None:
    """Decide later applications with the interval's lower end, and with the members' own."""
    policy = read_policy(None)
    desk = measuring_desk(workspace, history, version, policy)
    found = evaluate(desk, None, history.last_instant)
    kept = set(found.later.applications.application_ids.tolist())
    decided = [pair for pair in found.decided if pair[0].application.application_id in kept]
    lowest = members_of(desk.model, found.later.table).min(axis=0)
    accounts, operators = (literal(str(truth / f"truth_{name}.parquet")) for name in ("accounts", "operators"))
    sql = f"SELECT account_id, bool_or(is_merchant) FROM {accounts} JOIN {operators} USING (operator_id) GROUP BY ALL"
    is_merchant_account = dict(duckdb.execute(sql).fetchall())
    is_merchant = np.array([is_merchant_account[case.application.account_id] for case, _ in decided])
    for name, dispositions in (
        ("interval", [decision.disposition for _, decision in decided]),
        ("members", list(_with_lower_end(decided, lowest))),
    ):
        for words, wanted in (("refused", {Disposition.DENY}), ("in full", FULL_ADMISSIONS), ("holders", HOLDERS)):
            inside = np.array([each in wanted for each in dispositions])
            figures[name, f"genuine, {words}"].append(float(inside[~is_merchant].mean()))
            figures[name, f"merchants, {words}"].append(float(inside[is_merchant].mean()))
            if words != "refused":
                figures[name, f"leakage, {words}"].append(float(is_merchant[inside].mean()))


def _with_lower_end(decided: Sequence[Decided], lowest: NDArray[np.float64]) -> Iterator[Disposition]:
    judge = read_policy(None)
    for (case, decision), low in zip(decided, lowest.tolist(), strict=True):
        at = judge.at(decision.as_of)
        moved = case.evidence | {"probability_low": replace(case.evidence["probability_low"], value=low)}
        yield decide(at, Checkpoint.ADMISSION, moved, lottery=draw(case.operator_id, at)).disposition


def measured(folder: Path, seed: int, accounts: int, figures: Figures) -> None:
    """Measure one market."""
    simulate(folder, preset="demo", seed=seed, accounts=accounts)
    workspace = Workspace(folder / "workspace")
    ingest(workspace.root, folder / "market", clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    history = History(workspace.warehouse())
    submitted = history.applications().submitted_at
    cut = aware(submitted[int(len(submitted) * 0.45)])
    learned = learn(workspace, as_of=cut, trained_until=cut, history=history)
    covered(history, load_model(workspace.models / learned.model_version), figures)
    decided_twice(workspace, history, learned.model_version, folder / "truth", figures)
    print(f"  seed {seed} done", flush=True)


def share(values: Sequence[float]) -> str:
    """Write a mean share over markets with its interval."""
    return interval(values, SHARE, digits=4)


def main() -> None:
    """Print coverage by history, and what the interval does at the door."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[9501, 9502, 9503, 9504, 9505])
    given = parser.parse_args()
    figures: Figures = defaultdict(list)
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as folder:
            measured(Path(folder), seed, given.accounts, figures)
    print("\n| orders seen | settles inside | inside the members' spread | mean width |\n|---|---|---|---|")
    for band in BANDS:
        row = [share(figures[name, band]) for name in ("inside", "inside members", "width")]
        print(f"| {band} | {' | '.join(row)} |")
    print("\n| at the door | members' lower end | the interval's |\n|---|---|---|")
    for name, words in list(figures):
        if name == "interval":
            print(f"| {words} | {share(figures['members', words])} | {share(figures['interval', words])} |")


if __name__ == "__main__":
    main()
