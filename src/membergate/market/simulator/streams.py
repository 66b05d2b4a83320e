"""Chance and names: one random stream for each purpose, and ids that tell nothing about what they name."""

from __future__ import annotations

from dataclasses import fields, replace
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Record = TypeVar("_Record", bound="DataclassInstance")

NOWHERE = -1
"""Index of a thing that does not exist; it is written as a null."""

_ALPHABET = np.frombuffer(b"0123456789abcdefghjkmnpqrstvwxyz", dtype=np.uint8)
_ID_BITS = 60
_ID_CHARACTERS = 12
_MASK = np.uint64((1 << _ID_BITS) - 1)
_ODD_MULTIPLIERS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))
_SHIFTS = (np.uint64(31), np.uint64(29), np.uint64(33))


def _digest(seed: int, *purpose: str) -> int:
    return int.from_bytes(sha256("/".join((str(seed), *purpose)).encode()).digest()[:16], "big")


def stream(seed: int, *purpose: str) -> np.random.Generator:
    """Give the random stream of one purpose; streams of different purposes never share a draw.

    Parameters
    ----------
    seed
        The scenario's seed.
    *purpose
        What is drawn, from the general to the particular.

    Returns
    -------
    numpy.random.Generator
        A counter-based (Philox) generator, so adding a purpose leaves all others as they were.
    """
    return np.random.Generator(np.random.Philox(key=_digest(seed, *purpose)))


def opaque_ids(indices: Ints, *, seed: int, kind: str, prefix: str) -> pa.Array:
    """Name things by a keyed one-to-one scrambling of their index.

    Parameters
    ----------
    indices
        Index of each thing, shape (n,); negative where there is none.
    seed, kind
        The key: another seed or another kind of thing gives unrelated names.
    prefix
        Put before each name, so that a reader sees what kind of thing it is.

    Returns
    -------
    pyarrow.Array
        Strings, shape (n,); null where the index is negative. Equal indices have equal names, others never.
    """
    key = _digest(seed, "id", kind)
    scrambled = (indices.astype(np.uint64) ^ np.uint64(key & int(_MASK))) & _MASK
    for multiplier, shift in zip(_ODD_MULTIPLIERS, _SHIFTS[:2], strict=True):
        # each step can be undone on 60 bits, so no two indices meet
        scrambled ^= scrambled >> shift
        scrambled = (scrambled * multiplier) & _MASK
    scrambled ^= scrambled >> _SHIFTS[2]
    letters = np.empty((len(indices), len(prefix) + _ID_CHARACTERS), dtype=np.uint8)
    letters[:, : len(prefix)] = np.frombuffer(prefix.encode(), dtype=np.uint8)
    for place in range(_ID_CHARACTERS):
        letters[:, len(prefix) + place] = _ALPHABET[(scrambled >> np.uint64(5 * place)) & np.uint64(31)]
    return strings_from_letters(letters, is_there=indices >= 0)


def strings_from_letters(letters: NDArray[np.uint8], *, is_there: Bools | None = None) -> pa.Array:
    """Turn rows of equally many ASCII letters into a string array without a Python loop.

    Parameters
    ----------
    letters
        ASCII codes, shape (n, width).
    is_there
        Which rows exist, shape (n,); the others become null. All, if omitted.

    Returns
    -------
    pyarrow.Array
        Strings, shape (n,).
    """
    rows, width = letters.shape
    offsets = (np.arange(rows + 1, dtype=np.int64) * width).astype(np.int32)
    validity = None
    missing = 0
    if is_there is not None and not is_there.all():
        validity = pa.py_buffer(np.packbits(is_there, bitorder="little").tobytes())
        missing = int((~is_there).sum())
    letters = np.ascontiguousarray(letters)
    return pa.Array.from_buffers(
        pa.string(), rows, [validity, pa.py_buffer(offsets), pa.py_buffer(letters)], null_count=missing
    )


def chosen(record: _Record, rows: Bools | Ints) -> _Record:
    """Give a record of equally long arrays with only the chosen rows.

    Parameters
    ----------
    record
        A dataclass whose fields are all arrays of shape (n,).
    rows
        Which rows to keep, shape (n,), or their positions, in order and as often as wanted.
    """
    return replace(record, **{column.name: getattr(record, column.name)[rows] for column in fields(record)})


def happens(rng: np.random.Generator, probability: float | Floats, count: int) -> Bools:
    """Draw `count` times whether something of that probability happens, shape (count,)."""
    is_so: Bools = rng.random(count) < probability
    return is_so


def pick(cumulative: Floats, draws: Floats) -> Ints:
    """Choose from one discrete distribution for many draws.

    Parameters
    ----------
    cumulative
        Running sum of the weights, shape (k,).
    draws
        Uniform in [0, 1), shape (n,).

    Returns
    -------
    numpy.ndarray
        Chosen positions, shape (n,), each in [0, k).
    """
    position = np.searchsorted(cumulative, draws * cumulative[-1], side="right")
    positions: Ints = np.minimum(position, len(cumulative) - 1).astype(np.int64)
    return positions


def running_number(groups: Ints) -> Ints:
    """Count 0, 1, 2, … through the members of each group, where equal groups lie next to each other.

    Parameters
    ----------
    groups
        Group of each row, shape (n,), equal groups adjacent.

    Returns
    -------
    numpy.ndarray
        Position inside the group, shape (n,).
    """
    if len(groups) == 0:
        return np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    lengths = np.diff(np.r_[starts, len(groups)])
    numbers: Ints = np.arange(len(groups), dtype=np.int64) - np.repeat(starts, lengths)
    return numbers
