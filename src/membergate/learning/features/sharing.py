"""Things that accounts share (an address, a SKU on a day): how many accounts, exactly as of any instant.

Each account is counted from the first moment that it is seen with the thing. A running count over those moments, read
by an ASOF join at the row's instant, is exact and costs a sort; a pickup point with a thousand accounts costs a
thousand rows and not a million pairs. Pairs are written down only for things that few accounts share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from membergate.learning.features.grains import DAY_US, Relation, SharedCount

SPINE = "feature_spine"
"""The expanded spine: one row per spine row and member account of its operator."""
INSTANTS = "feature_instants"
"""The spine's instants by row."""
PROMOTION_DAYS = "feature_promotion_days"
"""The days inside promotions, and since when they were known to be."""
BUCKET_MARGIN_DAYS = 8
"""A dated thing begins at most so long before its youngest event; longer than every bucket of the grains."""


def sightings(
    count: SharedCount,
    relation: Relation,
    keys: Mapping[str, str],
    joins: str,
    aliases: Iterable[str],
    *,
    of_table: str,
) -> str:
    """Give the SELECT of who was seen with what: keys, `account`, `since`, `until`; only things that several share.

    Parameters
    ----------
    count
        What is shared.
    relation
        Where all accounts are looked for.
    keys
        Key -> its SQL over the relation, without the spine.
    joins
        The joins that those take.
    aliases
        Their market aliases: an account is seen with a thing once all its parts are visible.
    of_table
        The grain's table; only things in it are looked for.
    """
    seen = ["e", *aliases]
    since = ", ".join(f"{alias}.visible_at" for alias in seen)
    until = ", ".join(f"{alias}.superseded_at" for alias in seen)
    names = ", ".join(keys)
    where = [f"e.visible_at <= (SELECT MAX(as_of) FROM {INSTANTS})"]
    if count.window_days is not None:
        days = count.window_days + BUCKET_MARGIN_DAYS
        where.append(f"e.{relation.event_time} > (SELECT MIN(as_of) FROM {INSTANTS}) - INTERVAL {days} DAY")
    parts = ", ".join(f"{sql} AS {name}" for name, sql in keys.items())
    return f"""
WITH pairs AS (
  SELECT {names}, account, MIN(since) AS since, CASE WHEN COUNT(until) = COUNT(*) THEN MAX(until) END AS until
  FROM (
    SELECT {parts}, HASH(e.account_id) AS account, GREATEST({since}) AS since, LEAST({until}) AS until
    FROM "{relation.table}" AS e{joins} WHERE {" AND ".join(where)}
  ) WHERE ({names}) IN (SELECT ({names}) FROM {of_table}) GROUP BY {names}, account
)
SELECT * FROM pairs WHERE ({names}) IN (SELECT ({names}) FROM pairs GROUP BY {names} HAVING COUNT(*) > 1)"""


def running_count(keys: Iterable[str], seen: str) -> str:
    """Give the SELECT of the running count over a table of sightings: keys, `changed_at`, `accounts` from then on."""
    names = ", ".join(keys)
    return f"""
SELECT {names}, changed_at, SUM(change) OVER (
    PARTITION BY {names} ORDER BY changed_at RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS accounts
FROM (
  SELECT {names}, since AS changed_at, 1 AS change FROM {seen}
  UNION ALL SELECT {names}, until, -1 FROM {seen} WHERE until IS NOT NULL
)"""


def paired(keys: Iterable[str], source: str, seen: str, *, most_accounts: int, own: str) -> str:
    """Give the SELECT of a grain's rows, each for itself (`other` NULL) and once for every account that shares it.

    Parameters
    ----------
    keys
        What makes the shared thing.
    source
        The grain's table, with the count `accounts`.
    seen
        The table of sightings.
    most_accounts
        Things that more accounts share are left alone.
    own
        Condition over the spine `m` for the accounts that are no others.
    """
    match = " AND ".join(f"p.{key} = b.{key}" for key in keys)
    return f"""
SELECT b.*, NULL AS other FROM {source} AS b
UNION ALL
SELECT b.*, p.account FROM {source} AS b JOIN {INSTANTS} AS i USING (row_id)
JOIN {seen} AS p ON {match} AND p.since <= i.as_of AND COALESCE(p.until, TIMESTAMP 'infinity') > i.as_of
ANTI JOIN {SPINE} AS m ON m.row_id = b.row_id AND HASH(m.account_id) = p.account AND {own}
WHERE b.accounts BETWEEN 2 AND {most_accounts}"""


def promotion_days() -> str:
    """Give the SELECT of the days inside a promotion, each with the spans in which it was known to be one.

    Versions of a promotion, and promotions that overlap, are merged: as of any instant a day is there at most once.
    """
    return f"""
WITH days AS (
  SELECT UNNEST(RANGE(EPOCH_US(starts_at) // {DAY_US}, EPOCH_US(ends_at) // {DAY_US} + 1)) AS day, visible_at,
    COALESCE(superseded_at, TIMESTAMP 'infinity') AS until
  FROM promotions
), reached AS (
  SELECT *, MAX(until) OVER (
      PARTITION BY day ORDER BY visible_at, until ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach
  FROM days
), spans AS (
  SELECT *, SUM(CASE WHEN reach >= visible_at THEN 0 ELSE 1 END)
      OVER (PARTITION BY day ORDER BY visible_at, until ROWS UNBOUNDED PRECEDING) AS span
  FROM reached
)
SELECT day, MIN(visible_at) AS visible_at, MAX(until) AS superseded_at FROM spans GROUP BY day, span"""
