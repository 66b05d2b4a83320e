"""What makes the simulated market hard, told on whole worlds: density, selective labels, rings and context.

Each test lives through a world in memory, with its truth at hand. Printed, one line each, over seeds:

- *density is not guilt*: precision of the densest group of accounts that share things, unpruned, against the base rate;
- *selective labels*: retraining on the accepted alone seems to improve the score, and rejects worse;
- *rings and certificates*: how often a certificate that takes accounts for independent is violated, rings on and off;
- *context matters*: F1 of rings found by DBSCAN on raw counts, and on rare goods and days in common.

This reads the simulator's truth, which only verification of the simulator may do: nothing learned or decided sees it.

Usage: `python benchmarks/realism_worlds.py [--accounts 10000] [--seeds 70 71 72] [--runs 200]`
"""

from __future__ import annotations

import argparse
import heapq
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import coo_array, csr_array
from sklearn.cluster import DBSCAN
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from membergate.market.simulator.scenario import scenario_for
from membergate.market.simulator.world import World, live_through

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

HISTORY_DAYS = 180.0
LEAST_SHARED = 6
"""Buckets of goods and day below which an account tells too little to be clustered."""
BEST_SELLER = 20
"""Accounts in a bucket above which it says nothing."""
CONFIDENCE = 0.95
LEAKAGE = 0.05


@dataclass(frozen=True)
class Applicants:
    """Applicants with a history: simple aggregates as of application, and the truth; shape (n,) or (n, columns)."""

    account: Ints
    values: Floats
    is_merchant: Bools
    operator: Ints
    ring: Ints


def world_of(accounts: int, seed: int, *, rings: bool = True) -> World:
    """Let a market of the preset `demo` happen, in memory."""
    scenario = replace(scenario_for("demo", seed=seed, accounts=accounts), rings=rings, skus=1_500, stores=100)
    return live_through(scenario, lambda _step: None)


def applicants_of(world: World) -> Applicants:
    """Give simple aggregates of each applicant's orders in the half year before it applied."""
    population, ledger = world.population, world.ledger
    order_age = population.applied[ledger.account] - ledger.time
    counts = (order_age > 0) & (order_age < HISTORY_DAYS)
    line = counts[ledger.order]
    who, size = ledger.account[ledger.order][line], len(population)

    def summed(weights: Floats | Ints) -> Floats:
        return np.bincount(who, weights=weights, minlength=size).astype(np.float64)

    quantity, prices = ledger.quantity[line], ledger.prices
    orders = np.bincount(ledger.account[counts], minlength=size)
    skus = np.unique(np.stack([who, ledger.sku[line]]), axis=1)[0]
    shelves = np.unique(np.stack([who, world.catalogue.shelf[ledger.sku[line]]]), axis=1)[0]
    units, lines = summed(quantity), np.maximum(summed(np.ones(len(who))), 1)
    tag, net = prices.list_price_minor[line] * quantity, prices.net_price_minor[line] * quantity
    limit = world.catalogue.limit_quantity[ledger.sku[line]]
    subsidised = world.catalogue.is_subsidised[ledger.sku[line]].astype(np.float64)
    values = np.column_stack([
        orders, units / lines, units / np.maximum(np.bincount(skus, minlength=size), 1),
        np.bincount(shelves, minlength=size), 1 - summed(net) / np.maximum(summed(tag), 1), summed(net),
        summed((quantity == limit).astype(np.float64)) / lines, summed(subsidised) / lines,
    ])  # fmt: skip
    chosen = np.flatnonzero((orders > 0) & np.isfinite(population.applied))
    truth = world.truth.is_merchant_account[chosen]
    return Applicants(
        chosen, values[chosen].astype(np.float64), truth, population.operator[chosen], population.ring[chosen]
    )


def densest_precision(world: World) -> tuple[float, float]:
    """Peel the graph of accounts that share places, devices or cards to its densest part; precision and base rate.

    Two accounts are joined once for each thing that orders of both name. The part of the largest mean degree among
    those that greedy peeling leaves (Charikar 2000) has at least half of the largest density there is.
    """
    ledger, sent = world.ledger, world.deliveries
    members: list[list[int]] = []
    for token in (sent.place, sent.device, sent.payment):
        pairs = np.unique(np.stack([token, ledger.account]), axis=1)
        starts = np.flatnonzero(np.r_[True, pairs[0][1:] != pairs[0][:-1]])
        members += [group.tolist() for group in np.split(pairs[1], starts[1:]) if len(group) > 1]
    accounts = np.array(sorted(_densest(members)), dtype=np.int64)
    is_merchant = world.truth.is_merchant_account
    return float(is_merchant[accounts].mean()), float(is_merchant[np.isfinite(world.population.applied)].mean())


def _densest(members: list[list[int]]) -> set[int]:
    """Take away the account of the smallest degree until none is left; give who was there when density was highest."""
    things: defaultdict[int, list[int]] = defaultdict(list)
    degree: Counter[int] = Counter()
    for thing, group in enumerate(members):
        for account in group:
            things[account].append(thing)
            degree[account] += len(group) - 1
    edges = sum(degree.values()) // 2
    heap = [(size, account) for account, size in degree.items()]
    heapq.heapify(heap)
    gone: list[int] = []
    removed: set[int] = set()
    best, best_at = edges / max(len(degree), 1), 0
    while heap:
        size, account = heapq.heappop(heap)
        if account in removed or size != degree[account]:
            continue
        removed.add(account)
        gone.append(account)
        edges -= size
        for other in (other for thing in things[account] for other in members[thing] if other not in removed):
            degree[other] -= 1
            heapq.heappush(heap, (degree[other], other))
        left = len(degree) - len(gone)
        if left and edges / left > best:
            best, best_at = edges / left, len(gone)
    return set(degree) - set(gone[:best_at])


def _model() -> object:
    return make_pipeline(QuantileTransformer(n_quantiles=100), LogisticRegression(C=0.3, max_iter=1000))


def _scores(values: Floats, truth: Bools, wanted: Floats) -> Floats:
    model = _model()
    model.fit(values, truth)  # type: ignore[attr-defined]  # a pipeline
    return np.asarray(model.predict_proba(wanted)[:, 1])  # type: ignore[attr-defined]  # a pipeline


def selective_labels(applicants: Applicants, seed: int) -> dict[str, float]:
    """Train on a sample of all, refuse the worst fifth, train again on the accepted; measure on theirs and on all."""
    rng = np.random.default_rng(seed)
    third = rng.integers(0, 3, int(applicants.operator.max()) + 1)[applicants.operator]
    values, truth = applicants.values, applicants.is_merchant
    first = _scores(values[third == 0], truth[third == 0], values)
    accepted = first < np.quantile(first, 0.8)
    again = _scores(values[(third == 1) & accepted], truth[(third == 1) & accepted], values)
    test = third == 2  # the third third
    rejected = {name: score >= np.quantile(score, 0.8) for name, score in (("before", first), ("after", again))}
    return {
        "measured Brier score before, on all": float(((first - truth)[test] ** 2).mean()),
        "measured Brier score after, on its accepted": float(((again - truth)[test & accepted] ** 2).mean()),
        "true area before": float(roc_auc_score(truth[test], first[test])),
        "true area after": float(roc_auc_score(truth[test], again[test])),
        "merchants among the refused before": float(truth[test & rejected["before"]].mean()),
        "merchants among the refused after": float(truth[test & rejected["after"]].mean()),
    }


def violations(applicants: Applicants, runs: int, seed: int) -> float:
    """Certify the most lenient threshold on drawn operators' accounts, taken for independent, and count failures.

    Policies are tried from strict to lenient while an exact binomial test rejects a leakage above the level. A run is
    violated if the true leakage of the certified policy, over everyone, is above the level.
    """
    rng = np.random.default_rng(seed)
    half = rng.random(int(applicants.operator.max()) + 1)[applicants.operator] < 0.5  # a half
    score = _scores(applicants.values[half], applicants.is_merchant[half], applicants.values)[~half]
    truth = applicants.is_merchant[~half]
    operators, of_account = np.unique(applicants.operator[~half], return_inverse=True)
    by_operator = np.argsort(of_account, kind="stable")
    starts = np.r_[np.searchsorted(of_account[by_operator], np.arange(len(operators))), len(by_operator)]
    cuts = np.quantile(score, np.linspace(0.1, 1.0, 91))
    true_leakage = np.array([truth[score <= cut].mean() for cut in cuts])
    failed = 0
    for _ in range(runs):
        drawn = rng.integers(0, len(operators), len(operators))
        rows = np.concatenate([by_operator[starts[o] : starts[o + 1]] for o in drawn])
        order = np.argsort(score[rows], kind="stable")
        ranked, leaks = score[rows][order], np.cumsum(truth[rows][order])
        admitted = np.searchsorted(ranked, cuts, side="right")
        leaked = np.where(admitted > 0, leaks[np.maximum(admitted, 1) - 1], 0)
        rejected = stats.binom.cdf(leaked, np.maximum(admitted, 1), LEAKAGE) <= 1 - CONFIDENCE
        certified = len(cuts) if rejected.all() else int(np.argmin(rejected))
        failed += bool(certified and true_leakage[certified - 1] > LEAKAGE)
    return failed / runs


def ring_f1(world: World, applicants: Applicants) -> tuple[float, float]:
    """Give the best pairwise F1 of rings that DBSCAN finds over some radii: on raw counts, and set into context."""
    sent = world.deliveries
    users = np.unique(np.stack([sent.place, world.ledger.account]), axis=1)[0]
    degree = np.bincount(users, minlength=len(world.places))[world.belongings.home]
    raw = np.column_stack([applicants.values[:, [0, 1, 3, 5]], degree[applicants.account]])
    scaled = StandardScaler().fit_transform(raw)
    baskets = _in_context(world, applicants)
    tells = np.diff(baskets.indptr) >= LEAST_SHARED
    return (
        _best_f1(scaled, applicants.ring, np.ones(len(tells), dtype=bool), "euclidean"),
        _best_f1(baskets, applicants.ring, tells, "cosine"),
    )


def _in_context(world: World, applicants: Applicants) -> csr_array:
    """Describe applicants by the goods and days that they share with few others, the rarer the heavier."""
    ledger = world.ledger
    quiet = ledger.promotion[ledger.order] < 0
    bucket = (ledger.time[ledger.order].astype(np.int64) * len(world.catalogue) + ledger.sku)[quiet]
    pairs = np.unique(np.stack([ledger.account[ledger.order][quiet], bucket]), axis=1)
    _, place, uses = np.unique(pairs[1], return_inverse=True, return_counts=True)
    rare = (uses[place] > 1) & (uses[place] <= BEST_SELLER)
    weights = 1 / np.log(2 + uses[place[rare]])
    shape = (len(world.population), len(uses))
    return csr_array(coo_array((weights, (pairs[0][rare], place[rare])), shape=shape))[applicants.account]


def _best_f1(values: Floats | csr_array, ring: Ints, tells: Bools, metric: str) -> float:
    """Give the best pairwise F1 against rings over a range of radii; who tells too little is noise."""
    best = 0.0
    true = pairs_of(ring[ring >= 0])
    for radius in np.geomspace(0.05, 0.95, 12):
        found = np.full(len(ring), -1)
        found[tells] = DBSCAN(eps=radius, min_samples=3, metric=metric).fit_predict(values[tells])
        clustered = found >= 0
        right = pairs_of(found[clustered & (ring >= 0)] * (int(ring.max()) + 1) + ring[clustered & (ring >= 0)])
        best = max(best, 2 * right / max(pairs_of(found[clustered]) + true, 1))
    return best


def pairs_of(labels: Ints) -> int:
    """Count the pairs of equal labels."""
    return sum(size * (size - 1) // 2 for size in Counter(labels.tolist()).values())


def interval(values: Sequence[float]) -> str:
    """Write a mean with its 95 % t interval."""
    found = np.array(values)
    spread = found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.nan
    half = stats.t.ppf(0.975, max(len(found) - 1, 1)) * spread
    return f"{found.mean():.3f} ± {half:.3f}"


def main() -> None:
    """Measure all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[70, 71, 72])
    parser.add_argument("--runs", type=int, default=200)
    arguments = parser.parse_args()
    lines: defaultdict[str, list[float]] = defaultdict(list)
    for seed in arguments.seeds:
        world = world_of(arguments.accounts, seed)
        applicants = applicants_of(world)
        precision, base = densest_precision(world)
        lines["precision of the densest subgraph"].append(precision)
        lines["base rate"].append(base)
        raw, in_context = ring_f1(world, applicants)
        lines["ring F1, raw counts"].append(raw)
        lines["ring F1, in context"].append(in_context)
        for name, value in selective_labels(applicants, seed).items():
            lines[name].append(value)
        lines["certificates violated, rings on"].append(violations(applicants, arguments.runs, seed))
        alone = applicants_of(world_of(arguments.accounts, seed, rings=False))
        lines["certificates violated, rings off"].append(violations(alone, arguments.runs, seed))
    print(f"{arguments.accounts:,} accounts, {len(arguments.seeds)} seeds, 95 % t intervals; nominal violations 0.05")
    for name, values in lines.items():
        print(f"  {name:46s} {interval(values)}")


if __name__ == "__main__":
    main()
