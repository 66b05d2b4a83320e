"""Whom to review next, drawn by known chances, and what that buys."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from membergate.deciding.policy import Policy
from membergate.domain.disposition import HOLDERS
from membergate.domain.errors import BadInputError, NotEnoughDataError
from membergate.domain.instants import format_instant
from membergate.domain.labels import SAMPLED_GRADE
from membergate.operations.evaluation import evaluate, measuring_desk
from membergate.operations.history import History
from membergate.operations.policies import read_policy
from membergate.operations.verify import UNCAPPED
from membergate.operations.workspace import Workspace, write_atomically
from membergate.verification.certificate import Terms
from membergate.verification.prediction_powered import Frame, PlanRow, Population, PoweredShare, powered_share
from membergate.verification.sample import is_among
from membergate.verification.sample_sizes import clean_operators_drawn

COLUMNS = ("subject_type", "subject_id", "label", "grade", "source", "decided_at", "propensity")
SOURCE = "review_plan"


@dataclass(frozen=True, slots=True)
class Toll:
    """What a certificate takes of reviews that are drawn with unequal chances.

    Parameters
    ----------
    terms
        What is to be certified; the smallest propensity is the floor under the chances that was asked for.
    smallest_propensity
        The smallest chance of anybody.
    clean_operators, clean_operators_alike
        Operators let in, without a leak, that it takes if they are drawn by the plan, and if all alike.
    """

    terms: Terms
    smallest_propensity: float
    clean_operators: int
    clean_operators_alike: int


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
    toll
        What a certificate on these reviews takes.
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
    toll: Toll
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
    terms: Terms | None = None,
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
    terms
        What is to be certified on these reviews; a smallest propensity is a floor under every chance. The operator cap
        is the policy's.
    seed
        Another seed draws other operators.
    history
        The market, if it is open already.

    Raises
    ------
    BadInputError
        If neither or both of `budget` and `half_width` are given, one is out of range, or the budget is too small for
        the floor.
    NotEnoughDataError
        If nobody is left to review, or reviewing everybody would not give the half-width.
    """
    if (budget is None) == (half_width is None):
        raise BadInputError("a plan needs a budget or a width", allowed="one of --budget and --width")
    history = history or History(workspace.warehouse())
    policy = policy or read_policy(None)
    terms = replace(terms or Terms(), operator_cap=policy.operator_cap or UNCAPPED)
    floor = terms.smallest_propensity or 0.0
    desk = measuring_desk(workspace, history, workspace.chosen_model(model_version), policy)
    later = evaluate(desk, None, history.last_instant).later
    frame = Frame.of(later.population)
    chances = _chances(frame, budget, half_width or 0.0, floor)
    people = later.population
    waits = people.weight == 0
    accounts = later.applications.account_ids
    kept, codes = _drawn(people.operator_ids[waits], chances, seed)
    return ReviewPlan(
        model_version=desk.model_version,
        now=powered_share(people, "all_applicants"),
        waiting=frame.waiting,
        reviews=round(float((frame.sizes * chances).sum())),
        half_width=frame.half_width(chances),
        rows=frame.rows(floor),
        toll=_toll(people.take(waits), codes, chances, terms),
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


def _toll(waiting: Population, codes: NDArray[np.int64], chances: NDArray[np.float64], terms: Terms) -> Toll:
    """Tell what a certificate of all holders takes, drawn so and drawn all alike."""
    is_let_in = is_among(waiting.disposition, HOLDERS)
    accounts = np.bincount(codes, weights=is_let_in if is_let_in.any() else None).astype(np.float64)
    there, smallest = accounts > 0, float(chances.min())
    by_plan = clean_operators_drawn(accounts[there], chances[there], terms, smallest=smallest)
    alike = clean_operators_drawn(accounts[there], np.ones(int(there.sum())), terms, smallest=1.0)
    return Toll(terms, smallest, by_plan, alike)


def _chances(frame: Frame, budget: int | None, half_width: float, floor: float) -> NDArray[np.float64]:
    if not frame.waiting:
        raise NotEnoughDataError(
            "every later applicant was reviewed by chance already", next_step="ingest later applications"
        )
    return frame.chances(_needed(frame, half_width, floor) if budget is None else budget, floor)


def _needed(frame: Frame, half_width: float, floor: float) -> int:
    if not 0 < half_width < 1:
        raise BadInputError("the width is out of range", where=f"{half_width:g}", allowed="a share in (0, 1)")
    needed = frame.reviews_for(half_width, floor)
    if needed is None:
        everybody = frame.half_width(np.ones(len(frame.sizes)))
        raise NotEnoughDataError(
            f"reviewing everybody would give a half-width of {everybody:.4f}, not of {half_width:g}",
            next_step="ask for a wider interval, or ingest later applications",
        )
    return needed


def _lot(operator_id: str, seed: int) -> float:
    return int.from_bytes(sha256(f"review|{seed}|{operator_id}".encode()).digest()[:6]) / 2**48
