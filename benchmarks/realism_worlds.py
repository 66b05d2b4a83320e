"""What makes the simulated market hard, told on whole worlds: density, selective labels, rings and context.

Each test lives through a world in memory, with its truth at hand. Printed, one line each, over seeds:

- *density is not guilt*: precision of the densest group of accounts that share things, unpruned, against the base rate;
- *selective labels*: retraining on the accepted alone seems to improve the score, and rejects worse;
- *context matters*: F1 of rings found by DBSCAN on raw counts, and on rare goods and days in common;
- *the hostel test is not trivial*: of the places that many accounts share, which a naive rule would refuse, how many
  are mostly genuine;
- *the dip*: orders a day in the fortnight after Double Eleven over those of quiet weeks, private and to resell.

This reads the simulator's truth, which only verification of the simulator may do: nothing learned or decided sees it.

Usage: `python benchmarks/realism_worlds.py [--accounts 10000] [--seeds 70 71 … 77]`
"""

from __future__ import annotations

import argparse
import heapq
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import coo_array, csr_array
from sklearn.cluster import DBSCAN
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from membergate.market.simulator.archetypes import ARCHETYPES
from membergate.market.simulator.scenario import scenario_for
from membergate.market.simulator.world import World, live_through

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

HISTORY_DAYS = 180.0
LEAST_SHARED = 6
"""Buckets of goods and day below which an account tells too little to be clustered."""
LARGE = 15
"""Accounts at a place from which on it is no household."""
QUIET_DAYS, AFTER_DAYS = (262.0, 297.0), (317.0, 331.0)
"""Weeks without a promotion before Double Eleven, and the fortnight after it, in days of the scenario."""
BEST_SELLER = 20
"""Accounts in a bucket above which it says nothing."""


@dataclass(frozen=True)
class Applicants:
    """Applicants with a history: simple aggregates as of application, and the truth; shape (n,) or (n, columns)."""

    account: Ints
    values: Floats
    is_merchant: Bools
    operator: Ints
    ring: Ints


def world_of(accounts: int, seed: int) -> World:
    """Let a market of the preset `demo` happen, in memory."""
    scenario = replace(scenario_for("demo", seed=seed, accounts=accounts), skus=1_500, stores=100)
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
    skus = _pairs(who, ledger.sku[line])[0]
    shelves = _pairs(who, world.catalogue.shelf[ledger.sku[line]])[0]
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


def _pairs(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """Give the different pairs of two columns, in order, as two columns."""
    span = int(right.max(initial=0)) - int(least := right.min(initial=0)) + 1
    keys = np.unique(left * span + (right - least))
    return keys // span, keys % span + least


def densest_precision(world: World) -> tuple[float, float]:
    """Peel the graph of accounts that share places, devices or cards to its densest part; precision and base rate.

    Two accounts are joined once for each thing that orders of both name. The part of the largest mean degree among
    those that greedy peeling leaves (Charikar 2000) has at least half of the largest density there is.
    """
    ledger, sent = world.ledger, world.deliveries
    members: list[list[int]] = []
    for token in (sent.place, sent.device, sent.payment):
        pairs = _pairs(token, ledger.account)
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


def model() -> Any:
    """Give an unfitted logistic model on ranks."""
    return make_pipeline(QuantileTransformer(n_quantiles=100), LogisticRegression(C=0.3, max_iter=1000))


def _scores(values: Floats, truth: Bools, wanted: Floats) -> Floats:
    return np.asarray(model().fit(values, truth).predict_proba(wanted)[:, 1])


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


def ring_f1(world: World, applicants: Applicants) -> tuple[float, float]:
    """Give the best pairwise F1 of rings that DBSCAN finds over some radii: on raw counts, and set into context."""
    sent = world.deliveries
    users = _pairs(sent.place, world.ledger.account)[0]
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
    pairs = _pairs(ledger.account[ledger.order][quiet], bucket)
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


def innocent_places(world: World) -> float:
    """Of the places that `LARGE` accounts or more order to, give the share in which most are no merchants."""
    pairs = _pairs(world.deliveries.place, world.ledger.account)
    users = np.bincount(pairs[0], minlength=len(world.places))
    merchants = np.bincount(pairs[0], weights=world.truth.is_merchant_account[pairs[1]], minlength=len(world.places))
    large = users >= LARGE
    return float((merchants[large] < users[large] / 2).mean())


def dips(world: World) -> dict[str, float]:
    """Give orders a day in the fortnight after Double Eleven over those of quiet weeks before, by archetype.

    Private orders of the genuine and orders to resell of merchants, of accounts that did not apply in between.
    """
    population, ledger = world.population, world.ledger
    applied = population.applied[ledger.account]
    is_settled = np.isfinite(applied) & ((applied < QUIET_DAYS[0] - 19) | (applied >= AFTER_DAYS[1] + 4))
    found = {}
    for place, archetype in enumerate(ARCHETYPES):
        mine = is_settled & (population.archetype[ledger.account] == place)
        mine &= ledger.is_for_resale == (archetype.resale is not None)
        after, quiet = (
            ((ledger.time >= first) & (ledger.time < last) & mine).sum() / (last - first)
            for first, last in (AFTER_DAYS, QUIET_DAYS)
        )
        found[f"after Double Eleven, {archetype.code} {archetype.name}"] = float(after / max(quiet, 1 / len(mine)))
    return found


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
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(70, 78)))
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
        for name, value in dips(world).items():
            lines[name].append(value)
        lines["hostel: large shared places mostly genuine"].append(innocent_places(world))
    print(f"{arguments.accounts:,} accounts, {len(arguments.seeds)} seeds, 95 % t intervals")
    for name, values in lines.items():
        print(f"  {name:52s} {interval(values)}")


if __name__ == "__main__":
    main()
