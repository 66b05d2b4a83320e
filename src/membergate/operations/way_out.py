"""The way out: how someone would have to differ, in what they do, for a milder decision; valid when scored again.

A policy's counterfactual moves one evidence and leaves the score as it was. This one moves behaviour, towards what is
typical of the applicant's peers, has the model testify again, and decides again with all that follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from membergate.deciding.policy import Policy, decide
from membergate.domain.decision import Decision
from membergate.domain.disposition import LADDERS, Checkpoint, Disposition
from membergate.domain.evidence import Evidence
from membergate.learning.features import CATALOGUE, FeatureTable
from membergate.learning.features.peers import peer_groups
from membergate.learning.model import IdentificationModel
from membergate.learning.model.space import from_signed_log, signed_log
from membergate.operations.admission import Case
from membergate.operations.testimony import Witnesses

MOST_FEATURES = 12
"""How many features are tried: those that raise the score most."""
STEPS = 16
"""Values tried between what is and what is typical."""
_FROM_THE_TABLE = ("model:", "feature:")


@dataclass(frozen=True)
class Change:
    """One feature that would have to differ, in its own unit."""

    feature: str
    summary: str
    unit: str
    actual: float
    needed: float


@dataclass(frozen=True)
class WayOut:
    """What would have to differ, together, and what would then be decided.

    Parameters
    ----------
    changes
        The smallest single change, measured against the peers' spread; several where none alone would do.
    disposition
        What is decided when all is scored again with them.
    probability
        The merchant probability then, the uncalibrated one where the model has no other.
    """

    changes: tuple[Change, ...]
    disposition: Disposition
    probability: float


def way_out(
    model: IdentificationModel, model_version: str, policy: Policy, table: FeatureTable, case: Case, decision: Decision
) -> WayOut | None:
    """Find it for one application; None where it is admitted already, or nothing that is tried leads anywhere milder.

    Parameters
    ----------
    model, model_version, policy
        The witness and the judge, as of the application.
    table
        One row: the application's features.
    case, decision
        What was witnessed and decided.
    """
    ladder = LADDERS[Checkpoint.ADMISSION]
    if decision.disposition is ladder[0]:
        return None
    movable = _movable(model, table)
    typical = model.groundwork.space.typical(table)[0]
    trials = [*_single(model, table, movable), *_several(movable, typical)]
    if not trials:
        return None
    changed = _changed(table, trials)
    milder = ladder[: ladder.index(decision.disposition)]
    for row, evidence in enumerate(_evidence(model, model_version, changed, case)):
        reached = decide(policy, Checkpoint.ADMISSION, evidence, lottery=1.0).disposition
        if reached in milder:
            changes = tuple(_change(table, column, value) for column, value in trials[row].items())
            said = evidence["merchant_probability"], evidence["uncalibrated_probability"]
            return WayOut(changes, reached, next(float(each.value) for each in said if not each.is_absent))
    return None


def scored_again(
    model: IdentificationModel,
    model_version: str,
    policy: Policy,
    table: FeatureTable,
    case: Case,
    changes: Sequence[Change],
) -> Disposition:
    """Decide an application with some features as they would have to be: what a way out promises, taken at its word.

    Parameters
    ----------
    model, model_version, policy, table, case
        As for `way_out`.
    changes
        What would be different.
    """
    moved = {table.features.index(change.feature): change.needed for change in changes}
    (evidence,) = _evidence(model, model_version, _changed(table, [moved]), case)
    return decide(policy, Checkpoint.ADMISSION, evidence, lottery=1.0).disposition


def _movable(model: IdentificationModel, table: FeatureTable) -> list[int]:
    """Name the columns that raise the score and have a sense of risk, most first."""
    said = model.witness(table)
    raised = dict(zip(said.columns, said.contributions[0].tolist(), strict=True))
    columns = [
        column
        for column, feature in enumerate(table.features)
        if CATALOGUE[feature].sense and raised.get(feature, 0.0) > 0 and np.isfinite(table.values[0, column])
    ]
    return sorted(columns, key=lambda column: -raised[table.features[column]])[:MOST_FEATURES]


def _single(model: IdentificationModel, table: FeatureTable, movable: Sequence[int]) -> list[dict[int, float]]:
    """Move one feature at a time towards what is typical of the peers, the smallest move first."""
    space = model.groundwork.space
    group = peer_groups(table.context, space.peers)[0]
    actual, goal = signed_log(table.values[0]), space.centres[group]
    trials = []
    for column in movable:
        for step in range(1, STEPS + 1):
            moved = (goal[column] - actual[column]) * step / STEPS
            value = from_signed_log(np.array([actual[column] + moved]))[0]
            trials.append((abs(moved) / space.scales[group, column], step, column, float(value)))
    return [{column: value} for _, _, column, value in sorted(trials)]


def _several(movable: Sequence[int], typical: NDArray[np.float64]) -> Iterator[dict[int, float]]:
    """Move the two, three, … that raise the score most to what is typical."""
    for many in range(2, len(movable) + 1):
        yield {column: float(typical[column]) for column in movable[:many]}


def _changed(table: FeatureTable, trials: Sequence[dict[int, float]]) -> FeatureTable:
    rows = table.take(np.zeros(len(trials), dtype=np.int64))
    values = rows.values.copy()
    for row, trial in enumerate(trials):
        for column, value in trial.items():
            values[row, column] = value
    return replace(rows, values=values)


def _evidence(
    model: IdentificationModel, model_version: str, changed: FeatureTable, case: Case
) -> Iterator[dict[str, Evidence]]:
    """Have the model testify again about each row; what neither features nor model witness stays as it was."""
    witnesses = Witnesses(changed, model.witness(changed), model, model_version)
    for row in range(len(changed.spine)):
        again = witnesses.about(row, {})
        kept = {name: it for name, it in again.items() if it.origin.startswith(_FROM_THE_TABLE)}
        yield case.evidence | kept


def _change(table: FeatureTable, column: int, needed: float) -> Change:
    feature = CATALOGUE[table.features[column]]
    return Change(feature.id, feature.summary, feature.unit, float(table.values[0, column]), needed)
