"""One value of evidence in the record's compact form: a number by its shortest form, or a typed absence."""

from __future__ import annotations

import struct
from typing import Any

from membergate.domain.evidence import Absence, EvidenceValue
from membergate.store.compact import FORMATS, Reader, number_of, tag_of
from membergate.store.terms import Terms

_ABSENCES = {absence: str(place) for place, absence in enumerate(Absence)}
_ABSENT = {tag: absence for absence, tag in _ABSENCES.items()}
ROUND: dict[float, tuple[str, tuple[Any, ...]]] = {}
"""Forms of round numbers, which come again and again; never of zero, which has two signs and is one key."""
_MOST_ROUND = 10_000


def form_of(value: EvidenceValue | Absence, terms: Terms) -> tuple[str, tuple[Any, ...]]:
    """Choose the form of what a witness says: a tag, and what `struct` is to pack; texts are written elsewhere."""
    if isinstance(value, str):
        return (_ABSENCES[value], ()) if isinstance(value, Absence) else ("s", ())
    if isinstance(value, bool):
        return "t" if value else "n", ()
    tag, parts = tag_of(value)
    if tag in "ud":
        number = terms.frequent(struct.pack("<d", value))
        return ("v", (number,)) if number else (tag, parts)
    if value and type(value) is float and len(ROUND) < _MOST_ROUND:
        ROUND[value] = tag, parts
    return (tag, parts) if tag != "W" else ("W", ())


def value_of(tag: str, parts: tuple[Any, ...], reader: Reader) -> Any:
    """Give what a tag and its parts stand for; texts and large integers are filled in later."""
    if tag in FORMATS:
        return number_of(tag, parts)
    if tag == "v":
        return struct.unpack("<d", reader.terms.content(parts[0]))[0]
    if tag in "tn":
        return tag == "t"
    return _ABSENT.get(tag)
