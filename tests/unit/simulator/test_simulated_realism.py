"""A simulator that is too easy proves nothing: what makes the market hard, and true to its own truth."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest
from benchmarks.realism import BOUND, areas, features_of, merchants_in
from benchmarks.realism_marginals import HOUSEHOLDS, distances, marginals, real
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from membergate.market.simulator import SimulationReport
from membergate.operations.history import History
from membergate.operations.ingest import ingest
from membergate.operations.learn import Learned
from membergate.operations.workspace import Workspace

pytestmark = pytest.mark.xdist_group("simulator")

AGGREGATES = """
WITH line AS (
    SELECT ap.account_id, ap.submitted_at, o.*, l.*, s.category_l2, s.limit_quantity, s.carton_size,
        (s.market_price_minor - l.net_price_minor) / l.net_price_minor AS margin,
        sum(quantity) OVER (PARTITION BY ap.account_id, l.sku_id) AS of_sku,
        sum(quantity) OVER (PARTITION BY ap.account_id, l.sku_id, o.ordered_at::DATE) AS of_sku_day
    FROM applications ap JOIN last_orders o USING (account_id)
    JOIN order_lines l USING (order_id) JOIN skus s USING (sku_id)
    WHERE o.ordered_at < ap.submitted_at AND o.ordered_at > ap.submitted_at - INTERVAL 180 DAY
), device AS (
    SELECT device_tok, account_id, min(ordered_at) AS since FROM last_orders GROUP BY ALL
), place AS (
    SELECT address_id, account_id, min(ordered_at) AS since FROM last_orders GROUP BY ALL
), of_device AS (
    SELECT ap.account_id, count(DISTINCT other.account_id) AS device_degree FROM applications ap
    JOIN device own ON own.account_id = ap.account_id AND own.since < ap.submitted_at
    JOIN device other ON other.device_tok = own.device_tok AND other.since < ap.submitted_at GROUP BY ALL
), of_place AS (
    SELECT account_id, max(degree) AS address_degree FROM (
        SELECT ap.account_id, own.address_id, count(*) AS degree FROM applications ap
        JOIN place own ON own.account_id = ap.account_id AND own.since < ap.submitted_at
        JOIN place other ON other.address_id = own.address_id AND other.since < ap.submitted_at GROUP BY ALL
    ) GROUP BY ALL
), of_account AS (
    SELECT account_id, count(DISTINCT order_id) AS orders, sum(quantity) AS units, avg(quantity) AS units_a_line,
        max(of_sku) AS depth, max(of_sku_day) AS depth_a_day,
        sum(quantity) / count(DISTINCT sku_id) AS depth_over_breadth,
        entropy(category_l2) AS entropy, count(DISTINCT category_l2) AS categories, avg(margin) AS margin,
        sum(greatest(margin, 0) * net_price_minor * quantity) AS profit,
        1 - sum(quantity * net_price_minor) / sum(quantity * list_price_minor) AS discount_share,
        avg((subsidised_by IS NOT NULL)::INT) AS subsidised_share,
        avg((subsidised_by = 'platform')::INT) AS platform_share,
        avg((quantity = limit_quantity)::INT) AS limit_hits, avg((quantity % carton_size = 0)::INT) AS cartons,
        sum(quantity * net_price_minor) AS spend, count(DISTINCT recipient_tok) AS recipients,
        count(DISTINCT recipient_tok) / count(DISTINCT order_id) AS recipients_an_order,
        count(DISTINCT device_tok) AS devices, avg((invoice_type = 'company')::INT) AS company_invoices,
        avg(gift::INT) AS gifts, avg((hour(ordered_at + INTERVAL 8 HOUR) BETWEEN 9 AND 17)::INT) AS business_hours
    FROM line GROUP BY ALL
)
SELECT operator_id, is_merchant::INT AS is_merchant, date_diff('day', registered_at, submitted_at) AS tenure,
    (declared_use = 'business')::INT AS declares_business, (invited_by IS NOT NULL)::INT AS is_invited,
    of_account.* EXCLUDE (account_id), device_degree, address_degree
FROM applications
JOIN (SELECT DISTINCT ON (account_id) * FROM accounts ORDER BY account_id, ingested_at) USING (account_id)
JOIN truth_accounts USING (account_id) JOIN truth_operators USING (operator_id)
LEFT JOIN of_account USING (account_id) LEFT JOIN of_device USING (account_id) LEFT JOIN of_place USING (account_id)
ORDER BY application_id
"""
SIMPLE = ("orders", "units_a_line", "depth_over_breadth", "subsidised_share", "discount_share", "entropy", "tenure",
          "recipients_an_order", "margin", "limit_hits", "spend")  # fmt: skip

Aggregates = tuple[NDArray[np.object_], NDArray[np.int64], dict[str, NDArray[np.float64]]]


@pytest.fixture(scope="module")
def aggregates(tables: duckdb.DuckDBPyConnection) -> Aggregates:
    """Give operators, truth, and simple aggregates of each application as of its own instant."""
    columns = tables.execute(AGGREGATES).fetchnumpy()
    floats = {
        name: np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
        for name, values in columns.items()
        if name not in {"operator_id", "is_merchant"}
    }
    return columns["operator_id"], columns["is_merchant"].astype(np.int64), floats


def test_the_merchant_share_of_applicants_is_that_of_an_open_door(tiny: SimulationReport) -> None:
    """Between 8 and 13 in 100 applicants are merchants by what became of their units, fewer than behave as such."""
    assert 0.08 < tiny.merchant_share < 0.13


def test_no_single_aggregate_tells_merchants_apart(aggregates: Aggregates) -> None:
    """Whoever has a history overlaps with the other side on every aggregate: no area under the curve reaches 0.90."""
    _, truth, columns = aggregates
    for name, values in columns.items():
        is_there = np.isfinite(values)
        area = roc_auc_score(truth[is_there], values[is_there])
        assert max(area, 1 - area) < 0.90, (name, area)


def test_no_starter_feature_alone_tells_merchants_apart(
    tiny: SimulationReport,
    simulated: Path,
    learned_workspace: tuple[Workspace, Learned],
    tmp_path: Path,
    still_clock: Callable[[], datetime],
) -> None:
    """Over the applicants of two markets together, no feature of the catalogue reaches an area of 0.90."""
    other = Workspace(tmp_path)
    ingest(other.root, tiny.market, clock=still_clock)
    found = areas(
        [
            (features_of(History(learned_workspace[0].warehouse())), merchants_in(simulated / "truth")),
            (features_of(History(other.warehouse())), merchants_in(tiny.truth)),
        ]
    )
    assert max(found.values()) < BOUND, found
    assert sum(area > 0.7 for area in found.values()) >= 5


def test_simple_aggregates_together_tell_much_but_not_all(aggregates: Aggregates) -> None:
    """A logistic model on simple aggregates orders applicants by an area between 0.80 and 0.95."""
    operators, truth, columns = aggregates
    matrix = np.column_stack([columns[name] for name in SIMPLE])
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        QuantileTransformer(n_quantiles=50),
        LogisticRegression(C=0.3, max_iter=1000),
    )
    scores = cross_val_predict(model, matrix, truth, groups=operators, cv=GroupKFold(4), method="predict_proba")[:, 1]
    assert 0.80 < roc_auc_score(truth, scores) < 0.95


def test_households_buy_about_as_real_ones_do(tiny: SimulationReport, tmp_path: Path) -> None:
    """How many units households put into a line, and how long they wait between orders, is near what real ones do."""
    file = tiny.truth / "truth_accounts.parquet"
    households = f"SELECT account_id FROM '{file}' WHERE archetype IN {HOUSEHOLDS}"
    found = distances(marginals(tiny.market, tmp_path / "simulated", households), real(tmp_path))
    assert found["units in a line"][0] < 0.15
    assert found["days between an account's orders"][0] < 0.15


def test_ids_and_row_order_tell_nothing(tables: duckdb.DuckDBPyConnection) -> None:
    """Neither the characters of an account's id nor its row separate merchants, beyond chance among operators."""
    rows = tables.execute(
        "SELECT account_id, operator_id, is_merchant FROM (SELECT DISTINCT account_id FROM accounts) "
        "JOIN truth_accounts USING (account_id) JOIN truth_operators USING (operator_id) ORDER BY account_id"
    ).fetchall()
    operators = np.array([row[1] for row in rows])
    truth = np.array([row[2] for row in rows], dtype=np.int64)
    letters = np.array([[ord(letter) for letter in row[0][2:]] for row in rows], dtype=np.float64)
    matrix = np.column_stack([letters, np.arange(len(rows))])
    model = make_pipeline(QuantileTransformer(n_quantiles=30), LogisticRegression(max_iter=1000))
    scores = cross_val_predict(model, matrix, truth, groups=operators, cv=GroupKFold(4), method="predict_proba")[:, 1]
    # three standard errors of an area under no association, with as many merchants as there are merchant operators
    merchants = len(set(operators[truth == 1]))
    tolerance = 3 * np.sqrt((1 / merchants + 1 / (truth == 0).sum()) / 12)
    assert abs(roc_auc_score(truth, scores) - 0.5) < tolerance


def _orders_after_double_eleven(tables: duckdb.DuckDBPyConnection, whose: str) -> float:
    """Give orders a day in the fortnight after the great promotion, against the quiet weeks before its warm-up."""
    found = tables.execute(
        "WITH used AS (SELECT order_id, max((use = 'resold')::INT) AS is_resale FROM truth_units "
        "JOIN order_lines USING (line_id) GROUP BY order_id) "
        "SELECT count(*) FILTER (ordered_at BETWEEN '2025-11-14' AND '2025-11-28') / 14, "
        "count(*) FILTER (ordered_at BETWEEN '2025-09-20' AND '2025-10-25') / 35 "
        "FROM last_orders JOIN used USING (order_id) JOIN truth_accounts USING (account_id) "
        "JOIN applications USING (account_id) "
        f"WHERE {whose} AND submitted_at NOT BETWEEN '2025-09-01' AND '2025-12-01'"
    ).fetchone()
    assert found is not None
    return float(found[0] / found[1])


def test_genuine_members_dip_after_a_promotion_and_restocking_merchants_do_not(
    tables: duckdb.DuckDBPyConnection,
) -> None:
    """Families and bargain hunters stay away from full pantries; who buys to resell comes back as before."""
    assert _orders_after_double_eleven(tables, "archetype IN ('G2', 'G3', 'G6') AND is_resale = 0") < 0.93
    assert _orders_after_double_eleven(tables, "archetype IN ('M1', 'M2', 'M4') AND is_resale = 1") > 0.93


def test_truth_follows_from_the_units(tables: duckdb.DuckDBPyConnection) -> None:
    """Every line that arrived is accounted for to the unit; a merchant resold half of its units or more."""
    wrong = tables.execute(
        "SELECT count(*) FROM order_lines JOIN last_orders USING (order_id) LEFT JOIN "
        "(SELECT line_id, sum(quantity) AS followed FROM truth_units GROUP BY line_id) USING (line_id) "
        # an order of the last day may be cancelled after it
        "WHERE followed <> quantity OR (status = 'cancelled' AND followed IS NOT NULL) "
        "OR (status <> 'cancelled' AND followed IS NULL AND ordered_at < '2026-02-03 16:00')"
    ).fetchone()
    assert wrong == (0,)
    inconsistent = tables.execute(
        "SELECT count(*) FROM truth_operators WHERE is_merchant <> (resold_share >= 0.5 AND resold_units >= 6)"
    ).fetchone()
    assert inconsistent == (0,)
    more = tables.execute(
        "SELECT count(*) FROM truth_operators JOIN (SELECT operator_id, sum(quantity) AS ever FROM truth_units "
        "WHERE use = 'resold' GROUP BY operator_id) USING (operator_id) WHERE resold_units > ever"
    ).fetchone()
    assert more == (0,)


def test_a_merchant_is_made_by_units_and_not_by_a_name(tables: duckdb.DuckDBPyConnection) -> None:
    """No genuine archetype holds a merchant; some hired, mimicking and waiting accounts stay below the line."""
    shares = dict(
        tables.execute(
            "SELECT archetype, avg(is_merchant::INT) FROM truth_accounts "
            "JOIN truth_operators USING (operator_id, archetype) GROUP BY archetype"
        ).fetchall()
    )
    assert len(shares) == 18
    assert all(share == 0 for code, share in shares.items() if code.startswith("G"))
    assert 0 < shares["M3"] < 1
    assert 0 < shares["M7"] < 1
    assert shares["M2"] > 0.8


def test_a_naive_shared_address_rule_hits_the_innocent(tables: duckdb.DuckDBPyConnection) -> None:
    """Among the places that many accounts share most are genuine: dorms, pickups, lockers, offices."""
    places = tables.execute(
        "SELECT avg(is_merchant::INT) FROM (SELECT address_id, account_id FROM last_orders GROUP BY ALL) "
        "JOIN truth_accounts USING (account_id) JOIN truth_operators USING (operator_id) "
        "GROUP BY address_id HAVING count(*) >= 15"
    ).fetchnumpy()
    share = next(iter(places.values()))
    assert len(share) >= 5
    assert (share < 0.5).mean() >= 0.8


def test_labels_are_late_partial_and_sometimes_wrong(tables: duckdb.DuckDBPyConnection) -> None:
    """Reviewed samples carry their propensity and come after observation; rule hits are mostly wrong; proof is not."""
    rows = {
        row[0]: row[1:]
        for row in tables.execute(
            "SELECT grade, count(*), avg(((label = 'merchant') = is_merchant)::INT), count(propensity), "
            "min(date_diff('day', submitted_at, decided_at)) FROM labels "
            "JOIN truth_accounts ON account_id = subject_id JOIN truth_operators USING (operator_id) "
            "JOIN applications USING (account_id) GROUP BY grade"
        ).fetchall()
    }
    assert set(rows) == {"L0", "L1", "L2", "L3", "L4"}
    reviewed, agreement, with_propensity, soonest = rows["L3"]
    assert reviewed == with_propensity
    assert 0.95 < agreement < 1
    assert soonest >= 30
    assert rows["L1"][1] < 0.5
    assert rows["L4"][1] > 0.85
    unlabelled = tables.execute(
        "SELECT avg((subject_id IS NULL)::INT) FROM applications LEFT JOIN (SELECT DISTINCT subject_id FROM labels "
        "WHERE grade IN ('L0', 'L3', 'L4')) ON subject_id = account_id"
    ).fetchone()
    assert unlabelled is not None
    assert unlabelled[0] > 0.5
