"""features: the catalogue, what a workspace's data can feed, and a table as of an instant."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from membergate.domain.errors import BadInputError, UnknownSubjectError
from membergate.domain.evidence import Absence
from membergate.learning.features import (
    CATALOGUE,
    Feature,
    FeatureTable,
    Norms,
    availability,
    evidence_name,
    fit_norms,
    needs,
    place_in_lists,
)
from membergate.learning.features.compiler import Compiler
from membergate.learning.features.computation import named_measures
from membergate.learning.features.lineage import availability_of, measures_of
from membergate.learning.features.refresh import to_ask_again, touched_accounts
from membergate.learning.features.spark_dialect import spark_sql
from membergate.learning.features.tables import part_of
from membergate.market.schema import TABLES
from membergate.market.warehouse import Warehouse
from membergate.operations.feature_files import checked_file, norms_of, write_table
from membergate.operations.features_power import Portrait, portrait
from membergate.operations.history import History
from membergate.operations.workspace import Workspace

_PARTS = b"membergate.parts"


@dataclass(frozen=True)
class CatalogueEntry:
    """One feature as a list shows it: `state` is computable, not computable, or unknown before anything is ingested."""

    id: str
    name: str
    unit: str
    state: str
    missing: tuple[str, ...]


def catalogue(workspace: Workspace) -> tuple[CatalogueEntry, ...]:
    """List every feature, from A1 on, with what this workspace's data lacks for it."""
    features = sorted(CATALOGUE.values(), key=lambda feature: place_in_lists(feature.id))
    if not workspace.warehouse_folder.exists():
        return tuple(CatalogueEntry(f.id, f.name, f.unit, "unknown", ()) for f in features)
    found = {entry.feature.id: entry for entry in availability(workspace.warehouse().columns())}
    return tuple(
        CatalogueEntry(
            entry.feature.id,
            entry.feature.name,
            entry.feature.unit,
            "computable" if entry.is_computable else "not computable",
            tuple(entry.missing),
        )
        for entry in (found[feature.id] for feature in features)
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
        "divided by": f"{feature.per.sql} over {feature.per.grain}" if feature.per else "nothing else",
        "shrunk by": f"{feature.shrinkage.strength:g} of its denominator" if feature.shrinkage else "nothing",
        "window": "all history" if feature.window_days is None else f"{feature.window_days} days",
        "sql": feature.sql,
        "needs": ", ".join(sorted(needs(measures_of(feature)))),
        "sense of risk": senses[feature.sense],
        "may harm": ", ".join(feature.harms) or "nobody known",
        "hard to evade": feature.robust_variant,
    }


def portrait_of(feature_id: str, workspace: Workspace, *, as_of: datetime | None = None) -> Portrait | None:
    """Give a feature's distribution and separating power in a workspace; None where nothing here can feed it."""
    describe_feature(feature_id)
    if not workspace.warehouse_folder.exists():
        return None
    return portrait(History(workspace.warehouse()), feature_id.upper(), as_of=as_of)


def statements_of(feature_id: str, workspace: Workspace | None = None) -> dict[str, str]:
    """Give the statements that compute a feature, for DuckDB and for Spark, with the norms as names.

    Parameters
    ----------
    feature_id
        Its id.
    workspace
        Whose columns they are written for; every column of the schema where None or nothing is ingested.

    Raises
    ------
    UnknownSubjectError
        If the catalogue has no such feature.
    """
    describe_feature(feature_id)
    feature = CATALOGUE[feature_id.upper()]
    columns = {name: table.column_names for name, table in TABLES.items()}
    if workspace is not None and workspace.warehouse_folder.exists():
        here = workspace.warehouse().columns()
        columns = here if availability_of(feature, here).is_computable else columns
    program = Compiler(columns, None).compile(named_measures(feature))
    steps = (*program.shared, *program.own)
    instants = {"earliest": "<first instant>", "latest": "<last instant>"}
    return {
        "duckdb": ";\n".join(_statement(step.table, step.sql.strip()) for step in steps),
        "spark": ";\n".join(_statement(step.table, spark_sql(step.sql, **instants)) for step in steps),
    }


def _statement(table: str, sql: str) -> str:
    return f"CREATE TEMPORARY VIEW {table} AS {sql}" if table else sql


def compute_features(workspace: Workspace, out: Path, *, as_of: datetime | None = None) -> int:
    """Write every computable feature of every account as of an instant to a Parquet file; give the number of rows.

    Raises
    ------
    BadInputError
        If anything but an earlier table stands at `out`, or its folder is not there.
    """
    checked_file(out)
    history = History(workspace.warehouse())
    instant = as_of or history.last_instant
    usable = [entry.feature.id for entry in availability(history.warehouse.columns()) if entry.is_computable]
    spine = history.accounts(instant)
    norms = fit_norms(history.connection, instant, tuple(usable))
    table = history.features(spine, history.operators(spine), norms, usable)
    write_table(_made_from(as_arrow(table), history.warehouse), out)
    norms.save(norms_of(out))
    return len(spine)


def _made_from(table: pa.Table, warehouse: Warehouse) -> pa.Table:
    """Note in a table's metadata which parts of the warehouse it was computed from."""
    parts = json.dumps([part.sha256 for entry in warehouse.manifest.tables.values() for part in entry.parts])
    return table.replace_schema_metadata({_PARTS: parts})


def refresh_features(workspace: Workspace, table: Path, *, as_of: datetime | None = None) -> tuple[int, int]:
    """Bring a feature table up to an instant: only operators of which anything became known since are computed again.

    Where rows were loaded since that change the past, everybody is: a neighbour's features may have changed with them.

    Every row keeps the instant of its own last change, and the norms are those that the table was begun with; so what
    stands there equals a full computation with each account as of its own instant.

    Parameters
    ----------
    workspace
        Holds the market, what is new ingested.
    table
        What `compute_features` wrote; it is replaced.
    as_of
        The end of the data where None.

    Returns
    -------
    tuple of int
        Rows computed again, and rows in the table.

    Raises
    ------
    BadInputError
        If there is no such table, the instant is before its own, or it was computed from other features than can be had
        now.
    """
    if not table.exists():
        raise BadInputError("there is no table to bring up to date", where=str(table), next_step="compute it in full")
    checked_file(table)
    before, history = pq.read_table(table), History(workspace.warehouse())
    instant = as_of or history.last_instant
    since = np.datetime64(pc.max(before["as_of"]).as_py().replace(tzinfo=None), "us")
    until = np.datetime64(instant.replace(tzinfo=None), "us")
    parts = (before.schema.metadata or {}).get(_PARTS)
    if until < since or parts is None:
        raise BadInputError(
            f"the table stands as of {since}Z already" if parts else "the table does not say what it was computed from",
            where=str(table),
            allowed="an instant from there on, and a table that `features compute` wrote",
            next_step="compute it in full",
        )
    columns = history.warehouse.columns()
    usable = [entry.feature.id for entry in availability(columns) if entry.is_computable]
    spine = history.accounts(instant)
    operators = history.operators(spine)
    if history.warehouse.reaches_back(history.connection, json.loads(parts), since.astype(datetime)):
        again = np.ones(len(spine), dtype=np.bool_)
    else:
        again = to_ask_again(operators, touched_accounts(history.connection, columns, since, until))
    part, members = part_of(spine, operators, np.flatnonzero(again))
    fresh = as_arrow(history.features(part, members, Norms.load(norms_of(table)), usable))
    if fresh.column_names != before.column_names:
        raise BadInputError("the table holds other features than can be computed now", next_step="compute it in full")
    stays = pc.invert(pc.is_in(before["account_id"], fresh["account_id"]))
    whole = pa.concat_tables([before.filter(stays), fresh.cast(before.schema)]).sort_by("account_id")
    write_table(_made_from(whole, history.warehouse), table)
    return int(again.sum()), len(whole)


def as_arrow(table: FeatureTable) -> pa.Table:
    """Lay a feature table out flat: value and typed absence side by side for each feature."""
    columns: dict[str, pa.Array] = {
        "account_id": pa.array(table.spine.account_ids.tolist(), pa.string()),
        "as_of": pa.array(table.spine.as_of, type=pa.timestamp("us", tz="UTC")),
        "operator_id": pa.array(table.operator_ids.tolist(), pa.string()),
    }
    reasons = np.array(["", *(absence.value for absence in Absence)])
    for column, feature in enumerate(table.features):
        name = evidence_name(CATALOGUE[feature])
        columns[name] = pa.array(table.values[:, column], pa.float64(), mask=table.absences[:, column] > 0)
        why = reasons[table.absences[:, column]]
        columns[f"{name}_absence"] = pa.array(why.tolist(), pa.string(), mask=why == "")
    return pa.table(columns)
