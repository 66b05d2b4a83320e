"""Context: what peers, fairness tables and policies read beside the features. It never raises risk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from membergate.learning.features.declaration import Measure
from membergate.learning.features.derived import Columns
from membergate.learning.features.lookalikes import LOOK_ALIKES, PROFILE
from membergate.learning.features.tables import Spine

POST_PROMOTION_DAYS = 14
"""For so long after a promotion people still live on what they stocked."""
MOST_PARCELS = 0.5
"""An account lives where so many of its parcels go."""
PLACES = {"pickup": "pickup_ratio", "office": "office_ratio", "dorm": "dorm_ratio", "forwarder": "forwarder_ratio"}
"""Kind of place -> the profile's share of it; of two halves the later one counts."""
REGIMES = ("ordinary", "pre_heat", "post", "burst")
"""A row's place in the promotion calendar."""
_TEXTS = {
    "region_code": Measure("subject", "MAX(region_code)", scope="account"),
    "declared_use": Measure("subject", "MAX(declared_use)", scope="account"),
}
_COUNTS = {
    "tenure_days": Measure("subject", "MAX(tenure_days)", scope="account"),
    "history_days": Measure("order", "MAX(age_days)", scope="account"),
    "orders": Measure("order", "COUNT(*)", scope="account"),
    "units": Measure("line", "SUM(units)", 180, scope="account"),
}
_RATIOS = {
    "company_invoice_ratio": Measure("order", "COUNT(*) FILTER (WHERE is_company_invoice) / COUNT(*)", scope="account"),
}
CONTEXT_MEASURES: dict[str, Measure] = _TEXTS | _COUNTS | _RATIOS | {f"profile_{k}": m for k, m in PROFILE.items()}
"""What is measured for the context, beside the features' own measures."""


def context_of(
    connection: duckdb.DuckDBPyConnection, spine: Spine, numbers: Mapping[str, NDArray[Any]], columns: Columns
) -> dict[str, NDArray[Any]]:
    """Assemble the context of every row.

    `place_kind` is the kind of place that most parcels go to. Counts without any row are 0; `company_invoice_ratio` is
    NaN without orders or invoices; texts are "" where unknown.

    Parameters
    ----------
    connection
        Holds the market.
    spine
        Who is asked about.
    numbers
        What the context measures gave.
    columns
        What the market has.
    """
    n = len(spine)
    context: dict[str, NDArray[Any]] = {}
    for name in _TEXTS:
        context[name] = _texts(numbers.get(name, np.full(n, None, dtype=object)))
    for name in _COUNTS:
        context[name] = np.nan_to_num(numbers.get(name, np.zeros(n)), nan=0.0)
    for name in _RATIOS:
        context[name] = numbers.get(name, np.full(n, np.nan))
    context["place_kind"] = _place_kinds(n, numbers)
    context["regime"] = _regimes(connection, spine.as_of, columns)
    context["look_alike"] = _look_alikes(connection, n, numbers, context)
    return context


def _place_kinds(n: int, numbers: Mapping[str, NDArray[Any]]) -> NDArray[np.str_]:
    """Tell the kind of place that half of the parcels or more go to; "" where it is a home, or none is known."""
    kinds = np.zeros(n, dtype="U9")
    for kind, measure in PLACES.items():
        kinds[np.nan_to_num(numbers.get(f"profile_{measure}", np.zeros(n)), nan=0.0) >= MOST_PARCELS] = kind
    return kinds


def _regimes(
    connection: duckdb.DuckDBPyConnection, as_of: NDArray[np.datetime64], columns: Columns
) -> NDArray[np.str_]:
    """Tell each row's place in the promotion calendar, by the promotions that were known as of its instant."""
    names = np.array(REGIMES)
    if "promotions" not in columns:
        return np.repeat(names[:1], len(as_of))
    warm = "warm_up_starts_at" if "warm_up_starts_at" in columns["promotions"] else "starts_at"
    instants = pa.table({"as_of": pa.array(as_of.astype("datetime64[us]"))})
    connection.register("feature_asked", instants)
    try:
        rows = connection.execute(
            f"""
            SELECT i.as_of, CASE
                WHEN BOOL_OR(i.as_of BETWEEN p.starts_at AND p.ends_at) THEN 3
                WHEN BOOL_OR(i.as_of >= COALESCE(p.{warm}, p.starts_at) AND i.as_of < p.starts_at) THEN 1
                WHEN BOOL_OR(i.as_of > p.ends_at AND i.as_of <= p.ends_at + INTERVAL {POST_PROMOTION_DAYS} DAY) THEN 2
                ELSE 0 END AS regime
            FROM feature_asked AS i LEFT JOIN promotions AS p
              ON p.visible_at <= i.as_of AND COALESCE(p.superseded_at, TIMESTAMP 'infinity') > i.as_of
            GROUP BY i.as_of ORDER BY i.as_of
            """
        ).fetchnumpy()
    finally:
        connection.unregister("feature_asked")
    at = np.searchsorted(rows["as_of"], as_of.astype("datetime64[us]"))
    return np.asarray(names[np.asarray(rows["regime"])[at]], dtype=np.str_)


def _look_alikes(
    connection: duckdb.DuckDBPyConnection,
    n: int,
    numbers: Mapping[str, NDArray[Any]],
    context: Mapping[str, NDArray[Any]],
) -> NDArray[np.str_]:
    """Type each row by the first guard that it satisfies; "" where it satisfies none."""
    profile = {name: pa.array(numbers.get(f"profile_{name}", np.full(n, np.nan)), from_pandas=True) for name in PROFILE}
    known = {name: pa.array(context[name], from_pandas=True) for name in (*_COUNTS, *_RATIOS)}
    table = pa.table(profile | known | {"row_id": pa.array(np.arange(n))})
    names = np.array(["", *(guard.name for guard in LOOK_ALIKES)])
    cases = " ".join(f"WHEN {guard.sql} THEN {number}" for number, guard in enumerate(LOOK_ALIKES, start=1))
    connection.register("feature_profile", table)
    try:
        rows = connection.execute(
            f"SELECT CASE {cases} ELSE 0 END AS t FROM feature_profile ORDER BY row_id"
        ).fetchnumpy()
    finally:
        connection.unregister("feature_profile")
    return np.asarray(names[np.asarray(rows["t"])], dtype=np.str_)


def _texts(column: NDArray[Any]) -> NDArray[np.str_]:
    """Give a column of texts, "" where there is none; its few distinct texts are looked at once each."""
    found = pa.array(column, type=pa.string()).fill_null("").dictionary_encode()
    return np.asarray(np.array(found.dictionary.to_pylist() or [""], dtype=np.str_)[found.indices.to_numpy()])
