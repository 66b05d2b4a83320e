"""A scenario of one's own: what it may change, what becomes of it, and how mistakes in it are told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from membergate.domain.errors import BadInputError
from membergate.market.simulator import SimulationReport, simulate
from membergate.market.simulator.event_stream import OF_LINES, OF_ORDERS, STREAM_FILE
from membergate.market.simulator.scenario import PRESETS
from membergate.market.simulator.scenario_file import read_scenario
from membergate.operations.events import load_events, take_events
from membergate.operations.ingest import ingest
from membergate.operations.workspace import Workspace

pytestmark = pytest.mark.xdist_group("simulator")

DRIFTING = """
preset: double11
accounts: 300
seed: 5
skus: 900
stores: 60
session_share: 0.1
duplicate_share: 0.05
rings: false
drifts:
  - {change: emerges, day: 250, archetypes: [M5]}
  - {change: fades, day: 200, archetypes: [M1]}
  - {change: rate, day: 150, archetypes: [G2], factor: 0}
  - {change: outage, day: 100, until_day: 104, table: logins}
"""


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> SimulationReport:
    """Give a small market in which much changes, and whose last days are a stream."""
    folder = tmp_path_factory.mktemp("drifting")
    (folder / "given.yaml").write_text(DRIFTING)
    return simulate(folder / "out", scenario_file=folder / "given.yaml")


def one(report: SimulationReport, sql: str) -> tuple[object, ...]:
    """Ask for one row; @ stands for the market folder, days count from the first midnight."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    day = "date_diff('second', TIMESTAMPTZ '2024-12-31 16:00:00+00', x) / 86400.0"
    connection.execute(f"CREATE MACRO day(x) AS {day}")
    for file in sorted(report.market.parent.glob("*/*.parquet")):
        connection.execute(f"CREATE VIEW {file.stem} AS FROM read_parquet('{file}')")
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row


def test_a_file_without_a_change_is_its_preset(
    small_market: SimulationReport, tmp_path: Path, careless_bytes: bytes
) -> None:
    """`preset: tiny` with a seed and a size writes the same bytes as the preset itself, and as it always did."""
    (tmp_path / "given.yaml").write_text("preset: tiny\nseed: 5\naccounts: 300\n")
    again = simulate(tmp_path / "out", scenario_file=tmp_path / "given.yaml")
    assert (again.market / "orders.parquet").read_bytes() == careless_bytes
    assert (small_market.market.parent / "scenario.yaml").read_bytes() == (tmp_path / "out/scenario.yaml").read_bytes()


@pytest.fixture
def careless_bytes(small_market: SimulationReport) -> bytes:
    """Give the bytes of the preset's orders."""
    return (small_market.market / "orders.parquet").read_bytes()


def test_what_emerges_was_not_there_before(drifting: SimulationReport) -> None:
    """Before its day nobody of a new kind applies or resells; after it they do."""
    applied = "SELECT min(day(submitted_at)), count(*) FROM applications JOIN truth_accounts USING (account_id)"
    first, count = one(drifting, f"{applied} WHERE archetype = 'M5'")
    assert float(str(first)) >= 250
    assert count != 0
    resold = one(
        drifting,
        "SELECT min(day(ordered_at)) FROM truth_units JOIN order_lines USING (line_id) JOIN orders USING (order_id)"
        " JOIN truth_accounts USING (account_id) WHERE use = 'resold' AND archetype = 'M5'",
    )
    assert resold[0] is None or float(str(resold[0])) >= 250


def test_what_fades_ends_and_rates_change(drifting: SimulationReport) -> None:
    """From its day a fading kind resells nothing more, and families whose rate falls to zero order no more."""
    before, after = one(
        drifting,
        "SELECT sum(u.quantity) FILTER (day(ordered_at) BETWEEN 100 AND 200) / 100,"
        " sum(u.quantity) FILTER (day(ordered_at) > 200) / 113 FROM truth_units u JOIN order_lines USING (line_id)"
        " JOIN orders USING (order_id) JOIN truth_accounts USING (account_id)"
        " WHERE use = 'resold' AND archetype = 'M1'",
    )
    # people of whatever kind sell an odd unit second-hand
    assert float(str(before)) > 20 * float(str(after))
    orders = one(
        drifting,
        "SELECT count(*) FILTER (day(ordered_at) < 150), count(*) FILTER (day(ordered_at) > 151)"
        " FROM orders JOIN truth_accounts USING (account_id) WHERE archetype = 'G2'",
    )
    assert int(str(orders[0])) > 500
    assert orders[1] == 0


def test_an_outage_is_known_only_at_its_end(drifting: SimulationReport) -> None:
    """Sign-ins during an outage become known when it ends, not before."""
    hit = one(
        drifting,
        "SELECT min(day(ingested_at)), count(*) FROM logins WHERE day(logged_in_at) BETWEEN 100.01 AND 103.99",
    )
    assert float(str(hit[0])) >= 103.999
    assert int(str(hit[1])) > 10


def test_without_rings_every_account_is_an_operator(drifting: SimulationReport) -> None:
    """`rings: false` leaves merchants, each on one account."""
    assert one(
        drifting,
        "SELECT max(accounts) FROM (SELECT count(*) AS accounts FROM truth_accounts WHERE archetype LIKE 'M%'"
        " GROUP BY operator_id)",
    ) == (1,)


def test_the_last_days_are_a_stream_in_order_of_arrival(drifting: SimulationReport) -> None:
    """The folder ends where the stream begins; events come late, out of order and sometimes twice, as CloudEvents."""
    assert float(str(one(drifting, "SELECT max(day(ingested_at)) FROM orders")[0])) < 313
    lines = (drifting.market.parent / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert len(events) == drifting.events > 1000
    assert {event["specversion"] for event in events} == {"1.0"}
    assert {"membergate.orders.v1", "membergate.order_lines.v1", "membergate.logins.v1"} <= {e["type"] for e in events}
    times_seen = Counter(event["id"] for event in events)
    assert set(times_seen.values()) == {1, 2}
    first_time = dict(reversed([(event["id"], event) for event in events]))
    early = [event for event in first_time.values() if event["data"]["ingested_at"] < "2025-11-09T16:00:00"]
    # what was known before is there only with an order that was not known in full
    assert {event["type"].split(".")[1] for event in early} <= {*OF_ORDERS, *OF_LINES}
    assert len(early) < 0.05 * len(first_time)
    first_of_each = [e for place, e in enumerate(events) if e["id"] not in {x["id"] for x in events[:place]}][:400]
    arrivals = [event["data"]["ingested_at"] for event in first_of_each]
    assert arrivals == sorted(arrivals)
    happened = [event["time"] for event in events]
    assert happened != sorted(happened)


def test_the_folder_and_its_stream_load_without_a_loss(
    drifting: SimulationReport, tmp_path: Path, still_clock: Callable[[], datetime]
) -> None:
    """The folder holds whole orders and loads in full; so does the stream, and no event is left waiting."""
    workspace = Workspace(tmp_path)
    report = ingest(workspace.root, drifting.market, clock=still_clock)
    assert not any(table.quarantined for table in report.tables)
    answers = Counter(a.state for a in take_events(workspace, drifting.market.parent / STREAM_FILE, clock=still_clock))
    assert answers["refused"] == 0
    loaded = load_events(workspace, clock=still_clock)
    assert loaded.waiting == 0
    assert sum(loaded.taken.values()) == answers["accepted"] == drifting.events - answers["duplicate"]
    assert len(loaded.reports) == 1
    assert not any(table.quarantined for table in loaded.reports[0].tables)


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("preset: vast\n", 1, "there is no preset 'vast'"),
        ("preset: tiny\nacounts: 300\n", 2, "accounts?"),
        ("preset: tiny\naccounts: many\n", 2, "a whole number"),
        ("preset: tiny\nseed: 1\nseed: 2\n", 3, "stands twice"),
        ("preset: tiny\nevasion:\n  budget: 1\n", 3, "budget_share?"),
        ("preset: tiny\ndrifts:\n  - {change: explodes, day: 3}\n", 3, "emerges"),
        ("preset: tiny\nshares: {G77: 0.5}\n", 2, "there is no archetype 'G77'"),
        ("preset: [tiny\n", 2, "no YAML"),
        ("- preset\n", 1, "no list of words"),
        ("preset: tiny\ncrowd: [3]\n", 2, "2 values"),
        ("preset: tiny\nshares: {M2: .nan}\n", 2, "a finite number"),
        (f"preset: tiny\nring_size: 1{'0' * 400}\n", 2, "a finite number"),
        (f"preset: tiny\naccounts: 1{'0' * 5000}\n", 2, "a whole number"),
        ("preset: tiny\nseed: !!int abc\n", 2, "a whole number"),
        ("preset: tiny\nseed: !!python/name:os.system x\n", 2, "a whole number"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    """Unknown words, wrong kinds and words that stand twice end in one error: where, and what would have been right."""
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(BadInputError) as refused:
        read_scenario(tmp_path / "wrong.yaml")
    assert told in str(refused.value)
    assert "preset" in told or f"line {line}," in refused.value.where


def test_a_scenario_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    """Brackets without end are a mistake in the file, told as one."""
    (tmp_path / "deep.yaml").write_text("drifts: " + "[" * 3000)
    with pytest.raises(BadInputError, match="nested too deeply"):
        read_scenario(tmp_path / "deep.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "applicant_share: 1.5", "days: 20", "shares: {G1: 0.9, G2: 0.9}", "crowd: [9, 3]", "evasion: {budget_share: 2}",
        "evasion: {device_minor: -1}", "evasion: {attempts: 0}",
        "drifts: [{change: emerges, day: 390, archetypes: [M1]}]",
        "drifts: [{change: rate, day: 3}]", "drifts: [{change: outage, day: 3, table: moods, until_day: 9}]",
        "first_application_day: 390.0", "stream_from_day: 900.0", "accounts: 3", "ring_size: 1.0",
        "promotions: [{name: x, kind: sale, start_day: 9, days: 0, warm_up_days: 1, strength: 1, deal_share: 0}]",
    ],
)  # fmt: skip
def test_a_scenario_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    """Dials out of range and days outside the folder are refused with what is allowed, before anything is written."""
    (tmp_path / "wrong.yaml").write_text(f"preset: tiny\n{text}\n")
    with pytest.raises(BadInputError) as refused:
        simulate(tmp_path / "out", scenario_file=tmp_path / "wrong.yaml")
    assert refused.value.allowed
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("drift", "told"),
    [
        ("table: logins, until_day: 2", "cannot last until day 2\n"),
        ("table: moods, until_day: 9", "cannot concern the table 'moods'\n"),
    ],
)
def test_what_an_outage_lacks_is_told_apart(tmp_path: Path, drift: str, told: str) -> None:
    """A wrong day is told with days, a wrong table with tables."""
    (tmp_path / "wrong.yaml").write_text(f"drifts: [{{change: outage, day: 3, {drift}}}]")
    with pytest.raises(BadInputError) as refused:
        read_scenario(tmp_path / "wrong.yaml")
    assert told in str(refused.value)
    assert "scenario.yaml" in refused.value.next_step


def test_every_preset_makes_sense(tmp_path: Path) -> None:
    """What ships passes the checks that a file has to pass."""
    for name in PRESETS:
        (tmp_path / "given.yaml").write_text(f"preset: {name}\n")
        assert read_scenario(tmp_path / "given.yaml") == PRESETS[name]
