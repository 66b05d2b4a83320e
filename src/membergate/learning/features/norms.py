"""Norms: what the population does, fitted once as of the model's instant, stored with the model, never recomputed.

They are robust on purpose: a household's allowance is a quantile over accounts of ordinary breadth, prices are medians,
a SKU's resale score counts each account once, and thin categories lean on wider ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from membergate.domain.errors import ModelError
from membergate.domain.instants import format_instant, parse_instant

TABLES = ("norm_sku", "norm_category", "norm_place_kind", "norm_threshold")
"""The tables of the norms."""
_SCALARS = "norms.json"


@dataclass(frozen=True)
class Norms:
    """Population tables that features are measured against.

    Parameters
    ----------
    as_of
        The instant as of which they were fitted, aware and in UTC.
    tables
        Name -> table:
        `norm_sku` (sku_id, resale_price_minor, resale_score in [0, 1], weekly_share, rarity in nats),
        `norm_category` (category, allowance in units of a SKU per 30 days, daily_units of a SKU, is_core for everyday
        categories, return_rate of units),
        `norm_place_kind` (place_kind, typical_log_accounts),
        `norm_threshold` (currency, amount_key, ceiling_minor: every run of leading digits that a threshold covers).
    scalars
        Defaults for what the tables do not know.
    priors
        Feature id -> the population's pooled rate, towards which shrinkage pulls.
    """

    as_of: datetime
    tables: dict[str, pa.Table]
    scalars: dict[str, float]
    priors: dict[str, float]

    def save(self, folder: Path) -> None:
        """Write the norms into a folder, as Parquet and JSON; equal norms give equal bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            pq.write_table(self.tables[name], folder / f"{name}.parquet", compression="zstd")
        record = {"as_of": format_instant(self.as_of), "scalars": self.scalars, "priors": self.priors}
        (folder / _SCALARS).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read norms back.

        Raises
        ------
        ModelError
            If a file is missing or damaged.
        """
        try:
            record = json.loads((folder / _SCALARS).read_text(encoding="utf-8"))
            tables = {name: pq.read_table(folder / f"{name}.parquet") for name in TABLES}
            return cls(parse_instant(record["as_of"]), tables, record["scalars"], record["priors"])
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise ModelError("a model's norms cannot be read", where=str(folder), allowed=str(error)) from error


def naive_utc(instant: datetime) -> datetime:
    """Give an instant as the warehouse writes it: UTC without a time zone."""
    return instant if instant.tzinfo is None else instant.astimezone(UTC).replace(tzinfo=None)
