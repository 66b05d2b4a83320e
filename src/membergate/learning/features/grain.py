"""What a grain is: a relation, or another grain, grouped by keys; each once for all features that aggregate it."""

from __future__ import annotations

from dataclasses import dataclass, field

from membergate.learning.features.expressions import columns_of
from membergate.learning.features.relations import RELATIONS

PACKED = 1 << 24
"""Two small integers in one, so that MIN orders by the first and carries the second: half the cost of ARG_MIN."""


@dataclass(frozen=True)
class SharedCount:
    """How many accounts of the whole market share a grain's keys, as of the row's instant.

    Parameters
    ----------
    name
        The column it adds to the grain.
    keys
        The grain's keys that make the shared thing.
    relation
        The relation in which all accounts are looked for; it must have the keys as columns.
    window_days
        For dated things (a key is a day or a week): events older than this, from the spine's earliest instant, need not
        be read. None for things that last, whose accounts are counted over all of history.
    alone
        The count where nobody is found: 1, the account itself, or 0 where others are looked for among other rows.
    """

    name: str
    keys: tuple[str, ...]
    relation: str
    window_days: int | None = None
    alone: int = 1


@dataclass(frozen=True)
class Excess:
    """What of a running total counts: the part that goes with units beyond what is normal.

    Parameters
    ----------
    within
        Columns of the relation that make the groups inside which units are added up, such as a SKU and a month.
    units, allowance
        Columns of the relation: the units of a row, and how many of a group are normal.
    """

    within: tuple[str, ...]
    units: str
    allowance: str


@dataclass(frozen=True)
class RunningTotal:
    """What the whole market, or another account, has added up to with a grain's keys, as of the row's instant.

    Parameters
    ----------
    name
        The column it adds to the grain.
    keys
        The grain's keys by which it is looked up; columns of the relation of the same names.
    relation
        The relation whose rows are added up, of all accounts.
    amount
        The relation's column that is added up: integers, or reals that are rounded to integers.
    where
        SQL over the relation's columns; rows that do not satisfy it are left out.
    excess
        Count only the part beyond what is normal; None for all of it.
    window_days
        As for `SharedCount`, for keys that are dated.
    days_ago
        Read it as of so many days before the row's instant.
    """

    name: str
    keys: tuple[str, ...]
    relation: str
    amount: str
    where: str = ""
    excess: Excess | None = None
    window_days: int | None = None
    days_ago: int = 0

    @property
    def reads(self) -> tuple[str, ...]:
        """The relation's columns that it reads."""
        beyond = (*self.excess.within, self.excess.units, self.excess.allowance) if self.excess else ()
        conditions = (name for _, name in sorted(columns_of(self.where))) if self.where else ()
        return tuple(dict.fromkeys((*self.keys, self.amount, *beyond, *conditions)))

    @property
    def source(self) -> str:
        """A name for the table of changes: totals that differ only in when they are read share it."""
        return f"{self.relation}_{self.amount}_by_{'_'.join(self.keys)}"


@dataclass(frozen=True)
class Companions:
    """Pairs a grain of shared things with the other accounts that share them, as a column `other`.

    Each row of the source is there once with `other` NULL, which stands for itself, and once for every other account
    that shares the thing as of the row's instant; accounts of the row's own scope are no others.

    Parameters
    ----------
    keys, relation, window_days
        As for `SharedCount`.
    most_accounts
        A thing that more accounts were seen with is a crowd and says nothing about pairs; it keeps the work linear.
    """

    keys: tuple[str, ...]
    relation: str
    most_accounts: int
    window_days: int | None = None


@dataclass(frozen=True)
class Lookup:
    """Columns that a grain takes from elsewhere, once it is grouped.

    Parameters
    ----------
    table
        A norm, or the name of a static relation, which is cut as of the row's instant.
    on
        The SQL condition between what is looked up (alias `n`) and the grain (alias `g`).
    columns
        Name -> SQL over alias `n`, with its default for keys that are not known there. Of a relation, the columns are
        named as its own.
    """

    table: str
    on: str
    columns: dict[str, str]

    @property
    def is_market(self) -> bool:
        """Whether it looks a relation up, and no norm."""
        return self.table in RELATIONS


@dataclass(frozen=True)
class Grain:
    """A relation or grain grouped by the spine's row and some keys.

    Parameters
    ----------
    name
        Its name.
    source
        The relation or grain that it groups.
    keys
        What to group by: columns of the source, or `SQL AS name` over them.
    columns
        Name -> SQL aggregate over the source.
    where
        SQL over the source's columns; rows that do not satisfy it are left out.
    lookups, shared, totals
        What is added to each group.
    companions
        If given, the source's rows are first paired with the accounts that share them; group by `other`.
    window_days
        Only source rows of the last so many days; it needs a source that carries `age_days`.
    sequels
        Name -> SQL window function over the grain's own columns, worked out once it is grouped: what came before, what
        has come together so far. Its order must leave no ties.
    """

    name: str
    source: str
    keys: tuple[str, ...]
    columns: dict[str, str]
    where: str = ""
    lookups: tuple[Lookup, ...] = ()
    shared: tuple[SharedCount, ...] = ()
    totals: tuple[RunningTotal, ...] = ()
    companions: Companions | None = None
    window_days: int | None = None
    sequels: dict[str, str] = field(default_factory=dict)
    added: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        names = {name for lookup in self.lookups for name in lookup.columns}
        names |= {count.name for count in self.running}
        object.__setattr__(self, "added", frozenset(names | set(self.sequels)))

    @property
    def running(self) -> tuple[SharedCount | RunningTotal, ...]:
        """What is read as of the instant from running counts and totals."""
        return (*self.shared, *self.totals)

    def behind(self, added: str) -> frozenset[str]:
        """Give the grain's own columns by which an added column is looked up or counted."""
        found = {key for count in self.running if count.name == added for key in count.keys}
        if added in self.sequels:
            found |= {name for _, name in columns_of(self.sequels[added]) if name != "row_id"}
        for lookup in self.lookups:
            if added in lookup.columns:
                found |= {name for alias, name in columns_of(lookup.on) if alias == "g"}
        return frozenset(found)
