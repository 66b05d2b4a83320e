"""The market folder's tables about people and goods: accounts, applications, memberships, labels, SKUs, addresses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from membergate.domain.disposition import Disposition
from membergate.market.simulator.aftermath import TOPICS
from membergate.market.simulator.archetypes import ARCHETYPES
from membergate.market.simulator.belongings import OWN, numbered
from membergate.market.simulator.calendar import SECOND
from membergate.market.simulator.catalogue import AISLE_NAMES, SHELF_NAMES
from membergate.market.simulator.places import KINDS, REGIONS
from membergate.market.simulator.reapplying import is_spare
from membergate.market.simulator.reviewing import GRADES, SOURCES
from membergate.market.simulator.streams import NOWHERE, Bools, Floats, Ints, happens, stream, strings_from_letters
from membergate.market.simulator.tables import Tables, Writer, flags, sparse, whole
from membergate.market.simulator.trying import EVERYTHING
from membergate.market.simulator.world import World

_Columns = Callable[[World, Writer, Ints, np.random.Generator], dict[str, pa.Array]]
_CHANNELS = ("app", "web", "mini_program", "referral")
_FEES_MINOR = (9_900, 14_900, 19_900)
_PHONE_COVERAGE, _EMAIL_COVERAGE, _ID_COVERAGE = 0.95, 0.6, 0.5
_INVITED_SHARE = 0.12
_ENDED_SHARE = 0.06


def tables_of_people(world: World, writer: Writer) -> Tables:
    """Give the tables about people, one after the other."""
    yield "accounts", _accounts(world, writer), ("account_id", "ingested_at")
    yield "applications", _of_applicants(world, writer, "application columns", _applications), ("application_id",)
    yield (
        "memberships",
        _of_applicants(world, writer, "membership columns", _memberships),
        ("membership_id", "ingested_at"),
    )
    yield "labels", _labels(world, writer), ("subject_id", "source", "decided_at")
    yield "support_cases", _cases(world, writer), ("opened_at", "case_id")
    yield "listings", _listings(world, writer), ("listed_at", "listing_id")


def tables_of_goods(world: World, writer: Writer) -> Tables:
    """Give the tables about goods and places, one after the other."""
    yield "skus", _skus(world, writer), ("sku_id",)
    yield "stores", _stores(world, writer), ("store_id",)
    yield "addresses", _addresses(world, writer), ("address_id",)
    yield "promotions", _promotions(world, writer), ("promotion_id",)


def _accounts(world: World, writer: Writer) -> dict[str, pa.Array]:
    """One row an account, and a second version for those who turn out to sell after they were opened."""
    rng = stream(world.scenario.chance, "account columns")
    population, count = world.population, len(world.population)
    known = np.minimum(writer.arrivals("accounts", population.registered), world.scenario.days - SECOND)
    becomes_seller = (world.selling.known_from > known) & (world.selling.known_from < world.scenario.days)
    is_seller = world.selling.known_from <= known
    is_there = population.exists
    row = np.r_[np.flatnonzero(is_there), np.flatnonzero(becomes_seller & is_there)]
    is_update = np.arange(len(row)) >= int(is_there.sum())
    sells = is_seller[row] | is_update
    invited_by = _inviters(rng, world)
    channel = np.where(invited_by >= 0, 3, rng.choice(3, count, p=[0.6, 0.12, 0.28]))
    has_phone, has_email, has_id = (
        rng.random(count) < share for share in (_PHONE_COVERAGE, _EMAIL_COVERAGE, _ID_COVERAGE)
    )
    return {
        "account_id": writer.ids("account", row),
        "registered_at": writer.instants(population.registered[row]),
        "channel": writer.names(_CHANNELS, channel[row]),
        "invited_by": writer.ids("account", invited_by[row]),
        "phone_tok": writer.ids("phone", np.where(has_phone, numbered(OWN, np.arange(count)), NOWHERE)[row]),
        "email_tok": writer.ids("email", np.where(has_email, _emails(rng, world), NOWHERE)[row]),
        "id_tok": writer.ids("identity", np.where(has_id, _identities(rng, world), NOWHERE)[row]),
        "is_seller": flags(sells),
        "seller_id": writer.ids("seller", np.where(sells, world.selling.seller[row], NOWHERE)),
        "declared_use": writer.names(("personal", "business"), _declared_use(rng, world)[row]),
        "region_code": writer.names(REGIONS, world.belongings.region[row]),
        "ingested_at": writer.instants(np.where(is_update, world.selling.known_from[row], known[row])),
    }


def _inviters(rng: np.random.Generator, world: World) -> Ints:
    """Name who invited whom: friends, and in rings often the hub or a fellow; always an older account."""
    population, count = world.population, len(world.population)
    friend = population.origin[rng.integers(0, count, count)]
    fellow = np.where(population.cell >= 0, np.arange(count) - rng.integers(1, 5, count), friend).clip(0)
    by_fellow = (population.cell >= 0) & (population.cell[fellow] == population.cell) & happens(rng, 0.35, count)
    invited = (rng.random(count) < _INVITED_SHARE) | by_fellow
    inviter = np.where(by_fellow, fellow, friend)
    is_older = population.registered[inviter] < population.registered
    return np.where(invited & is_older, inviter, NOWHERE)


def _identities(rng: np.random.Generator, world: World) -> Ints:
    """Papers are a person's; a ring's accounts run mostly on papers of others, a few on the operator's own."""
    population = world.population
    is_bought = (population.ring >= 0) & (rng.random(len(population)) > 0.15 * population.carelessness)
    is_bought |= population.disguise == EVERYTHING
    return np.where(is_bought, numbered(OWN, np.arange(len(population))), numbered(1, population.operator))


def _emails(rng: np.random.Generator, world: World) -> Ints:
    population = world.population
    is_own = (population.ring >= 0) | happens(rng, 0.4, len(population)) | (population.disguise == EVERYTHING)
    return np.where(is_own, numbered(OWN, np.arange(len(population))), numbered(1, population.operator))


def _declared_use(rng: np.random.Generator, world: World) -> Ints:
    """Tell what people say they are here for; many say nothing, a few tick the wrong box."""
    chance = np.array([a.resale.business_use if a.resale else a.business_use for a in ARCHETYPES])
    says_business = rng.random(len(world.population)) < chance[world.population.archetype]
    says_anything = rng.random(len(world.population)) < world.scenario.declared_use_coverage
    return np.where(says_anything, says_business.astype(np.int64), -1)


def _of_applicants(world: World, writer: Writer, purpose: str, columns: _Columns) -> dict[str, pa.Array]:
    """Write the columns of everyone who applied, those who came back last: nobody's draws depend on them."""
    applied, comes_back = np.isfinite(world.population.applied), is_spare(world.population)
    first = columns(world, writer, np.flatnonzero(applied & ~comes_back), stream(world.scenario.chance, purpose))
    again = np.flatnonzero(applied & comes_back)
    if not len(again):
        return first
    more = columns(world, writer, again, stream(world.scenario.chance, purpose, "again"))
    together = pa.concat_tables([pa.table(first), pa.table(more)]).combine_chunks()
    return {name: together[name].combine_chunks() for name in together.column_names}


def _applications(world: World, writer: Writer, account: Ints, rng: np.random.Generator) -> dict[str, pa.Array]:
    population = world.population
    applied = population.applied[account]
    belongings = world.belongings
    uses_work_tools = rng.random(len(account)) < np.where(population.ring[account] >= 0, 0.6, 0.3)
    phase_promotion = world.calendar.promotion[applied.astype(np.int64)]
    knows_promotion = happens(rng, 0.7, len(account))
    known = np.minimum(applied + rng.exponential(2 * SECOND, len(account)), world.scenario.days - SECOND)
    return {
        "application_id": writer.ids("application", account),
        "account_id": writer.ids("account", account),
        "submitted_at": writer.instants(applied),
        "plan": writer.names(("plus", "plus_family"), happens(rng, 0.12, len(account)).astype(np.int64)),
        "channel": writer.names(_CHANNELS[:3], rng.choice(3, len(account), p=[0.65, 0.1, 0.25])),
        "promotion_id": writer.ids("promotion", np.where(knows_promotion, phase_promotion, NOWHERE)),
        "device_tok": writer.ids(
            "device", np.where(uses_work_tools, belongings.work_device[account], belongings.device[account])
        ),
        "ip_tok": writer.ids(
            "network", np.where(uses_work_tools, belongings.work_network[account], belongings.network[account])
        ),
        "ingested_at": writer.instants(known),
    }


def _memberships(world: World, writer: Writer, account: Ints, rng: np.random.Generator) -> dict[str, pa.Array]:
    """Whom the door admits; a few leave again, which is a second version of the row."""
    started = world.door.member_from[account] + rng.uniform(5, 60, len(account)) * SECOND
    ended = started + rng.uniform(30, 250, len(account))
    ends = (rng.random(len(account)) < _ENDED_SHARE) & (ended < world.scenario.days)
    fee = np.array(_FEES_MINOR)[rng.choice(3, len(account), p=[0.25, 0.5, 0.25])]
    begins = np.flatnonzero(started < world.scenario.days)
    row = np.r_[begins, np.flatnonzero(ends)]
    is_end = np.arange(len(row)) >= len(begins)
    is_on_trial = world.door.is_answered(Disposition.TRIAL)[account[row]]
    known = np.where(is_end, ended[row], started[row])
    return {
        "membership_id": writer.ids("membership", account[row]),
        "account_id": writer.ids("account", account[row]),
        "plan": writer.names(("plus",), np.zeros(len(row), dtype=np.int64)),
        "state": writer.names(("active", "trial", "ended"), np.where(is_end, 2, is_on_trial.astype(np.int64))),
        "started_at": writer.instants(started[row]),
        "ended_at": writer.instants(np.where(is_end, ended[row], np.inf)),
        "fee_minor": whole(fee[row]),
        "ingested_at": writer.instants(known),
    }


def _labels(world: World, writer: Writer) -> dict[str, pa.Array]:
    labels = world.labels
    return {
        "subject_type": writer.names(("account",), np.zeros(len(labels.account), dtype=np.int64)),
        "subject_id": writer.ids("account", labels.account),
        "label": writer.names(("genuine", "merchant"), labels.is_merchant.astype(np.int64)),
        "grade": writer.names(GRADES, labels.grade),
        "source": writer.names(SOURCES, labels.source),
        "decided_at": writer.instants(labels.decided),
        "propensity": pa.array(labels.propensity, mask=np.isnan(labels.propensity)),
        "ingested_at": writer.instants(labels.decided),
    }


def _cases(world: World, writer: Writer) -> dict[str, pa.Array]:
    cases = world.cases
    known = writer.arrivals("support_cases", cases.time)
    kept = (known < world.scenario.days) & (cases.time > 0) & (cases.time > world.population.registered[cases.account])
    return {
        "case_id": writer.ids("case", np.flatnonzero(kept)),
        "account_id": writer.ids("account", cases.account[kept]),
        "opened_at": writer.instants(cases.time[kept]),
        "topic": writer.names(TOPICS, cases.topic[kept]),
        "ingested_at": writer.instants(known[kept]),
    }


def _listings(world: World, writer: Writer) -> dict[str, pa.Array]:
    selling = world.selling
    known = writer.arrivals("listings", selling.listing_time)
    kept = (known < world.scenario.days) & (selling.listing_time > 0)
    return {
        "listing_id": writer.ids("listing", np.flatnonzero(kept)),
        "seller_id": writer.ids("seller", selling.listing_seller[kept]),
        "sku_id": writer.ids("sku", selling.listing_sku[kept]),
        "price_minor": whole(selling.listing_price_minor[kept]),
        "listed_at": writer.instants(selling.listing_time[kept]),
        "ingested_at": writer.instants(known[kept]),
    }


def _skus(world: World, writer: Writer) -> dict[str, pa.Array]:
    rng = stream(world.scenario.seed, "sku columns")
    goods, count = world.catalogue, len(world.catalogue)
    has_market_price: Bools = rng.random(count) < world.scenario.market_price_coverage
    error = rng.normal(0, world.scenario.market_price_error, count)
    observed: Floats = np.rint(goods.market_price_minor * np.exp(error))
    has_limit = goods.limit_quantity > 0
    return {
        "sku_id": writer.ids("sku", np.arange(count)),
        "category_l1": writer.names(AISLE_NAMES, goods.aisle),
        "category_l2": writer.names(SHELF_NAMES, goods.shelf),
        "brand": writer.ids("brand", goods.brand),
        "store_id": writer.ids("store", goods.store),
        "pack_size": whole(goods.pack_size),
        "carton_size": whole(goods.carton_size),
        "variant_group": writer.ids("variant_group", goods.variant_group),
        "variant": pa.array([goods.variant_name(sku) for sku in range(count)], pa.string()),
        "limit_quantity": whole(goods.limit_quantity, has_limit),
        "limit_window_days": whole(goods.limit_window_days, has_limit),
        "market_price_minor": sparse(whole(observed.astype(np.int64)), has_market_price),
    }


def _stores(world: World, writer: Writer) -> dict[str, pa.Array]:
    rng = stream(world.scenario.seed, "store columns")
    goods = world.catalogue
    count = len(goods.store_aisle)
    return {
        "store_id": writer.ids("store", np.arange(count)),
        "category_l1": writer.names(AISLE_NAMES, goods.store_aisle),
        "first_party": flags(goods.store_is_first_party),
        "opened_at": writer.instants(-rng.uniform(60, 2500, count)),
    }


def _addresses(world: World, writer: Writer) -> dict[str, pa.Array]:
    places = world.places
    return {
        "address_id": writer.ids("address", np.arange(len(places))),
        "geohash": strings_from_letters(places.geohash_letters()),
        "region_code": writer.names(REGIONS, places.region),
        "kind": writer.names(KINDS, places.shown_kind),
        "text": pa.array(places.text, pa.string()),
    }


def _promotions(world: World, writer: Writer) -> dict[str, pa.Array]:
    sales = world.scenario.promotions
    starts = np.array([sale.start_day for sale in sales])
    warm_up = starts - np.array([sale.warm_up_days for sale in sales])
    return {
        "promotion_id": writer.ids("promotion", np.arange(len(sales))),
        "name": pa.array([sale.name for sale in sales], pa.string()),
        "starts_at": writer.instants(starts),
        "ends_at": writer.instants(starts + np.array([sale.days for sale in sales])),
        "kind": pa.array([sale.kind for sale in sales], pa.string()),
        "warm_up_starts_at": writer.instants(warm_up),
        "ingested_at": writer.instants(warm_up - 7),
    }
