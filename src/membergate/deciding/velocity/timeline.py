"""One meter's timeline: when it was charged and by how much, exact while it is short, in buckets once it is long.

Up to `MOST_ENTRIES` charges of the last thirty days are kept one by one, and every window is exact. A longer timeline
is thinned: charges of one bucket become one entry at the bucket's latest instant, and buckets are the wider the older
they are (`BUCKETS`). A window that ends at or after the latest charge may then begin up to one bucket early, and so
count what is at most 1/60 of the window too old; it never misses a charge.

Exponential histograms (Datar, Gionis, Indyk, Motwani, SIAM J. Comput. 2002, doi:10.1137/S0097539701398363) bound the
error of the count; we bound that of the window, which a reader can act on.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

_SECOND = 1_000_000
WINDOWS: dict[str, int] = {
    "1m": 60 * _SECOND,
    "10m": 600 * _SECOND,
    "1h": 3_600 * _SECOND,
    "1d": 86_400 * _SECOND,
    "30d": 30 * 86_400 * _SECOND,
}
"""Name to length in microseconds, shortest first."""
LENGTHS = tuple(WINDOWS.values())
HORIZON = LENGTHS[-1]
"""What is older than this, in microseconds, counts nowhere."""
MOST_ENTRIES = 512
"""Entries of a timeline above which it is thinned; the buckets of thirty days are at most 377."""
BUCKETS: tuple[tuple[int, int], ...] = tuple(
    zip(LENGTHS, (_SECOND, 10 * _SECOND, 60 * _SECOND, 900 * _SECOND, 21_600 * _SECOND), strict=True)
)
"""Up to which age a bucket has which width, in microseconds."""


class Timeline:
    """Charges in order of event time. Instants are whole microseconds since 1970.

    Parameters
    ----------
    since
        From which instant on every charge is known; a window that begins earlier is not known.
    """

    __slots__ = ("since", "times", "weights")

    def __init__(self, since: int) -> None:
        self.since = since
        self.times = array("q")
        self.weights = array("q")

    def add(self, at: int, weight: int, now: int) -> None:
        """Charge, in whatever order charges arrive; `now` is the present, by which the old is thinned."""
        times = self.times
        if not times or at >= times[-1]:
            times.append(at)
            self.weights.append(weight)
        else:
            place = bisect_right(times, at)
            times.insert(place, at)
            self.weights.insert(place, weight)
        if len(times) > MOST_ENTRIES:
            self.thin(now)

    def counts(self, as_of: int) -> tuple[int, ...]:
        """Sum the charges in (as_of - window, as_of], for each of `WINDOWS`."""
        times, weights = self.times, self.weights
        end = len(times) if times and times[-1] <= as_of else bisect_right(times, as_of)
        total, found = 0, []
        for length in LENGTHS:
            begin = bisect_right(times, as_of - length, 0, end)
            total += sum(weights[begin:end])
            end = begin
            found.append(total)
        return tuple(found)

    def thin(self, now: int) -> None:
        """Drop what is too old and join what shares a bucket, until the timeline is short again."""
        widening = 1
        while True:
            self._join(now, widening)
            if len(self.times) <= MOST_ENTRIES * 3 // 4:
                return
            widening *= 2  # only charges that claim to come from the future can make so many buckets

    def _join(self, now: int, widening: int) -> None:
        times, weights = array("q"), array("q")
        last: tuple[int, int] | None = None
        for at, weight in zip(self.times, self.weights, strict=True):
            if at <= now - HORIZON:
                continue
            width = widening * width_at(now - at)
            bucket = (width, at // width)
            if bucket == last:
                times[-1] = at
                weights[-1] += weight
            else:
                times.append(at)
                weights.append(weight)
                last = bucket
        self.times, self.weights = times, weights


def width_at(age: int) -> int:
    """Give the width of the buckets of an age, in microseconds."""
    return next((width for length, width in BUCKETS if age <= length), BUCKETS[-1][1])
