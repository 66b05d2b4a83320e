"""Decisions as an Arrow table and as a Parquet file: what `decisions.parquet` holds, column by column.

Columns and types are fixed and rows keep their order, so equal decisions give equal bytes under one version of Arrow.
`reason_codes` is a list of texts; evidence, counterfactual, caps and contributions are the codec's JSON documents.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from membergate.domain.decision import Decision
from membergate.domain.errors import BadInputError, WorkspaceError
from membergate.store.codec import COLUMNS, decision_from_record, decision_to_record

_INSTANT = pa.timestamp("us", tz="UTC")
_TYPES: dict[str, pa.DataType] = {
    "decided_at": _INSTANT,
    "as_of": _INSTANT,
    "merchant_probability": pa.float64(),
    "risk_score": pa.float64(),
    "reason_codes": pa.list_(pa.string()),
    "degraded": pa.bool_(),
    "explore": pa.bool_(),
    "propensity": pa.float64(),
}
SCHEMA: pa.Schema = pa.schema([pa.field(column, _TYPES.get(column, pa.string())) for column in COLUMNS])
"""The file's columns: texts, unless `_TYPES` says otherwise."""


def decisions_to_table(decisions: Sequence[Decision]) -> pa.Table:
    """Lay decisions out as an Arrow table.

    Parameters
    ----------
    decisions
        Any number of decisions, in the order that the rows shall have.

    Returns
    -------
    pyarrow.Table
        `SCHEMA`, one row a decision.

    Raises
    ------
    BadInputError
        If a decision cannot be written without loss.
    """
    records = [decision_to_record(decision) for decision in decisions]
    for record, decision in zip(records, decisions, strict=True):
        record["reason_codes"] = list(decision.reason_codes)
    return pa.Table.from_pylist(records, schema=SCHEMA)


def decisions_from_table(table: pa.Table) -> tuple[Decision, ...]:
    """Read decisions back from an Arrow table, exactly as they were.

    Raises
    ------
    BadInputError
        If the table has other columns.
    WorkspaceError
        If a row is no decision.
    """
    if not table.schema.equals(SCHEMA):
        raise BadInputError("this is no table of decisions", where=str(table.schema.names), allowed=", ".join(COLUMNS))
    records = table.to_pylist()
    for record in records:
        record["reason_codes"] = msgspec.json.encode(record["reason_codes"])
        record |= {column: record[column].astimezone(UTC) for column in ("decided_at", "as_of")}
    return tuple(map(decision_from_record, records))


def write_decisions(decisions: Sequence[Decision], path: Path) -> None:
    """Write decisions to a Parquet file, whole or not at all.

    Parameters
    ----------
    decisions
        Any number of decisions, in the order that the rows shall have.
    path
        The file; what stood there is replaced once the new file is complete.

    Raises
    ------
    BadInputError
        If a decision cannot be written without loss, or a folder or device stands there.
    WorkspaceError
        If the file cannot be written; what stood there still stands.
    """
    table = decisions_to_table(decisions)
    if path.exists() and not path.is_file():
        raise BadInputError("what stands there is no file", where=str(path), allowed="a new file, or one to replace")
    draft = path.with_name(f".{path.name}.draft")
    try:
        pq.write_table(table, draft, compression="zstd")
        with draft.open("rb+") as written:
            os.fsync(written.fileno())
        draft.replace(path)
    except OSError as error:
        raise WorkspaceError(f"cannot write the decisions: {error}", where=str(path)) from error
    finally:
        draft.unlink(missing_ok=True)


def read_decisions(path: Path) -> tuple[Decision, ...]:
    """Read decisions back from a Parquet file.

    Raises
    ------
    BadInputError
        If the file is missing, damaged, or holds something else.
    WorkspaceError
        If a row is no decision.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInputError(f"cannot read decisions: {error}", where=str(path)) from error
    return decisions_from_table(table)
