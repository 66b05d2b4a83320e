"""What a relation is: one table of events, cut as of each row's instant, with what describes the events.

A relation reads its table (alias `e`), joined on the account to the spine (alias `x`). Nothing here names an instant:
the compiler adds the as-of cut to every market table it reads, so no declaration can see the future.
"""

from __future__ import annotations

from dataclasses import dataclass

DAY_US = 86_400_000_000
"""Microseconds in a day."""
MINUTE_US = 60_000_000
"""Microseconds in a minute."""
LONGEST_WINDOW_DAYS = 365
"""Events older than this are read by no feature."""
SMALLEST_MINOR = 100
"""The smallest amount that a spending threshold may have: from here on an amount has three leading digits."""
RELATIONS: dict[str, Relation] = {}
"""Every relation by name; one that another joins comes first. `relations` fills it."""


def age_days(event_time: str) -> str:
    """Write the age of event `e` in calendar days (UTC) before the row's instant, so that days and ages group alike."""
    return f"(EPOCH_US(x.as_of) // {DAY_US} - EPOCH_US(e.{event_time}) // {DAY_US})"


@dataclass(frozen=True)
class Join:
    """A table that describes an event.

    Parameters
    ----------
    alias
        The name under which columns refer to it.
    table
        A market table, cut as of the instant; or a norm (`norm_…`), which is fitted and needs no cut; or another
        relation (`feature_…`), which is cut already, unless it is static.
    on
        The SQL condition, over `e` and earlier aliases.
    """

    alias: str
    table: str
    on: str

    @property
    def is_cut(self) -> bool:
        """Whether its rows need no as-of cut any more."""
        joined = RELATIONS.get(self.relation)
        return self.table.startswith("norm_") or (joined is not None and not joined.is_static)

    @property
    def relation(self) -> str:
        """The name of the relation that it joins, if it joins one."""
        return self.table.removeprefix("feature_")


@dataclass(frozen=True)
class Relation:
    """Visible events of the spine's accounts, one row an event; or, without events, a table that describes them.

    Parameters
    ----------
    name
        Its name.
    table
        The market table that it reads; empty for the spine itself.
    event_time
        The column that says when an event happened; `age_days` is counted from it. Empty for a table without events,
        which is made once for all rows of the spine, keeps its version columns, and is cut where it is joined.
    columns
        Name -> SQL alternatives, best first: the first one whose market columns all exist is taken, and the last one
        says what is needed at least.
    joins
        What describes the events; read only where a used column names the alias.
    """

    name: str
    table: str
    event_time: str
    columns: dict[str, tuple[str, ...]]
    joins: tuple[Join, ...] = ()

    @property
    def is_static(self) -> bool:
        """Whether it describes things and holds no events."""
        return bool(self.table) and not self.event_time

    def join(self, alias: str) -> Join | None:
        """Give the join of that alias, or None for the relation's own."""
        return next((join for join in self.joins if join.alias == alias), None)


def known(column: str) -> str:
    """Write the key of a thing, NULL where it is not known: HASH(NULL) is a number, and would be one shared thing."""
    return f"CASE WHEN {column} IS NOT NULL THEN HASH({column}) END"


def amount_key(amount: str) -> str:
    """Write the key of an amount: its number of digits and its first three; NULL below three digits."""
    text = f"CAST({amount} AS VARCHAR)"
    return f"CASE WHEN {amount} >= {SMALLEST_MINOR} THEN LENGTH({text}) * 1000 + CAST(LEFT({text}, 3) AS BIGINT) END"


def business_hour(time: str) -> str:
    """Write whether an instant lies on a weekday between 9 and 18 o'clock, where the shop's people are awake by day."""
    local_hours = f"(EPOCH_US({time}) // {60 * MINUTE_US} + PRIOR('utc_offset_hours'))"
    # 1 January 1970 was a Thursday.
    return f"({local_hours} // 24 + 3) % 7 < 5 AND {local_hours} % 24 >= 9 AND {local_hours} % 24 < 18"
