"""Let rivals score the evaluation sample: the model's own jurors, economics, clustering alone, trees, beliefs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from membergate.domain.labels import EVALUATING_GRADES
from membergate.engine import HDBSCAN
from membergate.learning.features import FeatureTable
from membergate.learning.model import IdentificationModel
from membergate.learning.model.clusters import MIN_SAMPLES
from membergate.operations.beliefs import beliefs_about
from membergate.operations.history import History
from membergate.operations.learn import Lesson
from membergate.verification.rivals import Rival, RivalRow, measure_rivals
from membergate.verification.sample import EvaluationSample, Floats

JUROR_WORDS = ("local outlier factor", "k-distance", "MDCA", "isolation forest", "soft-link graph")
"""The jurors' names for readers, in the jury's order."""
FEWEST_OF_EACH = 10
"""Labelled merchants, and labelled genuine applicants, from which a rival learns."""
LEAVES, IN_A_LEAF, ROUNDS = 8, 20, 100


def try_rivals(
    history: History,
    model: IdentificationModel,
    lesson: Lesson,
    sample: EvaluationSample,
    table: FeatureTable,
    *,
    seed: int,
) -> tuple[RivalRow, ...]:
    """Measure every rival that the data allows beside the model's score.

    Parameters
    ----------
    history
        The market, for who shares what with whom.
    model
        The candidate.
    lesson
        What it learned from.
    sample, table
        The evaluation sample and its features, row by row.
    seed
        Seed of trees and bootstrap.
    """
    if not len(sample):
        return ()
    deviations = model.groundwork.space.transform(table)
    rivals = [Rival("resale economics (the prior)", False, model.groundwork.prior.score(deviations))]
    if model.groundwork.jury is not None:
        opinions = model.groundwork.jury.hear(deviations)
        rivals += [Rival(words, False, said) for words, said in zip(JUROR_WORDS, opinions, strict=True)]
    if len(deviations) > 2 * MIN_SAMPLES:
        clustered = HDBSCAN(min_cluster_size=MIN_SAMPLES).fit(deviations)
        rivals.append(Rival("HDBSCAN alone (outside its clusters)", False, 1.0 - clustered.probabilities_))
    labels = lesson.labels.only(EVALUATING_GRADES)
    if min((labels.is_merchant == side).sum() for side in (0, 1)) >= FEWEST_OF_EACH:
        rivals += _taught(history, model, replace(lesson, labels=labels), table, seed)
    return measure_rivals(sample, rivals, seed=seed)


def _taught(
    history: History, model: IdentificationModel, lesson: Lesson, table: FeatureTable, seed: int
) -> Iterator[Rival]:
    """Let rivals learn from the labels that the model learned from: trees on the same features, beliefs on a graph."""
    yield Rival("boosted trees, same features and labels", True, _boosted_trees(lesson, table, seed))
    beliefs = beliefs_about(table.spine, history, model.lineage.trained_until, lesson)
    if beliefs.any():
        yield Rival("belief propagation on soft links", True, beliefs)


def _boosted_trees(lesson: Lesson, table: FeatureTable, seed: int) -> Floats:
    taught = lesson.labels.is_labelled
    trees = HistGradientBoostingClassifier(
        max_leaf_nodes=LEAVES, min_samples_leaf=IN_A_LEAF, max_iter=ROUNDS, early_stopping=False, random_state=seed
    )
    weight = lesson.labels.training_weight[taught]
    trees.fit(lesson.table.values[taught], lesson.labels.is_merchant[taught] == 1, sample_weight=weight)
    return np.asarray(trees.predict_proba(table.values)[:, 1], dtype=np.float64)
