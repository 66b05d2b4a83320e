"""Signing: the report of what went live says who answers for it, since when, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import msgspec

from membergate.domain.errors import BadInputError, WorkspaceError
from membergate.domain.instants import format_instant, parse_instant
from membergate.operations.workspace import Live, Workspace, write_atomically
from membergate.verification.gate import GateRules
from membergate.verification.html import to_html
from membergate.verification.report import Report, SignOff, digest_of, from_json, to_json

_Found = TypeVar("_Found")

LONGEST_NAME = 200
"""Characters of a name at most."""


def sign(workspace: Workspace, report: Report, live: Live, *, by: str, replaced: str) -> SignOff:
    """Write into a report, JSON and HTML, who made it live.

    Parameters
    ----------
    workspace
        Holds it.
    report
        As `report_of` found it.
    live
        What went live, and when.
    by
        The name given; may be empty.
    replaced
        What was live before; empty for nothing.
    """
    folder = workspace.report_folder(live.model_version)
    signed = SignOff(
        by=by,
        at=live.published_at,
        valid_until=_valid_until(report, live),
        model_version=live.model_version,
        policy_version=live.policy_file.removesuffix(".yaml"),
        replaced=replaced,
    )
    report = replace(report, sign_off=signed)
    write_atomically(folder / "report.json", to_json(report))
    write_atomically(folder / "report.html", to_html(report).encode())
    return signed


def checked_name(name: str) -> str:
    """Give a signer's name without spaces round it.

    Raises
    ------
    BadInputError
        If it is too long, or holds characters that cannot be seen.
    """
    name = name.strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise BadInputError(
            "the name cannot stand under a report",
            where="--signed-by",
            allowed=f"at most {LONGEST_NAME} characters, all of which can be seen",
            next_step="give the name as people write it",
        )
    return name


def report_of(workspace: Workspace, model_version: str) -> Report:
    """Read the report of a model.

    Raises
    ------
    WorkspaceError
        If it is missing or damaged.
    """
    return _read(workspace, model_version, from_json)


def report_digest(workspace: Workspace, model_version: str) -> str:
    """Give the digest of what a model's report found, by which the gate knows it again.

    Raises
    ------
    WorkspaceError
        If the report is missing or damaged.
    """
    return _read(workspace, model_version, digest_of)


def _read(workspace: Workspace, model_version: str, how: Callable[[bytes], _Found]) -> _Found:
    file = workspace.report_folder(model_version) / "report.json"
    try:
        return how(file.read_bytes())
    except (OSError, msgspec.MsgspecError):
        raise WorkspaceError(
            "the verification report is missing or damaged",
            where=str(file),
            next_step=f"membergate verify --model {model_version}",
        ) from None


def _valid_until(report: Report, live: Live) -> str:
    """Take the certificates' term, which counts from the end of the data; without one, what the gate calls expired."""
    if report.certificates:
        return min(each.certificate.valid_until for each in report.certificates)
    expires = parse_instant(live.published_at) + timedelta(days=GateRules().oldest_evidence_days)
    return format_instant(expires)
