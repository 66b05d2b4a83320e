"""Everything public is documented, what a room offers in full, and no docstring lies about names.

Public is what has no underscore before its name. Offered is what a room's `__init__` imports from its files: that is
the interface which other rooms and users program against, and there every array and every long list of parameters is
explained. Inside a room a sentence is enough.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

MANY_PARAMETERS = 5
"""From this many parameters on, a function explains each of them."""
ARRAYS = re.compile(r"\b(NDArray|ArrayLike|MatrixLike)\b")
"""Types whose shape and unit only a docstring can tell."""


Function = ast.FunctionDef | ast.AsyncFunctionDef


class Source(Protocol):
    """A Python file, as the fixture `sources` gives it."""

    path: str
    text: str
    tree: ast.Module


@dataclass(frozen=True)
class Public:
    """A public class or function.

    Parameters
    ----------
    name
        Its path and qualified name.
    node
        Its syntax.
    owner
        The class that it belongs to; None for what stands in a module.
    """

    name: str
    node: Function | ast.ClassDef
    owner: ast.ClassDef | None = None

    @property
    def docstring(self) -> str:
        """Its docstring; empty where it has none."""
        return ast.get_docstring(self.node) or ""


def public_of(source: Source) -> Iterator[Public]:
    """Give the public classes, functions and methods of a file, neither private by name nor inside a function."""
    for node in source.tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield Public(f"{source.path}::{node.name}", node)
            if isinstance(node, ast.ClassDef):
                for member in node.body:
                    if isinstance(member, Function) and not member.name.startswith("_"):
                        yield Public(f"{source.path}::{node.name}.{member.name}", member, node)


def library(sources: list[Source]) -> list[Source]:
    """Give the files of the package; the rules for tests are ruff's."""
    return [source for source in sources if source.path.startswith("src/")]


def offered_by_rooms(sources: list[Source]) -> set[tuple[str, str]]:
    """Give the file and the name of everything that the `__init__` of a room imports from the house."""
    return {
        (f"src/{(node.module or '').replace('.', '/')}.py", alias.name)
        for source in library(sources)
        if source.path.endswith("/__init__.py")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def parameters_of(node: Function | ast.ClassDef) -> dict[str, str]:
    """Give a function's parameters with their annotations, without self and cls; for a class, those of making one."""
    if isinstance(node, ast.ClassDef):
        makers = [member for member in node.body if isinstance(member, Function) and member.name == "__init__"]
        if makers:
            return parameters_of(makers[0])
        fields = [member for member in node.body if isinstance(member, ast.AnnAssign)]
        return {ast.unparse(field.target): ast.unparse(field.annotation) for field in fields}
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    return {
        argument.arg: ast.unparse(argument.annotation) if argument.annotation else ""
        for argument in every
        if argument is not None and argument.arg not in {"self", "cls"}
    }


def sections_of(docstring: str) -> dict[str, list[str]]:
    """Give numpydoc's sections with the names that each describes."""
    found: dict[str, list[str]] = {}
    lines = docstring.splitlines()
    current: list[str] | None = None
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line.strip() and below.strip() and set(below.strip()) == {"-"} and not line.startswith(" "):
            current = found.setdefault(line.strip(), [])
        elif current is not None and line.strip() and not line.startswith(" ") and set(line.strip()) != {"-"}:
            current += [name.strip().lstrip("*") for name in line.partition(" : ")[0].split(",")]
    return found


def listed(found: dict[str, list[str]]) -> str:
    """Write what was found, one place a line."""
    return "\n".join(["", *(f"{name}: {', '.join(what)}" for name, what in sorted(found.items()))])


def errors_of_the_house(sources: list[Source]) -> set[str]:
    """Name MembergateError and everything that descends from it."""
    parents = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for source in library(sources)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
    }
    errors = {"MembergateError"}
    while grown := {name for name, bases in parents.items() if bases & errors} - errors:
        errors |= grown
    return errors


def raised_in(node: Function) -> set[str]:
    """Name the classes of the errors that a function raises itself, not in a function inside it."""
    raised = set()
    pending: list[ast.AST] = list(node.body)
    while pending:
        inner = pending.pop()
        if isinstance(inner, Function | ast.Lambda | ast.ClassDef):
            continue
        pending += ast.iter_child_nodes(inner)
        if isinstance(inner, ast.Raise) and isinstance(inner.exc, ast.Call):
            raised.add(ast.unparse(inner.exc.func).rpartition(".")[2])
    return raised


def test_every_public_thing_has_a_docstring(sources: list[Source]) -> None:
    """Modules, classes, functions and methods each say what they are for."""
    bare = [source.path for source in library(sources) if not ast.get_docstring(source.tree)]
    bare += [thing.name for source in library(sources) for thing in public_of(source) if not thing.docstring]
    assert not bare, "\n".join(["", *bare])


def test_no_sign_is_a_placeholder(sources: list[Source]) -> None:
    """A module's docstring says what is behind the door, not that it will be written."""
    assert not [
        source.path for source in library(sources) if "to be written" in (ast.get_docstring(source.tree) or "").lower()
    ]


def test_errors_that_a_function_raises_are_documented(sources: list[Source]) -> None:
    """A public function that raises one of our errors itself has a `Raises` section that names it, or its parent."""
    errors = errors_of_the_house(sources)
    silent = {}
    for source in library(sources):
        for thing in public_of(source):
            if isinstance(thing.node, Function):
                told = sections_of(thing.docstring).get("Raises", [])
                untold = (raised_in(thing.node) & errors) - set(told)
                if untold and "MembergateError" not in told:
                    silent[thing.name] = sorted(untold)
    assert not silent, listed(silent)


def test_arrays_and_many_parameters_are_documented(sources: list[Source]) -> None:
    """Functions and methods that a room offers, and that take arrays or many parameters, describe each of these."""
    offered = offered_by_rooms(sources)
    untold = {}
    for source in library(sources):
        for thing in public_of(source):
            if (source.path, (thing.owner or thing.node).name) not in offered:
                continue
            parameters = parameters_of(thing.node)
            needs = len(parameters) >= MANY_PARAMETERS or any(map(ARRAYS.search, parameters.values()))
            if isinstance(thing.node, Function) and needs:
                missing = set(parameters) - set(sections_of(thing.docstring).get("Parameters", []))
                if missing:
                    untold[thing.name] = sorted(missing)
    assert not untold, listed(untold)


def test_documented_parameters_exist(sources: list[Source]) -> None:
    """A `Parameters` section describes no parameter that is not there."""
    invented = {}
    for source in library(sources):
        for thing in public_of(source):
            told = set(sections_of(thing.docstring).get("Parameters", []))
            has_parents = isinstance(thing.node, ast.ClassDef) and bool(thing.node.bases)
            if not has_parents and (extra := told - set(parameters_of(thing.node))):
                invented[thing.name] = sorted(extra)
    assert not invented, listed(invented)


def test_what_is_read_of_a_docstring() -> None:
    """Sections are underlined titles; names stand at the margin, several to a line, their types behind a colon."""
    text = "Do.\n\nParameters\n----------\na, b\n    Two.\n*rest : int\n    More.\n\nRaises\n------\nOops\n    If so."
    assert sections_of(text) == {"Parameters": ["a", "b", "rest"], "Raises": ["Oops"]}
