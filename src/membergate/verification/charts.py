"""Plots as inline SVG, themed by the page's CSS variables, readable without colour and by screen readers.

Marks are told apart by shape, filling and line style as well as colour. Nothing carries a style attribute or a script,
so a page with a strict content security policy shows them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from membergate.domain.measurement import Measurement

WIDTH = 720.0
_LETTER = 6.9
"""Width of a letter in a legend."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 700.0, 44.0, 52.0


@dataclass(frozen=True)
class Axis:
    """A straight or square-root scale from values to pixels.

    Parameters
    ----------
    low, high
        The values at its ends.
    start, end
        Their pixels.
    ticks
        Values that are marked.
    is_root
        Whether distances are those of square roots, which spreads what lies near 0.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    is_root: bool = False

    def at(self, value: float) -> float:
        """Give the value's pixel; values beyond the ends stop there."""
        value, low, high = (max(v, 0.0) ** 0.5 if self.is_root else v for v in (value, self.low, self.high))
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True)
class Mark:
    """A point with intervals: where, which class of colour, which shape, and what to call it.

    Parameters
    ----------
    label
        Text in the legend and the tooltip.
    x, y
        Measured values; a number has no interval.
    tone
        CSS class: `genuine`, `merchant`, `neutral` or `ink`.
    shape
        `circle`, `square` or `diamond`.
    is_hollow
        Whether only its outline is drawn.
    """

    label: str
    x: Measurement | float
    y: Measurement | float
    tone: str
    shape: str = "circle"
    is_hollow: bool = False


def frame(name: str, title: str, description: str, height: float, parts: Sequence[str]) -> str:
    """Wrap drawn parts into an accessible SVG of the page's width.

    Parameters
    ----------
    name
        Unique in the page; the ids of title and description derive from it.
    title, description
        What a screen reader says.
    height
        In the pixels of the view box, whose width is `WIDTH`.
    parts
        SVG elements.
    """
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-description">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Write words.

    Parameters
    ----------
    x, y
        Where the words stand, in pixels; y is their base line.
    words
        Escaped here.
    kind
        CSS class.
    anchor
        Which of their ends is at x: `start`, `middle` or `end`.
    """
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Draw a straight line.

    Parameters
    ----------
    x1, y1, x2, y2
        Its ends, in pixels.
    kind
        CSS class.
    """
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def grid(x: Axis, y: Axis, x_title: str, y_title: str, label: Callable[[float], str]) -> list[str]:
    """Draw grid lines, tick labels and axis titles of a plane.

    Parameters
    ----------
    x, y
        The axes.
    x_title, y_title
        What they measure.
    label
        Writes a tick's value.
    """
    parts = [line(x.start, y.at(tick), x.end, y.at(tick), "grid") for tick in y.ticks]
    parts += [line(x.at(tick), y.start, x.at(tick), y.start + 5, "axis") for tick in x.ticks]
    parts += [text(x.start - 8, y.at(tick) + 4, label(tick), "tick", "end") for tick in y.ticks]
    parts += [text(x.at(tick), y.start + 19, label(tick), "tick", "middle") for tick in x.ticks]
    parts.append(line(x.start, y.start, x.end, y.start, "axis"))
    parts.append(text((x.start + x.end) / 2, y.start + 42, x_title, "title", "middle"))
    parts.append(text(x.start - 50, y.end - 14, y_title, "title"))
    return parts


def plane(height: float, x: tuple[float, float], y: tuple[float, float], *, is_root: bool = False) -> tuple[Axis, Axis]:
    """Lay out the two axes of a plot of this height, the y axis pointing up.

    Parameters
    ----------
    height
        Of the whole chart, legend and titles included.
    x, y
        Lowest and highest value, both shares.
    is_root
        Whether both axes are square-root scaled.
    """
    ticks = _root_ticks if is_root else _ticks
    across = Axis(*x, _LEFT, _RIGHT, ticks(*x), is_root)
    return across, Axis(*y, height - _BOTTOM, _TOP + 22, ticks(*y), is_root)


def legend(marks: Sequence[Mark], extra: Sequence[str] = ()) -> list[str]:
    """Draw a row that names each mark, and a line sample for each of `extra` (`class|words`)."""
    named = [entry.split("|") for entry in extra]
    width = sum(32 + _LETTER * len(mark.label) for mark in marks) + sum(28 + _LETTER * len(words) for _, words in named)
    parts, x = [], max(min(_LEFT - 50, WIDTH - width), 0.0)
    for mark in marks:
        parts += [_shape(mark, x + 6, 14), text(x + 18, 18, mark.label, "key")]
        x += 32 + _LETTER * len(mark.label)
    for kind, words in named:
        parts += [line(x, 14, x + 22, 14, kind), text(x + 28, 18, words, "key")]
        x += 42 + _LETTER * len(words)
    return parts


def draw_mark(mark: Mark, x: Axis, y: Axis) -> str:
    """Draw a mark with its intervals as whiskers; nothing where its value is not determined."""
    across, up = _value(mark.x), _value(mark.y)
    if across is None or up is None:
        return ""
    parts = [f'<g class="{mark.tone}"><title>{escape(mark.label)}</title>']
    if isinstance(mark.x, Measurement) and mark.x.low is not None and mark.x.high is not None:
        parts.append(line(x.at(mark.x.low), y.at(up), x.at(mark.x.high), y.at(up), "whisker"))
    if isinstance(mark.y, Measurement) and mark.y.low is not None and mark.y.high is not None:
        parts.append(line(x.at(across), y.at(mark.y.low), x.at(across), y.at(mark.y.high), "whisker"))
    parts.append(_shape(mark, x.at(across), y.at(up), is_grouped=True))
    return "".join(parts) + "</g>"


def path(points: Sequence[tuple[float, float]], x: Axis, y: Axis, kind: str) -> str:
    """Draw a line through points."""
    joined = " L".join(f"{x.at(px):.1f},{y.at(py):.1f}" for px, py in points)
    return f'<path d="M{joined}" class="{kind}"/>' if joined else ""


def band(points: Sequence[tuple[float, float, float]], x: Axis, y: Axis, kind: str) -> str:
    """Fill between lower and upper values: points are (x, low, high)."""
    edge = [(px, low) for px, low, _ in points] + [(px, high) for px, _, high in reversed(points)]
    joined = " L".join(f"{x.at(px):.1f},{y.at(py):.1f}" for px, py in edge)
    return f'<path d="M{joined} Z" class="{kind}"/>' if joined else ""


def bar(x: float, y: float, width: float, height: float, tone: str, *, is_hatched: bool = False) -> str:
    """Draw a bar.

    Parameters
    ----------
    x, y, width, height
        Its upper left corner and its size, in pixels.
    tone
        CSS class of its colour.
    is_hatched
        Whether it carries slanted lines, so that it is told apart without colour.
    """
    body = f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}" class="bar {tone}"/>'
    if not is_hatched:
        return body
    slants = [
        line(x + at, y + height, min(x + at + height, x + width), y + height - min(height, width - at), "hatch")
        for at in range(2, int(width), 7)
    ]
    return body + "".join(slants)


def _shape(mark: Mark, x: float, y: float, *, is_grouped: bool = False) -> str:
    kind = "point hollow" if mark.is_hollow else "point"
    kind = kind if is_grouped else f"{kind} {mark.tone}"
    if mark.shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" class="{kind}"/>'
    if mark.shape == "square":
        return f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" class="{kind}"/>'
    return f'<path d="M{x:.1f},{y - 7:.1f} l7,7 l-7,7 l-7,-7 Z" class="{kind}"/>'


def _value(given: Measurement | float) -> float | None:
    return given.value if isinstance(given, Measurement) else given


def round_ticks(reach: float, most: int) -> tuple[float, ...]:
    """Choose round values from 0 up to `reach` (> 0), at most `most` of them beside 0."""
    power = 10.0 ** math.floor(math.log10(reach / most))
    step = next(power * factor for factor in (1.0, 2.0, 5.0, 10.0, 20.0) if reach / (power * factor) <= most)
    return tuple(round(step * at, 9) for at in range(int(reach / step + 1e-9) + 1))


def _ticks(low: float, high: float) -> tuple[float, ...]:
    """Choose about five round values."""
    step = next((s for s in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / s <= 6), 0.25)  # noqa: PLR2004
    first = int(low / step + 0.999)
    return tuple(round(i * step, 6) for i in range(first, int(high / step + 1e-9) + 1))


def _root_ticks(low: float, high: float) -> tuple[float, ...]:
    return tuple(tick for tick in (0.0, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0) if low <= tick <= high)
