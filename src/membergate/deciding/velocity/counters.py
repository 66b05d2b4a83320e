"""Counters of many meters in one process, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from membergate.deciding.velocity.meters import Counts, Happening, Meter, microseconds
from membergate.deciding.velocity.timeline import HORIZON, LENGTHS, Timeline

_DAY = 86_400_000_000


class VelocityCounters:
    """Sliding-window counts in event time. Each happening is to be added once; `VelocityLog` sees to that.

    They answer about the present: as of an instant more than a day before the latest happening, nothing is known, since
    what such a window reaches back to may be gone.

    When there are more meters than fit, those that were charged longest ago are forgotten. What was forgotten is never
    taken for nothing: of a meter that may have been forgotten, a window that reaches back to then is not known.

    Parameters
    ----------
    since
        From which instant on everything is known; aware.
    most_meters
        How many meters are remembered, at most. A meter takes about 0.3 kB, and never more than 8.5 kB.
    """

    def __init__(self, since: datetime, *, most_meters: int = 1_000_000) -> None:
        self._since = microseconds(since)
        self._most = most_meters
        self._latest = self._since
        self._timelines: dict[Meter, Timeline] = {}  # charged longest ago first

    def __len__(self) -> int:
        return len(self._timelines)

    def add(self, happenings: Sequence[Happening], now: datetime) -> int:
        """Count happenings in any order; gives how many were not older than the longest window.

        Parameters
        ----------
        happenings
            Each at most `now` in event time, give or take a clock's error.
        now
            The present; aware.
        """
        present, taken = microseconds(now), 0
        for happening in happenings:
            at = microseconds(happening.at)
            if at <= present - HORIZON:
                continue
            taken += 1
            self._latest = max(self._latest, at)
            for meter, weight in happening.charges:
                timeline = self._timelines.pop(meter, None) or Timeline(self._since)
                timeline.add(at, weight, present)
                self._timelines[meter] = timeline
        if len(self._timelines) > self._most:
            self._forget(present)
        return taken

    def counts(self, meters: Sequence[Meter], as_of: datetime) -> list[Counts]:
        """Give each meter's counts in (as_of - window, as_of]; None for a window that is not wholly known."""
        instant = microseconds(as_of)
        return [self._counts(self._timelines.get(meter), instant) for meter in meters]

    def _counts(self, timeline: Timeline | None, as_of: int) -> Counts:
        since = self._since if timeline is None else timeline.since
        if as_of < self._latest - _DAY:
            return (None,) * len(LENGTHS)
        found = (0,) * len(LENGTHS) if timeline is None else timeline.counts(as_of)
        if as_of - HORIZON >= since:
            return found
        return tuple(count if as_of - length >= since else None for count, length in zip(found, LENGTHS, strict=True))

    def _forget(self, present: int) -> None:
        """Make room for a tenth: first what no window reaches any more, then what was charged longest ago."""
        over = [meter for meter, line in self._timelines.items() if line.times[-1] <= present - HORIZON]
        for meter in over:
            del self._timelines[meter]
        surplus = len(self._timelines) - self._most * 9 // 10 if len(self._timelines) > self._most else 0
        for meter in list(self._timelines)[:surplus]:
            self._since = max(self._since, self._timelines.pop(meter).times[-1])

    def state(self) -> tuple[int, Iterator[tuple[Meter, int, bytes, bytes]]]:
        """Give all that is remembered, for a snapshot: the instant, and each meter's since, times and weights."""
        told = ((m, t.since, t.times.tobytes(), t.weights.tobytes()) for m, t in self._timelines.items())
        return self._since, told

    def restore(self, since: int, meters: Iterator[tuple[Meter, int, bytes, bytes]]) -> None:
        """Take over what `state` gave, in place of what is remembered."""
        self._since = self._latest = since
        self._timelines.clear()
        for meter, known_since, times, weights in meters:
            timeline = Timeline(known_since)
            timeline.times.frombytes(times)
            timeline.weights.frombytes(weights)
            self._latest = max(self._latest, timeline.times[-1])
            self._timelines[meter] = timeline
