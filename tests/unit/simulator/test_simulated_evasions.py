"""Merchants who do not want to be told apart: what they pay for, how it shows, and that the refused come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from membergate.market.simulator import SimulationReport, simulate

pytestmark = pytest.mark.xdist_group("simulator")

RINGS = """
preset: tiny
accounts: 320
seed: 5
shares: {M2: 0.3, M1: 0.05, M3: 0.1}
ring_size: 30
"""
CHEAP = """
evasion:
  budget_share: 0.9
  believed_detection: 0.9
  device_minor: 100
  payment_minor: 100
  aged_account_minor: 500
  split_share: 0.02
  clean_address_minor: 100000
  hired_leaf_minor: 100000
"""
BACK = """
evasion: {reapplies: true, reason_detail: 0.5}
"""


def made(folder: Path, scenario: str, decisions: Path | None = None) -> SimulationReport:
    """Simulate a scenario."""
    folder.mkdir(exist_ok=True)
    (folder / "given.yaml").write_text(scenario)
    return simulate(folder, scenario_file=folder / "given.yaml", decisions=decisions)


def ask(report: SimulationReport, sql: str) -> list[tuple[Any, ...]]:
    """Ask about a market and its truth."""
    connection = duckdb.connect(config={"threads": 1})
    for file in sorted(report.market.parent.glob("*/*.parquet")):
        connection.execute(f"CREATE VIEW {file.stem} AS FROM read_parquet('{file}')")
    return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> SimulationReport:
    """Give a market of large rings that evade nothing."""
    return made(tmp_path_factory.mktemp("careless"), RINGS)


@pytest.fixture(scope="module")
def evading(tmp_path_factory: pytest.TempPathFactory) -> SimulationReport:
    """Give the same market where evasion is cheap and detection feared."""
    return made(tmp_path_factory.mktemp("evading"), RINGS + CHEAP)


DEGREE = """
SELECT avg(accounts) FROM (
    SELECT count(DISTINCT account_id) AS accounts FROM orders JOIN truth_accounts USING (account_id)
    WHERE archetype = 'M2' GROUP BY device_tok)
"""


def test_without_a_budget_nothing_is_done(careless: SimulationReport) -> None:
    """A market whose merchants lay out nothing on evasion records no step."""
    assert ask(careless, "SELECT count(*) FROM truth_evasions") == [(0,)]


def test_what_pays_is_done_and_written_down(evading: SimulationReport) -> None:
    """Cheap steps are taken, dear ones are not, nobody takes two that stand in for each other, and costs are told."""
    taken = dict(ask(evading, "SELECT action, count(*) FROM truth_evasions GROUP BY action"))
    assert {"devices", "payments", "proxies", "split_3"} <= set(taken)
    assert not {"clean_addresses", "hired_leaves"} & set(taken)
    both = ask(
        evading,
        "SELECT operator_id FROM truth_evasions WHERE action IN ('split_3', 'split_20') GROUP BY 1 HAVING count(*) > 1",
    )
    assert both == []
    assert ask(evading, "SELECT count(*) FROM truth_evasions WHERE cost_minor <= 0 OR taken_at IS NULL") == [(0,)]


def test_steps_show_in_the_market(careless: SimulationReport, evading: SimulationReport) -> None:
    """Rings that pay for devices share fewer, and those that pay for a past have older accounts."""
    assert ask(careless, DEGREE)[0][0] > ask(evading, DEGREE)[0][0]
    age = (
        "SELECT avg(date_diff('day', registered_at, submitted_at)) FROM applications"
        " JOIN (SELECT DISTINCT account_id, registered_at FROM accounts) USING (account_id)"
        " JOIN truth_accounts USING (account_id) WHERE archetype = 'M2'"
    )
    assert ask(careless, age)[0][0] < ask(evading, age)[0][0]


def test_some_pose_as_group_buy_leaders(tmp_path: Path) -> None:
    """Half of the merchants of one account declare the lane, and nothing else is changed for anybody."""
    scenario = "preset: tiny\naccounts: 500\nseed: 5\nshares: {M1: 0.15, M2: 0.1, G10: 0.05}\n"
    plain, posed = (
        made(tmp_path / "plain", scenario),
        made(tmp_path / "posed", scenario + "evasion: {poses_share: 0.5}\n"),
    )
    lanes = """
        SELECT archetype, avg((lane = 'group_buy')::INT), count(DISTINCT operator_id), count(DISTINCT order_id)
        FROM orders JOIN truth_accounts USING (account_id)
        WHERE archetype IN ('M2', 'G10') OR operator_id IN (
            SELECT operator_id FROM truth_evasions WHERE action = 'group_buy_lane')
        GROUP BY ALL"""
    before, after = ({kind: rest for kind, *rest in ask(each, lanes)} for each in (plain, posed))
    assert all(before[kind] == after[kind] for kind in ("M2", "G10"))
    assert "M1" not in before
    assert after["M1"][0] == pytest.approx(after["G10"][0], abs=0.08)
    merchants = ask(posed, "SELECT count(DISTINCT operator_id) FROM truth_accounts WHERE archetype = 'M1'")[0][0]
    assert 0.3 < after["M1"][1] / merchants < 0.7
    assert ask(posed, "SELECT DISTINCT action, cost_minor FROM truth_evasions") == [("group_buy_lane", 5000)]


def test_a_split_ring_keeps_one_truth(careless: SimulationReport, evading: SimulationReport) -> None:
    """However it is cut, a ring stays one operator in the truth: as many operators and ring members as before."""
    same = "SELECT count(DISTINCT operator_id), count(DISTINCT ring_id), count(ring_id) FROM truth_accounts"
    assert ask(careless, same) == ask(evading, same)


@pytest.fixture(scope="module")
def denied(tmp_path_factory: pytest.TempPathFactory) -> tuple[SimulationReport, SimulationReport]:
    """Give a market whose refused come back: behind an open door, and behind one that refuses all merchant kinds."""
    folder = tmp_path_factory.mktemp("denied")
    opened = made(folder / "open", RINGS + BACK)
    rows = ask(
        opened,
        "SELECT application_id, if(archetype LIKE 'M%', 'deny', 'admit') FROM applications"
        " JOIN truth_accounts USING (account_id)",
    )
    table = pa.table({"application_id": [r[0] for r in rows], "disposition": [r[1] for r in rows]})
    pq.write_table(table, folder / "decisions.parquet")
    return opened, made(folder / "closed", RINGS + BACK, folder / "decisions.parquet")


def test_the_refused_come_back_under_another_account(denied: tuple[SimulationReport, SimulationReport]) -> None:
    """One to three weeks after a refusal a new account applies, with another phone, for the same operator."""
    opened, closed = denied
    assert closed.applications > opened.applications
    back = ask(
        closed,
        """
        SELECT date_diff('hour', first.submitted_at, again.submitted_at) / 24.0, old.phone_tok = new.phone_tok,
            a.operator_id = b.operator_id
        FROM truth_accounts b JOIN truth_accounts a ON a.account_id = b.in_place_of
        JOIN applications first ON first.account_id = a.account_id
        JOIN applications again ON again.account_id = b.account_id
        JOIN (SELECT DISTINCT ON (account_id) * FROM accounts) old ON old.account_id = a.account_id
        JOIN (SELECT DISTINCT ON (account_id) * FROM accounts) new ON new.account_id = b.account_id
        """,
    )
    assert len(back) == closed.applications - opened.applications > 20
    assert all(6.9 < days < 21.1 for days, _, _ in back)
    assert all(is_one for _, _, is_one in back)
    assert not any(same for _, same, _ in back if same is not None)
    spent = ask(closed, "SELECT count(*) FROM truth_evasions WHERE action = 'new_account' AND cost_minor = 4000")
    assert spent == [(len(back),)]


def test_some_change_every_cue_and_some_only_the_account(
    denied: tuple[SimulationReport, SimulationReport],
) -> None:
    """With half of the reason told, about half of those who come back still trade from a known device."""
    known = ask(
        denied[1],
        """
        SELECT avg(known::INT), count(*) FROM (
            SELECT bool_or(new.device_tok IN (SELECT device_tok FROM orders WHERE account_id = a.in_place_of)) AS known
            FROM truth_accounts a JOIN orders new USING (account_id) WHERE a.in_place_of IS NOT NULL
            GROUP BY a.account_id)
        """,
    )[0]
    assert known[1] > 10
    assert 0.2 < known[0] < 0.8


def test_other_people_do_not_notice(denied: tuple[SimulationReport, SimulationReport]) -> None:
    """Accounts, applications and counterfactual outcomes of all others are the same behind both doors."""
    opened, closed = denied
    for name, key in (("accounts", "account_id"), ("applications", "account_id")):
        first = "(SELECT account_id FROM truth_accounts WHERE in_place_of IS NULL)"
        rows = f"SELECT * FROM {name} JOIN {first} USING ({key}) ORDER BY ALL"
        assert ask(opened, rows) == ask(closed, rows)
    told = """
        SELECT * FROM truth_counterfactuals WHERE application_id IN (
            SELECT application_id FROM applications JOIN truth_accounts USING (account_id) WHERE in_place_of IS NULL)
        ORDER BY ALL
    """
    assert ask(opened, told) == ask(closed, told)
