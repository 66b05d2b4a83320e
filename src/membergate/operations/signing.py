"""Signing: the report of what went live says who answers for it, since when, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf
from typing import TypeVar

import msgspec

from membergate.domain.errors import BadInputError, RefusedError, WorkspaceError
from membergate.domain.instants import parse_instant
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
    valid_until = _valid_until(report)
    signed = SignOff(
        by=by,
        at=live.published_at,
        valid_until=valid_until,
        model_version=live.model_version,
        policy_version=live.policy_file.removesuffix(".yaml"),
        replaced=replaced,
        warning=_warning(report, valid_until, parse_instant(live.published_at)),
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


def require_fresh(report: Report, *, at: datetime, max_age_days: float | None) -> None:
    """Refuse evidence that is older than whoever publishes allows.

    Raises
    ------
    BadInputError
        If the age allowed is no number of days from 0.
    RefusedError
        If the newest application evaluated is older, or none was evaluated.
    """
    if max_age_days is None:
        return
    if not 0 <= max_age_days < inf:
        raise BadInputError(f"{max_age_days:g} days are no age", where="--max-age", allowed="0 or more days")
    age = _age_days(report, at)
    if age is None or age > max_age_days:
        found = "no application was evaluated" if age is None else f"the newest application is {age:.0f} days old"
        raise RefusedError(
            f"the evidence for model {report.origin.model_version} is too old: {found}",
            where=f"--max-age {max_age_days:g}",
            next_step="load and review later applications, then verify; or allow more days. Nothing was changed",
        )


def _age_days(report: Report, at: datetime) -> float | None:
    """Count the days from the newest labelled application evaluated; None where there is none."""
    last = report.metrics.evidence.last_submitted_at
    return (at - parse_instant(last)) / timedelta(days=1) if last else None


def _warning(report: Report, valid_until: str, at: datetime) -> str:
    """Say that the evidence was old when it went live; "" where it was not."""
    age, most = _age_days(report, at), GateRules().oldest_evidence_days
    told = []
    if age is not None and age > most:
        told.append(
            f"the newest application evaluated was {age:.0f} days old when this went live, and the gate allows "
            f"{most:.0f} days before the end of the data: it may be about other people than those who apply now"
        )
    if valid_until and parse_instant(valid_until) < at:
        told.append(f"the certificate had expired on {valid_until[:10]}, before this went live")
    return "; ".join(told)


def _valid_until(report: Report) -> str:
    """Take the term of the certificates that hold, which counts from the end of the data; "" where none does."""
    held = [each.certificate.valid_until for each in report.certificates if each.certificate.holds]
    return min(held, default="")
