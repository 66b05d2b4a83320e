"""How two policies differ: setting by setting, rule by rule, whatever the order and the comments of their texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from membergate.deciding.policy.policy import Policy
from membergate.deciding.policy.reading import read_document

_NAMING = ("id", "evidence", "risk_score_at_most")
"""Keys by which the parts of a list are told apart."""


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that differs: its path, and its value in either policy; None where it does not stand there."""

    path: str
    old: object
    new: object


def differing(old: Policy, new: Policy) -> tuple[Change, ...]:
    """List every setting that differs, by path."""
    before, after = (dict(_settings("", _plain(policy))) for policy in (old, new))
    return tuple(
        Change(path, before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    )


def _plain(policy: Policy) -> object:
    return msgspec.to_builtins(read_document(policy.text, policy.name), builtin_types=())


def _settings(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _settings(f"{path}.{key}" if path else str(key), below)
    elif isinstance(value, list) and all(isinstance(item, dict) for item in value):
        for item in value:
            name = next((str(item[key]) for key in _NAMING if key in item), "")
            yield from _settings(f"{path}[{name}]", item)
    elif value not in (None, "", []):
        yield path, value
