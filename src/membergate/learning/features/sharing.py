"""Things that accounts share (an address, a SKU on a day): how many accounts, exactly as of any instant.

Each account is counted from the first moment that it is seen with the thing. A running count over those moments, read
by an ASOF join at the row's instant, is exact and costs a sort; a pickup point with a thousand accounts costs a
thousand rows and not a million pairs. Pairs are written down only for things that few accounts share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from membergate.learning.features.grain import Companions, Excess, RunningTotal, SharedCount
from membergate.learning.features.relation import DAY_US, Relation

SPINE = "feature_spine"
"""The expanded spine: one row per spine row and member account of its operator."""
INSTANTS = "feature_instants"
"""The spine's instants by row."""
EARLIEST, LATEST = "GETVARIABLE('feature_earliest')", "GETVARIABLE('feature_latest')"
"""The spine's first and last instant: known when a query is planned, so that a scan need not hand on the rest."""
PROMOTION_DAYS = "feature_promotion_days"
"""The days inside promotions, and since when they were known to be."""
SHARED_DELIVERIES = "feature_shared_deliveries"
"""What was delivered to places that several accounts used in the same week."""
LONGEST_DATED_WINDOW_DAYS = 90
"""No grain of dated things looks further back."""
BUCKET_MARGIN_DAYS = 8
"""A dated thing begins at most so long before its youngest event; longer than every bucket of the grains."""


def sightings(
    count: SharedCount | Companions,
    relation: Relation,
    keys: Mapping[str, str],
    joins: str,
    aliases: Iterable[str],
    *,
    of_table: str,
    source: str = "",
) -> str:
    """Give the SELECT of who is seen with what: keys, `account`, `since`, `until`; only things that several share.

    Where rows were corrected, an account may have several spans with one thing; they do not overlap.

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
        A grain's table: only things in it are looked for. Empty for all things.
    source
        What the relation reads, where that is no market table.
    """
    seen = ["e", *aliases]
    since = ", ".join(f"{alias}.visible_at" for alias in seen)
    until = ", ".join(f"{alias}.superseded_at" for alias in seen)
    names = ", ".join(keys)
    where = [f"e.visible_at <= {LATEST}"]
    if count.window_days is not None:
        days = count.window_days + BUCKET_MARGIN_DAYS
        where.append(f"e.{relation.event_time} > {EARLIEST} - INTERVAL {days} DAY")
    parts = ", ".join(f"{sql} AS {name}" for name, sql in keys.items())
    where += [f"({sql}) IS NOT NULL" for sql in keys.values()]
    alone = count.alone if isinstance(count, SharedCount) else 1
    only = f"SEMI JOIN {of_table} USING ({names})" if of_table else ""
    rows = f"""
    SELECT {parts}, HASH(e.account_id) AS account, GREATEST({since}) AS since, LEAST({until}) AS until
    FROM {source or f'"{relation.table}"'} AS e{joins} WHERE {" AND ".join(where)}"""
    # Rows are read a second time where any was ever superseded: to collect the spans of all pairs costs half as much
    # again. Written twice, because a table expression that is read twice would be written down.
    return f"""
WITH pairs AS (
  SELECT {names}, account, MIN(CASE WHEN until IS NULL THEN since END) AS since, MIN(until) AS until
  FROM ({rows}
  ) AS found {only} GROUP BY {names}, account
), shared AS (
  SELECT * FROM pairs SEMI JOIN (SELECT {names} FROM pairs GROUP BY {names} HAVING COUNT(*) > {alone}) USING ({names})
), versions AS (
  SELECT {names}, account, since, COALESCE(until, TIMESTAMP 'infinity') AS until FROM ({rows}
  ) AS found SEMI JOIN (SELECT {names}, account FROM shared WHERE until IS NOT NULL) USING ({names}, account)
)
SELECT {names}, account, since, TIMESTAMP 'infinity' AS until FROM shared WHERE until IS NULL
UNION ALL
{merged(f"{names}, account", "since", "versions")}"""


def merged(names: str, since: str, spans: str) -> str:
    """Give the SELECT that joins spans [since, until) of equal names where they touch or overlap."""
    return f"""
SELECT {names}, MIN({since}) AS {since}, MAX(until) AS until FROM (
  SELECT *, SUM(CASE WHEN reach >= {since} THEN 0 ELSE 1 END)
      OVER (PARTITION BY {names} ORDER BY {since}, until ROWS UNBOUNDED PRECEDING) AS span
  FROM (
    SELECT *, MAX(until) OVER (
        PARTITION BY {names} ORDER BY {since}, until ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach
    FROM {spans})
) GROUP BY {names}, span"""


def running_count(keys: Iterable[str], seen: str) -> str:
    """Give the SELECT of the running count over a table of sightings: keys, `changed_at`, `so_far` from then on."""
    names = ", ".join(keys)
    return f"""
SELECT {names}, changed_at, SUM(change) OVER (
    PARTITION BY {names} ORDER BY changed_at RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS so_far
FROM (
  SELECT {names}, since AS changed_at, 1 AS change FROM {seen}
  UNION ALL SELECT {names}, until, -1 FROM {seen} WHERE until < TIMESTAMP 'infinity'
)"""


def added_up(
    total: RunningTotal,
    relation: Relation,
    columns: Mapping[str, str],
    source: str,
    aliases: Iterable[str],
    *,
    of_table: str,
) -> str:
    """Give the SELECT of the rows that a running total adds up: what it reads, `since`, `until`.

    Parameters
    ----------
    total, relation
        What is added up, and of what.
    columns
        Name -> SQL over the relation, without the spine.
    source
        The relation's table as `e`, with its joins.
    aliases
        Their market aliases: a row counts while all its parts are visible.
    of_table
        A grain's table: only its keys are looked for. Empty for all.
    """
    parts = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    seen = ["e", *aliases]
    since, until = (", ".join(f"{alias}.{name}" for alias in seen) for name in ("visible_at", "superseded_at"))
    read = [f"e.visible_at <= {LATEST}"]
    if total.window_days is not None:
        days = total.window_days + BUCKET_MARGIN_DAYS
        read.append(f"e.{relation.event_time} > {EARLIEST} - INTERVAL {days} DAY")
    only = f" SEMI JOIN {of_table} USING ({', '.join(total.keys)})" if of_table else ""
    counted = " AND ".join([f"{name} IS NOT NULL" for name in total.keys] + [total.where or "TRUE"])
    return f"""
  SELECT * FROM (
    SELECT {parts}, GREATEST({since}) AS since, LEAST({until}) AS until FROM {source} WHERE {" AND ".join(read)}
  ) AS every{only} WHERE {counted} AND (until IS NULL OR until > since)"""


def running_total(total: RunningTotal, rows: str) -> str:
    """Give the SELECT of a running total: keys, `changed_at`, `so_far` from then on.

    Each row adds its amount when it becomes visible and takes it back when it is superseded, so that what is read as of
    an instant is the sum over what was visible then.

    Parameters
    ----------
    total
        What is added up.
    rows
        A SELECT of the relation's rows: what the total reads, `since`, `until`.
    """
    names = ", ".join(total.keys)
    made, changes = f"found AS ({rows})", _changes("found", names, {total.amount: "change"})
    if total.excess:
        group = ", ".join((*total.keys, *total.excess.within))
        made += f", deep AS ({_deep(group, total.excess)})"
        changes = _excess_changes(total, group, total.excess)
    return f"""
WITH {made}
SELECT {names}, changed_at, CAST(SUM(change) OVER (
    PARTITION BY {names} ORDER BY changed_at ROWS UNBOUNDED PRECEDING) AS BIGINT) AS so_far
FROM (SELECT {names}, changed_at, SUM(change) AS change FROM ({changes}) GROUP BY {names}, changed_at)"""


def _changes(rows: str, names: str, amounts: Mapping[str, str]) -> str:
    """Give the SELECT of what rows add when they become visible, and take back when they are superseded."""
    added, taken = (
        ", ".join(f"CAST(ROUND({sign}{name}) AS BIGINT) AS {new}" for name, new in amounts.items())
        for sign in ("", "-")
    )
    return f"""
  SELECT {names}, since AS changed_at, {added} FROM {rows}
  UNION ALL SELECT {names}, until AS changed_at, {taken} FROM {rows} WHERE until IS NOT NULL"""


def _deep(group: str, excess: Excess) -> str:
    """Give the SELECT of the rows in groups that ever exceed what is normal; the others add nothing at any instant."""
    return f"""
  SELECT * FROM found SEMI JOIN (
    SELECT {group} FROM found GROUP BY {group} HAVING SUM({excess.units}) > MIN({excess.allowance})
  ) AS often USING ({group})"""


def _excess_changes(total: RunningTotal, group: str, excess: Excess) -> str:
    """Give the SELECT of how the part beyond what is normal changes: the share of the amount that excess units have."""
    steps = _changes("deep", f"{group}, {excess.allowance}", {total.amount: "gained", excess.units: "bought"})
    until_now = f"OVER (PARTITION BY {group} ORDER BY changed_at ROWS UNBOUNDED PRECEDING)"
    return f"""
  SELECT *, beyond - COALESCE(LAG(beyond) OVER (PARTITION BY {group} ORDER BY changed_at), 0) AS change FROM (
    SELECT *, CASE WHEN bought > normal THEN CAST(ROUND(gained * (bought - normal) / bought) AS BIGINT) ELSE 0 END
      AS beyond
    FROM (
      SELECT {group}, changed_at, normal, SUM(gained) {until_now} AS gained, SUM(bought) {until_now} AS bought FROM (
        SELECT {group}, changed_at, SUM(gained) AS gained, SUM(bought) AS bought, MIN({excess.allowance}) AS normal
        FROM ({steps}) AS s GROUP BY {group}, changed_at)))"""


def first_seen(companions: Companions, seen: str) -> str:
    """Give the SELECT of the first sightings of each thing, one more than the cap: `rank` 1 is the first.

    The rank of a sighting never depends on later ones, so a thing is a crowd as of t exactly when its sighting beyond
    the cap lies at or before t.
    """
    names = ", ".join(companions.keys)
    return f"""
SELECT *, ROW_NUMBER() OVER (PARTITION BY {names} ORDER BY since, account) AS rank FROM {seen}
QUALIFY rank <= {companions.most_accounts + 1}"""


def paired(companions: Companions, source: str, first: str, *, own: str, weighs: bool) -> str:
    """Give the SELECT of a grain's rows, each once for every other account that shares it.

    Parameters
    ----------
    companions
        What is shared, and how many make a crowd.
    source
        The grain's table.
    first
        The table of first sightings.
    own
        Condition over the spine `m` for the accounts that are no others.
    weighs
        Whether each pair says how many others share the thing, so that rare things may weigh more.
    """
    names = ", ".join(f"b.{key}" for key in companions.keys)
    sharers = f", COUNT(*) OVER (PARTITION BY b.row_id, {names}) AS sharers" if weighs else ""
    match, crowd = (" AND ".join(f"{alias}.{key} = b.{key}" for key in companions.keys) for alias in ("p", "c"))
    return f"""
SELECT b.*, p.account AS other{sharers} FROM {source} AS b JOIN {INSTANTS} AS i USING (row_id)
JOIN {first} AS p ON {match} AND p.since <= i.as_of AND p.until > i.as_of
ANTI JOIN {SPINE} AS m ON m.row_id = b.row_id AND HASH(m.account_id) = p.account AND {own}
ANTI JOIN (FROM {first} WHERE rank > {companions.most_accounts}) AS c ON {crowd} AND c.since <= i.as_of"""


def shared_deliveries(*, has_places: bool, is_few: bool) -> str:
    """Give the SELECT of what went where another account's parcel went in the same week, one row a line.

    Parameters
    ----------
    has_places
        Whether addresses say where they are. A place is then a geohash, or the address where it has none, and a parcel
        is seen once its address is known; otherwise the address is the place.
    is_few
        Whether only places of the spine's own accounts are read. It costs a pass over the parcels, and spares the rest
        where the spine is short.
    """
    places, seen = "SELECT DISTINCT HASH(address_id) AS address, HASH(address_id) AS place FROM shipments", ["e"]
    if has_places:
        # Joined by hashes, which halves the cost of this join: a warehouse has about as many addresses as accounts.
        places = "SELECT *, HASH(address_id) AS address, HASH(COALESCE(geohash, address_id)) AS place FROM addresses"
        seen.append("a")
    days = LONGEST_DATED_WINDOW_DAYS + BUCKET_MARGIN_DAYS
    recent = f"e.delivered_at > {EARLIEST} - INTERVAL {days} DAY AND e.visible_at <= {LATEST}"
    own = f"""SEMI JOIN (
    SELECT p.place FROM shipments AS e SEMI JOIN {SPINE} USING (account_id)
    JOIN places AS p ON p.address = HASH(e.address_id) WHERE {recent}) USING (place)"""
    return f"""
WITH places AS ({places}
), near AS (
  FROM places {own if is_few else ""}
), parcels AS (
  SELECT e.order_id, e.account_id, e.delivered_at, a.place,
    EPOCH_US(e.delivered_at) // {7 * DAY_US} AS week, {span(seen)}
  FROM shipments AS e JOIN near AS a ON a.address = HASH(e.address_id) WHERE {recent}
), shared AS (
  FROM parcels SEMI JOIN (
    SELECT place, week FROM parcels GROUP BY place, week HAVING MIN(HASH(account_id)) <> MAX(HASH(account_id))
  ) USING (place, week)
)
SELECT e.account_id, e.delivered_at, e.place, e.week, l.sku_id, {span(["e", "l"])}
FROM shared AS e JOIN order_lines AS l ON l.order_id = e.order_id"""


def span(aliases: Iterable[str]) -> str:
    """Write from when and until when rows that were joined are all visible."""
    since = ", ".join(f"{alias}.visible_at" for alias in aliases)
    until = ", ".join(f"{alias}.superseded_at" for alias in aliases)
    return f"GREATEST({since}) AS visible_at, LEAST({until}) AS superseded_at"


def promotion_days(
    first: str = f"EPOCH_US(starts_at) // {DAY_US}", end: str = f"EPOCH_US(ends_at) // {DAY_US} + 1"
) -> str:
    """Give the SELECT of the days inside a promotion, each with the spans in which it was known to be one.

    Versions of a promotion, and promotions that overlap, are merged: as of any instant a day is there at most once.

    Parameters
    ----------
    first, end
        SQL over promotions: the first day, and the day after the last.
    """
    return f"""
WITH days AS (
  SELECT UNNEST(RANGE({first}, {end})) AS day, visible_at,
    COALESCE(superseded_at, TIMESTAMP 'infinity') AS until
  FROM promotions
)
SELECT day, visible_at, until AS superseded_at FROM ({merged("day", "visible_at", "days")})"""
