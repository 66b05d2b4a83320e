"""What each part buys: the same model learned again, bit for bit, but for the part that is left out."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from membergate.learning.model import IdentificationModel, Parts, save_model
from membergate.operations.ablations import learned_again, try_ablations
from membergate.operations.evaluation import Evaluated, evaluate, measuring_desk
from membergate.operations.history import History
from membergate.operations.learn import Learned, Lesson, lesson_of
from membergate.operations.policies import read_policy
from membergate.operations.workspace import Workspace
from membergate.verification.rivals import Rival, measure_rivals

pytestmark = pytest.mark.xdist_group("ablations")


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
    (row,) = [row for row in rows if row.name == "senses"]
    scores = learned_again(model, lesson, Parts(senses=False)).witness(table).risk_score
    assert (row,) == measure_rivals(sample, [Rival("senses", True, scores)], seed=0)
    assert row.precision_lead.low is not None
    assert row.precision_lead.n == row.average_precision.n == sample.is_sampled.sum()


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
