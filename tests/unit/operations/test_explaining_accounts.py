"""explain tells the score in the catalogue's words, who is alike, what was missing, and a way out that holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from membergate.deciding.policy import decide
from membergate.domain.disposition import LADDERS, Checkpoint
from membergate.domain.evidence import Evidence
from membergate.learning.features import CATALOGUE, Spine
from membergate.operations.explain import Explanation, explain
from membergate.operations.testimony import Witnesses

if TYPE_CHECKING:  # pytest would take classes of these names for tests
    from tests.unit.operations.conftest import Shop

    from membergate.operations.learn import Learned
    from membergate.operations.workspace import Workspace

LADDER = LADDERS[Checkpoint.ADMISSION]


@pytest.fixture(scope="module")
def told(learned_workspace: tuple[Workspace, Learned], shop: Shop) -> Explanation:
    """Explain someone who was refused or sent to review."""
    workspace, learned = learned_workspace
    account = shop.someone("review", "deny").account_id
    return explain(workspace, account, clock=shop.clock, model_version=learned.model_version)


def test_contributions_speak_the_catalogues_words(told: Explanation) -> None:
    """Every column is there with its words, strongest first; a feature's value is the evidence that was read."""
    assert [abs(each.added) for each in told.contributions] == sorted(
        (abs(each.added) for each in told.contributions), reverse=True
    )
    evidence = {each.name: each for each in told.evidence}
    features = [each for each in told.contributions if each.column in CATALOGUE]
    assert len(features) > 20
    for each in features:
        feature = CATALOGUE[each.column]
        assert each.words == feature.summary
        witnessed = evidence[f"{feature.id.lower()}_{feature.name}"]
        assert (each.value is None) == witnessed.is_absent
        assert each.value is None or each.value == witnessed.value


def test_what_was_missing_is_named_with_its_reason(told: Explanation) -> None:
    """The features that the model reads and that hold no value, and those only."""
    absent = {each.column for each in told.contributions if each.column in CATALOGUE and each.value is None}
    assert {each.feature for each in told.missing} == absent
    assert all(each.words == CATALOGUE[each.feature].summary for each in told.missing)


def test_what_the_model_does_not_read_is_told_apart(told: Explanation) -> None:
    """Features without a column of the model are absent evidence, and named as unread; none that it reads is."""
    read = {
        f"{CATALOGUE[each.column].id.lower()}_{CATALOGUE[each.column].name}"
        for each in told.contributions
        if each.column in CATALOGUE
    }
    assert told.unread
    assert len(read) + len(told.unread) == len(CATALOGUE)
    assert not read & set(told.unread)
    evidence = {each.name: each for each in told.evidence}
    assert all(evidence[name].is_absent for name in told.unread)


def test_the_card_is_that_of_the_accounts_cluster(told: Explanation) -> None:
    """In no cluster there is no card; else it names type, size and stability."""
    where = next(each for each in told.evidence if each.name == "cluster_id")
    assert (told.cluster is None) == where.is_absent
    if told.cluster is not None:
        assert told.cluster.cluster_id == where.value
        assert told.cluster.size > 0
        assert 0 <= told.cluster.stability <= 1


def test_the_way_out_holds_when_all_is_scored_again(shop: Shop, learned_workspace: tuple[Workspace, Learned]) -> None:
    """Behaving as it says, and nothing else, gives the decision that it names, and a milder one."""
    workspace, learned = learned_workspace
    desk, found = shop.desk, 0
    for decision in [each for each in shop.decisions if each.disposition.value in ("review", "deny")][:3]:
        told = explain(workspace, decision.account_id, clock=shop.clock, model_version=learned.model_version)
        if told.way_out is None:
            continue
        found += 1
        way, decided = told.way_out, told.decision
        assert LADDER.index(way.disposition) < LADDER.index(decided.disposition)
        asked = np.array([np.datetime64(decided.as_of.replace(tzinfo=None), "us")])
        spine = Spine(np.array(["x"]), np.array([decided.account_id]), asked)
        table = desk.history.features(spine, desk.history.operators(spine), desk.model.norms, desk.model.features)
        values = table.values.copy()
        for change in way.changes:
            column = table.features.index(change.feature)
            assert values[0, column] == change.actual
            values[0, column] = change.needed
        again = replace(table, values=values)
        said = Witnesses(again, desk.model.witness(again), desk.model, "again").about(0, {})
        evidence: dict[str, Evidence] = {each.name: each for each in told.evidence}
        evidence |= {name: each for name, each in said.items() if each.origin.startswith(("model:", "feature:"))}
        assert decide(desk.policy_at(decided.as_of), Checkpoint.ADMISSION, evidence, lottery=1.0).disposition is (
            way.disposition
        )
    assert found
