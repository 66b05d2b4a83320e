"""Let rivals score the evaluation sample: the model's own jurors, economics, clustering alone, and boosted trees."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from membergate.domain.labels import EVALUATING_GRADES
from membergate.engine import HDBSCAN
from membergate.learning.features import FeatureTable
from membergate.learning.model import IdentificationModel
from membergate.learning.model.clusters import MIN_SAMPLES
from membergate.operations.learn import Lesson
from membergate.verification.rivals import Rival, RivalRow, measure_rivals
from membergate.verification.sample import EvaluationSample

JUROR_WORDS = ("local outlier factor", "k-distance", "MDCA", "isolation forest", "soft-link graph")
"""The jurors' names for readers, in the jury's order."""
FEWEST_OF_EACH = 10
"""Labelled merchants, and labelled genuine applicants, from which trees are grown."""
LEAVES, IN_A_LEAF, ROUNDS = 8, 20, 100


def try_rivals(
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
    trees = _boosted_trees(lesson, table, seed)
    if trees is not None:
        rivals.append(trees)
    return measure_rivals(sample, rivals, seed=seed)


def _boosted_trees(lesson: Lesson, table: FeatureTable, seed: int) -> Rival | None:
    """Grow trees on the same features and the same labels; None where labels are too few."""
    labels = lesson.labels.only(EVALUATING_GRADES)
    taught = labels.training_weight > 0
    is_merchant = labels.is_merchant[taught] == 1
    if min(is_merchant.sum(), (~is_merchant).sum()) < FEWEST_OF_EACH:
        return None
    trees = HistGradientBoostingClassifier(
        max_leaf_nodes=LEAVES, min_samples_leaf=IN_A_LEAF, max_iter=ROUNDS, early_stopping=False, random_state=seed
    )
    trees.fit(lesson.table.values[taught], is_merchant, sample_weight=labels.training_weight[taught])
    scores = np.asarray(trees.predict_proba(table.values)[:, 1], dtype=np.float64)
    return Rival("boosted trees, same features and labels", True, scores)
