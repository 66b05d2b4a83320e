"""The market folder's tables about trade: orders, lines, parcels, returns, reviews, sign-ins, page events, coupons."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from membergate.market.simulator.adversary import ACTIONS, Action
from membergate.market.simulator.aftermath import RETURN_REASONS
from membergate.market.simulator.archetypes import ARCHETYPE_INDEX, ARCHETYPES
from membergate.market.simulator.belongings import NETWORK_NAMES
from membergate.market.simulator.calendar import SECOND
from membergate.market.simulator.places import REGIONS
from membergate.market.simulator.streams import NOWHERE, Bools, Floats, Ints, happens, stream
from membergate.market.simulator.tables import Tables, Writer, flags, sparse, whole
from membergate.market.simulator.traces import ACTION_NAMES, EVENT_NAMES, coupon_events_of, logins_of, page_events_of
from membergate.market.simulator.world import World

_CHANNELS = ("app", "web", "mini_program")
_INVOICES = ("none", "personal", "company")
_LANES = ("consumer", "enterprise", "campus", "group_buy", "rural_agent")
_LEADER = ARCHETYPES[ARCHETYPE_INDEX["G10"]]
_STATUSES = ("paid", "cancelled", "refunded")
_GIFT_COVERAGE = 0.5
_PERSONAL_INVOICE_SHARE = 0.06
_DEEP_DISCOUNT = 0.12


def tables_of_trade(world: World, writer: Writer) -> Tables:
    """Give the tables about trade, one after the other; a child whose order is not known yet is left out with it."""
    known = writer.arrivals("orders", world.ledger.time)
    is_known = known < world.scenario.days
    yield "orders", _orders(world, writer, known, is_known), ("ordered_at", "order_id", "ingested_at")
    yield "order_lines", _lines(world, writer, is_known), ("order_id", "line_id")
    yield "shipments", _shipments(world, writer, is_known), ("shipment_id",)
    yield "returns", _returns(world, writer, is_known), ("returned_at", "return_id")
    yield "reviews", _reviews(world, writer, is_known), ("reviewed_at", "review_id")
    yield "logins", _logins(world, writer), ("logged_in_at", "login_id")
    yield "behaviors", _page_events(world, writer), ("occurred_at", "event_id")
    yield "coupon_events", _coupon_events(world, writer), ("occurred_at", "coupon_id", "action")


def _orders(world: World, writer: Writer, known: Floats, is_known: Bools) -> dict[str, pa.Array]:
    """One row an order as it was paid, and a second version for those that were cancelled or refunded later."""
    rng = stream(world.scenario.chance, "order columns")
    ledger, sent = world.ledger, world.deliveries
    count = len(ledger.account)
    changed, status = _changes(rng, world)
    is_changed = is_known & (changed > known) & (changed < world.scenario.days)
    row = np.r_[np.flatnonzero(is_known), np.flatnonzero(is_changed)]
    is_update = np.arange(len(row)) >= int(is_known.sum())
    pay_wait = np.where(ledger.at_opening, rng.exponential(8, count), rng.lognormal(3.4, 0.9, count)) * SECOND
    channel, invoice, lane, gift = _order_words(rng, world)
    return {
        "order_id": writer.ids("order", row),
        "account_id": writer.ids("account", ledger.account[row]),
        "ordered_at": writer.instants(ledger.time[row]),
        "status": writer.names(_STATUSES, np.where(is_update | (changed <= known)[row], status[row], 0)),
        "currency": writer.names(("CNY",), np.zeros(len(row), dtype=np.int64)),
        "total_minor": whole(ledger.total_minor[row]),
        "store_id": writer.ids("store", _common_store(world)[row]),
        "paid_at": writer.instants((ledger.time + pay_wait)[row]),
        "discount_minor": whole(ledger.discount_minor[row]),
        "shipping_minor": whole(ledger.shipping_minor[row]),
        "address_id": writer.ids("address", sent.place[row]),
        "recipient_tok": writer.ids("recipient", sent.recipient[row]),
        "recipient_phone_tok": writer.ids("recipient phone", sent.recipient_phone[row]),
        "payment_tok": writer.ids("payment", sent.payment[row]),
        "device_tok": writer.ids("device", sent.device[row]),
        "ip_tok": writer.ids("network", sent.network[row]),
        "session_id": writer.ids("session", row),
        "channel": writer.names(_CHANNELS, channel[row]),
        "invoice_type": writer.names(_INVOICES, invoice[row]),
        "gift": sparse(flags(gift), happens(rng, 0.98, count)).take(pa.array(row)),
        "lane": writer.names(_LANES, lane[row]),
        "ingested_at": writer.instants(np.where(is_update, changed[row], known[row])),
    }


def _changes(rng: np.random.Generator, world: World) -> tuple[Floats, Ints]:
    """When each order's status changed for good, and to what; never for most."""
    ledger = world.ledger
    changed = np.where(world.deliveries.is_cancelled, ledger.time + rng.uniform(0.01, 0.5, len(ledger.time)), np.inf)
    status = np.where(world.deliveries.is_cancelled, 1, 0)
    order = ledger.order[world.returns.line]
    goes_back_whole = np.zeros(len(ledger.time), dtype=bool)
    goes_back_whole[order[np.bincount(ledger.order, minlength=len(ledger.time))[order] == 1]] = True
    returned = np.full(len(ledger.time), np.inf)
    np.minimum.at(returned, order, world.returns.time)
    is_refunded = goes_back_whole & ~world.deliveries.is_cancelled
    return np.where(is_refunded, returned + 0.5, changed), np.where(is_refunded, 2, status)


def _order_words(rng: np.random.Generator, world: World) -> tuple[Ints, Ints, Ints, Bools]:
    """Channel, invoice, lane and gift flag of each order, as well kept as the scenario says."""
    ledger, population, scenario = world.ledger, world.population, world.scenario
    account, count = ledger.account, len(ledger.account)
    life = population.life[account]
    habit = rng.choice(3, len(population), p=[0.62, 0.12, 0.26])
    channel = np.where(happens(rng, 0.85, count), habit[account], rng.integers(0, 3, count))
    private = np.array([a.company_invoice for a in ARCHETYPES])[life]
    trading = np.array([a.resale.company_invoice if a.resale else 0.0 for a in ARCHETYPES])[
        population.archetype[account]
    ]
    wants_company = rng.random(count) < np.where(ledger.is_for_resale, trading, private)
    invoice = np.where(wants_company, 2, (rng.random(count) < _PERSONAL_INVOICE_SHARE).astype(np.int64))
    invoice = np.where(happens(rng, 0.05, count), NOWHERE, invoice)
    lane_of_life = np.array([_LANES.index(a.lane) for a in ARCHETYPES])[life]
    is_laned = rng.random(count) < np.array([a.lane_share for a in ARCHETYPES])[life]
    lane = np.where(is_laned & ~ledger.is_for_resale, lane_of_life, 0)
    # some traders come by the enterprise lane, and some lanes are simply wrong
    lane = np.where(ledger.is_for_resale & happens(rng, 0.4 * trading, count), 1, lane)
    lane = np.where(_poses_as_leader(world), _LANES.index(_LEADER.lane), lane)
    lane = np.where(rng.random(count) < scenario.lane_error, rng.integers(0, len(_LANES), count), lane)
    gift = world.deliveries.is_gift & (rng.random(count) < _GIFT_COVERAGE)
    return channel, invoice, lane, gift | (rng.random(count) < scenario.gift_error)


def _poses_as_leader(world: World) -> Bools:
    """Mark the orders that merchants who pose as group-buy leaders place in the lane, as often as leaders do."""
    steps, account = world.steps, world.ledger.account
    poses = np.isin(world.population.operator, steps.operator[steps.action == ACTIONS.index(Action.GROUP_BUY_LANE)])
    rng = stream(world.scenario.chance, "evasion", "group-buy lane")
    return np.asarray(poses[account] & (rng.random(len(account)) < _LEADER.lane_share))


def _common_store(world: World) -> Ints:
    """Find the store that sells all lines of an order; none where there are several."""
    store = world.catalogue.store[world.ledger.sku]
    order = world.ledger.order
    lowest = np.full(len(world.ledger.account), np.iinfo(np.int64).max)
    highest = np.full(len(world.ledger.account), NOWHERE)
    np.minimum.at(lowest, order, store)
    np.maximum.at(highest, order, store)
    return np.where(lowest == highest, lowest, NOWHERE)


def _lines(world: World, writer: Writer, is_known: Bools) -> dict[str, pa.Array]:
    ledger = world.ledger
    # a line that would come too late comes with the last, so that no order is half known
    known = np.minimum(writer.arrivals("order_lines", ledger.time[ledger.order]), world.scenario.days - SECOND)
    row = np.flatnonzero(is_known[ledger.order])
    prices, quantity = ledger.prices, ledger.quantity[row]
    by_platform = world.catalogue.is_subsidised[ledger.sku[row]]
    by_store = ~by_platform & (prices.discount[row] >= _DEEP_DISCOUNT)
    payer = np.where(by_platform, 0, np.where(by_store, 1, NOWHERE))
    return {
        "line_id": writer.ids("line", row),
        "order_id": writer.ids("order", ledger.order[row]),
        "sku_id": writer.ids("sku", ledger.sku[row]),
        "quantity": whole(quantity),
        "list_price_minor": whole(prices.list_price_minor[row]),
        "net_price_minor": whole(prices.net_price_minor[row]),
        "member_discount_minor": whole(prices.member_discount_minor[row] * quantity),
        "coupon_discount_minor": whole(prices.coupon_discount_minor[row] * quantity),
        "subsidised_by": writer.names(("platform", "store"), payer),
        "ingested_at": writer.instants(known[row]),
    }


def _shipments(world: World, writer: Writer, is_known: Bools) -> dict[str, pa.Array]:
    sent = world.deliveries
    row = np.flatnonzero(is_known & ~sent.is_cancelled)
    is_delivered = sent.delivered[row] < world.scenario.days
    known = np.minimum(
        writer.arrivals("shipments", np.where(is_delivered, sent.delivered[row], world.ledger.time[row])),
        world.scenario.days - SECOND,
    )
    collector = np.where(is_delivered, sent.collector[row], NOWHERE)
    return {
        "shipment_id": writer.ids("shipment", row),
        "order_id": writer.ids("order", row),
        "address_id": writer.ids("address", sent.parcel_place[row]),
        "delivered_at": writer.instants(np.where(is_delivered, sent.delivered[row], np.inf)),
        "collector_tok": writer.ids("collector", collector),
        "rerouted_from": writer.ids("address", sent.rerouted_from[row]),
        "ingested_at": writer.instants(known),
    }


def _returns(world: World, writer: Writer, is_known: Bools) -> dict[str, pa.Array]:
    returns, ledger = world.returns, world.ledger
    known = writer.arrivals("returns", returns.time)
    row = np.flatnonzero(is_known[ledger.order[returns.line]] & (known < world.scenario.days))
    line = returns.line[row]
    return {
        "return_id": writer.ids("return", row),
        "line_id": writer.ids("line", line),
        "quantity": whole(returns.quantity[row]),
        "returned_at": writer.instants(returns.time[row]),
        "reason": writer.names(RETURN_REASONS, returns.reason[row]),
        "refunded_minor": whole(returns.quantity[row] * ledger.prices.net_price_minor[line]),
        "ingested_at": writer.instants(known[row]),
    }


def _reviews(world: World, writer: Writer, is_known: Bools) -> dict[str, pa.Array]:
    reviews = world.reviews
    known = writer.arrivals("reviews", reviews.time)
    row = np.flatnonzero(is_known[world.ledger.order[reviews.line]] & (known < world.scenario.days))
    return {
        "review_id": writer.ids("review", row),
        "line_id": writer.ids("line", reviews.line[row]),
        "reviewed_at": writer.instants(reviews.time[row]),
        "rating": whole(reviews.rating[row]),
        "text_length": whole(reviews.text_length[row]),
        "has_media": flags(reviews.has_media[row]),
        "ingested_at": writer.instants(known[row]),
    }


def _logins(world: World, writer: Writer) -> dict[str, pa.Array]:
    logins = logins_of(world.ledger, world.deliveries, world.population, world.belongings, world.scenario)
    known = writer.arrivals("logins", logins.time)
    row = np.flatnonzero(known < world.scenario.days)
    return {
        "login_id": writer.ids("login", row),
        "account_id": writer.ids("account", logins.account[row]),
        "logged_in_at": writer.instants(logins.time[row]),
        "device_tok": writer.ids("device", logins.device[row]),
        "ip_tok": writer.ids("network", logins.network[row]),
        "ip_class": writer.names(NETWORK_NAMES, logins.network_class[row]),
        "emulator": flags(logins.emulator[row]),
        "region_code": writer.names(REGIONS, logins.region[row]),
        "ingested_at": writer.instants(known[row]),
    }


def _page_events(world: World, writer: Writer) -> dict[str, pa.Array]:
    events = page_events_of(world.ledger, world.population, world.scenario)
    known = writer.arrivals("behaviors", events.time)
    row = np.flatnonzero(known < world.scenario.days)
    return {
        "event_id": writer.ids("event", row),
        "account_id": writer.ids("account", events.account[row]),
        "occurred_at": writer.instants(events.time[row]),
        "event_type": writer.names(EVENT_NAMES, events.kind[row]),
        "session_id": writer.ids("session", events.session[row]),
        "sku_id": writer.ids("sku", events.sku[row]),
        "dwell_ms": whole(events.dwell_ms[row]),
        "ingested_at": writer.instants(known[row]),
    }


def _coupon_events(world: World, writer: Writer) -> dict[str, pa.Array]:
    events = coupon_events_of(world.ledger, world.population, world.scenario)
    known = writer.arrivals("coupon_events", events.time)
    row = np.flatnonzero(known < world.scenario.days)
    return {
        "coupon_id": writer.ids("coupon", events.coupon[row]),
        "template_id": writer.ids("template", events.template[row]),
        "account_id": writer.ids("account", events.account[row]),
        "action": writer.names(ACTION_NAMES, events.action[row]),
        "value_minor": whole(events.value_minor[row]),
        "occurred_at": writer.instants(events.time[row]),
        "ingested_at": writer.instants(known[row]),
    }
