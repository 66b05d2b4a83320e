"""Rule hits and unappealed penalties train as far as reviews confirm them, and no further."""

from __future__ import annotations

from membergate.domain.instants import utc
from membergate.domain.labels import Label, LabelGrade
from membergate.learning.model import LabelSet
from membergate.learning.model.labelling import TRAINING_WEIGHTS

DAY = utc(2025, 1, 1)


def accused(confirmed: int, cleared: int) -> list[Label]:
    """Make rule hits that were all reviewed, among a hundred reviewed accounts without a hit."""
    hits = [Label("account", f"h{number}", True, LabelGrade.L1, "rule", DAY) for number in range(confirmed + cleared)]
    reviews = [
        Label("account", f"h{number}", number < confirmed, LabelGrade.L3, "review", DAY, 0.5)
        for number in range(confirmed + cleared)
    ]
    others = [Label("account", f"o{number}", number < 10, LabelGrade.L3, "review", DAY, 0.5) for number in range(100)]
    return hits + reviews + others


def test_a_rule_that_reviews_contradict_says_nothing() -> None:
    """Hits that are merchants no more often than anyone have no weight: learning from them would repeat the rule."""
    assert LabelSet(accused(confirmed=4, cleared=36)).worth[LabelGrade.L1] < 0.001


def test_a_rule_that_reviews_confirm_is_believed() -> None:
    """Hits that nearly always turn out merchants come close to their declared weight."""
    worth = LabelSet(accused(confirmed=60, cleared=0)).worth[LabelGrade.L1]
    assert 0.5 * TRAINING_WEIGHTS[LabelGrade.L1] < worth <= TRAINING_WEIGHTS[LabelGrade.L1]


def test_without_reviews_the_declared_weight_stands() -> None:
    """Nothing can be held against a grade where nobody reviewed anything."""
    hit = Label("account", "a", True, LabelGrade.L1, "rule", DAY)
    assert LabelSet([hit]).worth == TRAINING_WEIGHTS
