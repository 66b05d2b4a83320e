"""Section 8 of the report: the same model learned again but for one part, and the same sample decided by shadows."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from membergate.deciding.policy import load_policy
from membergate.domain.instants import utc
from membergate.learning.model import IdentificationModel, Parts, save_model
from membergate.operations.ablations import learned_again, try_ablations
from membergate.operations.evaluation import Evaluated, evaluate, measuring_desk
from membergate.operations.history import History
from membergate.operations.learn import Learned, Lesson, lesson_of
from membergate.operations.policies import read_policy, shipped_policy
from membergate.operations.sensitivity import decided_again
from membergate.operations.shadows import try_shadows
from membergate.operations.testimony import vocabulary
from membergate.operations.workspace import Workspace
from membergate.verification.bootstrap import OperatorBootstrap
from membergate.verification.metrics import measure_policy
from membergate.verification.rivals import Rival, measure_rivals

pytestmark = pytest.mark.xdist_group("benchmarks")

QUICK = read_policy(None).text.replace(
    "rules:\n",
    "rules:\n  - {id: quick, purpose: Orders in a hurry., when: velocity_account_orders_1h > 3, at_least: deny,"
    " reason: QUICK}\n",
    1,
)
"""The candidate's policy, and a rule about what only the live door witnesses."""


@pytest.fixture(scope="module")
def measured(learned_workspace: tuple[Workspace, Learned]) -> tuple[IdentificationModel, Lesson, Evaluated]:
    """Give the learned model, what it was learned from, and what it is measured on."""
    workspace, learned = learned_workspace
    history = History(workspace.warehouse())
    desk = measuring_desk(workspace, history, learned.model_version, read_policy(None))
    return desk.model, lesson_of(history, desk.model), evaluate(desk, None, history.last_instant)


def test_learned_again_whole_it_is_the_same_model(
    learned_workspace: tuple[Workspace, Learned],
    measured: tuple[IdentificationModel, Lesson, Evaluated],
    tmp_path: Path,
) -> None:
    """With all its parts it has the version of the candidate, which is a digest of every array, and scores alike."""
    model, lesson, evaluated = measured
    again = learned_again(model, lesson, model.settings.parts)
    assert save_model(replace(again, settling=model.settling), tmp_path) == learned_workspace[1].model_version
    table = evaluated.table.take(evaluated.sample_rows)
    np.testing.assert_array_equal(again.witness(table).risk_score, evaluated.sample.risk_score)


def test_every_part_is_left_out_once(measured: tuple[IdentificationModel, Lesson, Evaluated]) -> None:
    """A row a part, the most missed first; what is lost is the candidate's figure less that without the part."""
    model, lesson, evaluated = measured
    sample, table = evaluated.sample, evaluated.table.take(evaluated.sample_rows)
    rows = try_ablations(model, lesson, sample, table, seed=0)
    assert {row.name for row in rows} == {part.name for part in fields(Parts)}
    lost = [row.precision_lead.value for row in rows]
    assert all(value is not None for value in lost)
    assert lost == sorted(lost, key=lambda value: -(value or 0.0))
    assert any(lost)
    idle = {row.name for row in rows if (row.precision_lead.value, row.precision_lead.low) == (0.0, None)}
    assert idle >= {"clusters", "jury"}  # labels taught this score
    (row,) = [row for row in rows if row.name == "senses"]
    scores = learned_again(model, lesson, Parts(senses=False)).witness(table).risk_score
    assert (row,) == measure_rivals(sample, [Rival("senses", True, scores)], seed=0)
    assert row.precision_lead.low is not None
    assert row.precision_lead.n == row.average_precision.n == sample.is_sampled.sum()


def test_a_lesson_keeps_to_the_accounts_that_the_model_was_made_from(
    learned_workspace: tuple[Workspace, Learned], measured: tuple[IdentificationModel, Lesson, Evaluated]
) -> None:
    """Whoever came to light since is left out, and whoever would no longer be chosen stays; either way it says so."""
    model, lesson, _ = measured
    history = History(learned_workspace[0].warehouse())
    assert lesson.is_whole
    accounts, known = model.lineage.accounts, lesson.table.spine.account_ids
    fewer = lesson_of(history, replace(model, lineage=replace(model.lineage, accounts=accounts[5:])))
    assert not fewer.is_whole
    rows = np.flatnonzero(np.isin(known, accounts[5:]))
    assert fewer.table.spine.account_ids.tolist() == known[rows].tolist()
    np.testing.assert_array_equal(fewer.table.values, lesson.table.take(rows).values)
    np.testing.assert_array_equal(fewer.labels.is_merchant, lesson.labels.is_merchant[rows])
    everyone = history.applications(until=model.lineage.trained_until).account_ids
    left_out = np.setdiff1d(everyone, accounts)[:1]
    more = lesson_of(history, replace(model, lineage=replace(model.lineage, accounts=np.union1d(accounts, left_out))))
    assert not more.is_whole
    assert set(more.table.spine.account_ids.tolist()) == {*accounts.tolist(), *left_out.tolist()}


def test_parts_that_were_off_are_not_left_out_again(measured: tuple[IdentificationModel, Lesson, Evaluated]) -> None:
    """A candidate learned with one part alone is learned again without that; with none, or no sample, never."""
    model, lesson, evaluated = measured
    sample, table = evaluated.sample, evaluated.table.take(evaluated.sample_rows)
    none = Parts(**{part.name: False for part in fields(Parts)})
    alone = learned_again(model, lesson, replace(none, senses=True))
    assert [row.name for row in try_ablations(alone, lesson, sample, table, seed=0)] == ["senses"]
    assert try_ablations(learned_again(model, lesson, none), lesson, sample, table, seed=0) == ()
    nobody = np.zeros(0, dtype=np.int64)
    assert try_ablations(model, lesson, sample.take(nobody), table.take(nobody), seed=0) == ()


def test_a_shadow_decides_what_the_candidate_decided(measured: tuple[IdentificationModel, Lesson, Evaluated]) -> None:
    """The candidate again changes nothing and is no row; the strict rule changes what the report says of it anyway."""
    _, _, evaluated = measured
    sample, cases = evaluated.sample, [evaluated.decided[row][0] for row in evaluated.sample_rows.tolist()]
    judge, strict = read_policy(None), shipped_policy("strict")
    again = decided_again(judge, cases, [case.evidence for case in cases])
    np.testing.assert_array_equal(again, sample.disposition)
    assert try_shadows(judge, [judge], sample, cases, seed=0) == ()
    (row,) = try_shadows(judge, [judge, strict], sample, cases, seed=0)
    assert row.policy.startswith("strict-")
    assert row.changed == (sample.disposition != sample.baseline_disposition).sum() > 0
    bootstrap = OperatorBootstrap.draw(sample.operator_ids, np.random.default_rng(0))
    sides = [
        measure_policy(sample, "", taken, bootstrap).rates
        for taken in (sample.baseline_disposition, sample.disposition)
    ]
    for scope in ("full", "holders"):
        for found, figure in ((row.genuine_admission, "genuine_admission"), (row.leakage, "leakage")):
            its, ours = (getattr(rates[scope], figure).value for rates in sides)
            assert found[scope].value == pytest.approx(its - ours)
    assert row.unmeasured == ()
    quick = load_policy(QUICK, origin="quick", vocabulary=vocabulary())
    (row,) = try_shadows(judge, [quick], sample, cases, seed=0)
    assert row.unmeasured == ("velocity_account_orders_1h",)
    ended = replace(strict, effective_until=utc(2020, 1, 1))
    (row,) = try_shadows(judge, [ended], sample, cases, seed=0)
    assert (row.changed, row.moved.value) == (0, 0.0)
