"""After the purchase: returns, reviews, support cases, and what sellers list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from membergate.market.simulator.archetypes import ARCHETYPE_INDEX, ARCHETYPES
from membergate.market.simulator.catalogue import Catalogue
from membergate.market.simulator.fulfilment import Deliveries
from membergate.market.simulator.ordering import Ledger
from membergate.market.simulator.population import Population
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import NOWHERE, Bools, Floats, Ints, happens, pick, stream
from membergate.market.simulator.truth import RESOLD, RETURNED_UNSOLD, UnitTruth

RETURN_REASONS = ("changed_mind", "size_or_colour", "damaged", "late", "bulk_unsold")
TOPICS = (
    "delivery", "refund", "quality", "invoice", "carton_price", "shelf_life", "neutral_parcel", "account", "gift_wrap",
)  # fmt: skip
_USUAL_TOPICS = np.cumsum([30, 22, 18, 8, 1.0, 4, 0.8, 12, 4])
_TRADE_TOPICS = np.cumsum([24, 12, 10, 14, 9.0, 10, 6.0, 13, 2])
_CASES_PER_ORDER = 0.02
_HOBBY_SELLER_SHARE = {"G3": 0.02, "G8": 0.06, "G1": 0.004, "G10": 0.08}
_LISTED_SHARE = 0.25
_SHADOW_SELLERS = 200


@dataclass(frozen=True, slots=True)
class Returns:
    """Goods sent back, shape (n,): line, units, when (local days), why (index into RETURN_REASONS)."""

    line: Ints
    quantity: Ints
    time: Floats
    reason: Ints


@dataclass(frozen=True, slots=True)
class Reviews:
    """Reviews written, shape (n,): line, when, stars from 1 to 5, characters, whether with pictures."""

    line: Ints
    time: Floats
    rating: Ints
    text_length: Ints
    has_media: Bools


@dataclass(frozen=True, slots=True)
class Cases:
    """Support cases, shape (n,): account, when, topic (index into TOPICS)."""

    account: Ints
    time: Floats
    topic: Ints


@dataclass(frozen=True, slots=True)
class Selling:
    """Who sells, and what is listed.

    Parameters
    ----------
    seller
        Seller account linked to each account, NOWHERE without one, shape (accounts,).
    known_from
        When the platform learns of the link, in local days, shape (accounts,).
    listing_seller, listing_sku, listing_price_minor, listing_time
        What is listed: by whom, what, for how much, when, shape (listings,).
    """

    seller: Ints
    known_from: Floats
    listing_seller: Ints
    listing_sku: Ints
    listing_price_minor: Ints
    listing_time: Floats


def returns_of(
    ledger: Ledger, deliveries: Deliveries, units: UnitTruth, population: Population, scenario: Scenario
) -> Returns:
    """Send back what does not please, and what could not be resold."""
    rng = stream(scenario.chance, "returns")
    account = ledger.account[ledger.order]
    kind = np.where(ledger.is_for_resale[ledger.order], population.archetype[account], population.life[account])
    chance = np.array([a.return_rate for a in ARCHETYPES])[kind]
    unsold = np.zeros(len(account), dtype=np.int64)
    is_unsold = units.use == RETURNED_UNSOLD
    unsold[units.line[is_unsold]] = units.quantity[is_unsold]
    pleases_not = (rng.random(len(account)) < chance) & (unsold == 0) & ~deliveries.is_cancelled[ledger.order]
    line = np.flatnonzero((unsold > 0) | pleases_not)
    some = 1 + (rng.random(len(line)) * ledger.quantity[line] * 0.6).astype(np.int64)
    quantity = np.where(unsold[line] > 0, unsold[line], np.minimum(some, ledger.quantity[line]))
    wait = np.where(unsold[line] > 0, 4 + rng.beta(2.5, 1.5, len(line)) * 11, 1 + rng.gamma(1.5, 2.0, len(line)))
    reason = np.where(unsold[line] > 0, np.where(happens(rng, 0.3, len(line)), 4, 0), rng.integers(0, 4, len(line)))
    return Returns(line, quantity, deliveries.delivered[ledger.order[line]] + wait, reason)


def reviews_of(ledger: Ledger, deliveries: Deliveries, population: Population, scenario: Scenario) -> Reviews:
    """Write reviews: some people many, most few."""
    rng = stream(scenario.chance, "reviews")
    zeal = rng.gamma(0.8, 1 / 0.8, len(population))
    account = ledger.account[ledger.order]
    kind = np.where(ledger.is_for_resale[ledger.order], population.archetype[account], population.life[account])
    chance = np.array([a.review_rate for a in ARCHETYPES])[kind] * zeal[account]
    line = np.flatnonzero((rng.random(len(account)) < chance) & ~deliveries.is_cancelled[ledger.order])
    return Reviews(
        line,
        deliveries.delivered[ledger.order[line]] + 0.2 + rng.gamma(1.2, 4.0, len(line)),
        5 - np.minimum(4, rng.poisson(0.45, len(line))),
        np.rint(rng.lognormal(3.2, 0.9, len(line))).astype(np.int64),
        happens(rng, 0.18, len(line)),
    )


def cases_of(ledger: Ledger, population: Population, scenario: Scenario) -> Cases:
    """Ask support: about parcels mostly; offices and traders also about invoices, cartons and neutral parcels."""
    rng = stream(scenario.chance, "cases")
    order = np.flatnonzero(rng.random(len(ledger.account)) < _CASES_PER_ORDER)
    account = ledger.account[order]
    trades = ledger.is_for_resale[order] | np.isin(
        population.life[account], [ARCHETYPE_INDEX["G4"], ARCHETYPE_INDEX["G10"]]
    )
    draws = rng.random(len(order))
    topic = np.where(trades, pick(_TRADE_TOPICS, draws), pick(_USUAL_TOPICS, draws))
    return Cases(account, ledger.time[order] + rng.gamma(1.2, 2.5, len(order)) - 0.4, topic)


def selling_of(
    ledger: Ledger, units: UnitTruth, population: Population, scenario: Scenario, catalogue: Catalogue
) -> Selling:
    """Link a few accounts to seller accounts, and list part of what is resold, mostly under names that nobody links."""
    rng = stream(scenario.chance, "selling")
    count = len(population)
    chance = np.array(
        [a.resale.seller_link if a.resale else _HOBBY_SELLER_SHARE.get(a.code, 0.002) for a in ARCHETYPES]
    )
    is_linked = rng.random(count) < chance[population.archetype]
    seller = np.where(is_linked, population.operator, NOWHERE)
    known = np.where(happens(rng, 0.6, count), population.registered, population.applied + rng.exponential(60.0, count))
    resold = np.flatnonzero((units.use == RESOLD) & (rng.random(len(units.use)) < _LISTED_SHARE))
    account = ledger.account[ledger.order[units.line[resold]]]
    shadow = count + rng.integers(0, _SHADOW_SELLERS, len(resold))
    listing_seller = np.where(seller[account] >= 0, seller[account], shadow)
    sku = ledger.sku[units.line[resold]]
    price = units.price_minor[resold] * (1 + rng.uniform(0.0, 0.08, len(resold)))
    others = rng.integers(0, len(catalogue), max(50, len(catalogue) // 2))
    other_price = catalogue.market_price_minor[others] * (1 + rng.normal(0.03, 0.06, len(others)))
    hobby = np.flatnonzero(is_linked & ~population.is_reseller_life)
    other_seller = np.where(
        happens(rng, 0.3, len(others)),
        population.operator[hobby[rng.integers(0, max(1, len(hobby)), len(others))]] if len(hobby) else count,
        count + rng.integers(0, _SHADOW_SELLERS, len(others)),
    )
    return Selling(
        seller,
        np.where(is_linked, known, np.inf),
        np.r_[listing_seller, other_seller],
        np.r_[sku, others],
        np.rint(np.r_[price, other_price]).astype(np.int64),
        np.r_[units.resold[resold] - rng.exponential(4.0, len(resold)), rng.uniform(0, scenario.days, len(others))],
    )
