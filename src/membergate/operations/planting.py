"""Plant rings and innocents in the market at hand: real applicants' rows are altered in a copy, and decided again.

Nothing is written: the altered rows live in temporary tables of a connection of their own, and views lay them over the
market's. Identity, features, model and policy then see a market in which some known applicants are a ring, or live
under one roof, or use whatever device and address chance deals to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from membergate.domain.decision import Decision
from membergate.domain.disposition import FULL_ADMISSIONS, HOLDERS, Disposition
from membergate.learning.identity import LinkIndex
from membergate.market.schema import TABLES
from membergate.market.warehouse import Warehouse
from membergate.operations import planting_statements as statements
from membergate.operations.admission import AdmissionDesk
from membergate.operations.history import Applications, History
from membergate.operations.ledger import Ledger
from membergate.operations.planted_orders import MONTH_DAYS, planted_orders, units_let_in
from membergate.operations.planting_statements import ORDERS, SPAN_DAYS
from membergate.verification.planted import Attack, Planted, PlantedReport, measure_planted
from membergate.verification.sample import is_among

ACCOUNT_MINOR, AGED_MINOR, DEVICE_MINOR, PAYMENT_MINOR, PLACE_MINOR = 4_000, 19_000, 30_000, 5_000, 400
"""Stated prices, the simulator's design priors: an account, one with a past, a device and a card for a year, and a
delivery place of its own for one order."""
RINGS, RING_SIZE, INNOCENTS = 10, 6, 60
FEWEST_APPLICANTS = 120
_ORDERS_PER_YEAR = 365 * ORDERS / SPAN_DAYS
ATTACKS = (
    Attack("naive", "fresh accounts that share all", 12, True, True, False, ACCOUNT_MINOR),
    Attack(
        "devices", "own devices and cards", 12, False, True, False, ACCOUNT_MINOR + DEVICE_MINOR + PAYMENT_MINOR
    ),
    Attack(
        "addresses", "own addresses too", 12, False, False, False,
        ACCOUNT_MINOR + DEVICE_MINOR + PAYMENT_MINOR + int(PLACE_MINOR * _ORDERS_PER_YEAR),
    ),
    *(
        Attack(
            name, words, units, False, False, True,
            AGED_MINOR + DEVICE_MINOR + PAYMENT_MINOR + int(PLACE_MINOR * _ORDERS_PER_YEAR),
        )
        for name, words, units in (
            ("past", "and a household's real past", 12),
            ("half", "and half the units an order", 6),
            ("two", "and two units an order", 2),
            ("one", "and one unit an order", 1),
        )
    ),
)  # fmt: skip
INNOCENT_WORDS = {
    "hostel": "thirty of them live under one roof and share its line",
    "shuffled": "devices and addresses are dealt out among them by chance",
}


@dataclass(frozen=True)
class Pool:
    """Applicants that may be altered: each an operator by itself, never learned from, let in as it is.

    Parameters
    ----------
    applications
        Shape (n,), ordered by submission.
    was_full
        Whether the door admits it in full, shape (n,).
    """

    applications: Applications
    was_full: NDArray[np.bool_]


def plant(desk: AdmissionDesk, pool: Pool, *, seed: int) -> PlantedReport | None:
    """Plant every attack and every kind of innocents, and measure what the door does; None for too few applicants.

    Parameters
    ----------
    desk
        The door that is verified; its model and policy decide, its ledger is left alone.
    pool
        Whom to alter.
    seed
        Seed of the choice.
    """
    warehouse = desk.history.warehouse
    if len(pool.applications) < FEWEST_APPLICANTS or not {"orders", "order_lines"} <= set(warehouse.columns()):
        return None
    rows, scenario, group = _chosen(len(pool.applications), np.random.default_rng(seed))
    in_pool = np.zeros(len(pool.applications), dtype=np.bool_)
    in_pool[rows] = True
    order = np.argsort(rows)
    chosen, scenario, group = pool.applications.take(in_pool), scenario[order], group[order]
    connection = warehouse.connect()
    try:
        altered = _altered_history(warehouse, connection, chosen, scenario, group)
        if altered is None:
            return None
        decisions, merged = _decided(desk, altered, chosen)
        units = units_let_in(planted_orders(connection), decisions)
    finally:
        connection.close()
    taken = np.array([decision.disposition.value for decision in decisions], dtype=np.str_)
    planted = Planted(
        scenario=scenario,
        group=group,
        is_full=is_among(taken, FULL_ADMISSIONS),
        is_capped=is_among(taken, frozenset({Disposition.ADMIT_CAPPED})),
        is_holder=is_among(taken, HOLDERS),
        was_full=pool.was_full[in_pool],
        merged=merged,
        units=np.array([units.get(account, 0.0) for account in chosen.account_ids.tolist()], dtype=np.float64),
    )
    return measure_planted(planted, ATTACKS, INNOCENT_WORDS, ORDERS * MONTH_DAYS / SPAN_DAYS, seed=seed)


def _chosen(size: int, generator: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.str_]]:
    """Choose blocks of applicants who applied one after the other: a ring applies together."""
    scale = min(1.0, size / (len(ATTACKS) * RINGS * RING_SIZE + 2 * INNOCENTS + RING_SIZE))
    rings, innocents = max(1, int(RINGS * scale)), RING_SIZE * int(INNOCENTS * scale / RING_SIZE)
    blocks = generator.permutation(size // RING_SIZE)
    needed = [name for attack in ATTACKS for name in [attack.name] * rings]
    needed += [name for name in INNOCENT_WORDS for _ in range(innocents // RING_SIZE)]
    rows, scenario, group = [], [], []
    for at, (block, name) in enumerate(zip(blocks, needed, strict=False)):
        rows += list(range(block * RING_SIZE, (block + 1) * RING_SIZE))
        scenario += [name] * RING_SIZE
        # Innocents are independent of one another before they are put together; two roofs, one deal.
        roof = f"{name}-{at % 2}" if name == "hostel" else f"{name}-{at}" if name not in INNOCENT_WORDS else name
        group += [roof] * RING_SIZE
    return np.array(rows), np.array(scenario), np.array(group)


def _altered_history(
    warehouse: Warehouse,
    connection: duckdb.DuckDBPyConnection,
    chosen: Applications,
    scenario: NDArray[np.str_],
    group: NDArray[np.str_],
) -> History | None:
    """Lay altered rows over the market, and link the altered accounts anew; None where nothing could be resold."""
    columns = warehouse.columns()
    connection.register("planting", _plan(chosen, scenario, group))
    held = [name for name in columns if "account_id" in _view_columns(connection, name)]
    for statement in statements.prepare(columns):
        connection.execute(statement)
    found = connection.execute("SELECT count(*) FROM planting_template").fetchone()
    if not found or not found[0]:
        return None
    for name in held:
        connection.execute(statements.copied(name))
    for statement in statements.alter(columns):
        connection.execute(statement)
    for name in held:
        connection.execute(
            f'CREATE OR REPLACE VIEW "{name}" AS {statements.overlaid(name, warehouse.relation(TABLES[name]))}'
        )
    return History.over(warehouse, connection, _links(connection, held))


def _plan(chosen: Applications, scenario: NDArray[np.str_], group: NDArray[np.str_]) -> pa.Table:
    """Write down who is altered how."""
    attacks = {attack.name: attack for attack in ATTACKS}
    _, ring = np.unique(group, return_inverse=True)
    first = np.full(int(ring.max()) + 1, np.datetime64("9999-01-01", "us"))
    np.minimum.at(first, ring, chosen.submitted_at)
    position = np.zeros(len(ring), dtype=np.int64)
    for one in range(len(first)):
        position[ring == one] = np.arange(int((ring == one).sum()))
    plans = [attacks.get(name) for name in scenario.tolist()]
    return pa.table(
        {
            "account_id": chosen.account_ids.tolist(),
            "scenario": scenario.tolist(),
            "ring": ring.astype(np.int64),
            "position": position,
            "first_as_of": first[ring],
            "is_ring": [plan is not None for plan in plans],
            "units": [plan.units_per_order if plan else 0 for plan in plans],
            "shares_devices": [plan is not None and plan.shares_devices for plan in plans],
            "shares_addresses": [plan is not None and plan.shares_addresses for plan in plans],
            "keeps_past": [plan is None or plan.keeps_past for plan in plans],
        }
    )


def _links(connection: duckdb.DuckDBPyConnection, held: Sequence[str]) -> LinkIndex:
    """Link the altered accounts among themselves: they shared nothing with anybody before."""
    alone = duckdb.connect(":memory:")
    alone.execute("SET TimeZone = 'UTC'")
    tables = {name: connection.sql(f"SELECT * FROM planted_{name}").to_arrow_table() for name in held}
    if "addresses" in _table_names(connection) and "address_id" in _view_columns(connection, "orders"):
        tables["addresses"] = connection.sql(statements.ADDRESSES).to_arrow_table()
    for name, table in tables.items():
        alone.register(f"{name}_rows", table)
        alone.execute(f'CREATE TABLE "{name}" AS SELECT * FROM {name}_rows')
    return LinkIndex.build(alone)


def _decided(desk: AdmissionDesk, altered: History, chosen: Applications) -> tuple[list[Decision], NDArray[np.int64]]:
    """Decide the altered applicants, and count the accounts of their operators."""
    ledger = Ledger(altered, desk.model.lineage.trained_until)
    again = AdmissionDesk(altered, desk.model, desk.model_version, desk.policy, ledger=ledger)
    again.is_explaining = False
    look = again.look(chosen)
    decisions = [decision for _, decision in again.decide_with_evidence(chosen, look)]
    return decisions, np.asarray(look.operators.sizes, dtype=np.int64)


def _view_columns(connection: duckdb.DuckDBPyConnection, name: str) -> set[str]:
    return {row[0] for row in connection.execute(f'DESCRIBE "{name}"').fetchall()}


def _table_names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
