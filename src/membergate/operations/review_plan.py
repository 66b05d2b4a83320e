"""Whom to review next, drawn by known chances, and what that buys."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from membergate.deciding.policy import Policy
from membergate.domain.errors import BadInputError, NotEnoughDataError
from membergate.domain.instants import format_instant
from membergate.domain.labels import SAMPLED_GRADE
from membergate.operations.evaluation import evaluate, measuring_desk
from membergate.operations.history import History
from membergate.operations.policies import read_policy
from membergate.operations.workspace import Workspace, write_atomically
from membergate.verification.prediction_powered import Frame, PlanRow, PoweredShare, powered_share

COLUMNS = ("subject_type", "subject_id", "label", "grade", "source", "decided_at", "propensity")
SOURCE = "review_plan"


@dataclass(frozen=True)
class ReviewPlan:
    """What was drawn.

    Parameters
    ----------
    model_version
        Whose probabilities steer the chances.
    now
        The merchant share as it is known now.
    waiting
        Applicants whom nobody has reviewed by chance.
    reviews
        Reviews that the plan expects.
    half_width
        Expected half-width of the 95% interval of the merchant share, from these and the earlier reviews.
    rows
        What other budgets would buy.
    accounts, propensities
        Whom to review, and with which chance each was drawn.
    known, known_at
        Accounts that were reviewed before, with the answer (True for a merchant), and the ISO 8601 instant from which
        they count for themselves alone.
    """

    model_version: str
    now: PoweredShare
    waiting: int
    reviews: int
    half_width: float
    rows: tuple[PlanRow, ...]
    accounts: tuple[str, ...]
    propensities: tuple[float, ...]
    known: tuple[tuple[str, bool], ...]
    known_at: str


def plan_reviews(
    workspace: Workspace,
    *,
    budget: int | None = None,
    half_width: float | None = None,
    model_version: str | None = None,
    policy: Policy | None = None,
    seed: int = 0,
    history: History | None = None,
) -> ReviewPlan:
    """Draw the next reviews among later applicants of operators that the model has never met.

    What waits of an operator is reviewed whole. The draw hangs on the operator's id and the seed alone: a larger budget
    only adds.

    Parameters
    ----------
    workspace
        Holds the market and the model.
    budget
        Accounts that may be reviewed.
    half_width
        Instead: the half-width that is wanted, as a share.
    model_version, policy
        As for `verify`.
    seed
        Another seed draws other operators.
    history
        The market, if it is open already.

    Raises
    ------
    BadInputError
        If neither or both of `budget` and `half_width` are given, or one is out of range.
    NotEnoughDataError
        If nobody is left to review, or reviewing everybody would not give the half-width.
    """
    if (budget is None) == (half_width is None):
        raise BadInputError("a plan needs a budget or a width", allowed="one of --budget and --width")
    history = history or History(workspace.warehouse())
    version = workspace.chosen_model(model_version)
    desk = measuring_desk(workspace, history, version, policy or read_policy(None))
    later = evaluate(desk, None, history.last_instant).later
    people = later.population
    waits = people.weight == 0
    if not waits.any():
        raise NotEnoughDataError(
            "every later applicant was reviewed by chance already", next_step="ingest later applications"
        )
    frame = Frame.of(people)
    wanted = budget if budget is not None else _needed(frame, half_width or 0.0)
    chances = frame.chances(wanted)
    accounts = later.applications.account_ids
    kept, codes = _drawn(people.operator_ids[waits], chances, seed)
    return ReviewPlan(
        model_version=version,
        now=powered_share(people, "all_applicants"),
        waiting=frame.waiting,
        reviews=min(int(wanted), frame.waiting),
        half_width=frame.half_width(chances),
        rows=frame.rows(),
        accounts=tuple(accounts[waits][kept].tolist()),
        propensities=tuple(chances[codes][kept].tolist()),
        known=tuple(zip(accounts[~waits].tolist(), people.is_merchant[~waits].tolist(), strict=True)),
        known_at=format_instant(history.last_instant),
    )


def write_sheet(plan: ReviewPlan, file: Path) -> None:
    """Write the reviewers' sheet: the market's table of labels, with label and instant left for the reviewers.

    Whoever was reviewed before stands in it with the known answer and propensity 1: the new reviews speak for those who
    waited, and the old ones for themselves. Without these rows both would speak for everybody.

    Parameters
    ----------
    plan
        What was drawn.
    file
        A CSV file; filled in, it is ingested as `labels.csv`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    grade = SAMPLED_GRADE.value
    for account, propensity in zip(plan.accounts, plan.propensities, strict=True):
        writer.writerow(("account", account, "", grade, SOURCE, "", f"{propensity:.9f}"))
    for account, is_merchant in plan.known:
        answer = "merchant" if is_merchant else "genuine"
        writer.writerow(("account", account, answer, grade, SOURCE, plan.known_at, "1"))
    write_atomically(file, text.getvalue().encode())


def _drawn(
    operator_ids: NDArray[np.str_], chances: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw waiting operators by their lots: the rows drawn, and every row's operator."""
    operators, codes = np.unique(operator_ids, return_inverse=True)
    drawn = np.array([_lot(name, seed) for name in operators.tolist()]) < chances
    return np.flatnonzero(drawn[codes]), codes


def _needed(frame: Frame, half_width: float) -> int:
    if not 0 < half_width < 1:
        raise BadInputError("the width is out of range", where=f"{half_width:g}", allowed="a share in (0, 1)")
    needed = frame.reviews_for(half_width)
    if needed is None:
        everybody = frame.half_width(np.ones(len(frame.sizes)))
        raise NotEnoughDataError(
            f"reviewing everybody would give a half-width of {everybody:.4f}, not of {half_width:g}",
            next_step="ask for a wider interval, or ingest later applications",
        )
    return needed


def _lot(operator_id: str, seed: int) -> float:
    return int.from_bytes(sha256(f"review|{seed}|{operator_id}".encode()).digest()[:6]) / 2**48
