"""Whether explanations keep their word: reasons, the one change that a decision names, and ways out in behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from membergate.deciding.policy import Policy, counterfactual, decide
from membergate.domain.decision import Decision
from membergate.domain.disposition import FULL_ADMISSIONS, Checkpoint
from membergate.learning.features import FeatureTable
from membergate.operations.admission import AdmissionDesk, Case, draw
from membergate.operations.evaluation import Decided, evenly
from membergate.operations.way_out import scored_again, way_out
from membergate.verification.card import Explanations

MOST_ASKED = 200
"""Decisions whose explanations are tried at most: finding a way out costs most of a decision."""
MOST_WAYS = 40
"""Decisions for which a way out in behaviour is sought at most: each has the model testify some two hundred times."""


def try_explanations(desk: AdmissionDesk, decided: Sequence[Decided], table: FeatureTable) -> Explanations:
    """Take evenly spread decisions short of full admission, and hold their reasons and ways out to their word.

    A change of one evidence is valid if the same evidence with it, decided again, gives just the answer that it names.
    A way out in behaviour is valid if the model, asked anew about the changed features, and the policy give it.

    Parameters
    ----------
    desk
        The door that is verified.
    decided, table
        What it has decided, and the features of each, row by row.
    """
    short = [row for row, (_, decision) in enumerate(decided) if decision.disposition not in FULL_ADMISSIONS]
    asked = evenly(short, MOST_ASKED)
    moved = [_moved_evidence(desk.policy, *decided[row]) for row in asked]
    behaved = evenly(asked, MOST_WAYS)
    ways = [_moved_behaviour(desk, *decided[row], table.take(np.array([row]))) for row in behaved]
    return Explanations(
        asked=len(asked),
        with_reason=sum(bool(decided[row][1].reason_codes) for row in asked),
        with_counterfactual=sum(is_valid is not None for is_valid in moved),
        valid=sum(bool(is_valid) for is_valid in moved),
        behaved=len(behaved),
        with_way_out=sum(found is not None for found in ways),
        with_one_change=sum(found is not None and found[0] == 1 for found in ways),
        way_out_valid=sum(found is not None and found[1] for found in ways),
    )


def _moved_evidence(policy: Policy, case: Case, decision: Decision) -> bool | None:
    """Tell whether the one change that a decision names gives what it says; None where it names none."""
    at = policy.at(decision.as_of)
    lottery, snoozed = draw(case.operator_id, at), at.snoozed_for(decision.account_id, decision.as_of)
    said = decide(at, Checkpoint.ADMISSION, case.evidence, lottery=lottery, snoozed=snoozed)
    change = counterfactual(at, Checkpoint.ADMISSION, case.evidence, said, lottery=lottery, snoozed=snoozed)
    if change is None:
        return None
    moved = case.evidence | {change.evidence: replace(case.evidence[change.evidence], value=change.needed)}
    again = decide(at, Checkpoint.ADMISSION, moved, lottery=lottery, snoozed=snoozed)
    return again.disposition is change.disposition


def _moved_behaviour(
    desk: AdmissionDesk, case: Case, decision: Decision, table: FeatureTable
) -> tuple[int, bool] | None:
    """Count the features that would have to differ, and tell whether that gives what is said; None for no way out."""
    door = desk.model, desk.model_version, desk.policy_at(decision.as_of), table, case
    found = way_out(*door, decision)
    return None if found is None else (len(found.changes), scored_again(*door, found.changes) is found.disposition)
