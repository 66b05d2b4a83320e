"""Monitoring what is live: reviews of admissions count once, and the state is resumed from the workspace."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from membergate.operations.monitor import monitor
from membergate.store import open_store

if TYPE_CHECKING:
    from tests.unit.operations.conftest import Shop

    from membergate.operations.workspace import Workspace


def test_reviews_of_admissions_count_once(live: Workspace, shop: Shop) -> None:
    """The first run reads the reviews of those whom the live model let in, the second finds nothing new.

    Stopped half way and resumed, it ends where a run in one go ends.
    """
    ripe = shop.now - timedelta(days=70)
    with open_store(live.record) as record:
        record.record(shop.desk.decide_window(ripe - timedelta(days=60), ripe))
    half = monitor(live, until=shop.now - timedelta(days=35), history=shop.desk.history)
    whole = monitor(live, history=shop.desk.history)
    assert whole.new_audits > 0
    assert len(whole.monitor.decisions) == half.new_audits + whole.new_audits
    assert 0 <= whole.low < whole.high <= 1
    again = monitor(live, history=shop.desk.history)
    assert again.new_audits == 0
    assert again.monitor == whole.monitor
