"""What an analyst would count first: the plain aggregates on which membergate's opponents learn.

Two dozen counts, sums and shares an application, as of its submission, without norms, operators or windows by feature.
"""

from __future__ import annotations

import duckdb
import numpy as np
from numpy.typing import NDArray

_SQL = """
WITH line AS (
    SELECT ap.application_id, ap.account_id, o.*, l.*, s.category_l2, s.limit_quantity, s.carton_size,
        (s.market_price_minor - l.net_price_minor) / nullif(l.net_price_minor, 0) AS margin,
        sum(l.quantity) OVER (PARTITION BY ap.application_id, l.sku_id) AS of_sku,
        sum(l.quantity) OVER (PARTITION BY ap.application_id, l.sku_id, o.ordered_at::DATE) AS of_sku_day
    FROM applications ap
    JOIN orders o ON o.account_id = ap.account_id AND o.visible_at <= ap.submitted_at
        AND coalesce(o.superseded_at, TIMESTAMP 'infinity') > ap.submitted_at
        AND o.ordered_at > ap.submitted_at - INTERVAL 180 DAY
    JOIN order_lines l ON l.order_id = o.order_id AND l.visible_at <= ap.submitted_at
    JOIN skus s ON s.sku_id = l.sku_id
), device AS (
    SELECT device_tok, account_id, min(visible_at) AS since FROM orders WHERE device_tok IS NOT NULL GROUP BY ALL
), place AS (
    SELECT address_id, account_id, min(visible_at) AS since FROM orders WHERE address_id IS NOT NULL GROUP BY ALL
), of_device AS (
    SELECT ap.application_id, count(DISTINCT other.account_id) AS device_degree FROM applications ap
    JOIN device own ON own.account_id = ap.account_id AND own.since < ap.submitted_at
    JOIN device other ON other.device_tok = own.device_tok AND other.since < ap.submitted_at GROUP BY ALL
), of_place AS (
    SELECT application_id, max(degree) AS address_degree FROM (
        SELECT ap.application_id, own.address_id, count(*) AS degree FROM applications ap
        JOIN place own ON own.account_id = ap.account_id AND own.since < ap.submitted_at
        JOIN place other ON other.address_id = own.address_id AND other.since < ap.submitted_at GROUP BY ALL
    ) GROUP BY ALL
), of_account AS (
    SELECT application_id, count(DISTINCT order_id) AS orders, sum(quantity) AS units, avg(quantity) AS units_a_line,
        max(of_sku) AS depth, max(of_sku_day) AS depth_a_day, sum(quantity) / count(DISTINCT sku_id) AS units_a_sku,
        entropy(category_l2) AS entropy, count(DISTINCT category_l2) AS categories, avg(margin) AS margin,
        sum(greatest(coalesce(margin, 0), 0) * net_price_minor * quantity) AS profit,
        1 - sum(quantity * net_price_minor) / nullif(sum(quantity * list_price_minor), 0) AS discount_share,
        avg((subsidised_by IS NOT NULL)::INT) AS subsidised_share, avg((quantity = limit_quantity)::INT) AS limit_hits,
        avg((quantity % carton_size = 0)::INT) AS cartons, sum(quantity * net_price_minor) AS spend,
        count(DISTINCT recipient_tok) AS recipients, count(DISTINCT device_tok) AS devices,
        avg((invoice_type = 'company')::INT) AS company_invoices, avg(gift::INT) AS gifts,
        avg((hour(ordered_at + INTERVAL 8 HOUR) BETWEEN 9 AND 17)::INT) AS business_hours
    FROM line GROUP BY ALL
)
SELECT application_id, date_diff('day', registered_at, submitted_at) AS tenure,
    (declared_use = 'business')::INT AS declares_business,
    of_account.* EXCLUDE (application_id), device_degree, address_degree
FROM applications ap
JOIN accounts a ON a.account_id = ap.account_id AND a.visible_at <= ap.submitted_at
    AND coalesce(a.superseded_at, TIMESTAMP 'infinity') > ap.submitted_at
LEFT JOIN of_account USING (application_id) LEFT JOIN of_device USING (application_id)
LEFT JOIN of_place USING (application_id)
"""


def plain_aggregates(
    connection: duckdb.DuckDBPyConnection, application_ids: NDArray[np.str_]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Count what is visible of each application as of its submission.

    Parameters
    ----------
    connection
        Holds a market, as `Warehouse.connect` gives it.
    application_ids
        The applications, shape (n,).

    Returns
    -------
    tuple
        Shape (n, columns), NaN where there is nothing to count, and the columns' names.
    """
    found = connection.execute(_SQL).fetchnumpy()
    names = tuple(name for name in found if name != "application_id")
    row_of = {str(name): row for row, name in enumerate(found["application_id"])}
    matrix = np.column_stack([np.ma.filled(np.ma.asarray(found[name], dtype=np.float64), np.nan) for name in names])
    missing = np.full(len(names), np.nan)
    rows = [matrix[row_of[name]] if name in row_of else missing for name in application_ids.tolist()]
    return np.array(rows), names
