"""From arrays to the canonical tables: names, instants, nulls, late arrivals, and rows in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from membergate.market.simulator.drift import after_outages
from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import Bools, Floats, Ints, opaque_ids, stream

_MICROSECONDS_A_DAY = 86_400_000_000
_INSTANT = pa.timestamp("us", tz="UTC")
_PREFIXES = {
    "account": "a-", "application": "ap-", "membership": "m-", "order": "o-", "line": "l-", "sku": "s-", "store": "st-",
    "address": "ad-", "shipment": "sh-", "login": "lg-", "event": "e-", "coupon": "c-", "template": "ct-",
    "return": "r-", "review": "rv-", "case": "sc-", "promotion": "p-", "listing": "li-", "seller": "se-",
    "session": "ss-",
    "brand": "b-", "variant_group": "v-", "operator": "op-", "ring": "rg-",
}  # fmt: skip
_SHARED_KINDS = frozenset({"sku", "store", "brand", "variant_group", "promotion", "template"})
_SHARED_TABLES = frozenset({"skus", "stores", "promotions"})
_DISTRICT_BITS = 48
_LONGEST_LAG_DAYS = 3.0
_USUAL_LAG_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Writer:
    """Turns columns of numbers into columns of the schema, and writes tables.

    Parameters
    ----------
    scenario
        Says when the data begins and ends, and how often a row arrives late.
    """

    scenario: Scenario

    def ids(self, kind: str, indices: Ints) -> pa.Array:
        """Name things; null where the index is negative. What districts share has one name in all of them."""
        district = 0 if kind in _SHARED_KINDS else self.scenario.district
        numbers = np.where(indices < 0, indices, indices + (np.int64(district) << _DISTRICT_BITS))
        return opaque_ids(numbers, seed=self.scenario.seed, kind=kind, prefix=_PREFIXES.get(kind, "t-"))

    def instants(self, local_days: Floats) -> pa.Array:
        """Turn local days into UTC instants with microseconds; null where not finite."""
        is_there = np.isfinite(local_days)
        start = int(self.scenario.starts_at.timestamp()) * 1_000_000
        moments = np.rint(np.where(is_there, local_days, 0.0) * _MICROSECONDS_A_DAY).astype(np.int64) + start
        return pa.array(moments, mask=~is_there).cast(_INSTANT)

    def arrivals(self, table: str, local_days: Floats) -> Floats:
        """Draw when the platform came to know rows that happened then: at once, but for a few."""
        rng = stream(self.scenario.chance, "arrival", table)
        lag = rng.exponential(_USUAL_LAG_SECONDS / 86_400, len(local_days))
        is_late = rng.random(len(local_days)) < self.scenario.late_share
        known = local_days + np.where(is_late, rng.uniform(0.05, _LONGEST_LAG_DAYS, len(local_days)), lag)
        return after_outages(self.scenario, table, local_days, known)

    def names(self, names: tuple[str, ...], indices: Ints) -> pa.Array:
        """Spell out indices; null where negative."""
        picked = pa.array(np.where(indices < 0, 0, indices), mask=indices < 0)
        return pc.take(pa.array(names, pa.string()), picked)

    def write(self, folder: Path, name: str, columns: dict[str, pa.Array], sort_by: tuple[str, ...]) -> int:
        """Write one table, sorted; gives its number of rows.

        One district writes `NAME.parquet`; of several, each writes a part of the folder `NAME`, and the first alone
        what they share.

        Parameters
        ----------
        folder, name
            Where to, and the table's name.
        columns
            Columns of equal length.
        sort_by
            Columns that decide the order of rows; together they must be a key, so that the order is one.
        """
        if self.scenario.district and name in _SHARED_TABLES:
            return 0
        is_cut = self.scenario.districts > 1 and name not in _SHARED_TABLES
        path = folder / name / f"part-{self.scenario.district:03d}.parquet" if is_cut else folder / f"{name}.parquet"
        table = pa.table(columns)
        table = table.sort_by([(name, "ascending") for name in sort_by])
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, compression="zstd", row_group_size=131_072)
        return int(table.num_rows)


def sparse(values: pa.Array, is_there: Bools) -> pa.Array:
    """Blank the values that are not there."""
    return pc.if_else(pa.array(is_there), values, pa.scalar(None, values.type))


def whole(values: Ints, is_there: Bools | None = None) -> pa.Array:
    """Give 64-bit integers, null where not there."""
    return pa.array(values.astype(np.int64), mask=None if is_there is None else ~is_there)


def flags(values: Bools) -> pa.Array:
    """Give true and false."""
    return pa.array(values)


Tables = Iterator[tuple[str, dict[str, pa.Array], tuple[str, ...]]]
"""Name, columns, and the columns to sort by, one table after the other, so that only one is in memory at a time."""
TableMaker = Callable[[], Tables]
