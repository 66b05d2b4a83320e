"""Who is there: accounts, the operators and rings behind them, when they came, applied and began to resell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from membergate.market.simulator.archetypes import (
    ARCHETYPE_INDEX,
    ARCHETYPES,
    GENUINE,
    MERCHANT_HABITS,
    Archetype,
    Grouping,
)
from membergate.market.simulator.calendar import NEVER, Calendar
from membergate.market.simulator.drift import emerging_from
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import NOWHERE, Bools, Floats, Ints, happens, pick, stream

SINGLE, HUB, LEAF, RENTED_OUT, NONE = range(5)
ROLE_NAMES = ("single", "hub", "leaf", "rented_out", "none")
RING_SIZE_LEAST = 4
_HOUSEHOLD_SHARE = {"G1": 0.15, "G2": 0.45, "G3": 0.15}
_THREES_SHARE = 0.25
_EARLINESS = 2.5
_LATENESS_DAYS = 5.0
_THRIFT_SPREAD = 0.7
_KEEN_SHARE, _KEEN_THRIFT = 0.12, 0.95
_SECOND_ACCOUNT_SHARE = 0.03
_THROWAWAYS = ("M5", "M6")


@dataclass(frozen=True, slots=True)
class Population:
    """Everyone's life, one row an account, shape (n,) each; times in local days, before 0 for before the data begins.

    Parameters
    ----------
    archetype, life
        Indices into ARCHETYPES: what the account is, and whose private life it leads (a genuine archetype's).
    operator
        The person or organisation behind it.
    ring, role
        Ring, NOWHERE if none, and the role in it.
    household
        Those who live together share one; every account has one.
    registered, applied
        When it was opened, and when it asked to join; `applied` is NEVER for those who do not ask.
    shops_from, shops_until
        When its private life with the shop begins and ends.
    orders_per_day
        Rate of private orders on an ordinary day.
    appetite
        Factor on quantities.
    thrift
        Probability of preferring the deeper of two discounts in private life.
    resells_from
        When its operator begins to buy for resale; NEVER for genuine accounts.
    carelessness
        In [0, 1]: how much it shares with its ring, and how much proof it leaves. One value for an operator.
    is_reseller_life
        Whether its archetype buys for resale. What it really resold is another matter.
    cell
        Those of a ring that share anything with one another; the ring itself unless it was split.
    patience_days
        Days by which its resale orders are put off at most, so as not to fall together with the others'.
    effort
        Share of the business's tasks that it still takes part in, 1 unless coordination was lost.
    origin
        The account whose part it plays: itself, or for one opened after a refusal the first one that was refused.
    disguise
        Index into DISGUISES: what was changed beside the account when it took over; 0 for all others.
    """

    archetype: Ints
    life: Ints
    operator: Ints
    ring: Ints
    role: Ints
    household: Ints
    registered: Floats
    applied: Floats
    shops_from: Floats
    shops_until: Floats
    orders_per_day: Floats
    appetite: Floats
    thrift: Floats
    resells_from: Floats
    carelessness: Floats
    is_reseller_life: Bools
    cell: Ints
    patience_days: Floats
    effort: Floats
    origin: Ints
    disguise: Ints

    def __len__(self) -> int:
        return len(self.archetype)

    @property
    def exists(self) -> Bools:
        """Mark the accounts that were ever opened."""
        return np.isfinite(self.registered)

    def of_archetype(self, code: str) -> Ints:
        """Give the accounts of an archetype, in ascending order."""
        return np.flatnonzero(self.archetype == ARCHETYPE_INDEX[code])

    def is_member_at(self, account: Ints, moment: Floats) -> Bools:
        """Say for each pair whether the account has the member price at that moment: everyone is admitted at once."""
        return moment >= self.applied[account]


def populate(scenario: Scenario, calendar: Calendar) -> Population:
    """Draw the population of a scenario."""
    rng = stream(scenario.chance, "population")
    applicants = round(scenario.accounts * scenario.applicant_share)
    archetype = _everyone(scenario, applicants)
    has_applied = np.arange(scenario.accounts) < applicants
    operator, ring, role = _organise(rng, archetype, scenario)
    household = _settle(rng, archetype, operator)
    operator = _second_accounts(rng, archetype, operator)
    life = _private_lives(rng, archetype)
    applied = _applications(rng, scenario, calendar, archetype, ring, household)
    emerges = emerging_from(scenario, archetype)
    applied = _no_sooner(applied, emerges, scenario)
    registered = _registrations(rng, archetype, ring, applied)
    carelessness, resells_from = _resale_habits(rng, archetype, operator, ring, applied)
    begins = np.maximum(np.maximum(resells_from, registered + 0.01), emerges)
    rate, appetite = _vigour(rng, archetype, life)
    return Population(
        archetype=archetype,
        life=life,
        operator=operator,
        ring=ring,
        role=role,
        household=household,
        registered=registered,
        applied=np.where(has_applied, applied, NEVER),
        shops_from=_first_days(rng, archetype, registered, applied),
        shops_until=_last_days(rng, archetype, applied, scenario.days),
        orders_per_day=rate / 30.4,
        appetite=appetite,
        thrift=_thrift(rng, life),
        resells_from=np.where(resells_from < NEVER, begins, NEVER),
        carelessness=carelessness,
        is_reseller_life=archetype >= len(GENUINE),
        cell=ring,
        patience_days=np.zeros(scenario.accounts),
        effort=np.ones(scenario.accounts),
        origin=np.arange(scenario.accounts),
        disguise=np.zeros(scenario.accounts, dtype=np.int64),
    )


def _everyone(scenario: Scenario, applicants: int) -> Ints:
    """Give each account's archetype: the applicants first, then those who never apply, all genuine."""
    shares, others = _shares(scenario), scenario.accounts - applicants
    parts = _composition(ARCHETYPES, applicants, shares), _composition(GENUINE, others, shares)
    return np.concatenate(parts)


def _shares(scenario: Scenario) -> Mapping[str, float]:
    """Give each archetype's share: the scenario's, or its own part of what the scenario leaves."""
    given = dict(scenario.shares)
    own = {archetype.code: archetype.share for archetype in ARCHETYPES}
    if not given:
        return own
    left = (1 - sum(given.values())) / max(sum(share for code, share in own.items() if code not in given), 1e-9)
    return {code: given.get(code, share * left) for code, share in own.items()}


def _no_sooner(applied: Floats, emerges: Floats, scenario: Scenario) -> Floats:
    """Move the applications of those who emerge into the days from then on, in proportion."""
    first, last = scenario.first_application_day, scenario.last_application_day
    later = np.maximum(emerges, first)
    moved = later + (applied - first) / (last - first) * (last - later)
    return np.where(emerges > first, moved, applied)


def _composition(archetypes: tuple[Archetype, ...], count: int, share_of: Mapping[str, float]) -> Ints:
    """Share `count` accounts out over archetypes, by largest remainder."""
    shares = np.array([share_of[archetype.code] for archetype in archetypes])
    exact = shares / shares.sum() * count
    counts = np.floor(exact).astype(np.int64)
    short = count - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:short]] += 1
    return np.repeat(np.array([ARCHETYPE_INDEX[archetype.code] for archetype in archetypes]), counts)


def _organise(rng: np.random.Generator, archetype: Ints, scenario: Scenario) -> tuple[Ints, Ints, Ints]:
    """Give every account an operator, and the accounts of grouped merchants a ring and a role."""
    count = len(archetype)
    operator = np.arange(count)
    ring = np.full(count, NOWHERE)
    role = np.full(count, NONE)
    next_ring = 0
    for code, resale in MERCHANT_HABITS:
        accounts = np.flatnonzero(archetype == ARCHETYPE_INDEX[code])
        role[accounts] = RENTED_OUT if code == "M8" else SINGLE
        if resale.grouping is Grouping.SINGLE:
            continue
        for members in _cells(rng, accounts, resale.grouping, scenario):
            ring[members] = next_ring
            next_ring += 1
            if resale.grouping is Grouping.ONE_OPERATOR:
                operator[members] = members[0]
                role[members] = LEAF
            else:
                role[members] = LEAF
                role[members[0]] = HUB
    return operator, ring, role


def _cells(rng: np.random.Generator, accounts: Ints, grouping: Grouping, scenario: Scenario) -> list[Ints]:
    """Cut accounts into rings; what is left over joins the last ring if it is too small to be one."""
    if not scenario.rings:
        return list(accounts[:, None])
    cells: list[Ints] = []
    start = 0
    fewest, most = scenario.crowd
    least = RING_SIZE_LEAST if grouping is Grouping.ONE_OPERATOR else fewest
    while start < len(accounts):
        if grouping is Grouping.ONE_OPERATOR:
            size = RING_SIZE_LEAST + int(rng.geometric(1 / (scenario.ring_size - RING_SIZE_LEAST + 1))) - 1
        else:
            size = int(np.exp(rng.uniform(np.log(fewest), np.log(most)))) + 1
        end = start + size if len(accounts) - start - size >= least else len(accounts)
        cells.append(accounts[start:end])
        start = end
    return cells


def _settle(rng: np.random.Generator, archetype: Ints, operator: Ints) -> Ints:
    """Let some genuine accounts live together in twos and threes; everyone else lives alone."""
    household = operator.copy()
    chance = np.zeros(len(ARCHETYPES))
    for code, share in _HOUSEHOLD_SHARE.items():
        chance[ARCHETYPE_INDEX[code]] = share
    together = rng.permutation(np.flatnonzero(rng.random(len(archetype)) < chance[archetype]))
    start = 0
    while start < len(together):
        size = 2 + int(rng.random() < _THREES_SHARE)
        household[together[start : start + size]] = household[together[start]]
        start += size
    return household


def _second_accounts(rng: np.random.Generator, archetype: Ints, operator: Ints) -> Ints:
    """Let some genuine people hold two accounts of the same kind."""
    operator = operator.copy()
    for code in ("G1", "G3", "G6", "G8"):
        accounts = rng.permutation(np.flatnonzero(archetype == ARCHETYPE_INDEX[code]))
        pairs = int(len(accounts) * _SECOND_ACCOUNT_SHARE)
        operator[accounts[pairs : 2 * pairs]] = operator[accounts[:pairs]]
    return operator


def _private_lives(rng: np.random.Generator, archetype: Ints) -> Ints:
    life = archetype.copy()
    for code, resale in MERCHANT_HABITS:
        accounts = np.flatnonzero(archetype == ARCHETYPE_INDEX[code])
        kinds = np.array([ARCHETYPE_INDEX[life_code] for life_code in resale.life])
        life[accounts] = kinds[pick(np.cumsum(list(resale.life.values())), rng.random(len(accounts)))]
    return life


def _applications(
    rng: np.random.Generator, scenario: Scenario, calendar: Calendar, archetype: Ints, ring: Ints, household: Ints
) -> Floats:
    """Draw when each account applies: waves before and during promotions; rings and some households close together."""
    days = np.arange(int(scenario.first_application_day), int(scenario.last_application_day))
    pull = np.array([1.0, 1.9, 3.2, 0.8])[calendar.phase[days]] ** calendar.strength[days].clip(0.5)
    is_merchant = archetype >= len(GENUINE)
    applied = days[pick(np.cumsum(pull), rng.random(len(archetype)))].astype(np.float64)
    eager = days[pick(np.cumsum(pull**1.3), rng.random(len(archetype)))].astype(np.float64)
    applied = np.where(is_merchant, eager, applied)
    group = np.where(ring >= 0, len(archetype) + ring, household)
    first_of_group, position = np.unique(group, return_index=True)
    leader = position[np.searchsorted(first_of_group, group)]
    spread = np.where(ring >= 0, rng.gamma(1.2, 14.0, len(archetype)), rng.gamma(1.0, 30.0, len(archetype)))
    follows = (leader != np.arange(len(archetype))) & (rng.random(len(archetype)) < np.where(ring >= 0, 0.8, 0.35))
    applied = np.where(follows, applied[leader] + spread, applied)
    late = applied >= scenario.last_application_day
    applied = np.where(late, days[0] + (applied - days[0]) % len(days), applied)
    return applied + rng.beta(3, 2.2, len(archetype)) * 0.999


def _registrations(rng: np.random.Generator, archetype: Ints, ring: Ints, applied: Floats) -> Floats:
    """Draw when each account was opened: some just to apply, most long before."""
    count = len(archetype)
    cold_start = np.array([a.resale.cold_start if a.resale else a.cold_start for a in ARCHETYPES])
    opened_ago = rng.lognormal(np.log(330.0), 0.9, count) + 12
    # merchants warm an account up for some days, most people want to join at once
    just_now = rng.exponential(1.0, count) * np.where(archetype >= len(GENUINE), 15.0, 5.0) + 0.002
    is_cold = rng.random(count) < cold_start[archetype]
    # a ring opens or buys its accounts in one go, so its members mostly share the leader's way
    of_one_operator = archetype == ARCHETYPE_INDEX["M2"]
    ring_way = rng.random(int(ring.max()) + 2) < cold_start[ARCHETYPE_INDEX["M2"]]
    is_cold = np.where(of_one_operator & happens(rng, 0.8, count), ring_way[ring], is_cold)
    return applied - np.where(is_cold, just_now, opened_ago)


def _resale_habits(
    rng: np.random.Generator, archetype: Ints, operator: Ints, ring: Ints, applied: Floats
) -> tuple[Floats, Floats]:
    """Draw each business's carelessness and when it begins to buy for resale, around its first application."""
    count = len(archetype)
    carelessness = rng.beta(1.5, 5.0, count)
    begins = np.full(count, NEVER)
    business = np.where(ring >= 0, count + ring, operator)
    for code, resale in MERCHANT_HABITS:
        accounts = np.flatnonzero(archetype == ARCHETYPE_INDEX[code])
        if len(accounts) == 0:
            continue
        _, first, inverse = np.unique(business[accounts], return_index=True, return_inverse=True)
        is_early = happens(rng, resale.early_share, len(accounts))
        before = rng.gamma(_EARLINESS, resale.early_days / _EARLINESS, len(accounts))
        delay = np.where(is_early, -before, rng.exponential(_LATENESS_DAYS, len(accounts)))
        first_application = np.full(len(first), np.inf)
        np.minimum.at(first_application, inverse, applied[accounts])
        # the accounts of one operator begin together, the hired ones when they are hired
        is_one = resale.grouping is Grouping.ONE_OPERATOR
        begins[accounts] = (first_application + delay[first])[inverse] if is_one else applied[accounts] + delay
        carelessness[accounts] = rng.beta(*resale.carelessness, len(first))[inverse]
    return carelessness, begins


def _vigour(rng: np.random.Generator, archetype: Ints, life: Ints) -> tuple[Floats, Floats]:
    """Draw each account's monthly rate of private orders and its factor on quantities."""
    shape = np.array([a.rate_shape for a in ARCHETYPES])[life]
    mean = np.array([a.orders_per_month for a in ARCHETYPES])[life]
    factor = np.array([a.resale.life_rate if a.resale else 1.0 for a in ARCHETYPES])[archetype]
    rate = mean * factor * rng.gamma(shape, 1 / shape)
    return rate, np.exp(rng.normal(-0.06, 0.35, len(archetype)))


def _thrift(rng: np.random.Generator, life: Ints) -> Floats:
    """Draw how much each account is drawn to deals: in every walk of life some look for little else, some never."""
    pull = np.array([a.deal_pull for a in ARCHETYPES])[life]
    thrift: Floats = np.clip(pull * np.exp(rng.normal(0.0, _THRIFT_SPREAD, len(life))), 0.02, 0.97)
    is_keen = happens(rng, _KEEN_SHARE, len(life))
    return np.where(is_keen, _KEEN_THRIFT, thrift)


def _first_days(rng: np.random.Generator, archetype: Ints, registered: Floats, applied: Floats) -> Floats:
    """Draw when the private life begins: at registration, or long after it where an account slept."""
    sleeps = rng.random(len(archetype)) < np.where(np.isin(archetype, _codes("M1", "M2", "M5", "M6")), 0.25, 0.10)
    wakes = np.maximum(registered, applied - rng.exponential(40.0, len(archetype)))
    return np.where(sleeps, wakes, registered)


def _last_days(rng: np.random.Generator, archetype: Ints, applied: Floats, days: int) -> Floats:
    """Draw when an account falls silent: throwaways weeks after joining, a few others some day."""
    count = len(archetype)
    is_throwaway = np.isin(archetype, _codes(*_THROWAWAYS)) & happens(rng, 0.5, count)
    leaves = happens(rng, 0.15, count)
    until = np.where(leaves, applied + rng.exponential(150.0, count) + 10, float(days))
    return np.where(is_throwaway, applied + rng.gamma(3.0, 15.0, count) + 5, until)


def _codes(*codes: str) -> Ints:
    return np.array([ARCHETYPE_INDEX[code] for code in codes])
