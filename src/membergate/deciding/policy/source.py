"""The text of a policy: read as YAML with every value's place, so that an error can point at the span."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import yaml

from membergate.domain.errors import PolicyError

MAX_CHARACTERS = 200_000
MAX_DEPTH = 12
MAX_EVENTS = 20_000
MAX_INTEGER = 2**53
"""Beyond it, an integer and its float differ."""

Path = tuple[str | int, ...]
"""Keys and list positions that lead from the document's root to a value."""

_PREFIX = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset(_PREFIX + tag for tag in ("str", "int", "float", "bool", "null", "timestamp"))


def nearest(word: str, known: Iterable[str]) -> str:
    """Give a hint that names the nearest known words; empty where none is near."""
    near = difflib.get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text that knows where it stands, for errors that point.

    Parameters
    ----------
    origin
        The file or other name of the whole text.
    text
        The piece itself.
    lines
        The whole text's lines.
    locate
        Maps an offset in the piece to a (line, column) of the whole text, both from 0.
    """

    origin: str
    text: str
    lines: tuple[str, ...]
    locate: Callable[[int], tuple[int, int]]

    @classmethod
    def of(cls, text: str, origin: str) -> Passage:
        """Take a text that stands alone."""

        def locate(offset: int) -> tuple[int, int]:
            before = text[:offset]
            return before.count("\n"), offset - (before.rfind("\n") + 1)

        return cls(origin, text, tuple(text.split("\n")), locate)

    def error(self, what: str, start: int, end: int, *, allowed: str = "", next_step: str = "") -> PolicyError:
        """Build an error that points at `text[start:end]`."""
        line, column = self.locate(start)
        end_line, end_column = self.locate(max(start, end - 1))
        width = end_column - column + 1 if end_line == line else len(self._line(line)) - column
        return PolicyError(what, where=self._pointer(line, column, width), allowed=allowed, next_step=next_step)

    def _line(self, line: int) -> str:
        return self.lines[line] if line < len(self.lines) else ""

    def _pointer(self, line: int, column: int, width: int) -> str:
        return pointer(self.origin, self._line(line), line, column, width)


def pointer(origin: str, shown: str, line: int, column: int, width: int) -> str:
    """Write a place for a reader: origin, line and column from 1, the line itself and carets under the span."""
    first = max(0, column - 100)
    shown = shown[first : first + 160]
    carets = "^" * max(1, min(width, len(shown) - (column - first)))
    return f"{origin}, line {line + 1}, column {column + 1}\n  {shown}\n  {' ' * (column - first)}{carets}"


@dataclass(frozen=True, slots=True)
class Source:
    """A policy's text together with the tree of its values and their places."""

    origin: str
    text: str
    root: yaml.Node

    @classmethod
    def read(cls, text: str, origin: str) -> Source:
        """Read a YAML text; bounded in size and depth, without anchors.

        Raises
        ------
        PolicyError
            If it is too large, too deep, uses anchors, or is no YAML.
        """
        if len(text) > MAX_CHARACTERS:
            raise PolicyError(
                f"the policy has {len(text)} characters", where=origin, allowed=f"at most {MAX_CHARACTERS}"
            )
        try:
            _check_events(text, origin)
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            raise _yaml_error(error, text, origin) from None
        except yaml.YAMLError as error:
            raise PolicyError(f"this is no YAML: {' '.join(str(error).split())}", where=origin) from None
        if root is None:
            raise PolicyError("the policy is empty", where=origin, next_step="start from the shipped default policy")
        return cls(origin, text, root)

    def plain(self) -> Any:
        """Give the document as dicts, lists and scalars.

        Raises
        ------
        PolicyError
            If a key is no text or stands twice, or a scalar is not finite or of a foreign type.
        """
        return self._plain(self.root)

    def error(self, path: Path, what: str, *, allowed: str = "", next_step: str = "") -> PolicyError:
        """Build an error that points at the value under `path`, or at the nearest one above it."""
        return self._node_error(self._node(path), what, allowed=allowed, next_step=next_step)

    def key_error(self, path: Path, key: str, what: str, *, allowed: str = "", next_step: str = "") -> PolicyError:
        """Build an error that points at a key of the mapping under `path`."""
        node = self._node(path)
        if isinstance(node, yaml.MappingNode):
            node = next((name for name, _ in node.value if name.value == key), node)
        return self._node_error(node, what, allowed=allowed, next_step=next_step)

    def passage(self, path: Path) -> Passage:
        """Give the text under `path` with its place, character by character."""
        node = self._node(path)
        raw = self.text[node.start_mark.index : node.end_mark.index]
        first = raw.find("\n") + 1 if getattr(node, "style", None) in {"|", ">"} else 0
        lines = tuple(self.text.split("\n"))

        def locate(offset: int) -> tuple[int, int]:
            index = node.start_mark.index + _raw_offset(node.value, raw, first, offset)
            before = self.text[:index]
            return before.count("\n"), index - (before.rfind("\n") + 1)

        return Passage(self.origin, node.value, lines, locate)

    def _node(self, path: Path) -> yaml.Node:
        node = self.root
        for step in path:
            below = _child(node, step)
            if below is None:
                return node
            node = below
        return node

    def _node_error(self, node: yaml.Node, what: str, *, allowed: str = "", next_step: str = "") -> PolicyError:
        start, end = node.start_mark, node.end_mark
        lines = self.text.split("\n")
        shown = lines[start.line] if start.line < len(lines) else ""
        is_one_line = end.line == start.line and isinstance(node, yaml.ScalarNode)
        width = end.column - start.column if is_one_line else len(shown.rstrip()) - start.column
        where = pointer(self.origin, shown, start.line, start.column, width)
        return PolicyError(what, where=where, allowed=allowed, next_step=next_step)

    def _plain(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return self._plain_mapping(node)
        return self._plain_scalar(node)

    def _plain_mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag != _PREFIX + "str":
                raise self._node_error(key, "a key must be a text", next_step="put it in quotation marks")
            if key.value in mapping:
                raise self._node_error(key, f"{key.value} stands twice", allowed="each key once")
            mapping[key.value] = self._plain(value)
        return mapping

    def _plain_scalar(self, node: yaml.Node) -> Any:
        if node.tag not in _SCALAR_TAGS:
            raise self._node_error(node, f"a policy has no values of type {node.tag}", allowed="texts, numbers, dates")
        try:
            value = yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            raise self._node_error(node, f"cannot read this value: {error}") from None
        is_bad_float = isinstance(value, float) and not math.isfinite(value)
        if is_bad_float or (isinstance(value, int) and abs(value) > MAX_INTEGER):
            raise self._node_error(node, "this number is too large or not finite", allowed="finite numbers up to 2^53")
        if isinstance(value, date) and not isinstance(value, datetime):
            return datetime(value.year, value.month, value.day)  # noqa: DTZ001 (naive is taken as UTC by the loader)
        return value


def _check_events(text: str, origin: str) -> None:
    """Refuse what could blow up while composing: depth recurses, anchors multiply."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        opens = isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent)
        depth += opens - isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent)
        problem = ""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            problem = "a policy uses no anchors or aliases"
        elif depth > MAX_DEPTH:
            problem = f"a policy is at most {MAX_DEPTH} levels deep"
        elif count > MAX_EVENTS:
            problem = f"a policy has at most {MAX_EVENTS} values"
        if problem:
            start = event.start_mark.index if event.start_mark else 0
            raise Passage.of(text, origin).error(problem, start, start + 1)


def _yaml_error(error: yaml.MarkedYAMLError, text: str, origin: str) -> PolicyError:
    mark = error.problem_mark or error.context_mark
    index = mark.index if mark is not None else 0
    return Passage.of(text, origin).error(f"this is no YAML: {error.problem or error.context}", index, index + 1)


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode) and isinstance(step, str):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        below: yaml.Node = node.value[step]
        return below
    return None


def _raw_offset(value: str, raw: str, first: int, offset: int) -> int:
    """Map an offset in a scalar's value to one in its written form.

    Folding and indentation change white space only, so the n-th visible character is the same in both; a doubled
    quotation mark counts once. Escapes inside double quotation marks would break the count: the place is then near,
    not exact.
    """
    wanted = sum(1 for character in value[:offset] if not character.isspace())
    quote = raw[first : first + 1] if raw[first : first + 1] in {"'", '"'} else ""
    index = first + len(quote)
    while index < len(raw) and (wanted or raw[index].isspace()):
        wanted -= not raw[index].isspace()
        index += 2 if quote and raw.startswith(quote * 2, index) else 1
    return min(index, max(len(raw) - 1, 0))
