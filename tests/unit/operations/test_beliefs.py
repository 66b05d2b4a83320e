"""Beliefs on soft links settle at what the equation says, follow who shares what, and never look ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from membergate.domain.labels import EVALUATING_GRADES
from membergate.learning.features import Spine
from membergate.learning.features.links import soft_links
from membergate.learning.model import load_model
from membergate.operations.beliefs import beliefs_about, propagated
from membergate.operations.history import History
from membergate.operations.learn import Learned, Lesson, lesson_of
from membergate.operations.workspace import Workspace


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 9), st.floats(0.1, 1.0))
def test_beliefs_solve_their_equation(seed: int, accounts: int, things: int, share: float) -> None:
    """Whatever the graph, rounds end where a dense solver of b = e + h A b - h^2 D b does; each halves what is left."""
    draw = np.random.default_rng(seed)
    links = draw.random((accounts, things)) * (draw.random((accounts, things)) < share)
    links[0, 0] = 1.0
    seeds = draw.normal(size=accounts)
    found, coupling = propagated(csr_array(links), seeds)
    both = np.block([[np.zeros((accounts, accounts)), links], [links.T, np.zeros((things, things))]])
    step = coupling * both - coupling**2 * np.diag((both**2).sum(axis=1))
    solved = np.linalg.solve(np.eye(accounts + things) - step, np.concatenate([seeds, np.zeros(things)]))
    np.testing.assert_allclose(found, solved[accounts:], atol=1e-10)
    assert np.abs(np.linalg.eigvalsh(step)).max() <= 0.5 + 1e-9


@pytest.fixture(scope="module")
def history(learned_workspace: tuple[Workspace, Learned]) -> History:
    """Open the market once."""
    return History(learned_workspace[0].warehouse())


@pytest.fixture(scope="module")
def lesson(learned_workspace: tuple[Workspace, Learned], history: History) -> Lesson:
    """Give what the model was learned from, with the labels that may evaluate."""
    workspace, learned = learned_workspace
    whole = lesson_of(history, load_model(workspace.models / learned.model_version))
    return replace(whole, labels=whole.labels.only(EVALUATING_GRADES))


def test_links_are_those_of_the_orders_seen_by_then(history: History) -> None:
    """Each row's things are as many as an independent count of the places, devices, lines and phones of its orders."""
    spine = history.applications().spine
    links = soft_links(history.connection, spine)
    counted = np.bincount(links.rows, minlength=len(spine))
    instants = np.asarray(spine.as_of)
    for row in range(0, len(spine), 29):
        expected = history.connection.execute(
            """
            UNPIVOT (SELECT address_id AS place, device_tok AS device, ip_tok AS line, recipient_phone_tok AS phone
              FROM orders WHERE account_id = $account AND visible_at <= $now AND ordered_at <= $now
              AND (superseded_at IS NULL OR superseded_at > $now) AND ordered_at > $now::TIMESTAMP - INTERVAL 90 DAY)
            ON place, device, line, phone INTO NAME kind VALUE token
            """,
            {"account": str(spine.account_ids[row]), "now": instants[row].item()},
        ).fetchall()
        assert counted[row] == len(set(expected))
    assert counted.sum() > 100


def test_no_applicant_depends_on_another_or_on_what_is_later(
    learned_workspace: tuple[Workspace, Learned], history: History, lesson: Lesson
) -> None:
    """Asked alone, or among those who come later, an applicant is believed the same, to the last bit."""
    until = learned_workspace[1].trained_until
    everyone = history.applications(since=until).spine
    beliefs = beliefs_about(everyone, history, until, lesson)
    half = len(everyone) // 2
    first = Spine(everyone.subject_ids[:half], everyone.account_ids[:half], everyone.as_of[:half])
    np.testing.assert_array_equal(beliefs_about(first, history, until, lesson), beliefs[:half])
    assert 0 < (beliefs > 0).mean() < 1
    assert (beliefs < 0).any()


def test_who_shares_with_a_merchant_is_believed_to_be_one(
    learned_workspace: tuple[Workspace, Learned], history: History, lesson: Lesson
) -> None:
    """Turn every label round and every belief turns round; those linked to labelled merchants alone stand above 0."""
    until = learned_workspace[1].trained_until
    spine = history.applications(since=until).spine
    beliefs = beliefs_about(spine, history, until, lesson)
    labels = replace(lesson.labels, is_merchant=1.0 - lesson.labels.is_merchant)
    turned = beliefs_about(spine, history, until, replace(lesson, labels=labels))
    np.testing.assert_allclose(turned, -beliefs, atol=1e-12)
    known = history.accounts(until)
    own = beliefs_about(known, history, until, lesson)
    of_account = dict(zip(known.account_ids.tolist(), own.tolist(), strict=True))
    said = lesson.labels.is_labelled
    found = np.array([of_account[name] for name in lesson.table.spine.account_ids[said].tolist()])
    is_merchant = lesson.labels.is_merchant[said] == 1
    linked = found != 0
    assert np.mean(found[linked & is_merchant] > 0) > 0.9
    assert np.mean(found[linked & ~is_merchant] < 0) > 0.6
