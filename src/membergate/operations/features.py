"""features: the catalogue, what a workspace's data can feed, and a table as of an instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from membergate.domain.errors import UnknownSubjectError
from membergate.domain.evidence import Absence
from membergate.learning.features import (
    CATALOGUE,
    Feature,
    FeatureTable,
    availability,
    evidence_name,
    fit_norms,
    needs,
)
from membergate.learning.features.lineage import measures_of
from membergate.operations.history import History
from membergate.operations.workspace import Workspace


@dataclass(frozen=True)
class CatalogueEntry:
    """One feature as a list shows it: `state` is computable, not computable, or unknown before anything is ingested."""

    id: str
    name: str
    unit: str
    state: str
    missing: tuple[str, ...]


def catalogue(workspace: Workspace) -> tuple[CatalogueEntry, ...]:
    """List every feature with what this workspace's data lacks for it."""
    if not workspace.warehouse_folder.exists():
        return tuple(CatalogueEntry(f.id, f.name, f.unit, "unknown", ()) for f in CATALOGUE.values())
    return tuple(
        CatalogueEntry(
            entry.feature.id,
            entry.feature.name,
            entry.feature.unit,
            "computable" if entry.is_computable else "not computable",
            tuple(entry.missing),
        )
        for entry in availability(workspace.warehouse().columns())
    )


def describe_feature(feature_id: str) -> dict[str, str]:
    """Give a feature's card.

    Raises
    ------
    UnknownSubjectError
        If the catalogue has no such feature.
    """
    feature = CATALOGUE.get(feature_id.upper())
    if feature is None:
        raise UnknownSubjectError(f"there is no feature {feature_id!r}", allowed=" ".join(CATALOGUE))
    return card(feature)


def card(feature: Feature) -> dict[str, str]:
    """Lay a feature's declaration out as lines that a reader can follow."""
    senses = {1: "riskier when larger", -1: "safer when larger", 0: "none"}
    return {
        "name": feature.name,
        "measures": feature.summary,
        "because": feature.rationale,
        "unit": feature.unit,
        "grain": feature.grain,
        "over": feature.scope,
        "window": "all history" if feature.window_days is None else f"{feature.window_days} days",
        "sql": feature.sql,
        "needs": ", ".join(sorted(needs(measures_of(feature)))),
        "sense of risk": senses[feature.sense],
        "may harm": ", ".join(feature.harms) or "nobody known",
        "hard to evade": feature.robust_variant,
    }


def compute_features(workspace: Workspace, out: Path, *, as_of: datetime | None = None) -> int:
    """Write every computable feature of every account as of an instant to a Parquet file; give the number of rows."""
    history = History(workspace.warehouse())
    instant = as_of or history.last_instant
    usable = [entry.feature.id for entry in availability(history.warehouse.columns()) if entry.is_computable]
    spine = history.accounts(instant)
    norms = fit_norms(history.connection, instant, tuple(usable))
    table = history.features(spine, history.operators(spine), norms, usable)
    pq.write_table(as_arrow(table), out, compression="zstd")
    return len(spine)


def as_arrow(table: FeatureTable) -> pa.Table:
    """Lay a feature table out flat: value and typed absence side by side for each feature."""
    columns: dict[str, pa.Array] = {
        "account_id": pa.array(table.spine.account_ids.tolist()),
        "as_of": pa.array(table.spine.as_of, type=pa.timestamp("us", tz="UTC")),
        "operator_id": pa.array(table.operator_ids.tolist()),
    }
    reasons = np.array(["", *(absence.value for absence in Absence)])
    for column, feature in enumerate(table.features):
        name = evidence_name(CATALOGUE[feature])
        columns[name] = pa.array(table.values[:, column], mask=table.absences[:, column] > 0)
        why = reasons[table.absences[:, column]]
        columns[f"{name}_absence"] = pa.array(why.tolist(), mask=why == "")
    return pa.table(columns)
