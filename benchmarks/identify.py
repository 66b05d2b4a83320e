"""How well merchants and genuine applicants are told apart, beside opponents, on markets that nothing was tuned on.

For each seed a market is simulated whose applicants are nearly all reviewed. Models learn from applications of the
first half, from a budget of those reviews, without the operators that are kept for the test and without one merchant
archetype and one look-alike at all; they are measured on applications of the second half, of the kept operators and of
everyone of the two archetypes. Every method is given the best threshold for a leakage of 1 % on the test itself, so
that orders are compared and not the luck of a threshold. Who is who in the test is read from the simulator's truth,
which nothing that learns sees.

Opponents learn from the same labels on plain aggregates: LightGBM, its size tuned by cross-validation over operators;
isolation forest, local outlier factor, HDBSCAN and ECOD (where PyOD is installed) without labels. `lightgbm, our
features` shows what the features alone buy. The strict rule ranks by how many of its rules refuse.

Beside the genuine admission rate: the worst look-alike's, the share of rings of which at least half is not admitted,
and the genuine applicants who are not admitted for each merchant who is not. Two oracles of what was resold so far say
what behaviour can tell (`benchmarks/identify_doors.py`), and the shipped policy's own decisions say what comes of the
model where there are caps and trials. Printed are means over seeds with 95 % t intervals, cut at what a figure can be
(a share at 0 and 1, contamination at 0). Usage:
`python -m benchmarks.identify [--accounts 10000] [--seeds 501 ...] [--budgets 0 50 300 1500] [--keep FOLDER]`
With `--keep`, each seed's figures are kept in a file, and read from it where the same source measured the same budgets.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import lightgbm
import numpy as np
from benchmarks.identify_doors import as_decided, resold_so_far
from benchmarks.intervals import RATIO, SHARE, interval
from benchmarks.keeping import kept_in
from benchmarks.plain_aggregates import plain_aggregates
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from membergate.domain.labels import Label
from membergate.engine import HDBSCAN, LocalOutlierFactor, NeighbourGraph
from membergate.learning.features import LEARNED, FeatureTable, fit_norms
from membergate.learning.features.norms import Norms
from membergate.learning.model import IdentificationModel, LabelSet, LearningSettings, Parts
from membergate.learning.model.identification import Lineage
from membergate.market.simulator import PRESETS, simulate
from membergate.market.warehouse import literal
from membergate.operations.admission import AdmissionDesk
from membergate.operations.history import History, aware
from membergate.operations.ingest import ingest
from membergate.operations.learn import held_out
from membergate.operations.policies import STRICT, shipped_policy
from membergate.operations.workspace import Workspace

LEAKAGE = 0.01
UNSEEN = ("M5", "G8")
"""Archetypes that training never meets: the coupon farmer and the collector."""
TEST_SHARE = 0.4
CAUGHT = 0.5
"""A ring is caught where at least so many of its merchants in the test are not admitted."""
REVIEWED = "reviewed"
GRID = [{"num_leaves": leaves, "min_child_samples": least} for leaves in (4, 8, 16) for least in (5, 20)]
TREES = (50, 150)

OWN = ("identify", "identify_doors", "plain_aggregates")
"""What of the benchmarks makes the figures."""
CONTAMINATION = "contamination"

OURS = ("membergate", "lightgbm, our features")
ORACLES = ("oracle, by account", "oracle, by operator")
"""What is no opponent: it stands on our features, or on the truth."""

DOOR = "the shipped policy"
Scores = NDArray[np.float64]
Figures = dict[tuple[int, str], dict[str, float]]
"""(label budget, method) -> figure -> value."""


@dataclass
class Market:
    """One market, ready to learn from and to be measured on; rows are applications, first ones of their account."""

    history: History
    table: FeatureTable
    aggregates: NDArray[np.float64]
    norms: Norms
    operators: NDArray[np.str_]
    is_merchant: NDArray[np.bool_]
    archetype: NDArray[np.str_]
    ring: NDArray[np.str_]
    resold: dict[str, Scores]
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    cut: datetime

    def labels(self, budget: int, seed: int) -> list[Label]:
        """Draw so many reviews of training applications; their propensity falls accordingly."""
        accounts = set(self.table.spine.account_ids[self.train].tolist())
        reviews = sorted(
            (
                label
                for label in self.history.labels(self.history.last_instant)
                if label.source == "double_review" and label.subject_id in accounts
            ),
            key=lambda label: label.subject_id,
        )
        drawn = np.random.default_rng(seed).permutation(len(reviews))[:budget]
        share = min(1.0, budget / len(reviews))
        return [replace(reviews[place], propensity=(reviews[place].propensity or 1.0) * share) for place in drawn]


def market_of(folder: Path, seed: int, accounts: int) -> Market:
    """Simulate, load, and split a market."""
    PRESETS[REVIEWED] = replace(PRESETS["demo"], review_share=0.95, review_share_spenders=0.95)
    simulate(folder, preset=REVIEWED, seed=seed, accounts=accounts)
    workspace = Workspace(folder / "workspace")
    ingest(workspace.root, folder / "market", clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))
    history = History(workspace.warehouse())
    applications = history.applications()
    cut = aware(applications.submitted_at[len(applications) // 2])
    norms = fit_norms(history.connection, cut, LEARNED)
    spine = applications.spine
    table = history.features(spine, history.operators(spine), norms, LEARNED)
    by_now = history.links.operators_as_of(history.last_instant)
    operators = np.array([by_now.get(account, account) for account in spine.account_ids], dtype=np.str_)
    truth = {
        account: (merchant, archetype, ring)
        for account, merchant, archetype, ring in duckdb.execute(
            "SELECT account_id, is_merchant, a.archetype, coalesce(a.ring_id, '') "
            f"FROM {literal(str(folder / 'truth/truth_accounts.parquet'))} AS a "
            f"JOIN {literal(str(folder / 'truth/truth_operators.parquet'))} USING (operator_id)"
        ).fetchall()
    }
    archetype = np.array([truth[account][1] for account in spine.account_ids])
    is_early = applications.submitted_at < np.datetime64(cut.replace(tzinfo=None), "us")
    is_kept, is_unseen = held_out(operators, TEST_SHARE), np.isin(archetype, UNSEEN)
    aggregates, _ = plain_aggregates(history.connection, spine.subject_ids)
    return Market(
        history, table, aggregates, norms, operators,
        np.array([truth[account][0] for account in spine.account_ids]), archetype,
        np.array([truth[account][2] for account in spine.account_ids]),
        resold_so_far(history.connection, folder / "truth", spine.subject_ids),
        np.flatnonzero(is_early & ~is_kept & ~is_unseen), np.flatnonzero(~is_early & (is_kept | is_unseen)), cut,
    )  # fmt: skip


def membergate(market: Market, labels: list[Label], seed: int, parts: Parts | None = None) -> Scores:
    """Give the risk of the test."""
    return learned(market, labels, seed, parts).witness(market.table.take(market.test)).risk_score


def learned(market: Market, labels: list[Label], seed: int, parts: Parts | None = None) -> IdentificationModel:
    """Learn as the product learns, or without some parts."""
    part = market.table.take(market.train)
    laid = LabelSet(labels).lay(part.spine.account_ids.tolist(), market.operators[market.train].tolist())
    lineage = Lineage(
        market.history.last_instant, market.cut, "benchmark", np.unique(part.spine.account_ids), TEST_SHARE
    )
    settings = LearningSettings(seed=seed, use_labels=bool(labels), parts=parts or Parts())
    return IdentificationModel.learn(part, laid, market.operators[market.train], market.norms, lineage, settings)


def risk(model: lightgbm.LGBMClassifier, rows: NDArray[np.float64]) -> Scores:
    """Give a classifier's probability of a merchant."""
    return np.asarray(model.predict_proba(rows))[:, 1]


def boosted(matrix: NDArray[np.float64]) -> Callable[[Market, list[Label], int], Scores]:
    """Give a LightGBM on a matrix, tuned by cross-validated average precision on the labelled rows."""

    def learn(market: Market, labels: list[Label], seed: int) -> Scores:
        merchant = {label.subject_id: label.is_merchant for label in labels}
        accounts = market.table.spine.account_ids[market.train].tolist()
        known = np.array([account in merchant for account in accounts])
        rows = market.train[known]
        target = np.array([merchant[account] for account in accounts if account in merchant], dtype=np.int64)
        if len(labels) == 0 or target.sum() < 2:
            return np.zeros(len(market.test))

        def fit(inside: NDArray[np.int64], choice: dict[str, int], trees: int) -> lightgbm.LGBMClassifier:
            model = lightgbm.LGBMClassifier(
                n_estimators=trees,
                learning_rate=0.05,
                random_state=seed,
                n_jobs=1,
                verbose=-1,
                num_leaves=choice["num_leaves"],
                min_child_samples=choice["min_child_samples"],
            )
            return model.fit(matrix[rows[inside]], target[inside])

        def quality(choice: dict[str, int], trees: int) -> float:
            folds = GroupKFold(4).split(rows, target, market.operators[rows])
            found = []
            for inside, outside in folds:
                if target[inside].any() and target[outside].any():
                    scores = risk(fit(inside, choice, trees), matrix[rows[outside]])
                    found.append(average_precision_score(target[outside], scores))
            return float(np.mean(found)) if found else 0.0

        best = max(((quality(choice, trees), -n, choice, trees)
                    for n, (choice, trees) in enumerate((c, t) for c in GRID for t in TREES)))  # fmt: skip
        return risk(fit(np.arange(len(rows)), best[2], best[3]), matrix[market.test])

    return learn


def unlabelled(market: Market) -> dict[str, Scores]:
    """Score the test with detectors that know no label, on all applications' plain aggregates."""
    space = make_pipeline(
        SimpleImputer(strategy="median"), QuantileTransformer(n_quantiles=200, output_distribution="normal")
    )
    rows = np.r_[market.train, market.test]
    points = np.ascontiguousarray(space.fit_transform(market.aggregates[rows]), dtype=np.float32)
    is_test = np.arange(len(rows)) >= len(market.train)
    graph = NeighbourGraph(points)
    found = {
        "isolation forest": -IsolationForest(random_state=0).fit(points).score_samples(points),
        "lof": -LocalOutlierFactor().fit_graph(graph).negative_outlier_factor_,
        "hdbscan": 1 - HDBSCAN().fit_graph(graph).probabilities_,
    }
    if importlib.util.find_spec("pyod"):
        found["ecod"] = importlib.import_module("pyod.models.ecod").ECOD().fit(points).decision_scores_
    else:
        print("  (PyOD is not installed: no ECOD)")
    return {name: np.asarray(scores)[is_test] for name, scores in found.items()}


def strict_rule(market: Market) -> Scores:
    """Count the strict policy's rules that refuse each test application."""
    desk = AdmissionDesk(market.history, learned(market, [], 0), "benchmark", shipped_policy(STRICT))
    refusals = {
        decision.application_id: len(decision.reason_codes) if decision.disposition == "deny" else 0
        for decision in desk.decide_window(market.cut, None)
    }
    return np.array([refusals[name] for name in market.table.spine.subject_ids[market.test].tolist()], dtype=np.float64)


def admission_at(scores: Scores, is_merchant: NDArray[np.bool_], leakage: float) -> tuple[float, NDArray[np.bool_]]:
    """Give the largest share of genuine applicants that a threshold admits within a leakage, and who is admitted."""
    order = np.argsort(scores, kind="stable")
    ends = np.flatnonzero(np.r_[scores[order][1:] != scores[order][:-1], True])
    merchants = np.cumsum(is_merchant[order])[ends]
    fits = np.flatnonzero(merchants <= leakage * (ends + 1))
    admitted = np.zeros(len(scores), dtype=bool)
    if len(fits):
        admitted[order[: ends[fits[-1]] + 1]] = True
    return float(admitted[~is_merchant].mean()), admitted


def measured(market: Market, scores: Scores) -> dict[str, float]:
    """Measure one method on the test."""
    is_merchant, archetype = market.is_merchant[market.test], market.archetype[market.test]
    admission, admitted = admission_at(scores, is_merchant, LEAKAGE)
    kinds = [kind for kind in np.unique(archetype) if kind.startswith("G") and (archetype == kind).sum() >= 20]
    ring = np.where(is_merchant, market.ring[market.test], "")
    rings = [ring == name for name in np.unique(ring[ring != ""]) if (ring == name).sum() > 1]
    return {
        "genuine admission at 1 % leakage": admission,
        "average precision": float(average_precision_score(is_merchant, scores)),
        "worst look-alike": min(float(admitted[archetype == kind].mean()) for kind in kinds),
        "rings caught": float(np.mean([(~admitted[of]).mean() >= CAUGHT for of in rings])),
        CONTAMINATION: float((~admitted & ~is_merchant).sum() / max((~admitted & is_merchant).sum(), 1)),
    }


def run(seed: int, accounts: int, budgets: list[int]) -> Figures:
    """Measure every method at every budget on one market."""
    with tempfile.TemporaryDirectory() as temporary:
        market = market_of(Path(temporary), seed, accounts)
        fixed = unlabelled(market) | {"strict rule": strict_rule(market)}
        fixed |= {f"oracle, by {whose}": share[market.test] for whose, share in market.resold.items()}
        methods: dict[str, Callable[[Market, list[Label], int], Scores]] = {
            "membergate": membergate,
            "lightgbm, aggregates": boosted(market.aggregates),
            "lightgbm, our features": boosted(market.table.values),
        }
        found: Figures = {}
        for budget in budgets:
            labels = market.labels(budget, seed)
            for name, learn in methods.items():
                if budget or name == "membergate":
                    found[budget, name] = measured(market, learn(market, labels, seed))
            found |= {(budget, name): measured(market, scores) for name, scores in fixed.items()}
        model = learned(market, market.labels(max(budgets), seed), seed)
        asked, test = market.table.spine.subject_ids, market.test
        found[max(budgets), DOOR] = dict(
            as_decided(market.history, model, asked[test], market.is_merchant[test], market.archetype[test])
        )
        print(f"  seed {seed}: {len(market.train):,} train, {len(market.test):,} test, "
              f"{market.is_merchant[market.test].mean():.1%} merchants", flush=True)  # fmt: skip
        return found


def kept(folder: Path | None, seed: int, accounts: int, budgets: list[int]) -> Figures:
    """Read a seed's figures where the same source measured the same; else measure and, given a folder, keep them."""
    file = None if folder is None else kept_in(folder, f"identify-{accounts}-{seed}", sorted(budgets), OWN)
    if file is not None and file.exists():
        return {(budget, name): figures for budget, name, figures in json.loads(file.read_text(encoding="utf-8"))}
    found = run(seed, accounts, budgets)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([[*key, figures] for key, figures in found.items()]), encoding="utf-8")
    return found


def show(together: Mapping[tuple[int, str], Mapping[str, list[float]]], budgets: list[int]) -> None:
    """Print one table, best average precision first, and by how much membergate leads the best opponent."""
    figures = list(next(iter(together.values())))
    print(f"\n| labels | method | {' | '.join(figures)} |\n|---|---|{'---|' * len(figures)}")
    for budget in budgets:
        keys = [key for key in together if key[0] == budget and key[1] != DOOR]
        for key in sorted(keys, key=lambda key: -float(np.mean(together[key]["average precision"]))):
            told = (interval(together[key][name], RATIO if name == CONTAMINATION else SHARE) for name in figures)
            print(f"| {budget} | {key[1]} | {' | '.join(told)} |")
    print("\n| labels | lead over the best opponent in | points |\n|---|---|---|")
    for budget in budgets:
        for name in figures[:2]:
            opponents = [key for key in together if key[0] == budget and key[1] not in (*OURS, *ORACLES, DOOR)]
            best = max(opponents, key=lambda key: float(np.mean(together[key][name])))
            lead = np.subtract(together[budget, "membergate"][name], together[best][name]) * 100
            print(f"| {budget} | {name}: {best[1]} | {interval(lead.tolist())} |")
    print(f"\n| {DOOR}, {max(budgets)} labels | share |\n|---|---|")
    for name, values in together[max(budgets), DOOR].items():
        print(f"| {name} | {interval(values, SHARE)} |")


def main() -> None:
    """Run all seeds and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(501, 509)))
    parser.add_argument("--budgets", type=int, nargs="+", default=[0, 50, 300, 1500])
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    together: dict[tuple[int, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in arguments.seeds:
        for key, figures in kept(arguments.keep, seed, arguments.accounts, arguments.budgets).items():
            for name, value in figures.items():
                together[key][name].append(value)
    show(together, arguments.budgets)


if __name__ == "__main__":
    main()
