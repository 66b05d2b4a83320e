"""Which caps and fees make reselling a membership's benefits lose money: the deterrence map.

A market happens in memory with the door open. Then every member is held to a cap on the units of one SKU in 30 days,
all else being as it was meant, and each merchant business counts what 90 days bring it: what its units fetch (fewer
fetch more, as the resale market is less flooded), less what they cost, handling, and goods that stay unsold. Carried on
to a year, less the fee and the price of its accounts, this is its profit. What exceeds a cap is not bought.
Printed for each cap and fee: the share of businesses of each size that would lose money, and the profit of those that
would not, which is what deterrence leaves.

Money is in CNY. The figures are the simulator's design priors: an illustrative simulation.

Usage: `python benchmarks/deterrence.py [--accounts 10000] [--seeds 80 81 82]`
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from membergate.market.simulator.belongings import businesses_of
from membergate.market.simulator.catalogue import price
from membergate.market.simulator.consequences import bought_behind, scaled
from membergate.market.simulator.door import UNLIMITED, open_door
from membergate.market.simulator.resale import handling_minor
from membergate.market.simulator.scenario import scenario_for
from membergate.market.simulator.truth import RESOLD, RETURNED_UNSOLD
from membergate.market.simulator.world import World, live_through

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CAPS = (UNLIMITED, 20, 10, 5, 3, 2, 1)
FEES_MINOR = (0, 9_900, 14_900, 29_900, 59_900, 99_900)
WINDOW_DAYS, YEAR_DAYS = 90.0, 365.0
SIZES = (("one account", 1, 1), ("2 to 9 accounts", 2, 9), ("10 and more", 10, 10**9))


@dataclass(frozen=True)
class Books:
    """What each merchant business brings in a year before fees, and its accounts; shape (businesses,) each."""

    profit_minor: Floats
    accounts: Ints


def world_of(accounts: int, seed: int) -> World:
    """Let a market of the preset `demo` happen, in memory, with the door open."""
    scenario = replace(scenario_for("demo", seed=seed, accounts=accounts), skus=1_500, stores=100)
    return live_through(scenario, lambda _step: None)


def books_under(world: World, cap: int) -> Books:
    """Keep the books of every merchant business if members could buy so many units of a SKU a month.

    Parameters
    ----------
    world
        What happened with the door open.
    cap
        Units of one SKU in 30 days.
    """
    population, ledger, goods = world.population, world.intended.ledger, world.catalogue
    door = open_door(population)
    door = replace(door, most_units=np.full(len(population), cap))
    kept = bought_behind(door, ledger, population, world.scenario, goods).quantity
    is_resale = ledger.is_for_resale[ledger.order]
    account = ledger.account[ledger.order]
    since = ledger.time[ledger.order] - population.applied[account]
    counts = is_resale & (since >= 0) & (since < WINDOW_DAYS) & ~world.intended.deliveries.is_cancelled[ledger.order]
    quantity = np.where(counts, kept, 0)
    units = scaled(world.intended.units, ledger.quantity, quantity)

    def of_use(use: int) -> Floats:
        rows = units.use == use
        return np.bincount(units.line[rows], weights=units.quantity[rows], minlength=len(quantity)).astype(np.float64)

    sold, back = of_use(RESOLD), of_use(RETURNED_UNSOLD)
    market = goods.market_price_minor[ledger.sku]
    fetched = market * (1 - 0.5 * quantity / goods.resale_depth[ledger.sku]).clip(0.3)
    is_member = population.is_member_at(account, ledger.time[ledger.order])
    cost = price(
        goods, ledger.sku, ledger.promotion[ledger.order], is_member, ledger.coupon_share[ledger.order]
    ).net_price_minor
    gain = sold * (fetched - handling_minor(market)) - (quantity - back) * cost
    merchants = np.flatnonzero(population.is_reseller_life & np.isfinite(population.applied))
    _, inverse = np.unique(businesses_of(population)[merchants], return_inverse=True)
    by_account = np.bincount(account, weights=np.where(counts, gain, 0.0), minlength=len(population))
    yearly = np.bincount(inverse, weights=by_account[merchants]).astype(np.float64) * (YEAR_DAYS / WINDOW_DAYS)
    return Books(yearly, np.bincount(inverse))


def after_fees(books: Books, fee_minor: int, account_minor: int) -> Floats:
    """Give each business's profit of a year after the fee and the price of each of its accounts, in minor units."""
    return np.asarray(books.profit_minor - books.accounts * (fee_minor + account_minor))


def main() -> None:
    """Measure all seeds and print the map."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[80, 81, 82])
    arguments = parser.parse_args()
    worlds = [world_of(arguments.accounts, seed) for seed in arguments.seeds]
    account_minor = worlds[0].scenario.evasion.new_account_minor
    books = {}
    for cap in CAPS:
        parts = [books_under(world, cap) for world in worlds]
        books[cap] = Books(
            *(np.concatenate([getattr(p, name) for p in parts]) for name in ("profit_minor", "accounts"))
        )
    print(f"share of merchant businesses that lose money, {len(worlds)} markets of {arguments.accounts:,} accounts")
    header = "".join(f"{fee // 100:>8d}" for fee in FEES_MINOR)
    for name, least, most in SIZES:
        print(f"\n{name}; yearly fee in CNY:\n{'units a SKU and month':>22s}{header}")
        for cap, found in books.items():
            rows = (found.accounts >= least) & (found.accounts <= most)
            shares = [float((after_fees(found, fee, account_minor)[rows] <= 0).mean()) for fee in FEES_MINOR]
            label = "no cap" if cap == UNLIMITED else str(cap)
            print(f"{label:>22s}" + "".join(f"{share:8.2f}" for share in shares))
    print(
        f"\nprofit left, thousands of CNY a year and market; yearly fee in CNY:\n{'units a SKU and month':>22s}{header}"
    )
    for cap, found in books.items():
        left = [np.maximum(after_fees(found, fee, account_minor), 0).sum() / 1e5 / len(worlds) for fee in FEES_MINOR]
        label = "no cap" if cap == UNLIMITED else str(cap)
        print(f"{label:>22s}" + "".join(f"{value:8.0f}" for value in left))


if __name__ == "__main__":
    main()
