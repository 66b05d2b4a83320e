"""Simulate: let a scenario happen, and write the market and, apart from it, the truth."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from membergate.domain.errors import BadInputError
from membergate.market.simulator.market_people import tables_of_goods, tables_of_people
from membergate.market.simulator.market_trade import tables_of_trade
from membergate.market.simulator.scenario import scenario_for
from membergate.market.simulator.tables import Writer
from membergate.market.simulator.truth_tables import tables_of_truth
from membergate.market.simulator.world import Progress, live_through

MARKET_FOLDER = "market"
TRUTH_FOLDER = "truth"
SCENARIO_FILE = "scenario.yaml"


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """What was written.

    Parameters
    ----------
    market, truth
        The two folders.
    rows
        Rows of each table of the market.
    accounts, applications
        How many there are.
    merchant_share
        Share of the applying accounts whose operator is a merchant, in [0, 1].
    """

    market: Path
    truth: Path
    rows: dict[str, int]
    accounts: int
    applications: int
    merchant_share: float


def simulate(
    out: Path, *, preset: str = "tiny", seed: int = 0, accounts: int | None = None, progress: Progress | None = None
) -> SimulationReport:
    """Simulate a market and write it, with the truth behind it in a folder of its own.

    Parameters
    ----------
    out
        A folder; `market/`, `truth/` and `scenario.yaml` are written into it. Files of an earlier run are replaced.
    preset
        `tiny` (2,000 accounts), `demo` (20,000) or `small` (50,000).
    seed
        From 0; the same preset, seed and number of accounts give the same bytes.
    accounts
        Another number of accounts, at least 200.
    progress
        Told of each step, in a few words.

    Returns
    -------
    SimulationReport
        What was written.

    Raises
    ------
    BadInputError
        If the preset, the seed or the number of accounts is not possible, or `out` is a file.
    """
    scenario = scenario_for(preset, seed=seed, accounts=accounts)
    if out.exists() and not out.is_dir():
        raise BadInputError("the market cannot be written there", where=str(out), allowed="a folder, new or existing")
    tell = progress or (lambda _step: None)
    world = live_through(scenario, tell)
    writer = Writer(scenario)
    rows: dict[str, int] = {}
    market, truth = out / MARKET_FOLDER, out / TRUTH_FOLDER
    tables = chain(tables_of_people(world, writer), tables_of_goods(world, writer), tables_of_trade(world, writer))
    for name, columns, sort_by in tables:
        tell(f"writing {name}")
        rows[name] = writer.write(market / f"{name}.parquet", columns, sort_by)
    tell("writing the truth")
    for name, columns, sort_by in tables_of_truth(world, writer):
        writer.write(truth / f"{name}.parquet", columns, sort_by)
    (out / SCENARIO_FILE).write_text(scenario.as_yaml(), encoding="utf-8")
    applied = np.isfinite(world.population.applied)
    return SimulationReport(
        market=market,
        truth=truth,
        rows=rows,
        accounts=len(world.population),
        applications=int(applied.sum()),
        merchant_share=float(np.round(world.truth.is_merchant_account[applied].mean(), 6)),
    )
