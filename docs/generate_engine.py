"""MkDocs hook: a page for each algorithm of the engine, with a picture drawn from what the algorithm finds."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from numpy.typing import NDArray

from membergate.engine import DBSCAN, HDBSCAN, MDCA, OPTICS, DensityPeaks, KDistance, LocalOutlierFactor

EXAMPLES: tuple[Any, ...] = (
    DBSCAN(0.28, 8),
    OPTICS(8, cluster_method="dbscan", eps=0.28),
    HDBSCAN(20),
    MDCA(12),
    DensityPeaks(4, 12),
    LocalOutlierFactor(20),
    KDistance(20),
)
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#997700", "#ee99aa")
GREY = "#888888"
WIDTH, HEIGHT = 640, 300


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each algorithm to the site."""
    rows = example_rows()
    for estimator in EXAMPLES:
        name = type(estimator).__name__
        text = "\n".join(page(name, estimator.fit(rows), rows))
        files.append(File.generated(config, f"engine/{name.lower()}.md", content=text))
    return files


def example_rows() -> NDArray[np.float64]:
    """Make two moons, a tight and a wide blob, and a tenth of noise: 600 rows on two axes."""
    generator = np.random.default_rng(7)
    angle = generator.uniform(0, np.pi, size=280)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    moons = np.where(np.arange(280)[:, None] % 2 == 0, upper, [1.0, 0.5] - upper) * 1.4
    parts = [
        moons + generator.normal(scale=0.08, size=(280, 2)),
        generator.normal([4.0, 1.3], 0.12, size=(130, 2)),
        generator.normal([5.2, -0.4], 0.38, size=(130, 2)),
        generator.uniform([-2.2, -1.6], [7.0, 2.4], size=(60, 2)),
    ]
    return np.concatenate(parts)


def page(name: str, fitted: Any, rows: NDArray[np.float64]) -> Iterator[str]:
    """Write what the module says of itself, the picture, and what the class takes and gives."""
    sign = inspect.getdoc(inspect.getmodule(type(fitted))) or ""
    title, _, text = sign.partition("\n")
    yield f"# {name}\n\n**{title}**\n\n{text.strip()}\n"
    yield from picture(fitted, rows)
    yield f"\n*Drawn from `{fitted!r}` on 600 rows with two axes.*\n"
    for heading in ("Parameters", "Attributes"):
        yield f"## {heading}\n"
        for term, meaning in section(type(fitted), heading):
            yield f"- `{term}`: {meaning}"
        yield ""


def section(described: type, heading: str) -> Iterator[tuple[str, str]]:
    """Read the names and meanings of a section of a numpydoc docstring."""
    lines = (inspect.getdoc(described) or "").split("\n")
    if heading not in lines:
        return
    term, meaning = "", ""
    for line in [*lines[lines.index(heading) + 2 :], "End", "---"]:
        if line.startswith(" "):
            meaning += " " + line.strip()
            continue
        if term and meaning:
            yield term, meaning.strip()
        if line.startswith("---"):
            return
        term, meaning = line.strip() or term, ""


def picture(fitted: Any, rows: NDArray[np.float64]) -> Iterator[str]:
    """Draw the rows: coloured by cluster, noise grey; or as large as they are odd. OPTICS adds its plot."""
    low, high = rows.min(axis=0), rows.max(axis=0)
    places = (rows - low) / (high - low) * [WIDTH - 20, HEIGHT - 20] + 10
    has_plot = hasattr(fitted, "reachability_")
    height = HEIGHT + (120 if has_plot else 0)
    yield f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="What {type(fitted).__name__} finds">'
    colours, sizes, strengths = looks(fitted, len(rows))
    for (x, y), colour, size, strength in zip(places, colours, sizes, strengths, strict=True):
        yield (
            f'<circle cx="{x:.1f}" cy="{HEIGHT - y:.1f}" r="{size:.1f}" fill="{colour}" fill-opacity="{strength:.2f}"/>'
        )
    if has_plot:
        reach = fitted.reachability_[fitted.ordering_]
        tallest = reach[np.isfinite(reach)].max()
        for step, (row, length) in enumerate(zip(fitted.ordering_, reach, strict=True)):
            tall = 110 * min(1.0, length / tallest)
            x = 10 + step * (WIDTH - 20) / len(rows)
            yield f'<rect x="{x:.2f}" y="{height - tall:.1f}" width="1.1" height="{tall:.1f}" fill="{colours[row]}"/>'
    yield "</svg>"


def looks(fitted: Any, n_rows: int) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Give each row's colour, size and strength."""
    if hasattr(fitted, "labels_"):
        colours = [COLOURS[label % len(COLOURS)] if label >= 0 else GREY for label in fitted.labels_]
        strengths = 0.3 + 0.7 * getattr(fitted, "probabilities_", np.ones(n_rows))
        return colours, np.full(n_rows, 2.6), strengths
    scores = -fitted.training_scores_
    oddness = (scores - scores.min()) / (scores.max() - scores.min())
    is_odd = fitted.training_scores_ < fitted.offset_
    return [COLOURS[1] if odd else COLOURS[0] for odd in is_odd], 2 + 9 * oddness, np.full(n_rows, 0.6)
