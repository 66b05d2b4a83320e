"""Decide the evaluation sample again with parameters beside the chosen ones: other clusters, other thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from membergate.deciding.policy import Policy, decide
from membergate.domain.disposition import Checkpoint
from membergate.domain.evidence import Evidence
from membergate.learning.features import FeatureTable
from membergate.learning.model.clusters import MIN_SAMPLES, RegionClustering
from membergate.operations.admission import AdmissionDesk, Case, draw
from membergate.operations.learn import Lesson
from membergate.operations.testimony import Witnesses
from membergate.verification.sample import EvaluationSample
from membergate.verification.sensitivity import SensitivityRow, Variation, measure_sensitivity

REACHES = (0.8, 1.25)
NEIGHBOURS = (0.5, 2.0)
LOSSES = (0.8, 1.25)
"""Factors beside the chosen reach of a neighbourhood (eps), the fewest neighbours (min_samples), and the loss from a
merchant, which moves every threshold of the probability."""


def try_parameters(
    desk: AdmissionDesk,
    lesson: Lesson,
    sample: EvaluationSample,
    table: FeatureTable,
    cases: Sequence[Case],
    *,
    seed: int,
) -> tuple[SensitivityRow, ...]:
    """Move one parameter at a time, and measure what becomes of full admissions.

    Operators' holders are left as they were decided: what is measured is the parameter, not the order of applicants.

    Parameters
    ----------
    desk
        The door that is verified.
    lesson
        What its model learned from.
    sample, table, cases
        The labelled applications, their features, and what was witnessed about each, row by row.
    seed
        Seed of clustering and bootstrap.
    """
    variations = [*_with_other_clusters(desk, lesson, table, cases, seed), *_with_other_losses(desk.policy, cases)]
    return measure_sensitivity(sample, variations, seed=seed)


def _with_other_clusters(
    desk: AdmissionDesk,
    lesson: Lesson,
    table: FeatureTable,
    cases: Sequence[Case],
    seed: int,
) -> Iterator[Variation]:
    model = desk.model
    if not model.settings.parts.clusters or not len(table.spine):
        return
    tried = [("reach of a neighbourhood (eps)", factor, RegionClustering(reach=factor)) for factor in REACHES]
    tried += [
        ("fewest neighbours (min_samples)", factor, RegionClustering(min_samples=round(MIN_SAMPLES * factor)))
        for factor in NEIGHBOURS
    ]
    for parameter, factor, clustering in tried:
        moved = model.groundwork.reclustered(lesson.table, lesson.labels, np.random.default_rng(seed), clustering)
        other = replace(model, groundwork=moved)
        witnesses = Witnesses(table, other.witness(table), other, desk.model_version)
        found = [
            case.evidence | {name: said for name, said in witnesses.about(row, {}).items() if _is_the_models(said)}
            for row, case in enumerate(cases)
        ]
        yield Variation(parameter, factor, decided_again(desk.policy, cases, found))


def _with_other_losses(policy: Policy, cases: Sequence[Case]) -> Iterator[Variation]:
    if policy.economics is None:
        return
    loss = policy.economics.merchant_loss_minor
    for factor in LOSSES:
        moved = replace(policy, economics=replace(policy.economics, merchant_loss_minor=loss * factor))
        found = [case.evidence for case in cases]
        yield Variation("loss from a merchant (thresholds)", factor, decided_again(moved, cases, found))


def decided_again(policy: Policy, cases: Sequence[Case], evidence: Sequence[dict[str, Evidence]]) -> NDArray[np.str_]:
    """Give a policy's disposition of each case on evidence that takes the place of the case's own, shape (n,)."""
    dispositions = []
    for case, found in zip(cases, evidence, strict=True):
        application = case.application
        at = policy.at(application.submitted_at)
        snoozed = policy.snoozed_for(application.account_id, application.submitted_at)
        lottery = draw(case.operator_id, policy)
        verdict = decide(at, Checkpoint.ADMISSION, found, lottery=lottery, snoozed=snoozed)
        dispositions.append(verdict.disposition.value)
    return np.array(dispositions, dtype=np.str_)


def _is_the_models(said: Evidence) -> bool:
    return said.origin.startswith("model:")
