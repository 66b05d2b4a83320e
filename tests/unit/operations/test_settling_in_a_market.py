"""On a simulated market, probabilities settle inside their intervals, by history, for operators never met."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from membergate.learning.features import Spine
from membergate.learning.model import load_model
from membergate.learning.model.settling import LEVEL, earlier_instants, has_grown
from membergate.operations.history import History
from membergate.operations.learn import Learned
from membergate.operations.workspace import Workspace

BANDS = ((0, 2), (3, 10), (11, 1000))


def test_scores_settle_inside_by_history(learned_workspace: tuple[Workspace, Learned]) -> None:
    """Looked at again after their orders doubled, about four in five lie inside, and the interval narrows by band.

    Operators are independent, an account's looks are not: each account counts with one look, drawn by chance.
    """
    workspace, learned = learned_workspace
    history = History(workspace.warehouse())
    model = load_model(workspace.models / learned.model_version)
    assert model.settling is not None
    everyone = history.applications()
    by_now = history.links.operators_as_of(history.last_instant)
    met = {by_now.get(name, name) for name in model.lineage.accounts.tolist()}
    spine = everyone.take(np.array([by_now.get(name, name) not in met for name in everyone.account_ids.tolist()])).spine
    later = history.features(spine, history.operators(spine), model.norms, model.features)
    settled = model.witness(later).uncalibrated_probability
    looks = []
    for rows, instants in earlier_instants(spine.as_of, later.context["history_days"].astype(np.float64)):
        asked = Spine(spine.subject_ids[rows], spine.account_ids[rows], instants)
        table = history.features(asked, history.operators(asked), model.norms, model.features)
        said, orders = model.witness(table), table.context["orders"].astype(np.float64)
        grown = has_grown(orders, later.context["orders"][rows].astype(np.float64))
        inside = (said.probability_low <= settled[rows]) & (settled[rows] <= said.probability_high)
        width = said.probability_high - said.probability_low
        looks.append(np.column_stack([rows, orders, inside, width])[grown])
    shuffled = np.random.default_rng(0).permutation(np.concatenate(looks))
    _, first = np.unique(shuffled[:, 0], return_index=True)
    one = shuffled[first]
    widths = []
    for least, most in BANDS:
        row = one[(one[:, 1] >= least) & (one[:, 1] <= most)]
        covered = binomtest(int(row[:, 2].sum()), len(row)).proportion_ci(0.99)
        assert covered.low - 0.05 < LEVEL < covered.high + 0.05, (least, most, covered)
        widths.append(row[:, 3].mean())
    assert widths == pytest.approx(sorted(widths, reverse=True))
