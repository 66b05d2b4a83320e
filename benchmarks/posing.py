"""What the guard for declared group-buy leaders lets in, where nobody poses as one, and where merchants do.

Each market is simulated twice, with the same people who want the same things: as it is, and with a share of the
merchants of one account declaring the lane of group-buy leaders (`evasion.poses_share`). In each a model is learned at
45 % of the applications, and later ones of operators that it never met are decided by the shipped policy, and by the
same without the guard. Who is who is read from the simulator's truth. Printed are shares with 95 % t intervals over
markets, cut at 0 and 1, and what the guard changes, paired by market. Usage:
`python -m benchmarks.posing [--accounts 10000] [--seeds 9601 ...] [--poses 0.3]`
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import yaml
from benchmarks.intervals import interval
from benchmarks.settling import share

from membergate.deciding.policy import Policy, load_policy
from membergate.domain.disposition import FULL_ADMISSIONS, HOLDERS, Disposition
from membergate.market.simulator import simulate
from membergate.market.warehouse import literal
from membergate.operations.evaluation import evaluate, measuring_desk
from membergate.operations.history import History, aware
from membergate.operations.ingest import ingest
from membergate.operations.learn import learn
from membergate.operations.policies import DEFAULT, shipped_policy
from membergate.operations.testimony import vocabulary
from membergate.operations.workspace import Workspace

GUARDED = ("resale-depth", "sweep-resale")
GUARD = "or (look_alike = 'group_buy_leader' and d4_arbitrage_margin <= 0.15)"
FOLLOWS = ("depth-of-a-leader",)
Figures = defaultdict[tuple[str, str, str], list[float]]
"""(market, policy, what) -> one value a market."""


def without_guard(policy: Policy) -> Policy:
    """Give the policy as it would be without the guard, and without the rule that follows it."""
    document = yaml.safe_load(policy.text)
    document["rules"] = [rule for rule in document["rules"] if rule["id"] not in FOLLOWS]
    for rule in document["rules"]:
        if rule["id"] in GUARDED:
            spared = " ".join(rule["unless"].split())
            if GUARD not in spared:
                raise SystemExit(f"{rule['id']} has no such guard: {GUARD}")
            rule["unless"] = spared.replace(GUARD, "").strip()
    return load_policy(yaml.safe_dump(document, sort_keys=False), origin="without guard", vocabulary=vocabulary())


def measured(folder: Path, seed: int, accounts: int, poses: float, figures: Figures) -> None:
    """Simulate one market, learn, and decide its later applications with both policies."""
    folder.mkdir()
    scenario = folder / "scenario-given.yaml"
    scenario.write_text(f"preset: demo\naccounts: {accounts}\nseed: {seed}\nevasion: {{poses_share: {poses}}}\n")
    simulate(folder / "simulated", scenario_file=scenario)
    workspace = Workspace(folder / "workspace")
    ingest(workspace.root, folder / "simulated/market", clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))
    history = History(workspace.warehouse())
    submitted = history.applications().submitted_at
    cut = aware(submitted[int(len(submitted) * 0.45)])
    version = learn(workspace, as_of=cut, trained_until=cut, history=history).model_version
    who = who_is_who(folder / "simulated/truth")
    market = f"{poses:.0%} pose" if poses else "nobody poses"
    shipped = shipped_policy(DEFAULT)
    for name, policy in (("with", shipped), ("without", without_guard(shipped))):
        found = evaluate(measuring_desk(workspace, history, version, policy), None, history.last_instant)
        kept = set(found.later.applications.application_ids.tolist())
        cases = [(case, made) for case, made in found.decided if case.application.application_id in kept]
        kinds = np.array([who[case.application.account_id] for case, _ in cases])
        given = [made.disposition for _, made in cases]
        for words, value in shares(kinds, given):
            figures[market, name, words].append(value)


def who_is_who(truth: Path) -> dict[str, str]:
    """Tell each account's kind: genuine, leader (a genuine one), merchant, or poser (a merchant)."""
    accounts, operators, steps = (
        literal(str(truth / f"truth_{name}.parquet")) for name in ("accounts", "operators", "evasions")
    )
    sql = f"""
        SELECT account_id, CASE
            WHEN bool_or(is_merchant AND operator_id IN (
                SELECT operator_id FROM {steps} WHERE action = 'group_buy_lane')) THEN 'poser'
            WHEN bool_or(is_merchant) THEN 'merchant'
            WHEN bool_or(a.archetype = 'G10') THEN 'leader' ELSE 'genuine' END
        FROM {accounts} AS a JOIN {operators} USING (operator_id) GROUP BY account_id
        """
    return dict(duckdb.execute(sql).fetchall())


def shares(kinds: np.ndarray, given: list[Disposition]) -> Iterator[tuple[str, float]]:
    """Give what became of each kind of applicant, and the leakage."""
    is_merchant = np.isin(kinds, ["merchant", "poser"])
    for scope, let_in in (("in full or capped", FULL_ADMISSIONS), ("all holders", HOLDERS)):
        inside = np.array([each in let_in for each in given])
        yield f"genuine, {scope}", float(inside[~is_merchant].mean())
        for kind, words in (("leader", "leaders"), ("poser", "posers")):
            if (kinds == kind).any():
                yield f"{words}, {scope}", float(inside[kinds == kind].mean())
        yield f"leakage, {scope}", float(is_merchant[inside].mean())


def main() -> None:
    """Print what becomes of whom with the guard and without."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[9601, 9602, 9603, 9604, 9605])
    parser.add_argument("--poses", type=float, default=0.3, help="share of the merchants of one account who pose")
    given = parser.parse_args()
    figures: Figures = defaultdict(list)
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as folder:
            for poses in (0.0, given.poses):
                measured(Path(folder) / f"poses-{poses}", seed, given.accounts, poses, figures)
        print(f"  seed {seed} done", flush=True)
    print("\n| market | share | without the guard | with it | change |\n|---|---|---|---|---|")
    for market, policy, words in list(figures):
        if policy == "with":
            after, before = figures[market, "with", words], figures[market, "without", words]
            change = [x - y for x, y in zip(after, before, strict=True)]
            print(f"| {market} | {words} | {share(before)} | {share(after)} | {interval(change, digits=4)} |")


if __name__ == "__main__":
    main()
