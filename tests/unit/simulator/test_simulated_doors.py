"""The door of a simulated market: other answers change what people get, and never who they are or what they wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from membergate.domain.disposition import LADDERS, Checkpoint
from membergate.domain.errors import BadInputError
from membergate.market.simulator import SimulationReport, simulate

ANSWERS = [disposition.value for disposition in LADDERS[Checkpoint.ADMISSION]]
SEED, ACCOUNTS = 5, 300


@pytest.fixture(scope="module")
def answered(
    small_market: SimulationReport, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SimulationReport, dict[str, str]]:
    """Give the market of 300 accounts once more, behind a door that gives every answer in turn, and the answers."""
    folder = tmp_path_factory.mktemp("answered")
    ids = pq.read_table(small_market.market / "applications.parquet")["application_id"].to_pylist()
    given = {application: ANSWERS[place % len(ANSWERS)] for place, application in enumerate(sorted(ids))}
    pq.write_table(pa.table({"application_id": list(given), "disposition": list(given.values())}), folder / "d.parquet")
    made = simulate(folder, preset="tiny", seed=SEED, accounts=ACCOUNTS, decisions=folder / "d.parquet")
    return made, given


def read(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask about the tables of a folder."""
    connection = duckdb.connect()
    for file in sorted(folder.glob("*/*.parquet")):
        connection.execute(f"CREATE VIEW {file.stem} AS FROM read_parquet('{file}')")
    return connection.execute(sql).fetchall()


def test_the_same_people_apply_whatever_the_answers(
    small_market: SimulationReport, answered: tuple[SimulationReport, dict[str, str]]
) -> None:
    """Accounts, applications, goods and who is a merchant are the same, byte for byte, behind either door."""
    made, _ = answered
    for name in ("accounts", "applications", "skus", "addresses"):
        there, here = (pq.read_table(folder / f"{name}.parquet") for folder in (small_market.market, made.market))
        assert there.equals(here), name
    for name in ("truth_operators", "truth_accounts", "truth_counterfactuals"):
        there, here = (pq.read_table(folder / f"{name}.parquet") for folder in (small_market.truth, made.truth))
        assert there.equals(here), name


def test_what_happens_is_what_the_counterfactual_said(answered: tuple[SimulationReport, dict[str, str]]) -> None:
    """Benefit, loss and resold units of each applicant under its answer are those of the row for that answer.

    Compared are applicants whose 90 days ended five days before the folder does, when every order of theirs is known.
    """
    made, given = answered
    rows = read(
        made.market.parent,
        """
        WITH line AS (
            SELECT application_id, l.*, coalesce(sold, 0) AS sold,
                member_discount_minor + coupon_discount_minor AS saved
            FROM applications ap
            JOIN (SELECT DISTINCT ON (order_id) * FROM orders ORDER BY order_id, ingested_at DESC) o USING (account_id)
            JOIN order_lines l USING (order_id)
            LEFT JOIN (SELECT line_id, sum(quantity) AS sold FROM truth_units WHERE use = 'resold' GROUP BY line_id)
            USING (line_id)
            WHERE o.ordered_at >= ap.submitted_at AND o.ordered_at < ap.submitted_at + INTERVAL 90 DAY
              AND o.status <> 'cancelled'
        ), happened AS (
            SELECT application_id, sum(sold)::BIGINT AS resold, sum(member_discount_minor)::BIGINT AS by_member_price,
                sum(saved)::BIGINT AS benefit, sum(saved * sold // quantity)::BIGINT AS loss
            FROM line GROUP BY application_id
        )
        SELECT application_id, disposition, happened.* EXCLUDE (application_id),
            resold_units, benefit_minor, loss_minor
        FROM happened JOIN applications USING (application_id) JOIN truth_counterfactuals USING (application_id)
        WHERE submitted_at < (SELECT max(ordered_at) FROM orders) - INTERVAL 95 DAY
        """,
    )
    compared = [row for row in rows if given[row[0]] == row[1]]
    assert len(compared) > 100
    for application, disposition, resold, by_member_price, benefit, loss, *told in compared:
        assert resold == told[0], application
        if disposition in {"admit", "admit_capped", "trial"}:
            assert (benefit, loss) == (told[1], told[2]), application
        if disposition in {"deny", "business_lane"}:
            assert (by_member_price, told[1], told[2]) == (0, 0, 0), application


def test_limits_hold_and_refusal_costs_both_sides(answered: tuple[SimulationReport, dict[str, str]]) -> None:
    """A trial buys at most five of one SKU in a month; merchants lose more of their trade by refusal than members."""
    made, _ = answered
    (worst,) = read(
        made.market.parent,
        """
        SELECT max(units) FROM (
            SELECT sum(l.quantity) AS units FROM memberships m JOIN applications ap USING (account_id)
            JOIN (SELECT DISTINCT ON (order_id) * FROM orders ORDER BY order_id, ingested_at DESC) o USING (account_id)
            JOIN order_lines l USING (order_id)
            WHERE m.state = 'trial' AND o.ordered_at >= ap.submitted_at
            GROUP BY account_id, sku_id,
                date_diff('microsecond', ap.submitted_at, o.ordered_at) // (30 * 86_400_000_000)
        )
        """,
    )
    assert worst[0] == 5
    rows = read(
        made.market.parent,
        """
        SELECT is_merchant, sum(benefit_minor) FILTER (disposition = 'admit'),
            sum(genuine_value_minor) FILTER (disposition = 'admit'),
            sum(genuine_value_minor) FILTER (disposition = 'deny'), sum(c.loss_minor) FILTER (disposition = 'deny')
        FROM truth_counterfactuals c JOIN applications USING (application_id) JOIN truth_accounts USING (account_id)
        JOIN truth_operators USING (operator_id) GROUP BY is_merchant
        """,
    )
    for _, benefit, value, value_refused, loss_refused in rows:
        assert benefit > 0
        assert value_refused < value
        assert loss_refused == 0


def test_reviewers_see_only_whom_the_door_let_in(answered: tuple[SimulationReport, dict[str, str]]) -> None:
    """Nobody who was refused has a review: what is known afterwards is selective."""
    made, given = answered
    reviewed = read(
        made.market.parent,
        "SELECT application_id FROM labels JOIN applications ON account_id = subject_id WHERE source = 'double_review'",
    )
    assert len(reviewed) > 20
    assert not any(given[str(application)] in {"deny", "business_lane"} for (application,) in reviewed)


def test_unreadable_decisions_are_refused(tmp_path: Path) -> None:
    """A file that is no Parquet, lacks a column or names an unknown answer ends in one readable error."""
    wrong = tmp_path / "decisions.parquet"
    wrong.write_text("application_id,disposition")
    with pytest.raises(BadInputError, match="cannot read the decisions"):
        simulate(tmp_path / "out", decisions=wrong)
    pq.write_table(pa.table({"application_id": ["ap-1"]}), wrong)
    with pytest.raises(BadInputError, match="cannot read the decisions"):
        simulate(tmp_path / "out", decisions=wrong)
    pq.write_table(pa.table({"application_id": ["ap-1"], "disposition": ["maybe"]}), wrong)
    with pytest.raises(BadInputError, match="'maybe' is no answer at the door"):
        simulate(tmp_path / "out", decisions=wrong)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """Where a market lies that no simulation wrote, none is written over it."""
    (tmp_path / "market").mkdir()
    (tmp_path / "market" / "orders.parquet").write_text("precious")
    with pytest.raises(BadInputError, match="no simulation has written"):
        simulate(tmp_path, preset="tiny", accounts=ACCOUNTS)
    assert (tmp_path / "market" / "orders.parquet").read_text() == "precious"


def test_an_interrupted_simulation_can_be_run_again(tmp_path: Path) -> None:
    """What a run left that was cut short is replaced by the next one."""

    def stop(step: str) -> None:
        if step == "writing the truth":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path, preset="tiny", accounts=ACCOUNTS, progress=stop)
    assert (tmp_path / "market" / "orders.parquet").exists()
    assert not (tmp_path / "truth").exists()
    assert simulate(tmp_path, preset="tiny", accounts=ACCOUNTS).accounts == ACCOUNTS
