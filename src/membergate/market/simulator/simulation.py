"""Simulate: let a scenario happen, and write the market and, apart from it, the truth."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from membergate.domain.errors import BadInputError
from membergate.market.simulator.answers import doorkeeper_of, read_answers
from membergate.market.simulator.event_stream import STREAM_FILE, split_off_stream
from membergate.market.simulator.market_people import tables_of_goods, tables_of_people
from membergate.market.simulator.market_trade import tables_of_trade
from membergate.market.simulator.scenario import Scenario, scenario_for
from membergate.market.simulator.scenario_file import read_scenario
from membergate.market.simulator.streams import Bools
from membergate.market.simulator.tables import Tables, Writer
from membergate.market.simulator.truth_tables import tables_of_truth
from membergate.market.simulator.world import Progress, World, live_through

MARKET_FOLDER = "market"
TRUTH_FOLDER = "truth"
SCENARIO_FILE = "scenario.yaml"
_AT_A_TIME = 2


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
    events
        Events of the stream, in `events.jsonl` beside the market; 0 where the scenario has none.
    """

    market: Path
    truth: Path
    rows: dict[str, int]
    accounts: int
    applications: int
    merchant_share: float
    events: int = 0


def simulate(
    out: Path,
    *,
    preset: str = "tiny",
    seed: int | None = None,
    accounts: int | None = None,
    scenario_file: Path | None = None,
    decisions: Path | None = None,
    progress: Progress | None = None,
) -> SimulationReport:
    """Simulate a market and write it, with the truth behind it in a folder of its own.

    Parameters
    ----------
    out
        A folder; `market/`, `truth/` and `scenario.yaml` are written into it. Files of an earlier run are replaced.
    preset
        `tiny` (2,000 accounts), `demo` (20,000), `small` (50,000), `double11` (60,000, with a stream of events) or
        `city` (500,000).
    seed
        From 0, which is also the default; the same preset or file, seed and number of accounts give the same bytes.
    accounts
        Another number of accounts, at least 200.
    scenario_file
        A YAML file over a preset, see `read_scenario`; it takes the place of `preset`.
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
        If the preset, the seed, the number of accounts or the scenario is not possible, `out` is a file, or the
        decisions cannot be read.
    """
    if scenario_file is None:
        scenario = scenario_for(preset, seed=seed or 0, accounts=accounts)
    else:
        scenario = read_scenario(scenario_file, seed=seed, accounts=accounts)
    if out.exists() and not out.is_dir():
        raise BadInputError("the market cannot be written there", where=str(out), allowed="a folder, new or existing")
    answers = read_answers(decisions) if decisions is not None else None
    _clear(out)
    # first, so that a run that was interrupted can be run again
    out.mkdir(parents=True, exist_ok=True)
    (out / SCENARIO_FILE).write_text(scenario.as_yaml(), encoding="utf-8")
    rows: Counter[str] = Counter()
    are_merchants = []
    for part in _parts(scenario, out, answers, progress or (lambda _step: None)):
        rows.update(part.rows)
        are_merchants.append(part.is_merchant)
    is_merchant = np.concatenate(are_merchants)
    events = split_off_stream(out / MARKET_FOLDER, out, scenario) if scenario.stream_from_day else 0
    return SimulationReport(
        market=out / MARKET_FOLDER,
        truth=out / TRUTH_FOLDER,
        rows=dict(rows),
        accounts=scenario.accounts,
        applications=len(is_merchant),
        merchant_share=float(np.round(is_merchant.mean(), 6)),
        events=events,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """What one district wrote: rows by table, and whether each of its applicants is a merchant."""

    rows: dict[str, int]
    is_merchant: Bools


def _parts(scenario: Scenario, out: Path, answers: Mapping[str, int] | None, tell: Progress) -> Iterator[_Part]:
    """Let the districts happen: one here, several in processes of their own, two at a time."""
    if scenario.districts == 1:
        yield _happen(scenario, out, answers, tell)
        return
    with ProcessPoolExecutor(_AT_A_TIME, mp_context=get_context("spawn")) as pool:
        districts = [pool.submit(_happen, part, out, answers) for part in scenario.of_each_district()]
        for number, district in enumerate(districts):
            tell(f"district {number + 1} of {scenario.districts}")
            yield district.result()


def _happen(
    district: Scenario, out: Path, answers: Mapping[str, int] | None, tell: Progress = lambda _step: None
) -> _Part:
    """Let one district happen and write it."""
    writer = Writer(district)
    world = live_through(district, tell, doorkeeper_of(answers, writer))
    tell("writing the market")
    rows = {
        name: writer.write(out / MARKET_FOLDER, name, columns, sort_by)
        for name, columns, sort_by in _market_tables(world, writer)
    }
    tell("writing the truth")
    for name, columns, sort_by in tables_of_truth(world, writer):
        writer.write(out / TRUTH_FOLDER, name, columns, sort_by)
    return _Part(rows, world.truth.is_merchant_account[np.isfinite(world.population.applied)])


def _market_tables(world: World, writer: Writer) -> Tables:
    yield from tables_of_people(world, writer)
    yield from tables_of_goods(world, writer)
    yield from tables_of_trade(world, writer)


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
    if folders:
        (out / STREAM_FILE).unlink(missing_ok=True)
