"""The condition language: what it says, and how it points at what it does not understand."""

from __future__ import annotations

import pytest

from membergate.deciding.policy.condition import Condition, compile_condition
from membergate.deciding.policy.operators import Fact
from membergate.deciding.policy.source import Passage
from membergate.domain.errors import PolicyError
from membergate.domain.evidence import EvidenceKind

VOCABULARY = {
    "units": EvidenceKind.NUMBER,
    "orders": EvidenceKind.NUMBER,
    "regime": EvidenceKind.TEXT,
    "is_listed": EvidenceKind.BOOLEAN,
    "is_known": EvidenceKind.BOOLEAN,
}


def compiled(text: str, *, is_excuse: bool = False) -> Condition:
    """Compile a condition that stands alone."""
    return compile_condition(Passage.of(text, "here"), VOCABULARY, is_excuse=is_excuse)


@pytest.mark.parametrize(
    ("text", "facts", "expected"),
    [
        ("units > 3", {"units": 4.0}, True),
        ("units > 3", {}, None),
        ("units > 3 and orders > 1", {"orders": 0.0}, False),
        ("units > 3 and orders > 1", {"orders": 2.0}, None),
        ("units > 3 or orders > 1", {"orders": 2.0}, True),
        ("units > 3 or orders > 1", {"orders": 1.0}, None),
        ("not units > 3", {}, None),
        ("units between 1 and 3", {"units": 3.0}, True),
        ("units not between 1 and 3", {"units": 3.0}, False),
        ("units between orders and 3", {"units": 4.0}, False),
        ("regime in ('burst', 'post')", {"regime": "post"}, True),
        ("regime not in ('burst', 'post')", {}, None),
        ("regime <> 'burst'", {"regime": "ordinary"}, True),
        ("regime = 'it''s'", {"regime": "it's"}, True),
        ("units is null", {}, True),
        ("units is not null", {}, False),
        ("is_listed", {}, None),
        ("is_listed is true", {}, False),
        ("is_listed is not true", {}, True),
        ("is_listed = is_known", {"is_listed": False, "is_known": False}, True),
        ("(units > 3) = is_listed", {"units": 4.0, "is_listed": True}, True),
        ("units / orders > 2", {"units": 1.0, "orders": 0.0}, None),
        ("units / orders > 2", {"units": 5.0, "orders": 2.0}, True),
        ("units * 1e308 > 1", {"units": 1e308}, None),
        ("abs(units - orders) >= 2", {"units": 1.0, "orders": 3.0}, True),
        ("greatest(units, orders) > 3", {"units": 4.0}, None),
        ("least(units, orders, 2) = 1", {"units": 1.0, "orders": 3.0}, True),
        ("coalesce(units, 0) < 1", {}, True),
        ("-units < -3", {"units": 4.0}, True),
        ("UNITS > 3", {"units": 4.0}, True),
        ("units > 3 -- a comment\n and orders > 1", {"units": 4.0, "orders": 2.0}, True),
    ],
)
def test_conditions_mean_what_sql_says(text: str, facts: dict[str, Fact], expected: bool | None) -> None:
    """True, false or unknown, as the three-valued logic of SQL has it."""
    assert compiled(text).ask(facts) is expected


def test_a_condition_knows_what_it_reads_and_where_it_turns() -> None:
    """Names and literals are read off the expression; names that it calculates with are told apart."""
    condition = compiled("units > 3 and orders / units < 0.5 and regime = 'burst' and units > -1")
    assert condition.reads == ("orders", "regime", "units")
    assert condition.numbers == (-1.0, 0.5, 3.0)
    assert condition.texts == ("burst",)
    assert condition.compared == (("units", -1.0), ("units", 3.0))
    assert condition.blended == {"orders", "units"}
    ranged = compiled("units between -2 and 9 or orders in (1, 2) or 5 < orders")
    assert ranged.compared == (("orders", 1.0), ("orders", 2.0), ("orders", 5.0), ("units", -2.0), ("units", 9.0))
    assert ranged.blended == frozenset()
    assert compiled("units between 1 and orders").blended == {"orders", "units"}


@pytest.mark.parametrize(
    ("text", "what", "pointed_at"),
    [
        ("unit > 3", "there is no evidence named unit", "unit"),
        ("units > 'a'", "a number and a text cannot be compared", "units > 'a'"),
        ("regime > 'a'", "a text has no order", "regime > 'a'"),
        ("is_listed < is_known", "a boolean has no order", "is_listed < is_known"),
        ("units", "this is a number, a boolean is needed here", "units"),
        ("units and is_listed", "this is a number, a boolean is needed here", "units"),
        ("units > 1 > 0", "a boolean and a number cannot be compared", "units > 1 > 0"),
        ("regime + 1 > 2", "this is a text, a number is needed here", "regime"),
        ("units // 2 > 1", "`//` is not part of the condition language", "//"),
        ("units % 2 = 1", "`%` is not part of the condition language", "%"),
        ("units::int > 1", "`::` is not part of the condition language", "::"),
        ("sqrt(units) > 1", "there is no function sqrt", "sqrt(units"),
        ("abs(units, 1) > 1", "", "abs"),
        ("greatest(units) > 1", "greatest takes 2 to 10 arguments, not 1", "greatest(units"),
        ("units in (orders)", "in needs a list of literals", "units in (orders"),
        ("units in (1, 'a')", "a number and a text cannot be compared", "units in (1, 'a'"),
        ("units is regime", "is takes null, true or false", "units is regime"),
        ("units > 1e999", "this number is not finite", "1e999"),
        ("units > ", "the condition does not parse", ">"),
        ("(select 1) > 0", "`select` is not part of the condition language", "select"),
        ("regime like 'b%'", "`like` is not part of the condition language", "like"),
        ("a.units > 1", "evidence names have no dots", "a.units"),
        ("", "the condition is empty", ""),
        ("units > 1; orders > 1", "`;` is not part of the condition language", ";"),
        ('"units" > 1', "`units` is not part of the condition language", '"units"'),
        ("null", "this is not part of the condition language", "null"),
    ],
)
def test_errors_name_the_problem_and_point_at_it(text: str, what: str, pointed_at: str) -> None:
    """Line, column, the text, and carets under what is wrong."""
    with pytest.raises(PolicyError) as caught:
        compiled(text)
    assert what in caught.value.what
    place, shown, carets = caught.value.where.split("\n")
    assert place.startswith("here, line 1, column ")
    assert shown == f"  {text}"
    start, end = carets.index("^"), len(carets)
    assert shown[start:end] == pointed_at or not what


def test_an_unknown_name_brings_the_nearest_known_one() -> None:
    """A misspelling is answered with what was probably meant."""
    with pytest.raises(PolicyError) as caught:
        compiled("unitz > 3")
    assert "did you mean units?" in caught.value.next_step


def test_a_pointer_finds_its_line() -> None:
    """In a condition of several lines the error names the line and the column in it."""
    with pytest.raises(PolicyError) as caught:
        compiled("units > 3\n  and unknown > 2")
    assert caught.value.where.startswith("here, line 2, column 7\n    and unknown > 2\n")


def test_an_excuse_cannot_stand_on_what_is_missing() -> None:
    """What makes a decision milder must be witnessed: no `is null` and no `coalesce` there."""
    for text in ("units is null", "coalesce(units, 0) < 1", "units is not null"):
        compiled(text)
        with pytest.raises(PolicyError, match="must be witnessed, not missing"):
            compiled(text, is_excuse=True)


@pytest.mark.parametrize(
    "text",
    [
        "units > 3 and " * 100 + "units > 3",
        "(" * 150 + "units > 3" + ")" * 150,
        "not " * 190 + "is_listed",
        "units > 3" + " " * 3000,
    ],
)
def test_size_and_depth_are_bounded(text: str) -> None:
    """A condition that is too long or too deep is an error, never a crash; at the bound it still compiles."""
    try:
        condition = compiled(text)
    except PolicyError as error:
        assert error.allowed or "deeply" in error.what  # noqa: PT017 (either outcome is right, a crash is not)
    else:
        assert condition.ask({"is_listed": True}) is True
