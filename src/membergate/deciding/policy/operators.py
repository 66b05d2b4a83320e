"""What the condition language can do: each operator once, as a Python closure and as DuckDB SQL.

A closure takes facts (name -> value) and gives a value, or None for unknown. Numbers are finite floats throughout; a
result that is not finite is unknown, in both forms.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from membergate.domain.evidence import EvidenceKind

Fact = bool | float | str | None
"""A value as conditions see it; None is absent."""
Facts = Mapping[str, Fact]

COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
FUNCTION_NODES: dict[type[exp.Expr], str] = {
    exp.Abs: "abs",
    exp.Least: "least",
    exp.Greatest: "greatest",
    exp.Coalesce: "coalesce",
}
FUNCTIONS: dict[str, tuple[int, int]] = {"abs": (1, 1), "least": (2, 10), "greatest": (2, 10), "coalesce": (2, 10)}
"""Every function, with the fewest and the most arguments that it takes."""

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CALCULATE: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_CALL: dict[str, Callable[..., float]] = {"abs": abs, "least": min, "greatest": max}


@dataclass(frozen=True, slots=True)
class Part:
    """A typed piece of a condition, in both its forms."""

    kind: EvidenceKind
    ask: Callable[[Facts], Any]  # of the part's kind, or None; the compiler has checked it
    sql: str
    name: str | None = None  # of the witness, where the part is nothing else
    literal: float | None = None  # the number, where the part is nothing else


def read(name: str, kind: EvidenceKind) -> Part:
    """Read one witness."""
    return Part(kind, lambda facts: facts.get(name), f'"{name}"', name=name)


def text(value: str) -> Part:
    """Give a text literal."""
    quoted = value.replace("'", "''")
    return Part(EvidenceKind.TEXT, lambda _: value, f"'{quoted}'")


def number(value: float) -> Part:
    """Give a number literal; with an exponent, DuckDB reads it as DOUBLE and not as DECIMAL."""
    written = repr(value)
    return Part(
        EvidenceKind.NUMBER, lambda _: value, f"({written if 'e' in written else written + 'e0'})", literal=value
    )


def truth(*, is_true: bool) -> Part:
    """Give true or false."""
    return Part(EvidenceKind.BOOLEAN, lambda _: is_true, "true" if is_true else "false")


def negation(part: Part) -> Part:
    """Turn true and false around; unknown stays unknown."""

    def ask(facts: Facts) -> bool | None:
        value = part.ask(facts)
        return None if value is None else not value

    return Part(EvidenceKind.BOOLEAN, ask, f"(not {part.sql})")


def junction(parts: Sequence[Part], *, is_and: bool) -> Part:
    """Join by `and` or `or`: one false (one true) settles it whatever is unknown."""
    asks = tuple(part.ask for part in parts)
    settling = not is_and

    def ask(facts: Facts) -> bool | None:
        answer: bool | None = is_and
        for question in asks:
            value: bool | None = question(facts)
            if value is settling:
                return settling
            if value is None:
                answer = None
        return answer

    return Part(EvidenceKind.BOOLEAN, ask, f"({(' and ' if is_and else ' or ').join(part.sql for part in parts)})")


def comparison(sign: str, left: Part, right: Part) -> Part:
    """Compare two values of one kind; unknown where either is."""
    ask_left, ask_right, compare = left.ask, right.ask, _COMPARE[sign]
    name, literal = left.name, right.literal

    def ask_beside_literal(facts: Facts) -> bool | None:
        value: Any = facts.get(name)  # type: ignore[arg-type]  # asked only where there is a name
        return None if value is None else compare(value, literal)

    def ask(facts: Facts) -> bool | None:
        a, b = ask_left(facts), ask_right(facts)
        return None if a is None or b is None else compare(a, b)

    is_plain = name is not None and literal is not None  # a witness beside a number: most of what rules ask
    return Part(EvidenceKind.BOOLEAN, ask_beside_literal if is_plain else ask, f"({left.sql} {sign} {right.sql})")


def is_absent(part: Part) -> Part:
    """Say whether a value is unknown."""
    return Part(EvidenceKind.BOOLEAN, lambda facts: part.ask(facts) is None, f"({part.sql} is null)")


def is_truth(part: Part, *, is_true: bool) -> Part:
    """Say whether a condition is definitely true (or false); never unknown."""
    word = "true" if is_true else "false"
    return Part(EvidenceKind.BOOLEAN, lambda facts: part.ask(facts) is is_true, f"({part.sql} is {word})")


def arithmetic(sign: str, left: Part, right: Part) -> Part:
    """Calculate; unknown where a member is, or where the result is not finite."""
    ask_left, ask_right, calculate = left.ask, right.ask, _CALCULATE[sign]
    is_division = sign == "/"

    def ask(facts: Facts) -> float | None:
        a, b = ask_left(facts), ask_right(facts)
        if a is None or b is None or (is_division and b == 0):
            return None
        result = calculate(a, b)
        return result if math.isfinite(result) else None

    return Part(EvidenceKind.NUMBER, ask, _finite_sql(f"({left.sql} {sign} {right.sql})"))


def negative(part: Part) -> Part:
    """Change the sign."""

    def ask(facts: Facts) -> float | None:
        value: float | None = part.ask(facts)
        return None if value is None else -value

    return Part(EvidenceKind.NUMBER, ask, f"(-({part.sql}))")


def call(name: str, parts: Sequence[Part]) -> Part:
    """Call abs, least or greatest; unknown where any argument is, as SQL:2023 has it.

    DuckDB's own least and greatest skip unknown arguments, so that an absent witness would count as harmless.
    """
    asks = tuple(part.ask for part in parts)
    function = _CALL[name]

    def ask(facts: Facts) -> float | None:
        values = [question(facts) for question in asks]
        return None if any(value is None for value in values) else function(*values)

    called = f"{name}({', '.join(part.sql for part in parts)})"
    if len(parts) == 1:
        return Part(EvidenceKind.NUMBER, ask, called)
    # a reduction writes each argument once, so nested calls stay linear in size
    arguments = ", ".join(part.sql for part in parts)
    step = f"case when x is null or y is null then null else {name}(x, y) end"
    return Part(EvidenceKind.NUMBER, ask, f"list_reduce([{arguments}], lambda x, y: {step})")


def coalesce(parts: Sequence[Part]) -> Part:
    """Give the first value that is there."""
    asks = tuple(part.ask for part in parts)

    def ask(facts: Facts) -> Fact:
        return next((value for question in asks if (value := question(facts)) is not None), None)

    return Part(parts[0].kind, ask, f"coalesce({', '.join(part.sql for part in parts)})")


def _finite_sql(sql: str) -> str:
    # DuckDB rewrites nullif to a form that repeats its argument, so nested arithmetic would grow exponentially; a
    # lambda repeats nothing. A division by zero is infinite (or NULL, by its settings), so this covers it too.
    return f"list_filter([{sql}], lambda x: isfinite(x))[1]"
