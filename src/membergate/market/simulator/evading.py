"""What each business does against being told apart: the steps that save it more than they cost, within its budget.

A business weighs the profit that it expects, reckoned from its first 90 days to its horizon, against the probability of
being found out. A step takes a share of that probability away, as far as the business gives the sign at all, and has a
price. The best step for its money is taken first, and so on while a step pays and the budget lasts. The shares are
design priors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.market.simulator.adversary import ACTIONS, Action, Evasion
from membergate.market.simulator.archetypes import ARCHETYPE_INDEX, ARCHETYPES
from membergate.market.simulator.belongings import businesses_of
from membergate.market.simulator.calendar import Calendar
from membergate.market.simulator.catalogue import Catalogue, price
from membergate.market.simulator.population import LEAF, Population
from membergate.market.simulator.resale import Purchases, expected_coupon_share, handling_minor
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.shopping import burning
from membergate.market.simulator.streams import Bools, Floats, Ints, stream

STAKE_DAYS = 90.0
_DAYS_A_MONTH = 30.0
_BELIEF_SPREAD = 0.3
_NEVER_MINOR = 1e15
_COLD_DAYS = 60.0
_PREPARES_DAYS = (1.0, 10.0)
_SPLIT = {Action.SPLIT_20: 20, Action.SPLIT_3: 3}
SPLIT_EFFORT = {Action.SPLIT_20: 1.0, Action.SPLIT_3: 2.0}
"""How many times the usual share of coordination a split costs."""
_WEAKENS = {
    Action.DEVICES: 0.30, Action.CLOUD_PHONES: 0.22, Action.PAYMENTS: 0.15, Action.PROXIES: 0.10,
    Action.ADDRESS_NOISE: 0.08, Action.CLEAN_ADDRESSES: 0.25, Action.AGED_ACCOUNTS: 0.20, Action.DECOYS: 0.20,
    Action.HIRED_LEAVES: 0.35, Action.SPLIT_20: 0.20, Action.SPLIT_3: 0.35, Action.SLOW_DOWN: 0.15,
}  # fmt: skip
"""Share of the probability of being found out that a step takes away where its sign is given in full."""
_INSTEAD = (
    (Action.DEVICES, Action.CLOUD_PHONES, Action.HIRED_LEAVES),
    (Action.ADDRESS_NOISE, Action.CLEAN_ADDRESSES),
    (Action.SPLIT_20, Action.SPLIT_3),
    (Action.PAYMENTS, Action.HIRED_LEAVES),
    (Action.PROXIES, Action.HIRED_LEAVES),
)
"""Steps that stand in for one another: who has taken one takes none of the others."""


@dataclass(frozen=True, slots=True)
class Stakes:
    """What is at stake for each business over its horizon, shape (businesses,) each.

    Parameters
    ----------
    business_of
        Business of each reselling account, shape (accounts,); -1 for the others.
    lead
        First account of each business.
    size
        Its accounts.
    begins
        When it first applies, in local days.
    profit_minor, spend_minor, orders
        What it expects to gain and to lay out on goods to resell, and how often it orders them.
    """

    business_of: Ints
    lead: Ints
    size: Ints
    begins: Floats
    profit_minor: Floats
    spend_minor: Floats
    orders: Floats


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps taken, one row each, shape (n,): by which operator, which (index into ACTIONS), for how much, when."""

    operator: Ints
    action: Ints
    cost_minor: Ints
    time: Floats

    @classmethod
    def none(cls) -> Steps:
        """Give no steps."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing, nothing, np.zeros(0))

    def and_more(self, others: Steps) -> Steps:
        """Put two lists of steps together."""
        columns = ("operator", "action", "cost_minor", "time")
        return Steps(*(np.concatenate([getattr(self, name), getattr(others, name)]) for name in columns))


@dataclass(frozen=True, slots=True)
class Campaign:
    """What every account does.

    Parameters
    ----------
    stakes
        What was weighed.
    taken
        Which business takes which step, shape (businesses, actions).
    steps
        The same as a list, for the truth.
    """

    stakes: Stakes
    taken: Bools
    steps: Steps

    def does(self, action: Action) -> Bools:
        """Mark the accounts whose business takes a step, shape (accounts,)."""
        business = self.stakes.business_of
        return np.asarray((business >= 0) & self.taken[business, ACTIONS.index(action)])


def stakes_of(
    population: Population, purchases: Purchases, scenario: Scenario, catalogue: Catalogue, calendar: Calendar
) -> Stakes:
    """Add up what each business expects, from what it means to buy with the door open."""
    resellers = np.flatnonzero(population.is_reseller_life)
    _, first, inverse = np.unique(businesses_of(population)[resellers], return_index=True, return_inverse=True)
    business_of = np.full(len(population), -1)
    business_of[resellers] = inverse
    begins = np.full(len(first), np.inf)
    np.minimum.at(begins, inverse, population.applied[resellers])
    visits, picks = purchases.visits, purchases.picks
    expected = np.array([a.coupon * expected_coupon_share(a) for a in ARCHETYPES])[population.archetype]
    resold = np.array([a.resale.resold if a.resale else 0.0 for a in ARCHETYPES])[population.archetype]
    counts = visits.time - begins[business_of[visits.account]]
    is_counted = (counts >= 0) & (counts < STAKE_DAYS)
    account, moment = visits.account[picks.order], visits.time[picks.order]
    promotion = burning(calendar, scenario, moment)
    net = price(catalogue, picks.sku, promotion, population.is_member_at(account, moment), expected[account])
    cost = net.net_price_minor + handling_minor(catalogue.market_price_minor[picks.sku])
    units = picks.quantity * is_counted[picks.order]
    of_line = business_of[account]

    # what the first 90 days bring, carried on to the horizon
    reckons = scenario.evasion.horizon_days / STAKE_DAYS

    def summed(business: Ints, weights: Floats) -> Floats:
        return np.bincount(business, weights=weights * reckons, minlength=len(first)).astype(np.float64)

    return Stakes(
        business_of=business_of,
        lead=resellers[first],
        size=np.bincount(inverse),
        begins=begins,
        profit_minor=summed(of_line, units * (resold[account] * purchases.resale_price_minor - cost)),
        spend_minor=summed(of_line, units * net.net_price_minor),
        orders=summed(business_of[visits.account], is_counted.astype(np.float64)),
    )


def choose(population: Population, stakes: Stakes, scenario: Scenario) -> Campaign:
    """Let every business take the steps that pay, the best for its money first."""
    rng = stream(scenario.chance, "evasion", "choice")
    evasion = scenario.evasion
    count = len(stakes.lead)
    found_out = np.clip(evasion.believed_detection * np.exp(rng.normal(0, _BELIEF_SPREAD, count)), 0.0, 0.95)
    profit = np.maximum(stakes.profit_minor, 0.0)
    left = evasion.budget_share * profit * (stakes.begins >= evasion.from_day)
    costs, weakens = _costs(population, stakes, evasion), _weakens(population, stakes)
    taken = np.zeros((count, len(ACTIONS)), dtype=bool)
    is_open = weakens > 0
    for _ in ACTIONS:
        gain = (found_out * profit)[:, None] * weakens - costs
        worth = np.where(is_open & (gain > 0) & (costs <= left[:, None]), gain / np.maximum(costs, 1.0), -np.inf)
        best = np.argmax(worth, axis=1)
        takes = np.flatnonzero(np.isfinite(worth[np.arange(count), best]))
        if not len(takes):
            break
        step = best[takes]
        taken[takes, step] = True
        left[takes] -= costs[takes, step]
        found_out[takes] *= 1 - weakens[takes, step]
        is_open[takes] &= ~_CLOSES[step]
    posing = np.flatnonzero((stakes.begins >= evasion.from_day) & _poses(stakes, scenario))
    taken[posing, ACTIONS.index(Action.GROUP_BUY_LANE)] = True
    return Campaign(stakes, taken, _listed(rng, population, stakes, taken, costs))


def _poses(stakes: Stakes, scenario: Scenario) -> Bools:
    """Draw who poses as a group-buy leader, whatever it gains."""
    rng = stream(scenario.chance, "evasion", "posing")
    return np.asarray((rng.random(len(stakes.lead)) < scenario.evasion.poses_share) & (stakes.size == 1))


def _costs(population: Population, stakes: Stakes, evasion: Evasion) -> Floats:
    """Price every step for every business, in minor units, shape (businesses, actions); out of reach for no choice."""
    size, orders = stakes.size, stakes.orders
    months = evasion.horizon_days / _DAYS_A_MONTH
    profit = np.maximum(stakes.profit_minor, 0.0)
    priced = {
        Action.DEVICES: size * evasion.device_minor,
        Action.CLOUD_PHONES: size * evasion.cloud_phone_minor_per_month * months,
        Action.PAYMENTS: size * evasion.payment_minor,
        Action.PROXIES: size * evasion.proxy_minor_per_month * months,
        Action.ADDRESS_NOISE: orders * evasion.address_noise_minor,
        Action.CLEAN_ADDRESSES: orders * evasion.clean_address_minor,
        Action.AGED_ACCOUNTS: _cold_accounts(population, stakes) * evasion.aged_account_minor,
        Action.DECOYS: stakes.spend_minor * evasion.decoy_share,
        Action.HIRED_LEAVES: orders * evasion.hired_leaf_minor,
        Action.SPLIT_20: profit * evasion.split_share * SPLIT_EFFORT[Action.SPLIT_20],
        Action.SPLIT_3: profit * evasion.split_share * SPLIT_EFFORT[Action.SPLIT_3],
        Action.SLOW_DOWN: stakes.spend_minor * evasion.capital_share_per_month * months,
    }
    priced[Action.GROUP_BUY_LANE] = np.full(len(size), float(evasion.lane_minor))
    never = np.full(len(size), _NEVER_MINOR)
    return np.column_stack([np.asarray(priced.get(action, never), dtype=np.float64) for action in ACTIONS])


def _weakens(population: Population, stakes: Stakes) -> Floats:
    """Say what share of its risk each step would take from each business, shape (businesses, actions)."""
    careless = population.carelessness[stakes.lead]
    archetype = population.archetype[stakes.lead]
    many = stakes.size > 1
    pools = np.isin(archetype, [ARCHETYPE_INDEX["M2"], ARCHETYPE_INDEX["M8"]]) & many
    is_one = archetype == ARCHETYPE_INDEX["M2"]
    has_leaves = population.role[stakes.lead] == LEAF
    shares_device, shares_payment = pools * (0.2 + 0.65 * careless), pools * (0.15 + 0.6 * careless)
    given = {
        Action.DEVICES: shares_device,
        Action.CLOUD_PHONES: shares_device,
        Action.PAYMENTS: shares_payment,
        Action.PROXIES: is_one * (0.15 + 0.7 * careless),
        Action.ADDRESS_NOISE: many * np.where(has_leaves, 0.35, 1.0),
        Action.CLEAN_ADDRESSES: many * 1.0,
        Action.AGED_ACCOUNTS: _cold_accounts(population, stakes) / stakes.size,
        Action.DECOYS: np.ones(len(careless)),
        Action.HIRED_LEAVES: is_one * np.maximum(shares_device, shares_payment),
        **{step: np.maximum(0.0, 1 - most / stakes.size) * many for step, most in _SPLIT.items()},
        Action.SLOW_DOWN: many * 1.0,
    }
    nothing = np.zeros(len(careless))
    return np.column_stack([_WEAKENS.get(action, 0.0) * given.get(action, nothing) for action in ACTIONS])


def _cold_accounts(population: Population, stakes: Stakes) -> Floats:
    """Count each business's accounts that were opened just to apply."""
    resellers = np.flatnonzero(stakes.business_of >= 0)
    cold = is_cold(population)[resellers]
    return np.bincount(stakes.business_of[resellers], weights=cold, minlength=len(stakes.lead)).astype(np.float64)


def is_cold(population: Population) -> Bools:
    """Mark the accounts that were opened shortly before they applied."""
    return np.asarray(population.applied - population.registered < _COLD_DAYS)


def _closing() -> Bools:
    """Say which steps each step leaves no room for, shape (actions, actions): itself, and what it stands in for."""
    closes = np.eye(len(ACTIONS), dtype=bool)
    for group in _INSTEAD:
        places = [ACTIONS.index(action) for action in group]
        closes[np.ix_(places, places)] = True
    return closes


_CLOSES = _closing()


def _listed(rng: np.random.Generator, population: Population, stakes: Stakes, taken: Bools, costs: Floats) -> Steps:
    """List the steps for the truth; they are taken shortly before a business begins to buy for resale."""
    business, action = np.nonzero(taken)
    begins = np.full(len(stakes.lead), np.inf)
    resellers = np.flatnonzero(stakes.business_of >= 0)
    np.minimum.at(begins, stakes.business_of[resellers], population.resells_from[resellers])
    return Steps(
        operator=population.operator[stakes.lead[business]],
        action=action,
        cost_minor=np.rint(costs[business, action]).astype(np.int64),
        time=begins[business] - rng.uniform(*_PREPARES_DAYS, len(business)),
    )
