"""The form of a policy text: every key, type and range that the document declares, with errors that point."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from membergate.deciding.policy.document import PolicyDocument
from membergate.deciding.policy.source import Path, Source, nearest
from membergate.domain.errors import PolicyError


def read_document(text: str, origin: str) -> PolicyDocument:
    """Read the form of a policy, without checking what types cannot say.

    Raises
    ------
    PolicyError
        If it is no YAML, or not of the form.
    """
    return document_of(Source.read(text, origin))


def document_of(source: Source) -> PolicyDocument:
    """Read the form of a policy from its source.

    Raises
    ------
    PolicyError
        If it is not of the form.
    """
    plain = source.plain()
    try:
        return msgspec.convert(plain, PolicyDocument)
    except msgspec.ValidationError as error:
        raise _shape_error(source, str(error)) from None


def _shape_error(source: Source, said: str) -> PolicyError:
    """Turn msgspec's `... - at `$.rules[0].when`` into an error that points."""
    what, _, place = said.partition(" - at `$")
    path = tuple(key or int(index) for key, index in re.findall(r"\.([A-Za-z_]\w*)|\[(\d+)\]", place.rstrip("`")))
    part = _part_at(path)
    fields = part.__struct_fields__ if part else ()
    unknown = re.search(r"unknown field `([^`]*)`", what)
    if unknown:
        key = unknown.group(1)
        hint = nearest(key, fields)
        return source.key_error(
            path, key, f"there is no setting named {key} here", allowed=", ".join(fields), next_step=hint
        )
    value = re.search(r"Invalid enum value '?([^']*)'?", what)
    if value:
        choices = [str(choice) for choice in _choices_at(path)]
        return source.error(path, what, allowed=", ".join(choices), next_step=nearest(value.group(1), choices))
    return source.error(path, what, allowed=_pattern_meaning(what))


def _pattern_meaning(what: str) -> str:
    meanings = {
        "^[A-Z][A-Z0-9_]": "capitals, digits and underscores: RESALE_DEPTH",
        "^[a-z][a-z0-9_.-]": "lower-case letters, digits, and - _ . between them: resale-depth",
        "^[A-Za-z0-9][A-Za-z0-9.+-]": 'a text such as "1.4"',
        "^[A-Z]{3}": "a currency code: CNY",
        "got `float`": "put numbers that are names in quotation marks",
    }
    return next((meaning for start, meaning in meanings.items() if start in what), "")


def _part_at(path: Path) -> type[msgspec.Struct] | None:
    return next(iter(_structs(_type_at(path))), None)


def _choices_at(path: Path) -> Iterable[object]:
    kind = _type_at(path)
    members = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    return [choice for member in members if isinstance(member, msgspec.inspect.EnumType) for choice in member.cls]


def _structs(kind: msgspec.inspect.Type | None) -> list[type[msgspec.Struct]]:
    members = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    return [member.cls for member in members if isinstance(member, msgspec.inspect.StructType)]


def _type_at(path: Path) -> msgspec.inspect.Type | None:
    kind: msgspec.inspect.Type | None = msgspec.inspect.type_info(PolicyDocument)
    for step in path:
        members = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
        kind = None
        for member in members:
            if isinstance(member, msgspec.inspect.ListType) and isinstance(step, int):
                kind = member.item_type
            if isinstance(member, msgspec.inspect.StructType):
                kind = next((field.type for field in member.fields if field.name == step), kind)
    return kind
