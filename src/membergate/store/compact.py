"""The compact form of what a decision says: numbers in as few bytes as keep every bit, texts by their terms."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import copysign
from typing import Any
from uuid import UUID

from membergate.domain.errors import WorkspaceError
from membergate.store.terms import Terms

_UNIT_BASE = struct.unpack("<Q", struct.pack("<d", 2.0**-16))[0]
_UNIT_SPAN = 1 << 56  # from 2^-16 up to, not including, 1: sixteen binades of 52 bits
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASE36_LETTERS = frozenset(_BASE36)
_HEX_LETTERS = frozenset("0123456789abcdef")
_BYTES_OF_BASE36 = [(36**length - 1).bit_length() + 7 >> 3 for length in range(64)]
_RAW, _HEX, _LETTERS, _OTHER = range(4)
_UUID, _NONE, _LONG = 0xC0, 0xFF, 0xC1
_UUID_LENGTH = 36
_LONGEST_PREFIX = 4
_LARGEST_PART = 100
_EXACT = {0.0: "z", 1.0: "o"}
_RATIOS = {p / q: (p, q) for q in range(_LARGEST_PART, 1, -1) for p in range(1, q)}
_MILLION = 1_000_000
_EXACT_INTEGERS = 2**53
_WIDTHS = ((1, "b"), (2, "h"), (4, "i"), (8, "q"))


class Writer:
    """Writes values one after the other.

    Parameters
    ----------
    terms
        The record's dictionary.
    """

    def __init__(self, terms: Terms) -> None:
        self.out = bytearray()
        self.terms = terms

    def natural(self, number: int) -> None:
        """Write a number of at least 0: seven bits a byte, the lowest first."""
        out = self.out
        while number > 127:  # noqa: PLR2004 (seven bits)
            out.append(number & 127 | 128)
            number >>= 7
        out.append(number)

    def integer(self, number: int) -> None:
        """Write a number of any sign."""
        self.natural(number << 1 if number >= 0 else (-number << 1) - 1)

    def raw(self, content: bytes) -> None:
        """Write bytes after their length."""
        self.natural(len(content))
        self.out += content

    def term(self, content: bytes) -> None:
        """Write a term by its number, or in full once the dictionary is full."""
        number = self.terms.number(content)
        self.natural(number)
        if number == 0:
            self.raw(content)

    def double(self, number: float) -> None:
        """Write all bits of a float."""
        self.out += struct.pack("<d", number)

    def name(self, text: str | None) -> None:
        """Write an id: its prefix by its term, hexadecimal and base-36 digits as the number that they are."""
        out = self.out
        if text is None:
            out.append(_NONE)
            return
        if len(text) == _UUID_LENGTH and _is_uuid(text):
            out.append(_UUID)
            out += UUID(text).bytes
            return
        head, dash, tail = text.rpartition("-")
        prefix = head + dash
        if len(prefix) > _LONGEST_PREFIX or not tail:
            prefix, tail = "", text
        letters = set(tail)
        size = len(tail)
        if size > 63 or not letters <= _BASE36_LETTERS:  # noqa: PLR2004 (six bits)
            out.append(_LONG)
            self.raw(text.encode())
            return
        is_hex = size % 2 == 0 and letters <= _HEX_LETTERS
        out.append((_HEX if is_hex else _LETTERS) << 6 | size)
        self.term(prefix.encode())
        out += bytes.fromhex(tail) if is_hex else int(tail or "0", 36).to_bytes(_BYTES_OF_BASE36[size], "big")


class Reader:
    """Reads what a `Writer` wrote.

    Parameters
    ----------
    content
        The bytes.
    terms
        The record's dictionary.
    """

    def __init__(self, content: bytes, terms: Terms) -> None:
        self.content = content
        self.place = 0
        self.terms = terms

    def natural(self) -> int:
        """Read a number of at least 0."""
        content, place = self.content, self.place
        byte = content[place]
        place += 1
        number, shift = byte & 127, 7
        while byte > 127:  # noqa: PLR2004 (seven bits)
            byte = content[place]
            place += 1
            number |= (byte & 127) << shift
            shift += 7
        self.place = place
        return number

    def integer(self) -> int:
        """Read a number of any sign."""
        number = self.natural()
        return -(number + 1 >> 1) if number & 1 else number >> 1

    def take(self, size: int) -> bytes:
        """Read so many bytes.

        Raises
        ------
        WorkspaceError
            If there are not so many.
        """
        taken = self.content[self.place : self.place + size]
        if len(taken) != size:
            raise WorkspaceError("a stored decision ends too early", where="decisions")
        self.place += size
        return taken

    def raw(self) -> bytes:
        """Read bytes after their length."""
        return self.take(self.natural())

    def term(self) -> bytes:
        """Read a term."""
        number = self.natural()
        return self.terms.content(number) if number else self.raw()

    def double(self) -> float:
        """Read a float."""
        found: float = struct.unpack("<d", self.take(8))[0]
        return found

    def name(self) -> str | None:
        """Read an id."""
        head = self.take(1)[0]
        if head == _NONE:
            return None
        if head == _UUID:
            return str(UUID(bytes=self.take(16)))
        if head == _LONG:
            return self.raw().decode()
        kind, size = head >> 6, head & 63
        prefix = self.term().decode()
        if kind == _HEX:
            return prefix + self.take(size // 2).hex()
        return prefix + _base36(int.from_bytes(self.take(_BYTES_OF_BASE36[size]), "big"), size)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _base36(number: int, size: int) -> str:
    digits = []
    for _ in range(size):
        number, digit = divmod(number, 36)
        digits.append(_BASE36[digit])
    return "".join(reversed(digits))


def tag_of(value: float) -> tuple[str, tuple[Any, ...]]:
    """Choose the shortest form of a number that keeps every bit: a tag, and what `struct` is to pack.

    Tags are struct's letters in lower case for floats and in upper case for integers (`W`: more than 64 bits, which
    nothing packs); `z` and `o` are 0.0 and 1.0, `r` is a ratio of two bytes, `u` a float in [2^-16, 1) in seven bytes,
    `d` one of eight.
    """
    if isinstance(value, int):
        return _whole(value).upper(), (value,)
    if value.is_integer():
        if value in _EXACT and copysign(1.0, value) > 0:
            return _EXACT[value], ()
        if value and abs(value) < _EXACT_INTEGERS:
            return _whole(int(value)), (int(value),)
    elif (ratio := _RATIOS.get(value)) is not None:
        return "r", ratio
    bits = struct.unpack("<Q", struct.pack("<d", value))[0] - _UNIT_BASE
    if 0 <= bits < _UNIT_SPAN:
        return "u", (bits & 0xFFFFFFFF, bits >> 32 & 0xFFFF, bits >> 48)
    return "d", (value,)


def number_of(tag: str, parts: tuple[Any, ...]) -> float:
    """Give the number that a tag and its parts stand for."""
    if tag == "u":
        bits = parts[0] | parts[1] << 32 | parts[2] << 48
        found: float = struct.unpack("<d", struct.pack("<Q", bits + _UNIT_BASE))[0]
        return found
    if tag == "r":
        return float(parts[0] / parts[1])
    if tag in "zo":
        return 0.0 if tag == "z" else 1.0
    number: float = parts[0]
    return number if tag.isupper() else float(number)


FORMATS = {tag: tag.lower() for tag in "bhiqBHIQd"} | {"z": "", "o": "", "r": "BB", "u": "IHB"}
"""Tag to what `struct` packs for it."""
SIZES = {tag: len(form) for tag, form in FORMATS.items()}
"""Tag to how many parts it has."""


def _whole(number: int) -> str:
    for size, letter in _WIDTHS:
        if -(1 << 8 * size - 1) <= number < 1 << 8 * size - 1:
            return letter
    return "w"


def write_contributions(writer: Writer, contributions: Sequence[tuple[str, float]]) -> None:
    """Write what moved a score: names by their terms, amounts as millionths where that keeps every bit."""
    writer.natural(len(contributions))
    for name, amount in contributions:
        writer.term(b"=" + name.encode())
        millionths = round(amount * _MILLION) if abs(amount) < _MILLION else 0
        if millionths and millionths / _MILLION == amount:
            writer.integer(millionths)
        else:
            writer.integer(0)
            writer.double(amount)


def read_contributions(reader: Reader) -> tuple[tuple[str, float], ...]:
    """Read what moved a score."""
    found = []
    for _ in range(reader.natural()):
        name, millionths = reader.term()[1:].decode(), reader.integer()
        found.append((name, millionths / _MILLION if millionths else reader.double()))
    return tuple(found)
