"""The shared words keep their promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from membergate.domain.disposition import LADDERS, Checkpoint, Disposition, severity, strictest
from membergate.domain.errors import BadInputError, RefusedError
from membergate.domain.instants import format_instant, parse_instant, utc
from membergate.domain.labels import Label, LabelGrade, latest_reviews


def test_an_error_says_what_where_what_is_allowed_and_the_next_step() -> None:
    """The text of an error holds all that a reader needs; empty parts are left out."""
    error = BadInputError("no such column", where="orders.csv", next_step="rename it")
    assert str(error) == "no such column\nwhere: orders.csv\nnext: rename it"
    assert error.as_record() == {
        "code": "bad_input",
        "what": "no such column",
        "where": "orders.csv",
        "next": "rename it",
    }
    assert (error.exit_code, RefusedError("no").exit_code) == (2, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-11-01", utc(2025, 11, 1)),
        ("2025-11-01T08:30:00", utc(2025, 11, 1, 8, 30)),
        ("2025-11-01T08:30:00+08:00", utc(2025, 11, 1, 0, 30)),
        (" 2025-11-01T00:30:00Z ", utc(2025, 11, 1, 0, 30)),
    ],
)
def test_an_instant_is_read_as_utc_unless_it_says_otherwise(text: str, expected: datetime) -> None:
    """Offsets are converted; a text without one is UTC."""
    assert parse_instant(text) == expected


def test_equal_instants_are_written_alike_whatever_their_zone() -> None:
    """Formatting goes through UTC and keeps microseconds."""
    here = datetime(2025, 11, 1, 8, 0, 0, 5, tzinfo=timezone(timedelta(hours=8)))
    assert format_instant(here) == format_instant(here.astimezone(UTC)) == "2025-11-01T00:00:00.000005Z"


@pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01", "1730419200"])
def test_what_is_no_instant_is_refused_with_examples(text: str) -> None:
    """An unreadable instant ends in an error that shows the accepted forms."""
    with pytest.raises(BadInputError) as caught:
        parse_instant(text)
    assert "ISO 8601" in caught.value.allowed


def test_a_naive_instant_is_never_written() -> None:
    """An instant without a zone could mean anything."""
    with pytest.raises(BadInputError):
        format_instant(datetime(2025, 1, 1))  # noqa: DTZ001 - the mistake under test


def test_the_strictest_wins_on_every_ladder() -> None:
    """Severity orders each checkpoint's dispositions, and nothing asked for means the mildest."""
    for checkpoint, ladder in LADDERS.items():
        assert [severity(rung, checkpoint) for rung in ladder] == list(range(len(ladder)))
        assert strictest(ladder, checkpoint) is ladder[-1]
        assert strictest((), checkpoint) is ladder[0]
    with pytest.raises(ValueError, match="not in"):
        severity(Disposition.HOLD_ORDER, Checkpoint.ADMISSION)


def test_the_latest_review_by_chance_counts_in_any_order() -> None:
    """Reviews without a known chance, of operators, and of other grades are none; of two the later one counts."""
    first = Label("account", "a", True, LabelGrade.L3, "reviewer", utc(2025, 5, 1), 0.25)  # a merchant
    later = replace(first, is_merchant=False, decided_at=utc(2025, 6, 1))
    others = [
        replace(later, decided_at=utc(2025, 7, 1), propensity=None),
        replace(later, decided_at=utc(2025, 7, 1), grade=LabelGrade.L4),
        replace(later, decided_at=utc(2025, 7, 1), subject_type="operator"),
    ]
    for labels in ([first, later, *others], [*others, later, first]):
        assert latest_reviews(labels) == {"a": later}
