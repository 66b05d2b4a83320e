"""Which label speaks for whom, and what may be concluded from it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from membergate.domain.instants import utc
from membergate.domain.labels import EVALUATING_GRADES, Label, LabelGrade
from membergate.learning.model import LabelSet

G = LabelGrade


def label(
    grade: LabelGrade,
    *,
    merchant: bool,
    subject: str = "a",
    kind: str = "account",
    day: int = 1,
    chance: float | None = None,
) -> Label:
    """Make a label."""
    return Label(kind, subject, merchant, grade, "test", utc(2025, 1, day), chance)


def test_an_upheld_appeal_overrides_even_a_proof() -> None:
    """The best founded label speaks; a person's correction is the best."""
    labels = LabelSet([label(G.L4, merchant=True), label(G.L0, merchant=False), label(G.L1, merchant=True)])
    laid = labels.lay(["a", "b"], ["o", "o"])
    assert laid.grade.tolist() == ["L0", ""]
    assert laid.is_merchant[0] == 0
    assert np.isnan(laid.is_merchant[1])


def test_an_operators_label_speaks_for_accounts_without_their_own() -> None:
    """Accounts inherit their operator's label."""
    labels = LabelSet(
        [label(G.L4, merchant=True, subject="o", kind="operator"), label(G.L3, merchant=False, chance=0.5)]
    )
    laid = labels.lay(["a", "b"], ["o", "o"])
    assert laid.grade.tolist() == ["L3", "L4"]


def test_a_sampled_account_keeps_its_sampled_label() -> None:
    """Replacing a reviewed label by a proof would make being seen as a merchant depend on being one."""
    labels = LabelSet([label(G.L3, merchant=False, chance=0.25), label(G.L4, merchant=True)])
    assert labels.lay(["a"], ["o"]).grade.tolist() == ["L4"]
    sampled = labels.lay_sampled(["a"], ["o"])
    assert (sampled.grade.tolist(), sampled.sampling_weight.tolist()) == (["L3"], [4.0])


def test_grades_that_may_not_evaluate_are_forgotten() -> None:
    """Rule hits and unappealed penalties train; they never evaluate."""
    laid = LabelSet([label(G.L2, merchant=True), label(G.L3, merchant=False, subject="b", chance=1.0)]).lay(
        ["a", "b"], ["o", "p"]
    )
    kept = laid.only(EVALUATING_GRADES)
    assert kept.is_labelled.tolist() == [False, True]
    assert kept.or_else(laid).grade.tolist() == ["L2", "L3"]


@given(st.permutations([label(g, merchant=m, day=d) for g in G for m in (True, False) for d in (1, 2)]))
def test_the_order_in_which_labels_come_does_not_matter(labels: list[Label]) -> None:
    """Ties are settled by instant and content, never by position."""
    first = LabelSet(sorted(labels, key=str)).lay(["a"], ["o"])
    again = LabelSet(labels).lay(["a"], ["o"])
    assert (first.grade.tolist(), first.is_merchant.tolist()) == (again.grade.tolist(), again.is_merchant.tolist())
