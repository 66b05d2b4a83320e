"""Monitoring what is live: reviews of its own admissions count once, and the state is resumed from the workspace."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from membergate.learning.model import load_model
from membergate.operations.monitor import monitor
from membergate.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.operations.conftest import Shop

    from membergate.domain.decision import Decision
    from membergate.operations.workspace import Workspace


def put_on_record(live: Workspace, shop: Shop, change: Callable[[Decision], Decision] = lambda one: one) -> set[str]:
    """Decide applications from before and after training, and give the accounts that the model was not made from."""
    ripe = shop.now - timedelta(days=45)
    decided = shop.desk.decide_window(ripe - timedelta(days=200), ripe)
    with open_store(live.record) as record:
        record.record([change(one) for one in decided])
    lineage = load_model(live.models / live.required_live().model_version).lineage
    met = set(lineage.accounts.tolist())
    assert met & {one.account_id for one in decided}
    return {one.decision_id for one in decided if one.account_id not in met and one.as_of >= lineage.trained_until}


def test_reviews_of_admissions_count_once(live: Workspace, shop: Shop) -> None:
    """The first run reads the reviews of those whom what is live let in, the second finds nothing new.

    Stopped half way and resumed, it ends where a run in one go ends; whom the model was made from is left out.
    """
    unmet = put_on_record(live, shop)
    half = monitor(live, until=shop.now - timedelta(days=20), history=shop.desk.history)
    whole = monitor(live, history=shop.desk.history)
    assert half.new_audits > 0
    assert whole.new_audits > 0
    assert len(whole.monitor.decisions) == half.new_audits + whole.new_audits
    assert set(whole.monitor.decisions) < unmet
    assert 0 <= whole.low < whole.high <= 1
    again = monitor(live, history=shop.desk.history)
    assert again.new_audits == 0
    assert again.monitor == whole.monitor


def test_what_another_policy_let_in_is_not_watched(live: Workspace, shop: Shop) -> None:
    """A policy that decided nothing yet has nothing to answer for."""
    put_on_record(live, shop, lambda one: replace(one, policy_version="another-1-0123456789ab"))
    assert monitor(live, history=shop.desk.history).monitor.decisions == ()
