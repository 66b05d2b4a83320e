"""learn: a new candidate model version from what was known at an instant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from membergate.domain.errors import BadInputError
from membergate.domain.instants import format_instant
from membergate.domain.labels import Label
from membergate.learning.features import LEARNED, FeatureTable, Norms, Spine, availability, fit_norms
from membergate.learning.model import IdentificationModel, LabelSet, LearningSettings, save_model
from membergate.learning.model.identification import FEWEST_ROWS, Lineage
from membergate.learning.model.labelling import Labelling
from membergate.learning.model.settling import Settling, earlier_instants, has_grown
from membergate.operations.history import Applications, History, aware
from membergate.operations.workspace import Workspace

VERIFICATION_SHARE = 0.3
"""Share of the known applications, the latest, that learning leaves to verification."""
HOLDOUT_SHARE = 0.4
"""Share of operators that learning never sees, so that verification meets whole rings it has not met before."""

MOST_LOOKED_AT = 2_000
"""Applicants who are looked at again as of earlier instants at most, evenly spread."""


@dataclass(frozen=True)
class Learned:
    """What a learning run made.

    Parameters
    ----------
    model_version
        The new candidate.
    as_of, trained_until
        What was known, and from when on applications were left to verification.
    rows
        Applications (or accounts) learned from.
    labels
        Labelled rows by grade.
    features
        Ids of the features in use.
    is_calibrated
        Whether its probabilities may be called that.
    notes
        What a reader should know.
    """

    model_version: str
    as_of: datetime
    trained_until: datetime
    rows: int
    labels: dict[str, int]
    features: tuple[str, ...]
    is_calibrated: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Lesson:
    """What a model learns from.

    Parameters
    ----------
    table
        Features of n past applications (or accounts), each as of its own instant.
    labels
        What is known of them.
    operators
        Shape (n,): who stands behind each, by all that is known.
    is_whole
        Whether these are just the accounts that the model was made from, where it is given once more.
    """

    table: FeatureTable
    labels: Labelling
    operators: NDArray[np.str_]
    is_whole: bool = True

    def taught(self, norms: Norms, lineage: Lineage, settings: LearningSettings) -> IdentificationModel:
        """Learn from it; see `IdentificationModel.learn`."""
        return IdentificationModel.learn(self.table, self.labels, self.operators, norms, lineage, settings)


def learn(
    workspace: Workspace,
    *,
    as_of: datetime | None = None,
    trained_until: datetime | None = None,
    settings: LearningSettings | None = None,
    history: History | None = None,
) -> Learned:
    """Learn a candidate and remember it in the workspace.

    Parameters
    ----------
    workspace
        Holds the ingested market.
    as_of
        Nothing later is looked at; the end of the data where None.
    trained_until
        Applications from here on are left to verification; the latest 30 % of those known where None.
    settings
        Seed and switches.
    history
        The market, if it is open already.

    Raises
    ------
    NotEnoughDataError
        If there is too little to learn from.
    BadInputError
        If `trained_until` lies after `as_of`.
    WorkspaceError
        If a part of the warehouse was altered since it was written.
    """
    history = history or History(workspace.warehouse())
    history.warehouse.verify()
    settings = settings or LearningSettings()
    known_at = as_of or history.last_instant
    spine, cut, holdout_share = _who_to_learn_from(history, known_at, trained_until)
    computable = [entry.feature.id for entry in availability(history.warehouse.columns()) if entry.is_computable]
    usable = [feature for feature in computable if feature in LEARNED]
    norms = fit_norms(history.connection, cut, tuple(usable))
    known = history.labels(known_at)
    lesson = _lesson(history, spine, known, known_at, norms, usable)
    lineage = Lineage(known_at, cut, history.warehouse.fingerprint, np.unique(spine.account_ids), holdout_share)
    model = lesson.taught(norms, lineage, settings)
    model = replace(model, settling=_settling(history, model, lesson.table))
    version = save_model(model, workspace.models)
    workspace.note_candidate(version)
    return Learned(
        version,
        known_at,
        cut,
        len(spine),
        dict(sorted(Counter(grade for grade in lesson.labels.grade.tolist() if grade).items())),
        tuple(usable),
        model.is_calibrated,
        (*model.notes, *_notes(holdout_share, sum(label.subject_type == "operator" for label in known))),
    )


def lesson_of(history: History, model: IdentificationModel) -> Lesson:
    """Give once more what a model was learned from, of nobody but the accounts that its lineage names.

    It is not whole where rows that came later, and are known from before, change who would be learned from.
    """
    lineage, known_at = model.lineage, model.lineage.as_of
    spine, _, _ = _who_to_learn_from(history, known_at, lineage.trained_until)
    is_whole = np.array_equal(np.unique(spine.account_ids), lineage.accounts)
    if not is_whole:
        spine = _spine_named(history, lineage)
    lesson = _lesson(history, spine, history.labels(known_at), known_at, model.norms, model.features)
    return replace(lesson, is_whole=is_whole)


def _spine_named(history: History, lineage: Lineage) -> Spine:
    """Give the applications of the accounts that a lineage names, or the accounts where it learned from these."""
    until = lineage.trained_until
    spine = history.applications(until=until).spine if lineage.holdout_share else history.accounts(until)
    is_named = np.isin(spine.account_ids, lineage.accounts)
    return Spine(spine.subject_ids[is_named], spine.account_ids[is_named], spine.as_of[is_named])


def _lesson(
    history: History, spine: Spine, known: list[Label], known_at: datetime, norms: Norms, features: Sequence[str]
) -> Lesson:
    by_now = history.links.operators_as_of(known_at)
    operators = np.array([by_now.get(account, account) for account in spine.account_ids], dtype=np.str_)
    labels = LabelSet(known).lay(spine.account_ids.tolist(), operators.tolist())
    return Lesson(history.features(spine, history.operators(spine), norms, features), labels, operators)


def _settling(history: History, model: IdentificationModel, table: FeatureTable) -> Settling | None:
    """Look at applicants again as of earlier instants, and learn how far their margins moved since."""
    some = np.unique(np.linspace(0, len(table.spine) - 1, MOST_LOOKED_AT).astype(np.int64))
    table = table.take(some)
    orders, later = table.context["orders"].astype(np.float64), model.margin(table)
    known, moved = [], []
    history_days = table.context["history_days"].astype(np.float64)
    for rows, instants in earlier_instants(table.spine.as_of, history_days):
        spine = Spine(table.spine.subject_ids[rows], table.spine.account_ids[rows], instants)
        earlier = history.features(spine, history.operators(spine), model.norms, model.features)
        less = earlier.context["orders"].astype(np.float64)
        grown = has_grown(less, orders[rows])
        known.append(less[grown])
        moved.append((later[rows] - model.margin(earlier))[grown])
    return Settling.fit(np.concatenate(known), np.concatenate(moved))


def known_applications(history: History, known_at: datetime) -> Applications:
    """Give the applications that were known at an instant."""
    past = history.applications(until=known_at)
    return past.take(past.known_at <= np.datetime64(known_at.replace(tzinfo=None), "us"))


def usual_cut(past: Applications) -> datetime:
    """Give the instant from which on the latest 30 % of applications (at least one) are left to verification."""
    return aware(np.sort(past.submitted_at)[int(len(past) * (1 - VERIFICATION_SHARE))])


def _notes(holdout_share: float, operator_labels: int) -> tuple[str, ...]:
    notes = []
    if holdout_share == 0:
        notes.append("too few past applications: learned from every account, so no operator is left to verification")
    if operator_labels:
        notes.append(f"{operator_labels} labels name operators by ids of another system, and are not used")
    return tuple(notes)


def held_out(operator_ids: NDArray[np.str_], share: float) -> NDArray[np.bool_]:
    """Tell which operators are left to verification, by a digest of their id: the same in every learning run.

    Parameters
    ----------
    operator_ids
        Shape (n,).
    share
        In [0, 1].
    """
    draws = [int.from_bytes(sha256(b"holdout" + name.encode()).digest()[:6]) / 2**48 for name in operator_ids]
    return np.array(draws, dtype=np.float64) < share


def _who_to_learn_from(
    history: History, known_at: datetime, trained_until: datetime | None
) -> tuple[Spine, datetime, float]:
    """Choose past applications of operators that are not held out; before there are any, every account.

    Gives them, the instant up to which they reach, and the share of operators that was held out.
    """
    if trained_until is not None and trained_until > known_at:
        raise BadInputError(
            "learning would look at applications later than what it may know",
            where=f"trained until {format_instant(trained_until)}, as of {format_instant(known_at)}",
            allowed="trained-until at or before as-of",
        )
    past = known_applications(history, known_at)
    if len(past) < FEWEST_ROWS:
        return history.accounts(trained_until or known_at), trained_until or known_at, 0.0
    cut = trained_until or usual_cut(past)
    by_now = history.links.operators_as_of(known_at)
    operators = np.array([by_now.get(account, account) for account in past.account_ids], dtype=np.str_)
    early = past.submitted_at < np.datetime64(cut.replace(tzinfo=None), "us")
    return past.take(early & ~held_out(operators, HOLDOUT_SHARE)).spine, cut, HOLDOUT_SHARE
