"""Plots of how clusters were sought: distances to the tenth neighbour with the reach chosen, and reachability."""

from __future__ import annotations

from collections.abc import Sequence

from membergate.verification import charts
from membergate.verification.charts import Axis
from membergate.verification.structure import RegionStructure

_HEIGHT = 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 700.0, 66.0, 248.0


def neighbour_distances(region: RegionStructure) -> str:
    """Plot the distance to the tenth neighbour over the rows, ascending, and the reach chosen; "" where unknown."""
    if not region.distances:
        return ""
    across = "Share of the applicants, from the closest neighbours on"
    parts = _drawn(region, region.distances, across, (0.0, 0.25, 0.5, 0.75, 1.0))
    low, middle, high = region.distances[0], region.distances[len(region.distances) // 2], region.distances[-1]
    described = f"from {low:.2f} over {middle:.2f} in the middle to {high:.2f}"
    title = f"Distance to the tenth neighbour, {region.region} region"
    return charts.frame(f"distances-{region.region}", title, described, _HEIGHT, parts)


def reachability(region: RegionStructure) -> str:
    """Plot OPTICS's reachability in its order: valleys are dense places; "" where unknown."""
    if len(region.reachability) < 2:  # noqa: PLR2004 -- a line needs two ends
        return ""
    parts = _drawn(region, region.reachability, "Applicants in the order in which OPTICS reaches them", ())
    described = f"between {min(region.reachability):.2f} and {max(region.reachability):.2f}"
    title = f"Reachability, {region.region} region"
    return charts.frame(f"reachability-{region.region}", title, described, _HEIGHT, parts)


def _drawn(region: RegionStructure, heights: Sequence[float], across: str, ticks: tuple[float, ...]) -> list[str]:
    """Draw heights at even distances over the page's width, and the reach that was chosen."""
    most = 1.05 * max(*heights, region.reach or 0.0) or 1.0
    x, y = Axis(0.0, 1.0, _LEFT, _RIGHT, ticks), Axis(0.0, most, _BOTTOM, _TOP, charts.round_ticks(most, 5))
    parts = charts.grid(x, y, across, "Distance", lambda value: f"{value:g}")
    parts.append(charts.path([(at / (len(heights) - 1), height) for at, height in enumerate(heights)], x, y, "thin"))
    if region.reach is not None:
        parts.append(charts.line(x.start, y.at(region.reach), x.end, y.at(region.reach), "gain"))
        parts += charts.legend([], [f"gain|reach chosen when it learned: {region.reach:.2f}"])
    return parts
