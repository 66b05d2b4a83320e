"""Simulate: let a scenario happen, and write the market and, apart from it, the truth."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from membergate.domain.errors import BadInputError
from membergate.market.simulator.answers import doorkeeper_of, read_answers
from membergate.market.simulator.market_people import tables_of_goods, tables_of_people
from membergate.market.simulator.market_trade import tables_of_trade
from membergate.market.simulator.scenario import Scenario, scenario_for
from membergate.market.simulator.tables import Tables, Writer
from membergate.market.simulator.truth_tables import tables_of_truth
from membergate.market.simulator.world import Progress, World, live_through

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
    out: Path,
    *,
    preset: str = "tiny",
    seed: int = 0,
    accounts: int | None = None,
    decisions: Path | None = None,
    progress: Progress | None = None,
) -> SimulationReport:
    """Simulate a market and write it, with the truth behind it in a folder of its own.

    Parameters
    ----------
    out
        A folder; `market/`, `truth/` and `scenario.yaml` are written into it. Files of an earlier run are replaced.
    preset
        `tiny` (2,000 accounts), `demo` (20,000), `small` (50,000) or `city` (500,000).
    seed
        From 0; the same preset, seed and number of accounts give the same bytes.
    accounts
        Another number of accounts, at least 200.
    decisions
        A Parquet file with `application_id` and `disposition`, as `membergate admit --out` writes it: the same people
        want the same things, and these answers decide what they get. Whom it does not name is admitted.
    progress
        Told of each step, in a few words.

    Returns
    -------
    SimulationReport
        What was written.

    Raises
    ------
    BadInputError
        If the preset, the seed or the number of accounts is not possible, `out` is a file, or the decisions cannot be
        read.
    """
    scenario = scenario_for(preset, seed=seed, accounts=accounts)
    if out.exists() and not out.is_dir():
        raise BadInputError("the market cannot be written there", where=str(out), allowed="a folder, new or existing")
    answers = read_answers(decisions) if decisions is not None else None
    _clear(out)
    rows: Counter[str] = Counter()
    are_merchants = []
    for district in scenario.of_each_district():
        writer = Writer(district)
        world = live_through(district, _telling(progress, district), doorkeeper_of(answers, writer))
        for name, columns, sort_by in _market_tables(world, writer):
            rows[name] += writer.write(out / MARKET_FOLDER, name, columns, sort_by)
        for name, columns, sort_by in tables_of_truth(world, writer):
            writer.write(out / TRUTH_FOLDER, name, columns, sort_by)
        are_merchants.append(world.truth.is_merchant_account[np.isfinite(world.population.applied)])
        del world
    (out / SCENARIO_FILE).write_text(scenario.as_yaml(), encoding="utf-8")
    applied = np.concatenate(are_merchants)
    return SimulationReport(
        market=out / MARKET_FOLDER,
        truth=out / TRUTH_FOLDER,
        rows=dict(rows),
        accounts=scenario.accounts,
        applications=len(applied),
        merchant_share=float(np.round(applied.mean(), 6)),
    )


def _market_tables(world: World, writer: Writer) -> Tables:
    yield from tables_of_people(world, writer)
    yield from tables_of_goods(world, writer)
    yield from tables_of_trade(world, writer)


def _telling(progress: Progress | None, district: Scenario) -> Progress:
    """Say which district a step is about, where there are several."""
    if progress is None:
        return lambda _step: None
    of = f" ({district.district + 1} of {district.districts})" if district.districts > 1 else ""
    return lambda step: progress(f"{step}{of}")


def _clear(out: Path) -> None:
    """Remove the tables of an earlier run, which may have been cut into other parts; what is not ours stays."""
    folders = [folder for folder in (out / MARKET_FOLDER, out / TRUTH_FOLDER) if folder.exists()]
    if folders and not (out / SCENARIO_FILE).exists():
        raise BadInputError(
            f"there is a folder {folders[0].name} that no simulation has written",
            where=str(out),
            allowed=f"a new folder, or one with the {SCENARIO_FILE} of an earlier simulation",
        )
    for folder in folders:
        shutil.rmtree(folder)
