"""A scenario of one's own: a YAML file over a preset, checked word for word, with errors that point at the line."""

from __future__ import annotations

import math
import types
from dataclasses import fields, is_dataclass, replace
from datetime import date, datetime
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from membergate.domain.errors import BadInputError
from membergate.domain.instants import utc
from membergate.market.simulator.adversary import Evasion
from membergate.market.simulator.archetypes import ARCHETYPE_INDEX
from membergate.market.simulator.checking import NEXT_STEP, check_scenario
from membergate.market.simulator.drift import Drift
from membergate.market.simulator.scenario import PRESETS, Promotion, Scenario

_NOT_IN_A_FILE = frozenset({"district"})
_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "a text", datetime: "a time"}
_LARGEST_BYTES = 1_000_000


def read_scenario(path: Path, *, seed: int | None = None, accounts: int | None = None) -> Scenario:
    """Read a scenario from a file.

    Parameters
    ----------
    path
        YAML: `preset` names what it starts from, every other word is a field of `Scenario` that it changes; `evasion`
        holds fields of `Evasion`, `promotions` and `drifts` are lists, `shares` maps archetypes to shares.
    seed, accounts
        Take the place of the file's, where given.

    Raises
    ------
    BadInputError
        If the file cannot be read, a word is unknown, a value is of the wrong kind, or the whole makes no sense; the
        place says line and column.
    """
    root = _composed(path)
    reader = _Reader(path)
    entries = reader.entries(root, "the scenario")
    preset = reader.value(entries.pop("preset"), str, "preset") if "preset" in entries else "tiny"
    if preset not in PRESETS:
        raise BadInputError(
            f"there is no preset {preset!r}", where=str(path), allowed=", ".join(PRESETS), next_step=NEXT_STEP
        )
    base = PRESETS[preset]
    scenario = replace(base, **reader.changes(entries, Scenario, base))
    scenario = replace(
        scenario,
        seed=scenario.seed if seed is None else seed,
        accounts=scenario.accounts if accounts is None else accounts,
    )
    check_scenario(scenario, where=str(path))
    return scenario


def _composed(path: Path) -> Node:
    """Parse the file into nodes that know their place."""
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise BadInputError("the scenario is too large", where=str(path), allowed=f"at most {_LARGEST_BYTES} bytes")
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"cannot read the scenario: {error}", where=str(path), allowed="a YAML file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "it does not parse"
        raise BadInputError(f"the scenario is no YAML: {problem}", where=place, next_step=NEXT_STEP) from None
    except RecursionError:
        raise BadInputError("the scenario is nested too deeply", where=str(path), next_step=NEXT_STEP) from None
    if root is None:
        raise BadInputError("the scenario is empty", where=str(path), allowed="preset: tiny", next_step=NEXT_STEP)
    return root


class _Reader:
    """Turns nodes into values of declared types, or says where and why not."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self, node: Node, what: str) -> dict[str, Node]:
        """Give the entries of a mapping; a word that stands twice is an error."""
        if not isinstance(node, MappingNode):
            raise self._error(node, f"{what} is no list of words with values", "name: value, one a line")
        found: dict[str, Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in found:
                raise self._error(key, f"{name!r} stands twice", "every word once")
            found[name] = value
        return found

    def changes(self, entries: dict[str, Node], record: type, base: object) -> dict[str, Any]:
        """Read the fields of a record that a file names; `base` gives those of a nested record that it leaves out."""
        types_of = get_type_hints(record)
        names = [field.name for field in fields(record) if field.name not in _NOT_IN_A_FILE]
        read = {}
        for name, node in entries.items():
            if name not in names:
                near = get_close_matches(name, names, 1)
                hint = f"{near[0]}?" if near else ", ".join(names)
                raise self._error(node, f"there is no {name!r} in {record.__name__.lower()}", hint)
            read[name] = self.value(node, types_of[name], name, getattr(base, name, None))
        return read

    def value(self, node: Node, wanted: Any, name: str, base: object = None) -> Any:
        """Read one value of a declared type."""
        if name == "shares":
            shares = self.entries(node, "shares")
            return tuple((self._code(node, code), float(self._scalar(v, float, code))) for code, v in shares.items())
        if wanted in (Evasion, Promotion, Drift):
            return self._record(node, wanted, base)
        if get_origin(wanted) is tuple:
            return self._list(node, get_args(wanted), name)
        if get_origin(wanted) in (Union, types.UnionType):
            wanted = get_args(wanted)[0]
        return self._scalar(node, wanted, name)

    def _record(self, node: Node, record: type, base: object) -> Any:
        entries = self.entries(node, record.__name__.lower())
        changes = self.changes(entries, record, base)
        if base is not None and is_dataclass(base):
            return replace(base, **changes)  # type: ignore[type-var]  # an instance, not a type
        try:
            return record(**changes)
        except TypeError as error:
            names = ", ".join(field.name for field in fields(record))
            raise self._error(node, f"a {record.__name__.lower()} lacks words: {error}", names) from None

    def _list(self, node: Node, kinds: tuple[Any, ...], name: str) -> tuple[Any, ...]:
        if not isinstance(node, SequenceNode):
            raise self._error(node, f"{name} is no list", "one entry a line, each after a dash")
        items = node.value
        if kinds[-1] is Ellipsis:
            return tuple(self.value(item, kinds[0], f"entry of {name}") for item in items)
        if len(items) != len(kinds):
            raise self._error(node, f"{name} has {len(items)} values", f"{len(kinds)} values")
        return tuple(self._scalar(item, kind, name) for item, kind in zip(items, kinds, strict=True))

    def _scalar(self, node: Node, wanted: Any, name: str) -> Any:
        if not isinstance(node, ScalarNode):
            raise self._error(node, f"{name} is not one value", wanted.__name__)
        try:
            given = yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            raise self._error(node, f"cannot read the value of {name}", _WORDS.get(wanted, str(wanted))) from None
        if isinstance(wanted, type) and issubclass(wanted, StrEnum):
            if given not in list(wanted):
                raise self._error(node, f"{name} cannot be {given!r}", ", ".join(wanted))
            return wanted(given)
        if wanted is datetime and isinstance(given, date):
            return _instant(given)
        if wanted is float and type(given) is int:
            try:
                return float(given)
            except OverflowError:
                raise self._error(node, f"{name} is too large", "a finite number") from None
        if type(given) is not wanted:
            raise self._error(node, f"{name} cannot be {given!r}", _WORDS.get(wanted, str(wanted)))
        if isinstance(given, float) and not math.isfinite(given):
            raise self._error(node, f"{name} cannot be {given!r}", "a finite number")
        return given

    def _code(self, node: Node, code: str) -> str:
        if code not in ARCHETYPE_INDEX:
            raise self._error(node, f"there is no archetype {code!r}", ", ".join(ARCHETYPE_INDEX))
        return code

    def _error(self, node: Node, what: str, allowed: str) -> BadInputError:
        mark = node.start_mark
        place = f"{self._path}, line {mark.line + 1}, column {mark.column + 1}"
        return BadInputError(what, where=place, allowed=allowed, next_step=NEXT_STEP)


def _instant(given: date) -> datetime:
    """Read a day, or an instant without a zone, as UTC."""
    if not isinstance(given, datetime):
        return utc(given.year, given.month, given.day)
    return given if given.tzinfo else utc(given.year, given.month, given.day, given.hour, given.minute)
