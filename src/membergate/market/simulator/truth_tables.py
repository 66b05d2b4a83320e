"""The truth folder's tables: operators, accounts, rings, units, and what other answers would have brought."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from membergate.market.simulator.adversary import ACTIONS
from membergate.market.simulator.archetypes import ARCHETYPE_INDEX, ARCHETYPES
from membergate.market.simulator.counterfactuals import outcomes_of
from membergate.market.simulator.population import HUB, ROLE_NAMES
from membergate.market.simulator.streams import NOWHERE, chosen
from membergate.market.simulator.tables import Tables, Writer, flags, whole
from membergate.market.simulator.truth import USE_NAMES
from membergate.market.simulator.world import World

_CODES = tuple(archetype.code for archetype in ARCHETYPES)


def tables_of_truth(world: World, writer: Writer) -> Tables:
    """Give the tables of the truth, one after the other."""
    yield "truth_operators", _operators(world, writer), ("operator_id",)
    yield "truth_accounts", _accounts(world, writer), ("account_id",)
    yield "truth_rings", _rings(world, writer), ("ring_id",)
    yield "truth_units", _units(world, writer), ("line_id", "use")
    yield "truth_evasions", _evasions(world, writer), ("operator_id", "action", "taken_at", "cost_minor")
    yield "truth_counterfactuals", _counterfactuals(world, writer), ("application_id", "disposition")


def _operators(world: World, writer: Writer) -> dict[str, pa.Array]:
    truth = world.truth
    return {
        "operator_id": writer.ids("operator", truth.operator),
        "archetype": writer.names(_CODES, truth.archetype),
        "is_merchant": flags(truth.is_merchant),
        "resold_share": pa.array(truth.resold_share),
        "resold_units": whole(truth.resold_units),
        "loss_minor": whole(truth.loss_minor),
        "capital_minor": whole(truth.capital_minor),
    }


def _accounts(world: World, writer: Writer) -> dict[str, pa.Array]:
    everyone = world.population
    account = np.flatnonzero(everyone.exists)
    population = chosen(everyone, everyone.exists)
    return {
        "account_id": writer.ids("account", account),
        "operator_id": writer.ids("operator", population.operator),
        "archetype": writer.names(_CODES, population.archetype),
        "ring_id": writer.ids("ring", population.ring),
        "role": writer.names(ROLE_NAMES, population.role),
        "role_from_at": writer.instants(population.resells_from),
        "role_until_at": writer.instants(
            np.where(population.shops_until < world.scenario.days, population.shops_until, np.inf)
        ),
        "in_place_of": writer.ids("account", np.where(population.origin == account, NOWHERE, population.origin)),
    }


def _evasions(world: World, writer: Writer) -> dict[str, pa.Array]:
    steps = world.steps
    return {
        "operator_id": writer.ids("operator", steps.operator),
        "action": writer.names(tuple(action.value for action in ACTIONS), steps.action),
        "cost_minor": whole(steps.cost_minor),
        "taken_at": writer.instants(steps.time),
    }


def _rings(world: World, writer: Writer) -> dict[str, pa.Array]:
    population = chosen(world.population, world.population.exists)
    grouped = np.flatnonzero(population.ring >= 0)
    ring, first, size = np.unique(population.ring[grouped], return_index=True, return_counts=True)
    lead = grouped[first]
    formed = np.full(len(ring), np.inf)
    np.minimum.at(formed, population.ring[grouped], population.resells_from[grouped])
    is_crowd = population.archetype[lead] == ARCHETYPE_INDEX["M3"]
    return {
        "ring_id": writer.ids("ring", ring),
        "kind": writer.names(("one_operator", "crowd_buy"), is_crowd.astype(np.int64)),
        "hub_operator_id": writer.ids("operator", population.operator[lead]),
        "size": whole(size - (population.role[lead] == HUB)),
        "formed_at": writer.instants(formed),
        "dissolved_at": writer.instants(np.full(len(ring), np.inf)),
    }


def _units(world: World, writer: Writer) -> dict[str, pa.Array]:
    units, ledger = world.units, world.ledger
    return {
        "line_id": writer.ids("line", units.line),
        "use": writer.names(USE_NAMES, units.use),
        "quantity": whole(units.quantity),
        "resold_at": writer.instants(units.resold),
        "resale_price_minor": whole(units.price_minor, np.isfinite(units.resold)),
        "operator_id": writer.ids("operator", world.population.operator[ledger.account[ledger.order[units.line]]]),
    }


def _counterfactuals(world: World, writer: Writer) -> dict[str, pa.Array]:
    account = np.flatnonzero(np.isfinite(world.population.applied))
    application = writer.ids("application", account)
    parts = [
        pa.table(
            {
                "application_id": application,
                "disposition": pa.array([outcomes.answer.value] * len(account), pa.string()),
                "benefit_minor": whole(outcomes.benefit_minor[account]),
                "genuine_value_minor": whole(outcomes.genuine_value_minor[account]),
                "loss_minor": whole(outcomes.loss_minor[account]),
                "resold_units": whole(outcomes.resold_units[account]),
            }
        )
        for outcomes in outcomes_of(world)
    ]
    together = pa.concat_tables(parts).combine_chunks()
    return {name: together[name].combine_chunks() for name in together.column_names}
