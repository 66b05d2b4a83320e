"""The condition language: SQL over evidence names, typed when loaded, three-valued when asked, and total.

A condition is one SQL expression: comparisons, `and`, `or`, `not`, `in`, `between`, `is null`, `is true`, arithmetic
and a short list of functions. Its answer is true, false or unknown (None); unknown follows from an absent witness as
SQL says. Nothing but `is null` and `coalesce` can see that a witness is absent. A number that is not finite (an
overflow, a division by zero) is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sqlglot import Token, TokenType, exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError

from membergate.deciding.policy import operators
from membergate.deciding.policy.operators import Facts, Part
from membergate.deciding.policy.source import Passage, nearest
from membergate.domain.errors import PolicyError
from membergate.domain.evidence import EvidenceKind, Vocabulary

MAX_CHARACTERS = 2_000
MAX_TOKENS = 200
"""Bounds the depth too: no expression is deeper than it has tokens."""
ALLOWED = (
    "comparisons, and, or, not, in, between, is null, is true, + - * /, "
    f"and the functions {', '.join(sorted(operators.FUNCTIONS))}"
)

_T = TokenType
_WORDS = frozenset({_T.AND, _T.OR, _T.NOT, _T.IN, _T.BETWEEN, _T.IS, _T.NULL, _T.TRUE, _T.FALSE})
_SIGNS = frozenset({_T.EQ, _T.NEQ, _T.LT, _T.LTE, _T.GT, _T.GTE, _T.PLUS, _T.DASH, _T.STAR, _T.SLASH})
_OTHERS = frozenset({_T.VAR, _T.NUMBER, _T.STRING, _T.L_PAREN, _T.R_PAREN, _T.COMMA, _T.DOT})
_TOKENS = _WORDS | _SIGNS | _OTHERS


@dataclass(frozen=True, slots=True)
class Condition:
    """A typed, compiled condition.

    Parameters
    ----------
    text
        As it was written.
    reads
        Names of the evidence that it reads, sorted.
    numbers, texts
        The literals in it.
    compared
        Pairs of a name and a number that it is compared with: where the condition turns on the name.
    blended
        Names that it calculates with or compares with one another, so that it may turn on them anywhere.
    ask
        Gives true, false or None (unknown) for facts: name -> value, absent ones missing or None. Never raises.
    sql
        The same condition as a DuckDB expression over columns of the same names (DOUBLE, BOOLEAN, VARCHAR).
    """

    text: str
    reads: tuple[str, ...]
    numbers: tuple[float, ...]
    texts: tuple[str, ...]
    compared: tuple[tuple[str, float], ...]
    blended: frozenset[str]
    ask: Callable[[Facts], bool | None]
    sql: str


def compile_condition(passage: Passage, vocabulary: Vocabulary, *, is_excuse: bool = False) -> Condition:
    """Parse, type-check and compile one condition.

    Parameters
    ----------
    passage
        The condition's text and place.
    vocabulary
        The evidence names that exist, with their kinds.
    is_excuse
        Whether a hit makes the decision milder. An excuse must be witnessed, so it may not look at absence.

    Raises
    ------
    PolicyError
        If it does not parse, is too large, names something unknown, or mixes kinds.
    """
    tree = _parse(passage)
    compiler = _Compiler(passage, vocabulary, is_excuse)
    part = compiler.boolean(tree)
    return Condition(
        text=passage.text,
        reads=tuple(sorted(compiler.names)),
        numbers=tuple(sorted(compiler.numbers)),
        texts=tuple(sorted(compiler.texts)),
        compared=tuple(sorted(compiler.compared)),
        blended=frozenset(compiler.blended),
        ask=part.ask,
        sql=part.sql,
    )


def _parse(passage: Passage) -> exp.Expr:
    text = passage.text
    if not text.strip():
        raise passage.error("the condition is empty", 0, 1, allowed=ALLOWED)
    if len(text) > MAX_CHARACTERS:
        raise passage.error(f"the condition has {len(text)} characters", 0, 1, allowed=f"at most {MAX_CHARACTERS}")
    dialect = DuckDB()
    try:
        tokens = dialect.tokenize(text)
        _check_tokens(tokens, passage)
        trees = dialect.parser().parse(tokens, text)
    except SqlglotError as error:
        raise _parse_error(error, passage) from None
    except RecursionError:
        raise passage.error("the condition is nested too deeply", 0, len(text)) from None
    if len(trees) != 1 or trees[0] is None:
        raise passage.error("this is no condition", 0, len(text), allowed=ALLOWED)
    return trees[0]


def _check_tokens(tokens: list[Token], passage: Passage) -> None:
    if len(tokens) > MAX_TOKENS:
        last = tokens[MAX_TOKENS]
        raise passage.error(
            f"the condition has {len(tokens)} words and signs",
            last.start,
            last.end + 1,
            allowed=f"at most {MAX_TOKENS}",
            next_step="split the rule in two",
        )
    for token in tokens:
        if token.token_type not in _TOKENS:
            raise passage.error(
                f"`{token.text}` is not part of the condition language", token.start, token.end + 1, allowed=ALLOWED
            )


def _parse_error(error: SqlglotError, passage: Passage) -> PolicyError:
    details = getattr(error, "errors", None) or [{}]
    detail = details[0]
    lines = passage.text.split("\n")
    line = min(max(int(detail.get("line") or 1), 1), len(lines))
    end = sum(len(text) + 1 for text in lines[: line - 1]) + int(detail.get("col") or 1)
    start = max(0, end - max(1, len(detail.get("highlight") or "")))
    # sqlglot's own wording names Python classes; its first sentence is enough
    said = str(detail.get("description") or "cannot be read").split(" for <class")[0].rstrip(".: ")
    return passage.error(f"the condition does not parse: {said}", start, end, allowed=ALLOWED)


class _Compiler:
    """Walks the tree once; every part comes out with its kind, its closure and its SQL."""

    def __init__(self, passage: Passage, vocabulary: Mapping[str, EvidenceKind], is_excuse: bool) -> None:
        self.passage = passage
        self.vocabulary = vocabulary
        self.is_excuse = is_excuse
        self.names: set[str] = set()
        self.numbers: set[float] = set()
        self.texts: set[str] = set()
        self.compared: set[tuple[str, float]] = set()
        self.blended: set[str] = set()

    def boolean(self, node: exp.Expr) -> Part:
        return self.of_kind(node, EvidenceKind.BOOLEAN)

    def of_kind(self, node: exp.Expr, kind: EvidenceKind) -> Part:
        part = self.part(node)
        if part.kind is not kind:
            raise self.error(node, f"this is a {part.kind}, a {kind} is needed here")
        return part

    def part(self, node: exp.Expr) -> Part:
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            return handler(self, node)
        if isinstance(node, exp.Func):
            raise self.unknown_function(node)
        raise self.error(node, "this is not part of the condition language", allowed=ALLOWED)

    def unknown_function(self, node: exp.Expr) -> PolicyError:
        start, _ = self.span(node)
        called = self.passage.text[start:].split("(")[0].strip()
        return self.error(
            node,
            f"there is no function {called}",
            allowed=", ".join(sorted(operators.FUNCTIONS)),
            next_step=nearest(called.lower(), operators.FUNCTIONS),
        )

    def column(self, node: exp.Expr) -> Part:
        name = node.name.lower()
        if node.args.get("table") is not None:
            raise self.error(node, "evidence names have no dots")
        kind = self.vocabulary.get(name)
        if kind is None:
            raise self.error(
                node,
                f"there is no evidence named {name[:60]}",
                allowed="names of the vocabulary",
                next_step=nearest(name, self.vocabulary),
            )
        self.names.add(name)
        return operators.read(name, kind)

    def literal(self, node: exp.Expr) -> Part:
        if node.args["is_string"]:
            self.texts.add(str(node.this))
            return operators.text(str(node.this))
        return self.number(node, str(node.this), 1.0)

    def negative(self, node: exp.Expr) -> Part:
        if isinstance(node.this, exp.Literal) and not node.this.args["is_string"]:
            return self.number(node, str(node.this.this), -1.0)
        self.blend(node)
        return operators.negative(self.of_kind(node.this, EvidenceKind.NUMBER))

    def number(self, node: exp.Expr, written: str, sign: float) -> Part:
        value = sign * float(written)
        if not math.isfinite(value):
            raise self.error(node, "this number is not finite")
        self.numbers.add(value)
        return operators.number(value)

    def truth(self, node: exp.Expr) -> Part:
        return operators.truth(is_true=bool(node.this))

    def negation(self, node: exp.Expr) -> Part:
        return operators.negation(self.boolean(node.this))

    def junction(self, node: exp.Expr) -> Part:
        is_and = isinstance(node, exp.And)
        # `a and b and c` parses as a chain; flattened, its closures are not nested
        return operators.junction([self.boolean(member) for member in node.flatten()], is_and=is_and)

    def comparison(self, node: exp.Expr) -> Part:
        left, right = self.alike(node, node.this, node.expression)
        sign = operators.COMPARISONS[type(node)]
        if left.kind is not EvidenceKind.NUMBER and sign not in {"=", "<>"}:
            raise self.error(node, f"a {left.kind} has no order", allowed="=, <>, in")
        self.compare(node.this, node.expression)
        return operators.comparison(sign, left, right)

    def alike(self, node: exp.Expr, *members: exp.Expr) -> list[Part]:
        parts = [self.part(member) for member in members]
        for part in parts[1:]:
            if part.kind is not parts[0].kind:
                raise self.error(node, f"a {parts[0].kind} and a {part.kind} cannot be compared or combined")
        return parts

    def between(self, node: exp.Expr) -> Part:
        if node.args.get("symmetric"):
            raise self.error(node, "between has no symmetric form here")
        value = self.of_kind(node.this, EvidenceKind.NUMBER)
        low = self.of_kind(node.args["low"], EvidenceKind.NUMBER)
        high = self.of_kind(node.args["high"], EvidenceKind.NUMBER)
        self.compare(node.this, node.args["low"])
        self.compare(node.this, node.args["high"])
        return operators.junction(
            [operators.comparison(">=", value, low), operators.comparison("<=", value, high)], is_and=True
        )

    def member(self, node: exp.Expr) -> Part:
        options = node.expressions
        if not options or not all(_is_literal(option) for option in options):
            raise self.error(node, "in needs a list of literals", allowed="in ('a', 'b') or in (1, 2)")
        value, *listed = self.alike(node, node.this, *options)
        for option in options:
            self.compare(node.this, option)
        return operators.junction([operators.comparison("=", value, option) for option in listed], is_and=False)

    def identity(self, node: exp.Expr) -> Part:
        wanted = node.expression
        if isinstance(wanted, exp.Null):
            self.forbid_in_excuse(node, "is null")
            return operators.is_absent(self.part(node.this))
        if isinstance(wanted, exp.Boolean):
            return operators.is_truth(self.boolean(node.this), is_true=bool(wanted.this))
        raise self.error(node, "is takes null, true or false")

    def arithmetic(self, node: exp.Expr) -> Part:
        left = self.of_kind(node.this, EvidenceKind.NUMBER)
        right = self.of_kind(node.expression, EvidenceKind.NUMBER)
        self.blend(node)
        return operators.arithmetic(operators.ARITHMETIC[type(node)], left, right)

    def function(self, node: exp.Expr) -> Part:
        name = operators.FUNCTION_NODES[type(node)]
        arguments = [node.this, *node.expressions]
        fewest, most = operators.FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            raise self.error(node, f"{name} takes {fewest} to {most} arguments, not {len(arguments)}")
        if name == "coalesce":
            self.forbid_in_excuse(node, name)
            self.blend(node)
            return operators.coalesce(self.alike(node, *arguments))
        self.blend(node)
        return operators.call(name, [self.of_kind(argument, EvidenceKind.NUMBER) for argument in arguments])

    def parenthesis(self, node: exp.Expr) -> Part:
        return self.part(node.this)

    def compare(self, left: exp.Expr, right: exp.Expr) -> None:
        """Note where a comparison turns: at its literal if the other side is a bare name, else who knows where."""
        for side, other in ((left, right), (right, left)):
            number = _number_of(other)
            if isinstance(side, exp.Column) and number is not None:
                self.compared.add((side.name.lower(), number))
            elif not isinstance(side, exp.Column) or not _is_literal(other):
                self.blend(side)

    def blend(self, node: exp.Expr) -> None:
        self.blended.update(column.name.lower() for column in node.find_all(exp.Column))

    def forbid_in_excuse(self, node: exp.Expr, word: str) -> None:
        if self.is_excuse:
            raise self.error(
                node,
                f"{word} cannot stand here: what makes a decision milder must be witnessed, not missing",
                next_step="say what must be true",
            )

    def error(self, node: exp.Expr, what: str, *, allowed: str = "", next_step: str = "") -> PolicyError:
        start, end = self.span(node)
        return self.passage.error(what, start, end, allowed=allowed, next_step=next_step)

    def span(self, node: exp.Expr) -> tuple[int, int]:
        places = list(_places(node))
        if not places:
            return 0, len(self.passage.text)
        return min(start for start, _ in places), max(end for _, end in places) + 1


def _places(node: exp.Expr) -> Iterator[tuple[int, int]]:
    for part in node.walk():
        if "start" in part.meta and "end" in part.meta:
            yield part.meta["start"], part.meta["end"]


def _number_of(node: exp.Expr) -> float | None:
    bare = node.this if isinstance(node, exp.Neg) else node
    if not isinstance(bare, exp.Literal) or bare.args["is_string"]:
        return None
    return -float(bare.this) if isinstance(node, exp.Neg) else float(bare.this)


def _is_literal(node: exp.Expr) -> bool:
    return isinstance(node.this if isinstance(node, exp.Neg) else node, exp.Literal | exp.Boolean)


_HANDLERS: dict[type[exp.Expr], Callable[[_Compiler, exp.Expr], Part]] = {
    exp.Column: _Compiler.column,
    exp.Literal: _Compiler.literal,
    exp.Boolean: _Compiler.truth,
    exp.Neg: _Compiler.negative,
    exp.Not: _Compiler.negation,
    exp.And: _Compiler.junction,
    exp.Or: _Compiler.junction,
    exp.Between: _Compiler.between,
    exp.In: _Compiler.member,
    exp.Is: _Compiler.identity,
    exp.Paren: _Compiler.parenthesis,
    **dict.fromkeys(operators.COMPARISONS, _Compiler.comparison),
    **dict.fromkeys(operators.ARITHMETIC, _Compiler.arithmetic),
    **dict.fromkeys(operators.FUNCTION_NODES, _Compiler.function),
}
