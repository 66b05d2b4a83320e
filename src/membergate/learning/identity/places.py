"""Which address entries name one place in different words.

People who do not want to be found write one place in many ways: abbreviated, misspelt, with words added. Entries are
compared only within a few hundred metres and where two numbers agree, so the work grows with the number of entries and
not with its square. Each entry joins the earliest entry that it matches, so entries that become visible later change
nothing for earlier ones.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import combinations

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rapidfuzz import fuzz

_BASE32 = {letter: number for number, letter in enumerate("0123456789bcdefghjkmnpqrstuvwxyz")}
_CELL_CHARACTERS = 5
_NEAR_METRES = 200.0
_METRES_A_DEGREE = 111_000.0
_LEAST_SIMILARITY = 75.0
_MOST_IN_A_BLOCK = 40
_MOST_NUMBERS = 3
_SHORTEST = 2
_TOKENS = re.compile(r"\d+|[^\W\d_]+")
_FILLERS = frozenset({"road", "rd", "lu", "street", "st", "no", "bldg", "building", "b", "rm", "room", "unit", "apt"})


def name_places(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Make a temporary table that names the place of each address that is another entry of an earlier one.

    Parameters
    ----------
    connection
        Holds a view `addresses` with `address_id`, `geohash`, `text` and `visible_at`.
    table
        Name of the table to make, with `address_id` and `place`, the id of the earliest entry; entries that match none
        are left out.
    """
    rows = connection.execute(
        "SELECT CAST(address_id AS VARCHAR) AS address_id, arg_min(geohash, visible_at) AS geohash,"
        " arg_min(text, visible_at) AS text FROM addresses WHERE geohash IS NOT NULL AND text IS NOT NULL"
        " GROUP BY address_id ORDER BY min(visible_at), address_id"
    ).fetchnumpy()
    ids = np.asarray(rows["address_id"], dtype=object)
    leader = same_places(list(rows["geohash"]), list(rows["text"]))
    joins = np.flatnonzero(leader != np.arange(len(ids)))
    named = pa.table(
        {"address_id": pa.array(ids[joins], pa.string()), "place": pa.array(ids[leader[joins]], pa.string())}
    )
    connection.register("membergate_identity_named", named)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS FROM membergate_identity_named")
    connection.unregister("membergate_identity_named")


def same_places(geohashes: list[str], texts: list[str]) -> NDArray[np.int64]:
    """Find for each entry the earliest one that names the same place.

    Parameters
    ----------
    geohashes, texts
        Where each entry lies, and how it is written; n of each, in the order in which they became visible.

    Returns
    -------
    numpy.ndarray
        Position of that entry, its own where there is none, shape (n,). It is itself no other entry's follower.
    """
    latitude, longitude = _decoded(geohashes)
    numbers, words = zip(*(_parts(text) for text in texts), strict=True) if texts else ((), ())
    leaders: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    leader = np.arange(len(texts))
    for entry, geohash in enumerate(geohashes):
        keys = [(geohash[:_CELL_CHARACTERS], *pair) for pair in combinations(_longest(numbers[entry]), 2)]
        near = sorted({other for key in keys for other in leaders.get(key, ())})
        found = next((other for other in near if _is_same(entry, other, latitude, longitude, numbers, words)), None)
        if found is not None:
            leader[entry] = found
            continue
        for key in keys:
            # a block that is full holds a number pair that says nothing, such as the first floor of number one
            if len(leaders[key]) < _MOST_IN_A_BLOCK:
                leaders[key].append(entry)
    return leader


def _longest(numbers: tuple[str, ...]) -> list[str]:
    """Give the numbers that tell most, in a fixed order: houses and rooms have more digits than floors and noise."""
    return sorted(sorted(numbers, key=len, reverse=True)[:_MOST_NUMBERS])


def _is_same(
    entry: int,
    other: int,
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    numbers: tuple[tuple[str, ...], ...],
    words: tuple[tuple[str, ...], ...],
) -> bool:
    """Compare two entries: near one another, all numbers of the plainer one in the other, and words alike."""
    north = (latitude[entry] - latitude[other]) * _METRES_A_DEGREE
    east = (longitude[entry] - longitude[other]) * _METRES_A_DEGREE * np.cos(np.radians(latitude[entry]))
    if north * north + east * east > _NEAR_METRES**2:
        return False
    few, many = sorted((set(numbers[entry]), set(numbers[other])), key=len)
    if len(few - many) > (len(few) > 3):  # noqa: PLR2004  # of four numbers or more one may be a token of noise
        return False
    shorter, longer = sorted((words[entry], words[other]), key=len)
    alike = sum(any(fuzz.ratio(word, rival) >= _LEAST_SIMILARITY for rival in longer) for word in shorter)
    return 2 * alike >= max(len(shorter), 1)


def _parts(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Take a text apart into its numbers, in order and without repeats, and its telling words."""
    tokens = _TOKENS.findall(text.casefold())
    numbers = tuple(dict.fromkeys(token for token in tokens if token.isdigit()))
    words = (token for token in tokens if not token.isdigit() and token not in _FILLERS and len(token) >= _SHORTEST)
    return numbers, tuple(dict.fromkeys(words))


def _decoded(geohashes: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the middles of geohash cells in degrees, latitude and longitude; characters that are none count as 0."""
    count, width = len(geohashes), max(map(len, geohashes), default=0)
    bounds = np.tile(np.array([[-90.0, 90.0], [-180.0, 180.0]]), (count, 1, 1))
    codes = np.full((count, width), -1, dtype=np.int64)
    for row, geohash in enumerate(geohashes):
        codes[row, : len(geohash)] = [_BASE32.get(letter, 0) for letter in geohash.casefold()]
    for place in range(5 * width):
        code = codes[:, place // 5]
        bit = (code >> (4 - place % 5)) & 1
        axis = 1 - place % 2
        middle = bounds[:, axis].mean(axis=1)
        is_there = code >= 0
        bounds[:, axis, 0] = np.where(is_there & (bit == 1), middle, bounds[:, axis, 0])
        bounds[:, axis, 1] = np.where(is_there & (bit == 0), middle, bounds[:, axis, 1])
    return bounds[:, 0].mean(axis=1), bounds[:, 1].mean(axis=1)
