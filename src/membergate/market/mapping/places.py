"""Places in a YAML file, with the words to point at them: an error names the file, the line and the keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from membergate.domain.errors import BadInputError
from membergate.market.sources import nearest

_MOST_LEVELS = 40
KeyPath = tuple[str, ...]
"""The keys, and the places in lists, that lead to a place."""


def _lines(node: yaml.Node | None, path: KeyPath = ()) -> Iterator[tuple[KeyPath, int]]:
    """Give the line, from 1, of every key of a YAML document."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield from _lines(item, (*path, str(place)))


def read_places(text: str, *, origin: str) -> Place:
    """Read YAML text and give its root; `origin` names it in errors.

    Raises
    ------
    BadInputError
        If it is no YAML, nested too deeply, uses anchors, or says one key twice at one place.
    """
    try:
        _check_growth(text, origin)
        content, tree = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise BadInputError(
            "the mapping is no YAML", where=f"{origin}: {error}", next_step="correct the mapping file"
        ) from None
    lines: dict[KeyPath, int] = {}
    for path, line in _lines(tree):
        if path in lines:
            raise BadInputError(
                f"the key {path[-1]!r} stands twice, and only one of them could count",
                where=f"{origin}, line {line} ({'.'.join(path)}; first in line {lines[path]})",
                allowed="every key once at its place",
                next_step="correct the mapping file",
            )
        lines[path] = line
    return Place(content, origin, lines)


def _check_growth(text: str, origin: str) -> None:
    """Refuse what would blow up once it is composed: depth recurses, anchors multiply."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        is_anchored = isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None
        if is_anchored or depth > _MOST_LEVELS:
            line = f", line {event.start_mark.line + 1}" if event.start_mark else ""
            raise BadInputError(
                "a mapping has no anchors or aliases" if is_anchored else "the mapping is nested too deeply",
                where=f"{origin}{line}",
                allowed="every value written out" if is_anchored else f"at most {_MOST_LEVELS} levels",
                next_step="correct the mapping file",
            )


class Place:
    """A place in the file, with the words to point at it.

    Parameters
    ----------
    content
        What stands there.
    origin
        The file.
    lines
        The line of every key, by the keys that lead to it.
    path
        The keys that lead here.
    """

    def __init__(self, content: Any, origin: str, lines: dict[KeyPath, int], path: KeyPath = ()) -> None:
        self.content = content
        self._origin = origin
        self._lines = lines
        self._path = path

    @property
    def where(self) -> str:
        """The file, the line and the keys that lead here."""
        line = self._lines.get(self._path)
        place = f", line {line}" if line else ""
        return f"{self._origin}{place} ({'.'.join(self._path)})" if self._path else self._origin

    def wrong(self, what: str, allowed: str) -> BadInputError:
        """Give the error that says what is wrong here and what is allowed."""
        return BadInputError(what, where=self.where, allowed=allowed, next_step="correct the mapping file")

    def allow(self, *names: str) -> None:
        """Refuse anything but keys and values, with these keys."""
        if not isinstance(self.content, dict):
            raise self.wrong(f"expected keys and values, found {self.content!r}", ", ".join(names))
        for name in self.content:
            if name not in names:
                raise self.wrong(f"unknown key {name!r}{nearest(str(name), names)}", ", ".join(names))

    def of(self, content: Any, *path: str) -> Place:
        """Give another content, at this place or below it."""
        return Place(content, self._origin, self._lines, (*self._path, *path))

    def child(self, name: str, otherwise: Any = None) -> Place:
        """Give the place below a key; refuse a key that is missing or empty."""
        content = self.content.get(name, otherwise)
        if content is None:
            raise self.wrong(f"the key {name!r} is missing or empty", f"{name}: …")
        return self.of(content, name)

    def children(self) -> dict[str, Place]:
        """Give every place below this one, by key."""
        if not isinstance(self.content, dict):
            raise self.wrong(f"expected keys and values, found {self.content!r}", "NAME: …")
        return {str(name): self.of(content, str(name)) for name, content in self.content.items()}

    def text(self, name: str) -> str | None:
        """Give the text under a key; None where there is no such key."""
        found = self.content.get(name)
        if found is not None and not isinstance(found, str):
            raise self.wrong(f"{name} is a text, not {found!r}", f"{name}: some text")
        return found

    def names(self, name: str) -> tuple[str, ...]:
        """Give the names under a key: one, a list of them, or none."""
        found = self.content.get(name, [])
        listed = [found] if isinstance(found, str) else found
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise self.wrong(f"{name} lists column names, not {found!r}", f"{name}: [a_column, another]")
        return tuple(listed)

    def pairs(self, name: str) -> dict[str, str]:
        """Give the pairs of names under a key; a name alone stands for the pair of itself."""
        found = self.content.get(name, [])
        if isinstance(found, dict):
            if not all(isinstance(text, str) for pair in found.items() for text in pair):
                raise self.wrong(f"{name} pairs column names, not {found!r}", f"{name}: {{ours: theirs}}")
            return dict(found)
        return {one: one for one in self.names(name)}

    def flag(self, name: str) -> bool:
        """Give the truth value under a key; false where there is no such key."""
        found = self.content.get(name, False)
        if not isinstance(found, bool):
            raise self.wrong(f"{name} is true or false, not {found!r}", f"{name}: true")
        return found
