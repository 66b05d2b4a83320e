"""What each part of the candidate buys: learned again without it, on the same evaluation sample."""

from __future__ import annotations

from dataclasses import fields, replace

from membergate.learning.features import FeatureTable
from membergate.learning.model import IdentificationModel, Parts
from membergate.operations.learn import Lesson
from membergate.verification.rivals import Rival, RivalRow, measure_rivals
from membergate.verification.sample import EvaluationSample


def try_ablations(
    model: IdentificationModel, lesson: Lesson, sample: EvaluationSample, table: FeatureTable, *, seed: int
) -> tuple[RivalRow, ...]:
    """Measure the model without each part that it uses as a rival of its score: the lead is what the part buys.

    Parameters
    ----------
    model
        The candidate.
    lesson
        What it was learned from.
    sample, table
        The evaluation sample and its features, row by row.
    seed
        Seed of the bootstrap; the model is learned again from its own seed.

    Returns
    -------
    tuple of RivalRow
        The part that is missed most in average precision first.
    """
    if not len(sample):
        return ()
    parts = model.settings.parts
    used = [part.name for part in fields(parts) if getattr(parts, part.name)]
    without = [
        Rival(part, model.settings.use_labels, scores)
        for part in used
        for scores in [learned_again(model, lesson, replace(parts, **{part: False})).witness(table).risk_score]
    ]
    return measure_rivals(sample, without, seed=seed)[::-1]


def learned_again(model: IdentificationModel, lesson: Lesson, parts: Parts) -> IdentificationModel:
    """Learn a model once more from its own lesson, with these parts; with its own it scores everybody as before.

    How scores settle is left out: it widens the intervals of probabilities, and moves no score.
    """
    return lesson.taught(model.norms, model.lineage, replace(model.settings, parts=parts))
