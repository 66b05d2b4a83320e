"""Counterfactuals: the smallest change of one number that would have made a decision milder, found by deciding again.

As a function of one number, the disposition is constant between turning points: the literals that conditions compare
it with, the thresholds of the policy's machinery, the probabilities at which expected values cross. So it is enough to
look beside each of them. Only where a condition calculates with the number are its turning points unknown; there the
search walks outward in doubling steps and halves its way back to the border.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil, floor

from membergate.deciding.policy.economics import Stakes
from membergate.deciding.policy.policy import Direction, Movable, Policy
from membergate.deciding.policy.scoring import Cause, Reason, stakes_of
from membergate.deciding.policy.turning import turning_values
from membergate.deciding.policy.verdicts import judge, read_facts
from membergate.domain.decision import Counterfactual, Verdict
from membergate.domain.disposition import LADDERS, Checkpoint, Disposition, severity
from membergate.domain.evidence import Evidence


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
    if verdict.disposition is LADDERS[checkpoint][0]:
        return None
    causes = judge(policy, checkpoint, evidence, lottery=lottery, snoozed=snoozed).causes
    search = _Search(policy, checkpoint, evidence, verdict.disposition, lottery, snoozed)
    movable_names = _common_reads(causes, verdict.disposition, checkpoint)
    found = [
        change
        for movable in policy.movables
        if movable.evidence in movable_names and (change := search.nearest(movable)) is not None
    ]
    return min(found, key=lambda change: (change[0], change[1].evidence))[1] if found else None


def _common_reads(causes: Collection[Cause], disposition: Disposition, checkpoint: Checkpoint) -> frozenset[str]:
    """Give the evidence that every binding cause reads: one number can only help if all of them hear it."""
    rung = severity(disposition, checkpoint)
    binding = [
        cause.reads
        for cause in causes
        if cause.reason is not Reason.EXPLORED and severity(cause.asks, checkpoint) >= rung
    ]
    return frozenset.intersection(*binding) if binding else frozenset()


@dataclass(frozen=True, slots=True)
class _Search:
    policy: Policy
    checkpoint: Checkpoint
    evidence: Mapping[str, Evidence]
    disposition: Disposition
    lottery: float
    snoozed: Collection[str]

    def nearest(self, movable: Movable) -> tuple[float, Counterfactual] | None:
        """Give the nearest value on the movable's grid that helps, with its distance in scales."""
        witnessed = self.evidence.get(movable.evidence)
        if witnessed is None or isinstance(witnessed.value, bool) or not isinstance(witnessed.value, int | float):
            return None
        actual = float(witnessed.value)
        grid = _Grid.of(movable, actual)
        candidates = {grid.value(index) for index in self._beside_turning_points(movable.evidence, grid)}
        if self._is_calculated_with(movable.evidence):
            candidates.update(grid.value(index) for index in self._walk(movable.evidence, grid, actual))
        for needed in sorted(candidates, key=lambda value: (abs(value - actual), value)):
            disposition = self._milder(movable.evidence, needed) if needed != actual else None
            if disposition is not None:
                distance = abs(needed - actual) / movable.scale
                return distance, Counterfactual(movable.evidence, actual, needed, disposition)
        return None

    def _milder(self, name: str, value: float) -> Disposition | None:
        """Decide again; give the disposition if it is milder by itself."""
        moved = {**self.evidence, name: replace(self.evidence[name], value=value)}
        verdict = judge(self.policy, self.checkpoint, moved, lottery=self.lottery, snoozed=self.snoozed).verdict
        rung = severity(self.disposition, self.checkpoint)
        is_milder = severity(verdict.disposition, self.checkpoint) < rung and not verdict.explore
        return verdict.disposition if is_milder else None

    def _beside_turning_points(self, name: str, grid: _Grid) -> Iterator[int]:
        for point in turning_values(self.policy, name, self._stakes()):
            index = floor(point / grid.step)
            yield from (beside for beside in range(index - 1, index + 3) if grid.first <= beside <= grid.last)

    def _stakes(self) -> tuple[Stakes, ...]:
        if self.policy.economics is None or self.checkpoint is not Checkpoint.ADMISSION:
            return ()
        facts, _ = read_facts(self.policy.reads_at[self.checkpoint], self.policy.kinds, self.evidence)
        return (stakes_of(self.policy, self.policy.economics, facts),)

    def _is_calculated_with(self, name: str) -> bool:
        return any(name in condition.blended for condition in self.policy.conditions())

    def _walk(self, name: str, grid: _Grid, actual: float) -> Iterator[int]:
        """Walk out from the actual value in doubling steps, both ways, and halve back to the border."""
        start = floor(actual / grid.step)
        for direction, end in ((-1, grid.first), (1, grid.last)):
            unhelpful, stride = start, 1
            while (end - unhelpful) * direction > 0:
                index = start + direction * min(stride, abs(end - start))
                if self._milder(name, grid.value(index)) is not None:
                    yield self._border(name, grid, unhelpful, index)
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


@dataclass(frozen=True, slots=True)
class _Grid:
    """The values that may be named: multiples of the step, written with as many places as the step has."""

    step: float
    first: int
    last: int
    places: int

    @classmethod
    def of(cls, movable: Movable, actual: float) -> _Grid:
        exponent = Decimal(repr(movable.step)).as_tuple().exponent
        places = max(0, -exponent) if isinstance(exponent, int) else 0
        lowest = max(movable.lowest, actual) if movable.direction is Direction.UP else movable.lowest
        highest = min(movable.highest, actual) if movable.direction is Direction.DOWN else movable.highest
        # the tolerance keeps 0.3 / 0.1 on the grid
        first, last = ceil(lowest / movable.step - 1e-9), floor(highest / movable.step + 1e-9)
        return cls(movable.step, first, last, places)

    def value(self, index: int) -> float:
        return round(index * self.step, self.places)
