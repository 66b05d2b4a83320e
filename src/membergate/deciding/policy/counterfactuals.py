"""Counterfactuals: the smallest change of one number that would have made a decision milder, found by deciding again.

As a function of one number, the disposition is constant between turning points: the literals that conditions compare
it with, the thresholds of the policy's machinery, the probabilities at which expected values cross. So it is enough to
look beside each of them. Only where a condition calculates with the number are its turning points unknown; there the
search walks outward in doubling steps and halves its way back to the border.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from heapq import merge
from math import ceil, floor, isclose
from operator import itemgetter
from typing import NamedTuple

from membergate.deciding.policy.economics import Stakes
from membergate.deciding.policy.policy import Direction, Movable, Policy
from membergate.deciding.policy.scoring import Cause, Reason, stakes_of
from membergate.deciding.policy.turning import turning_points_of
from membergate.deciding.policy.verdicts import Hearing, hear
from membergate.domain.decision import Counterfactual, Verdict
from membergate.domain.disposition import LADDERS, Checkpoint, Disposition, severity
from membergate.domain.evidence import Evidence

_VALUE = itemgetter(0)
_UP, _DOWN = Direction.UP, Direction.DOWN
_AT_A_POINT = 1e-9
"""Closer to a turning point than this, rounding may decide on which side a value lies."""


def counterfactual(
    policy: Policy,
    checkpoint: Checkpoint,
    evidence: Mapping[str, Evidence],
    verdict: Verdict,
    *,
    lottery: float,
    snoozed: Collection[str] = (),
) -> Counterfactual | None:
    """Find the smallest change of one evidence that makes the disposition milder.

    Changes of different evidence are compared on the scales that the policy declares; only evidence that it declares is
    moved, in the declared steps and range. A way in through the exploration lane does not count.

    Parameters
    ----------
    policy, checkpoint, evidence, lottery, snoozed
        What was asked; as for `decide`.
    verdict
        What was answered.

    Returns
    -------
    Counterfactual or None
        None where nothing is milder, or no single change would do. Otherwise deciding again with `needed` in place of
        `actual` gives the disposition that it names.
    """
    return way_out(hear(policy, checkpoint, evidence, snoozed), evidence, verdict.disposition, lottery=lottery)


def way_out(
    hearing: Hearing, evidence: Mapping[str, Evidence], disposition: Disposition, *, lottery: float
) -> Counterfactual | None:
    """Find what `counterfactual` finds, for who has heard the witnesses already."""
    policy, checkpoint = hearing.policy, hearing.checkpoint
    if disposition is LADDERS[checkpoint][0]:
        return None
    search = _Search(hearing, evidence, disposition, lottery)
    movable_names = _common_reads(hearing.settled(lottery).causes, disposition, checkpoint)
    return search.nearest([movable for movable in policy.movables if movable.evidence in movable_names])


def _common_reads(causes: Collection[Cause], disposition: Disposition, checkpoint: Checkpoint) -> frozenset[str]:
    """Give the evidence that every binding cause reads: one number can only help if all of them hear it."""
    rung = severity(disposition, checkpoint)
    binding = [
        cause.reads
        for cause in causes
        if cause.reason is not Reason.EXPLORED and severity(cause.asks, checkpoint) >= rung
    ]
    return frozenset.intersection(*binding) if binding else frozenset()


class _Candidate(NamedTuple):
    """A value to try: the nearest on the scales comes first, equal ones by name, then by plain distance and value."""

    distance: float
    name: str
    change: float
    value: float
    stretch: int | None


@dataclass(frozen=True, slots=True)
class _Search:
    hearing: Hearing
    evidence: Mapping[str, Evidence]
    disposition: Disposition
    lottery: float

    def nearest(self, movables: Sequence[Movable]) -> Counterfactual | None:
        """Try values on the movables' grids, the nearest first, until one helps."""
        asked = {movable.evidence: actual for movable in movables if (actual := self._actual(movable)) is not None}
        in_vain: set[tuple[str, int | None]] = set()  # what helps nowhere in a stretch helps nowhere else in it
        stakes = self._stakes()
        ways: list[Iterator[_Candidate]] = []
        for movable in movables:
            if movable.evidence in asked:
                ways += self._ways(movable, asked[movable.evidence], stakes, in_vain)
        for candidate in merge(*ways):
            name, stretch = candidate.name, candidate.stretch
            if stretch is not None and (name, stretch) in in_vain:
                continue
            disposition = self._milder(name, candidate.value)
            if disposition is not None:
                return Counterfactual(name, asked[name], candidate.value, disposition)
            in_vain.add((name, stretch))
        return None

    def _actual(self, movable: Movable) -> float | None:
        witnessed = self.evidence.get(movable.evidence)
        if witnessed is None or isinstance(witnessed.value, bool) or not isinstance(witnessed.value, int | float):
            return None
        return float(witnessed.value)

    def _ways(
        self, movable: Movable, actual: float, stakes: Stakes | None, in_vain: set[tuple[str, int | None]]
    ) -> list[Iterator[_Candidate]]:
        """Give the values to try of one movable, below and above the actual one, each way outward."""
        name, scale, direction = movable.evidence, movable.scale, movable.direction
        points = turning_points_of(self.hearing.policy, name, stakes)
        beside = _beside(points, movable.step, movable.lowest, movable.highest)
        if name in self.hearing.policy.blended:
            walked = self._walk(name, _Grid.of(movable, actual), actual)
            beside = tuple((value, None) for value in sorted({*(value for value, _ in beside), *walked}))
        elif name not in self.hearing.failed:
            in_vain.add((name, _stretch(points, actual)))  # there it is as it is

        def candidate(place: tuple[float, int | None]) -> _Candidate:
            change = abs(place[0] - actual)
            return _Candidate(change / scale, name, change, *place)

        middle = bisect_left(beside, actual, key=_VALUE)
        ways: list[Iterator[_Candidate]] = []
        if middle and direction is not _UP:
            ways.append(map(candidate, beside[middle - 1 :: -1]))
        if middle < len(beside) and direction is not _DOWN:
            ways.append(map(candidate, beside[middle + (beside[middle][0] == actual) :]))
        return ways

    def _milder(self, name: str, value: float) -> Disposition | None:
        """Decide again; give the disposition if it is milder by itself."""
        checkpoint = self.hearing.checkpoint
        settlement = self.hearing.moved(name, value).settled(self.lottery)
        rung = severity(self.disposition, checkpoint)
        is_milder = severity(settlement.disposition, checkpoint) < rung and not settlement.is_explored
        return settlement.disposition if is_milder else None

    def _stakes(self) -> Stakes | None:
        policy = self.hearing.policy
        if policy.economics is None or self.hearing.checkpoint is not Checkpoint.ADMISSION:
            return None
        return stakes_of(policy, policy.economics, self.hearing.facts)

    def _walk(self, name: str, grid: _Grid, actual: float) -> Iterator[float]:
        """Walk out from the actual value in doubling steps, both ways, and halve back to the border."""
        start = floor(actual / grid.step)
        for direction, end in ((-1, grid.first), (1, grid.last)):
            unhelpful, stride = start, 1
            while (end - unhelpful) * direction > 0:
                index = start + direction * min(stride, abs(end - start))
                if self._milder(name, grid.value(index)) is not None:
                    yield grid.value(self._border(name, grid, unhelpful, index))
                    break
                unhelpful, stride = index, stride * 2

    def _border(self, name: str, grid: _Grid, unhelpful: int, helpful: int) -> int:
        while abs(helpful - unhelpful) > 1:
            middle = (helpful + unhelpful) // 2
            if self._milder(name, grid.value(middle)) is not None:
                helpful = middle
            else:
                unhelpful = middle
        return helpful


@lru_cache(maxsize=4096)
def _beside(
    points: tuple[float, ...], step: float, lowest: float, highest: float
) -> tuple[tuple[float, int | None], ...]:
    """Give the places on both sides of each turning point, on a grid: values in a range, ascending, with stretches."""
    places, found = _places(step), {}
    first, last = _ends(step, lowest, highest)
    for point in points:
        index = floor(point / step)
        for beside in range(max(first, index - 1), min(last, index + 2) + 1):
            value = round(beside * step, places)
            found[beside] = (value, _stretch(points, value))
    return tuple(found[index] for index in sorted(found))


def _ends(step: float, lowest: float, highest: float) -> tuple[int, int]:
    """Give the first and the last multiple of a step in a range; the tolerance keeps 0.3 / 0.1 on the grid."""
    return ceil(lowest / step - 1e-9), floor(highest / step + 1e-9)


def _stretch(points: Sequence[float], value: float) -> int | None:
    """Give the stretch between two turning points in which a value lies, by number; None at such a point."""
    place = bisect_left(points, value)
    beside = points[max(0, place - 1) : place + 1]
    is_at_one = any(isclose(value, point, rel_tol=_AT_A_POINT, abs_tol=_AT_A_POINT) for point in beside)
    return None if is_at_one else place


@dataclass(frozen=True, slots=True)
class _Grid:
    """The values that may be named: multiples of the step, written with as many places as the step has."""

    step: float
    first: int
    last: int
    places: int

    @classmethod
    def of(cls, movable: Movable, actual: float) -> _Grid:
        places = _places(movable.step)
        lowest = max(movable.lowest, actual) if movable.direction is Direction.UP else movable.lowest
        highest = min(movable.highest, actual) if movable.direction is Direction.DOWN else movable.highest
        return cls(movable.step, *_ends(movable.step, lowest, highest), places)

    def value(self, index: int) -> float:
        return round(index * self.step, self.places)


@lru_cache(maxsize=1024)
def _places(step: float) -> int:
    exponent = Decimal(repr(step)).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
