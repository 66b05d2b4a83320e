"""Where parcels go: homes, dorms, pickups, offices, stock places, and the texts by which people name them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from membergate.market.simulator.scenario import Scenario
from membergate.market.simulator.streams import Bools, Floats, Ints, happens, stream

KINDS = ("home", "office", "school", "dorm", "pickup", "locker", "warehouse", "forwarder", "shop")
KIND_INDEX = {kind: place for place, kind in enumerate(KINDS)}
REGIONS = tuple(f"R{number:02d}" for number in range(1, 25))
"""Provinces; a pseudonymous code, as a shop would publish it."""
_STREETS = (
    "Jiefang", "Renmin", "Zhongshan", "Heping", "Xinhua", "Changjiang", "Huanghe", "Jianshe", "Guangming", "Dongfeng",
    "Beihai", "Nanhu", "Xihu", "Taishan", "Wenhua", "Gongye", "Keji", "Chaoyang", "Fuxing", "Yingbin",
)  # fmt: skip
_NOISE = ("call first", "ask Li", "x9", "no.7", "#b2", "leave w guard", "T-14", "qq", "mark K", "side door")
_GEOHASH = np.frombuffer(b"0123456789bcdefghjkmnpqrstuvwxyz", dtype=np.uint8)
_GEOHASH_CHARACTERS = 8
_DEGREES_OF_A_STREET = 0.0006


@dataclass(frozen=True, slots=True)
class Places:
    """Every address; shape (n,) each.

    Parameters
    ----------
    latitude, longitude
        In degrees.
    region
        Index into REGIONS.
    kind
        What it is, index into KINDS.
    shown_kind
        What the data says, -1 where nothing.
    text
        How it is written.
    original
        The entry that it is another wording of, NOWHERE if it is none.
    """

    latitude: Floats
    longitude: Floats
    region: Ints
    kind: Ints
    shown_kind: Ints
    text: tuple[str, ...]
    original: Ints

    def __len__(self) -> int:
        return len(self.kind)

    def geohash_letters(self) -> NDArray[np.uint8]:
        """Give the ASCII codes of each geohash, shape (n, 8); cells of about 38 by 19 metres."""
        bits = 5 * _GEOHASH_CHARACTERS
        cells = [
            np.floor((value - low) / (high - low) * (1 << (bits // 2))).astype(np.uint64)
            for value, low, high in ((self.longitude, -180.0, 180.0), (self.latitude, -90.0, 90.0))
        ]
        letters = np.zeros((len(self), _GEOHASH_CHARACTERS), dtype=np.uint8)
        for character in range(_GEOHASH_CHARACTERS):
            code = np.zeros(len(self), dtype=np.int64)
            for bit in range(5 * character, 5 * character + 5):
                taken = (cells[bit % 2] >> np.uint64(bits // 2 - 1 - bit // 2)) & np.uint64(1)
                code = code * 2 + taken.astype(np.int64)
            letters[:, character] = _GEOHASH[code]
        return letters


@dataclass
class PlaceBook:
    """Addresses as they are founded, block by block; `close` gives them all.

    Parameters
    ----------
    scenario
        Says how well kinds are kept.
    """

    scenario: Scenario
    _blocks: list[tuple[Floats, Floats, Ints, Ints, Ints]] = field(default_factory=list)
    _count: int = 0

    def found(self, region: Ints, kind: Ints, *, rng: np.random.Generator) -> Ints:
        """Found new places somewhere in the given regions; gives their indices.

        Parameters
        ----------
        region, kind
            Indices into REGIONS and KINDS, shape (n,).
        rng
            The random stream.
        """
        town = rng.integers(0, 4, len(region))
        latitude = 23 + (region % 6) * 3.1 + (town % 2) * 0.8 + rng.normal(0, 0.05, len(region))
        longitude = 101 + (region // 6) * 4.7 + (town // 2) * 1.1 + rng.normal(0, 0.06, len(region))
        return self._add(latitude, longitude, region, kind, np.full(len(region), -1))

    def rename(self, places: Ints, *, rng: np.random.Generator) -> Ints:
        """Write the same places again in altered words, at most a street away; gives the indices of the new entries."""
        latitude, longitude, region, kind, original = (
            np.concatenate(columns) for columns in zip(*self._blocks, strict=True)
        )
        places = np.where(original[places] >= 0, original[places], places)
        shift = rng.normal(0, _DEGREES_OF_A_STREET / 2, (2, len(places)))
        return self._add(
            latitude[places] + shift[0], longitude[places] + shift[1], region[places], kind[places], places
        )

    def region_of(self, places: Ints) -> Ints:
        """Give the regions of places founded so far."""
        return np.concatenate([block[2] for block in self._blocks])[places]

    def close(self) -> Places:
        """Give all places, with texts and with kinds as far as they are known."""
        latitude, longitude, region, kind, original = (np.concatenate(c) for c in zip(*self._blocks, strict=True))
        rng = stream(self.scenario.chance, "place names")
        shown = np.where(
            rng.random(len(kind)) < self.scenario.address_kind_error, rng.integers(0, len(KINDS), len(kind)), kind
        )
        # people seldom say that a place is a warehouse or a shop
        is_shy = np.isin(kind, [KIND_INDEX["warehouse"], KIND_INDEX["shop"]])
        shown = np.where(is_shy & happens(rng, 0.5, len(kind)), KIND_INDEX["home"], shown)
        is_known = rng.random(len(kind)) < self.scenario.address_kind_coverage
        texts = _texts(rng, region, original)
        return Places(latitude, longitude, region, kind, np.where(is_known, shown, -1), texts, original)

    def _add(self, latitude: Floats, longitude: Floats, region: Ints, kind: Ints, original: Ints) -> Ints:
        self._blocks.append((latitude, longitude, region, kind, original))
        start, self._count = self._count, self._count + len(kind)
        return np.arange(start, self._count)


def _texts(rng: np.random.Generator, region: Ints, original: Ints) -> tuple[str, ...]:
    """Write every place; an altered entry abbreviates, misspells and adds tokens to the words of its original."""
    count = len(region)
    street, number, building, room = (rng.integers(0, high, count) for high in (len(_STREETS), 400, 40, 2_800))
    is_messy: Bools = happens(rng, 0.06, count)
    noise = rng.integers(0, len(_NOISE), (count, 2))
    ways = rng.integers(0, 4, count)
    texts: list[str] = []
    for place in range(count):
        source = int(original[place]) if original[place] >= 0 else place
        name = _STREETS[street[source]]
        parts = [
            REGIONS[region[source]],
            f"{name} Road {number[source] + 1}",
            f"Bldg {building[source] + 1}",
            f"Rm {room[source] + 101}",
        ]
        if original[place] >= 0 or is_messy[place]:
            parts[1] = (
                f"{name} Rd {number[source] + 1}",
                f"{name[:-1]} Road no {number[source] + 1}",
                f"{name}lu {number[source] + 1}",
                parts[1],
            )[ways[place]]
            parts[2] = f"B{building[source] + 1}"
            parts.insert(1 + int(ways[place] % 3), _NOISE[noise[place, 0]])
            if original[place] >= 0:
                parts.append(_NOISE[noise[place, 1]])
        texts.append(" ".join(parts))
    return tuple(texts)


def shared_places(
    book: PlaceBook, rng: np.random.Generator, regions: Ints, kind: str, residents: tuple[int, int]
) -> Ints:
    """Lodge accounts in shared places of one kind, region by region.

    Parameters
    ----------
    book, rng
        Where places are founded, and the random stream.
    regions
        Region of each account, shape (n,); a place lodges accounts of one region as far as
        there are enough.
    kind
        Kind of place.
    residents
        Fewest and most accounts in one place.

    Returns
    -------
    numpy.ndarray
        Place of each account, shape (n,).
    """
    count = len(regions)
    by_region = np.argsort(regions + rng.random(count) * 0.5, kind="stable")
    place = np.zeros(count, dtype=np.int64)
    start = 0
    while start < count:
        low, high = np.log(residents[0]), np.log(residents[1])
        size = int(np.exp(rng.uniform(low, high)))
        end = count if count - start - size < residents[0] else start + size
        founded = book.found(regions[by_region[start : start + 1]], np.array([KIND_INDEX[kind]]), rng=rng)
        place[by_region[start:end]] = founded[0]
        start = end
    return place
