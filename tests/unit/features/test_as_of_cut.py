"""The as-of cut on single rows: late rows, corrected rows, windows, the future."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from membergate.domain.evidence import Absence

if TYPE_CHECKING:
    from tests.unit.features.conftest import Ask, TinyMarket


def test_the_future_is_invisible(market: TinyMarket, ask: Ask) -> None:
    """An order after the instant is not there; at its own instant it is."""
    market.buys("a", "2025-07-01", units=9)
    assert ask("A3") is Absence.NOT_OBSERVED
    assert ask("A3", when="2025-07-01") == 9.0


def test_late_rows_are_invisible_until_they_are_known(market: TinyMarket, ask: Ask) -> None:
    """An order of the 20th that the platform came to know on the 2nd does not exist on the 30th."""
    market.buys("a", "2025-06-20", units=9, known="2025-07-02")
    assert ask("A3") is Absence.NOT_OBSERVED
    assert ask("A3", when="2025-07-02") == 9.0


def test_a_corrected_row_counts_once_and_as_it_was_known(market: TinyMarket, ask: Ask) -> None:
    """Nine units were known until the 25th, four from then on; never both."""
    market.buys("a", "2025-06-20", units=9)
    corrected = datetime(2025, 6, 25)  # noqa: DTZ001 # the warehouse writes naive UTC
    market.lines[0]["superseded_at"] = corrected
    market.lines.append(market.lines[0] | {"quantity": 4, "visible_at": corrected, "superseded_at": None})
    assert ask("A3", when="2025-06-24") == 9.0
    assert ask("A3", when="2025-06-25") == 4.0


def test_windows_end(market: TinyMarket, ask: Ask) -> None:
    """The window of 90 days holds the 89 days before the instant's own and no more."""
    market.buys("a", "2025-04-01T00:00", units=5)
    assert ask("A3", when="2025-06-29T23:00") == 5.0
    assert ask("A3", when="2025-06-30T01:00") is Absence.NOT_OBSERVED


def test_a_shared_address_forgets_who_was_corrected_away(market: TinyMarket, ask: Ask) -> None:
    """The order of b turns out to have gone elsewhere: from then on a is alone at home again."""
    market.buys("a", "2025-06-20")
    market.buys("b", "2025-06-20")
    before = ask("E5", when="2025-06-24")
    corrected = datetime(2025, 6, 25)  # noqa: DTZ001 # as above
    market.orders[1]["superseded_at"] = corrected
    market.orders.append(market.orders[1] | {"address_id": "shop", "visible_at": corrected, "superseded_at": None})
    assert ask("E5", when="2025-06-24") == before
    assert ask("E5", when="2025-06-26") == pytest.approx(0.0, abs=1e-5)


def test_a_shared_address_keeps_who_was_only_refunded(market: TinyMarket, ask: Ask) -> None:
    """A second version with the same address changes nothing."""
    market.buys("a", "2025-06-20")
    market.buys("b", "2025-06-20")
    before = ask("E5")
    corrected = datetime(2025, 6, 25)  # noqa: DTZ001 # as above
    market.orders[1]["superseded_at"] = corrected
    market.orders.append(market.orders[1] | {"status": "refunded", "visible_at": corrected, "superseded_at": None})
    assert ask("E5") == before
