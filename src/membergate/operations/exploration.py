"""What the exploration lane of the live door tells of those whom it would have refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from membergate.domain.disposition import HOLDERS, Checkpoint
from membergate.domain.labels import Label, latest_reviews
from membergate.operations.history import History
from membergate.operations.workspace import Workspace
from membergate.store import open_store
from membergate.verification.selective_labels import SelectiveEstimates, SelectiveSample, estimate

FEWEST_SEEN = 10
_LET_IN = {disposition.value for disposition in HOLDERS}


def explored(workspace: Workspace, history: History) -> tuple[SelectiveEstimates, ...] | None:
    """Estimate merchant shares from recorded admissions and the reviews by chance that came after them.

    An applicant's outcome is seen if it was let in (in full, on trial, or through the lane) and reviewed later; its
    chance is that of being let in times that of being reviewed. An account's first recorded decision counts.

    Parameters
    ----------
    workspace
        Holds the operational record.
    history
        Holds the labels.

    Returns
    -------
    tuple or None
        Over everybody who had a chance, and over those who would have been refused but for the lane; None where nothing
        is recorded, or fewer than 10 outcomes are seen.
    """
    if not workspace.record.exists():
        return None
    first: dict[str, dict[str, Any]] = {}
    with open_store(workspace.record) as record:
        for rows in record.scan(Checkpoint.ADMISSION):
            for row in rows:
                known = first.get(row["account_id"])
                if known is None or row["as_of"] < known["as_of"]:
                    first[row["account_id"]] = row
    reviews = latest_reviews(history.labels(history.last_instant))
    decisions = [first[account] for account in sorted(first)]
    sample, is_refused = _sample(decisions, reviews)
    if int(sample.is_seen.sum()) < FEWEST_SEEN:
        return None
    found = [estimate(sample, "merchant_share_of_all")]
    refused = _part(sample, is_refused)
    if int(refused.is_seen.sum()) >= FEWEST_SEEN:
        found.append(estimate(refused, "merchant_share_of_the_refused"))
    return tuple(found)


def _sample(decisions: list[dict[str, Any]], reviews: dict[str, Label]) -> tuple[SelectiveSample, np.ndarray]:
    """Lay decisions and reviews side by side; also marks who would have been refused but for the lane."""
    chance = np.array([_chance(row) for row in decisions], dtype=np.float64)
    is_in = np.array([row["disposition"] in _LET_IN for row in decisions], dtype=np.bool_)
    found = [reviews.get(row["account_id"]) for row in decisions]
    later = [
        label if label is not None and label.decided_at >= row["as_of"] else None
        for label, row in zip(found, decisions, strict=True)
    ]
    is_seen = is_in & np.array([label is not None for label in later], dtype=np.bool_) & (chance > 0)
    smallest = min((label.propensity or 1.0 for label in later if label is not None), default=1.0)
    reviewed = np.array([smallest if label is None else label.propensity or 1.0 for label in later], dtype=np.float64)
    _, operators = np.unique(np.array([row["operator_id"] for row in decisions], dtype=np.str_), return_inverse=True)
    return (
        SelectiveSample(
            operators=operators.astype(np.int64),
            propensity=chance * reviewed,
            is_seen=is_seen,
            outcome=np.array([label is not None and label.is_merchant for label in later], dtype=np.float64),
            score=np.array([row["risk_score"] or 0.0 for row in decisions], dtype=np.float64),
        ),
        np.array([bool(row["explore"]) or row["disposition"] not in _LET_IN for row in decisions], dtype=np.bool_),
    )


def _chance(row: dict[str, Any]) -> float:
    """Give the chance that somebody like this is let in: 1 for who is, the lane's for who is refused, 0 beyond it."""
    if row["disposition"] in _LET_IN and not row["explore"]:
        return 1.0
    return float(row["propensity"] or 0.0)


def _part(sample: SelectiveSample, rows: np.ndarray) -> SelectiveSample:
    _, operators = np.unique(sample.operators[rows], return_inverse=True)
    return replace(
        sample,
        operators=operators.astype(np.int64),
        propensity=sample.propensity[rows],
        is_seen=sample.is_seen[rows],
        outcome=sample.outcome[rows],
        score=sample.score[rows],
    )
