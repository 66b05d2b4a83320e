"""Files and functions stay small enough to be read in one go."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from typing import Protocol

LONGEST_FILE = 300
LONGEST_FUNCTION = 40
EXCEPTIONS: dict[str, int] = {}
"""Path, or path::function, to the lines of code that it may have. Entries are removed or lowered, never added."""

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Source(Protocol):
    """A Python file, as the fixture `sources` gives it."""

    path: str
    text: str
    tree: ast.Module


def lines_of_code(text: str, tree: ast.Module) -> set[int]:
    """Give the numbers of lines that hold code: neither blank, nor only a comment, nor part of a docstring."""
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    return code - set(_documentation(tree))


def _documentation(tree: ast.Module) -> Iterator[int]:
    """Give the lines of docstrings, and of the texts that stand below an attribute to describe it."""
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED):
            for statement in node.body:
                if (
                    isinstance(statement, ast.Expr)
                    and isinstance(statement.value, ast.Constant)
                    and isinstance(statement.value.value, str)
                ):
                    yield from range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)


def sizes(source: Source) -> Iterator[tuple[str, int, int]]:
    """Give the name, the lines of code and the limit of a file and of each of its functions.

    A function begins at its `def`: the cases of a parametrised test, which stand above it, are data.
    """
    code = lines_of_code(source.text, source.tree)
    yield source.path, len(code), LONGEST_FILE
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own = code & set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            yield f"{source.path}::{node.name}", len(own), LONGEST_FUNCTION


def test_nothing_is_longer_than_the_house_allows(sources: list[Source]) -> None:
    """A file holds at most 300 lines of code, a function 40; docstrings, comments and blank lines are free."""
    too_long = [
        f"{name}: {lines} lines of code, {EXCEPTIONS.get(name, limit)} allowed"
        for source in sources
        for name, lines, limit in sizes(source)
        if lines > EXCEPTIONS.get(name, limit)
    ]
    assert not too_long, "\n".join(["", *too_long])


def test_the_list_of_exceptions_only_shrinks(sources: list[Source]) -> None:
    """An exception that is no longer needed, or is larger than needed, is taken back."""
    measured = {name: max(lines, limit) for source in sources for name, lines, limit in sizes(source)}
    limits = {name: limit for source in sources for name, _, limit in sizes(source)}
    assert {name: measured.get(name) for name in EXCEPTIONS} == EXCEPTIONS
    assert not [name for name, lines in EXCEPTIONS.items() if lines <= limits[name]]


def test_what_is_counted() -> None:
    """Code counts, and every line of a text that is data; docstrings, attribute texts, comments and blanks do not."""
    text = (
        '"""Sign."""\n\n# why\nA = 1  # one\n"""What A is."""\n\n\ndef f():\n    """Do."""\n    return """a\n\nb"""\n'
    )
    assert lines_of_code(text, ast.parse(text)) == {4, 8, 10, 11, 12}
