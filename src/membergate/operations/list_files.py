"""Lists as files: CSV or JSON lines in and out, with a preview of what taking a file over would change."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

from membergate.deciding.lists import Difference, difference
from membergate.domain.errors import BadInputError
from membergate.domain.instants import Clock, days_after, format_instant, parse_instant
from membergate.domain.labels import LabelGrade
from membergate.domain.listing import ListEntry, RiskList, Subject, SubjectType
from membergate.operations.lists import DEFAULT_DAYS, entry_id_of, word
from membergate.operations.opening import open_record, standing_record
from membergate.operations.spreadsheets import marked, unmarked
from membergate.operations.workspace import Workspace, write_atomically

REQUIRED = ("list", "subject_type", "key", "reason_code", "grade")
OPTIONAL = (
    "source",
    "source_version",
    "is_manual",
    "confidence",
    "starts_at",
    "expires_at",
    "review_at",
    "half_life_days",
)
ONLY_WRITTEN = ("entry_id", "recorded_at", "withdrawn_at", "decision_id")
"""Columns that a file may have, because an export writes them, and that an import leaves to the record."""
MOST_ROWS = 1_000_000
_SUFFIXES = (".csv", ".jsonl")


@dataclass(frozen=True)
class Imported:
    """What an import would change, or changed.

    Parameters
    ----------
    difference
        Against what is kept of the same sources.
    is_applied
        Whether it was done; otherwise this is a preview.
    is_whole
        Whether entries that the file no longer has are (or would be) retracted.
    """

    difference: Difference
    is_applied: bool
    is_whole: bool


def import_entries(
    workspace: Workspace, file: Path, *, source: str, by: str, clock: Clock, apply: bool, is_whole: bool
) -> Imported:
    """Compare a file with what is kept of its sources, and take it over if told so.

    Parameters
    ----------
    workspace
        Holds the record.
    file
        CSV with a header, or JSON lines; the columns are `REQUIRED` and `OPTIONAL`.
    source
        Who said it, for rows that do not say so.
    by
        Who takes it over.
    clock
        Dates the change: entries are known from now on, whatever their start.
    apply
        Whether to write; otherwise nothing is changed.
    is_whole
        Whether the file is all that its sources say, so that what is missing from it is retracted.

    Raises
    ------
    BadInputError
        If a row cannot be read, or a statement comes twice. Nothing was changed.
    """
    now = clock()
    sources: set[str] = set()
    offered = tuple(_read(file, source, now, sources))
    with open_record(workspace) as record:
        found = difference(record.lists.entries(), offered, now, sources=sources or {source})
        if apply:
            new = [*found.added, *(entry for _, entry in found.revised)]
            old = [entry.entry_id for entry, _ in found.revised]
            old += [entry.entry_id for entry in found.missing] if is_whole else []
            record.lists.change(new, old, at=now, by=by, reason=f"import of {file.name}")
    return Imported(found, apply, is_whole)


def export_entries(workspace: Workspace, file: Path) -> int:
    """Write every entry that was ever made, withdrawn and expired ones too, as CSV or JSON lines.

    Raises
    ------
    BadInputError
        If the file's name does not say which.
    """
    _check_suffix(file)
    with standing_record(workspace) as record:
        rows = [_row(entry) for entry in record.lists.entries()]
    if file.suffix == ".jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        out = StringIO(newline="")
        writer = csv.DictWriter(out, [*REQUIRED, *OPTIONAL, *ONLY_WRITTEN], lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: marked(v) if isinstance(v, str) else v for name, v in row.items()} for row in rows)
        text = out.getvalue()
    write_atomically(file, text.encode())
    return len(rows)


def _read(file: Path, source: str, now: datetime, sources: set[str]) -> Iterator[ListEntry]:
    """Give the entries of a file that count now; everybody whom a row names as its source is added to `sources`."""
    first: dict[tuple[object, ...], int] = {}
    for number, row in enumerate(_rows(file), start=1):
        where = f"{file}, row {number}"
        if number > MOST_ROWS:
            raise BadInputError("the file has too many rows", where=str(file), allowed=f"at most {MOST_ROWS}")
        unknown = set(row) - {*REQUIRED, *OPTIONAL, *ONLY_WRITTEN}
        missing = [name for name in REQUIRED if not row.get(name)]
        if unknown or missing:
            what = f"unknown columns: {', '.join(sorted(map(str, unknown)))}" if unknown else f"no {', '.join(missing)}"
            raise BadInputError(what, where=where, allowed=", ".join((*REQUIRED, *OPTIONAL)))
        sources.add(str(row.get("source") or source))
        if row.get("withdrawn_at"):
            continue  # an export holds the past too
        try:
            entry = _entry(row, source, now)
        except BadInputError as error:
            raise BadInputError(error.what, where=f"{where}, {error.where}", allowed=error.allowed) from None
        if entry.expires_at <= now:
            continue
        statement = (entry.risk_list, entry.subject, entry.reason_code, entry.source)
        if first.setdefault(statement, number) != number:
            raise BadInputError(f"this says again what row {first[statement]} says", where=where, allowed="each once")
        yield entry


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    _check_suffix(file)
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            if file.suffix == ".csv":
                yield from _csv_rows(file, lines)
                return
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _object(line, f"{file}, line {number}")
    except UnicodeDecodeError as error:
        raise BadInputError("the list is not UTF-8", where=str(file), allowed="UTF-8", next_step=str(error)) from None
    except OSError as error:
        raise BadInputError(f"the list cannot be read: {error.strerror or error}", where=str(file)) from None


def _csv_rows(file: Path, lines: TextIO) -> Iterator[Mapping[str, Any]]:
    reader = csv.DictReader(lines)
    try:
        if reader.fieldnames is None:
            raise BadInputError("the file has no header", where=str(file), allowed=", ".join((*REQUIRED, *OPTIONAL)))
        for row in reader:
            if None in row:
                raise BadInputError(
                    "this row has more fields than the header names",
                    where=f"{file}, line {reader.line_num}",
                    allowed=f"{len(reader.fieldnames or ())} fields; one with a comma in it stands in quotation marks",
                )
            yield {name: unmarked(text) for name, text in row.items() if text is not None}
    except csv.Error as error:
        raise BadInputError(
            f"this is no CSV: {error}",
            where=f"{file}, after line {reader.line_num}",
            allowed=f"fields of at most {csv.field_size_limit()} characters, quotation marks in pairs",
        ) from None


def _object(line: str, where: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadInputError("this line is no JSON object", where=where, allowed='{"list": "watch", …}')
    return {name: value for name, value in found.items() if value is not None}


def _entry(row: Mapping[str, Any], source: str, now: datetime) -> ListEntry:
    for name, value in row.items():
        is_key_of_its_own = name == "key" and isinstance(value, bool | float)
        if not isinstance(value, str | int | float) or is_key_of_its_own:
            raise BadInputError(f"{value!r:.60} is no text", where=name, allowed="a text, in quotation marks")
    said = {name: str(row.get(name) or "") for name in (*REQUIRED, *OPTIONAL)}
    starts_at = parse_instant(said["starts_at"]) if said["starts_at"] else now
    expires_at = parse_instant(said["expires_at"]) if said["expires_at"] else days_after(starts_at, DEFAULT_DAYS)
    return ListEntry(
        entry_id=entry_id_of("i", format_instant(now), source, *said.values()),
        risk_list=word(RiskList, said["list"], "list"),
        subject=Subject(word(SubjectType, said["subject_type"], "subject_type"), said["key"]),
        reason_code=said["reason_code"],
        grade=word(LabelGrade, said["grade"], "grade"),
        source=said["source"] or source,
        is_manual=_flag(said["is_manual"]),
        confidence=_number(said["confidence"] or "1", "confidence"),
        recorded_at=now,
        starts_at=starts_at,
        expires_at=expires_at,
        source_version=said["source_version"],
        review_at=parse_instant(said["review_at"]) if said["review_at"] else None,
        half_life_days=_number(said["half_life_days"], "half_life_days") if said["half_life_days"] else None,
    )


def _row(entry: ListEntry) -> dict[str, Any]:
    instants = {
        name: None if instant is None else format_instant(instant)
        for name, instant in (
            ("starts_at", entry.starts_at),
            ("expires_at", entry.expires_at),
            ("review_at", entry.review_at),
            ("recorded_at", entry.recorded_at),
            ("withdrawn_at", entry.withdrawn_at),
        )
    }
    return instants | {
        "list": entry.risk_list.value,
        "subject_type": entry.subject.subject_type.value,
        "key": entry.subject.key,
        "reason_code": entry.reason_code,
        "grade": entry.grade.value,
        "source": entry.source,
        "source_version": entry.source_version,
        "is_manual": str(entry.is_manual).lower(),
        "confidence": entry.confidence,
        "half_life_days": entry.half_life_days,
        "entry_id": entry.entry_id,
        "decision_id": entry.decision_id,
    }


def _flag(text: str) -> bool:
    if text.lower() not in {"", "true", "false"}:
        raise BadInputError(f"{text!r} is neither true nor false", where="is_manual", allowed="true, false")
    return text.lower() == "true"


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInputError(f"{text!r} is no number", where=name, allowed="a number") from None


def _check_suffix(file: Path) -> None:
    if file.suffix not in _SUFFIXES:
        raise BadInputError("the file's name does not say what it is", where=str(file), allowed=", ".join(_SUFFIXES))
