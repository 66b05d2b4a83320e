"""Plots of one row a thing: planted rings by what they cost, drift against its critical value, what reviews buy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from membergate.domain.measurement import Measurement
from membergate.verification import charts
from membergate.verification.charts import Axis, Mark
from membergate.verification.drift import Drift
from membergate.verification.planted import PlantedReport
from membergate.verification.prediction_powered import PlanRow
from membergate.verification.wording import percent

MOST_DRIFT_ROWS = 14
_ROW = 34.0
_NAME_WIDTH = 250.0
_Figures = Sequence[tuple[Measurement | float, Mark]]


def attack_curve(planted: PlantedReport | None) -> str:
    """Plot how many planted accounts each attack loses, from the cheapest to the dearest; "" without any."""
    if planted is None or not planted.rings:
        return ""
    caught = Mark("kept from full admission", 0.0, 0.0, "genuine", "circle")
    out = Mark("kept out altogether", 0.0, 0.0, "genuine", "circle", is_hollow=True)
    rows: list[tuple[str, _Figures, str]] = [
        (row.attack.words, [(row.caught, caught), (row.kept_out, out)], _price(row.cost_per_unit_minor))
        for row in planted.rings
    ]
    axis = Axis(0.0, 1.0, _NAME_WIDTH, charts.WIDTH - 92, (0.0, 0.25, 0.5, 0.75, 1.0))
    title = "Share of planted accounts (on the right: what a unit at the member's price costs beside it)"
    described = "; ".join(f"{row.attack.words}: {percent(row.caught.value)} kept from full" for row in planted.rings)
    return _rows("attacks", "Planted rings by what they cost", described, rows, axis, title, [caught, out], _percent)


def drift_bars(drift: Drift | None, names: Mapping[str, str]) -> str:
    """Plot the population stability index of the most moved quantities against its critical value; "" without any.

    Parameters
    ----------
    drift
        What was measured.
    names
        Feature id -> name, for the reader.
    """
    if drift is None or not drift.rows:
        return ""
    shown = drift.rows[:MOST_DRIFT_ROWS]
    moved = Mark("moved by more than chance", 0.0, 0.0, "merchant", "square")
    calm = Mark("within chance", 0.0, 0.0, "genuine", "circle")
    critical = Mark("critical value", 0.0, 0.0, "ink", "diamond", is_hollow=True)
    rows: list[tuple[str, _Figures, str]] = [
        (
            f"{row.name} {names.get(row.name, '')}".replace("_", " "),
            [(row.critical, critical), (row.index, moved if row.is_moved else calm)],
            f"p {row.p_value:.2g}",
        )
        for row in shown
    ]
    reach = 1.1 * max(max(row.index, row.critical) for row in shown)
    axis = Axis(0.0, reach, _NAME_WIDTH, charts.WIDTH - 92, charts.round_ticks(reach, 6))
    described = "; ".join(f"{row.name}: {row.index:.3f}, critical {row.critical:.3f}" for row in shown)
    title = "Population stability index"
    return _rows(
        "drift", "Drift against its critical value", described, rows, axis, title, [moved, calm, critical], _plain
    )


def plan_bars(plan: Sequence[PlanRow]) -> str:
    """Plot the half-width of the interval that further reviews may be expected to give; "" without any."""
    if not plan:
        return ""
    active = Mark("drawn by the plan", 0.0, 0.0, "genuine", "circle")
    uniform = Mark("drawn all alike", 0.0, 0.0, "neutral", "square")
    rows: list[tuple[str, _Figures, str]] = [
        (f"{row.reviews:,} reviews", [(row.uniform, uniform), (row.active, active)], f"{100 * row.active:.1f} points")
        for row in plan
    ]
    reach = 1.1 * max(row.uniform for row in plan)
    axis = Axis(0.0, reach, 130.0, charts.WIDTH - 92, charts.round_ticks(reach, 7))
    described = "; ".join(f"{row.reviews} reviews: {percent(row.active)}" for row in plan)
    title = "Expected half-width of the 95% interval of the merchant share"
    return _rows("plan", "What further reviews buy", described, rows, axis, title, [active, uniform], _percent)


def _rows(
    name: str,
    title: str,
    described: str,
    rows: Sequence[tuple[str, _Figures, str]],
    x: Axis,
    axis_title: str,
    marks: Sequence[Mark],
    label: Callable[[float], str],
) -> str:
    """Draw named rows of marks over one axis, with a word at the right end of each."""
    bottom = 48 + len(rows) * _ROW
    parts = [charts.line(x.at(tick), 40, x.at(tick), bottom, "grid") for tick in x.ticks]
    parts += [charts.text(x.at(tick), bottom + 18, label(tick), "tick", "middle") for tick in x.ticks]
    parts.append(charts.text((x.start + x.end) / 2, bottom + 42, axis_title, "title", "middle"))
    for i, (words, figures, right) in enumerate(rows):
        middle = 48 + (i + 0.5) * _ROW
        parts.append(charts.text(x.start - 12, middle + 4, words, "name", "end"))
        parts.append(charts.text(charts.WIDTH - 6, middle + 4, right, "tick", "end"))
        offsets = (-6, 6) if any(isinstance(figure, Measurement) for figure, _ in figures) else (0, 0)
        for (figure, mark), offset in zip(figures, offsets, strict=True):
            drawn = Mark(mark.label, figure, 0.0, mark.tone, mark.shape, mark.is_hollow)
            parts.append(charts.draw_mark(drawn, x, Axis(0.0, 1.0, middle + offset, middle + offset + 1, ())))
    parts += charts.legend(marks)
    return charts.frame(name, title, described, bottom + 56, parts)


def _price(minor: float | None) -> str:
    return "none let in" if minor is None else f"{minor / 100:,.2f}"


def _percent(value: float) -> str:
    return f"{100 * value:g}%"


def _plain(value: float) -> str:
    return f"{value:g}"
