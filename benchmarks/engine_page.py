"""Writes the documentation's page on what the engine costs, from the numbers that `engine.py --json` kept.

    python benchmarks/engine_page.py                # docs/engine/benchmarks.md and docs/engine/growth.svg

No number on that page is written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from math import floor, log10
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "engine"
COLOURS = ("#4477aa", "#ee6677", "#228833", "#aa3377")
WIDTH, HEIGHT, MARGIN = 640, 360, 56

HEAD = """# What the engine costs

Written by `python benchmarks/engine_page.py` from `benchmarks.json`, which `python benchmarks/engine.py --json`
fills: every peer in a process of its own, on the same files. CPU seconds are those of all threads over the fit;
the peak is that of the process, imports and data included, and *beyond the small fit* is what the large fit added
to it; warm-up is a first, small fit: compilation, or reading its cache. `x ours` compares with the engine's exact
answer to the same task. Quality is the adjusted Rand index to the truth of the made data, or, for scores, the area
under the curve that tells noise.

Two shared cores, one run each, with other work beside (the load average stands in the JSON): **compare ratios, not
seconds**. `blobs` are twenty-four Gaussian clusters of unequal density with 10 % noise; min_samples 20, eps at the
elbow, OPTICS up to twice that. The peers' libraries are locked in `requirements/benchmarks.txt`.
"""


def tables(records: list[dict[str, Any]]) -> Iterator[str]:
    """Write a table for each shape and size."""
    place = {"blobs": 0, "digits": 1, "heavy-tails": 2, "behaviour": 3}
    ordered = sorted(records, key=lambda record: (place[record["shape"]], record["rows"]))
    for (shape, n_rows, n_axes), group in groupby(
        ordered, lambda record: (record["shape"], record["rows"], record["axes"])
    ):
        found = list(group)
        ours = {record["peer"].split(" / ")[0]: record for record in found if is_ours(record)}
        yield f"\n## {shape}, {n_rows:,} x {n_axes}\n"
        yield "| task / peer | CPU s | x ours | peak MB | x ours | beyond the small fit, MB | warm-up CPU s | quality |"
        yield "|---|---|---|---|---|---|---|---|"
        for record in sorted(found, key=lambda record: record["peer"].split(" / ")[0]):
            yield row(record, ours.get(record["peer"].split(" / ")[0]))
        if "graph" in ours and "all" in ours:
            share = ours["all"]["cpu_s"] / ours["graph"]["cpu_s"]
            names = "DBSCAN, OPTICS, local outlier factor, k-distance and MDCA"
            yield f"\n{names} from one graph cost {share:.2f} times the graph alone."


def is_ours(record: dict[str, Any]) -> bool:
    """Tell the engine's exact answers."""
    return "/ ours" in record["peer"] and not record["peer"].startswith("approximate") and "cpu_s" in record


def row(record: dict[str, Any], ours: dict[str, Any] | None) -> str:
    """Write one peer."""
    name, is_compared = record["peer"], ours is not None and not is_ours(record)
    if "note" in record:
        ratio = f"> {record['at_least_cpu_s'] / ours['cpu_s']:.0f}" if ours and "at_least_cpu_s" in record else ""
        return f"| {name} | {record['note']} | {ratio} | | | | | |"
    ratios = [f"{record[key] / ours[key]:.1f}" if is_compared and ours else "" for key in ("cpu_s", "peak_mb")]
    added = f"{record['peak_mb'] - record['small_mb']:.0f}" if "small_mb" in record else ""
    quality = next((f"{record[key]:.4f}" for key in ("rand_to_truth", "noise_auc") if key in record), "")
    costs = f"{record['cpu_s']:.2f} | {ratios[0]} | {record['peak_mb']:.0f} | {ratios[1]} | {added}"
    return f"| {name} | {costs} | {record['warm_up_cpu_s']:.1f} | {quality} |"


def growth(records: list[dict[str, Any]]) -> Iterator[str]:
    """Draw CPU seconds against rows, both on logarithmic scales, for what was measured at two sizes or more."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for record in sorted(records, key=lambda record: record["rows"]):
        if record["shape"] == "blobs" and "ours" in record["peer"] and "cpu_s" in record and record["rows"] >= 20_000:
            lines.setdefault(record["peer"], []).append((record["rows"], record["cpu_s"]))
    wanted = ("dbscan / ours", "lof / ours", "optics / ours", "approximate / ours, all from one graph")
    drawn = {name: lines[name] for name in wanted if len(lines.get(name, [])) > 1}
    points = [point for line in drawn.values() for point in line]
    (low_x, high_x), (low_y, high_y) = ((min(values), max(values)) for values in zip(*points, strict=True))
    decades = range(floor(log10(low_y)), floor(log10(high_y)) + 2)

    def place(n_rows: float, seconds: float) -> tuple[float, float]:
        x = log10(n_rows / low_x) / log10(high_x / low_x)
        y = (log10(seconds) - decades[0]) / (decades[-1] - decades[0])
        return MARGIN + x * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - y * (HEIGHT - 2 * MARGIN)

    box = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif" font-size="12">'
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    for decade in decades:
        y = place(low_x, 10.0**decade)[1]
        yield f'<path d="M{MARGIN} {y:.1f}H{WIDTH - MARGIN}" stroke="#cccccc"/>'
        yield f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**decade:g} s</text>'
    for n_rows in sorted({n_rows for n_rows, _ in points}):
        x = place(n_rows, 1)[0]
        yield f'<text x="{x:.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{n_rows:,}</text>'
    for i, (name, line) in enumerate(drawn.items()):
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in (place(*point) for point in line))
        yield f'<path d="M{path}" fill="none" stroke="{COLOURS[i]}" stroke-width="2"/>'
        yield f'<text x="{MARGIN + 10}" y="{MARGIN - 30 + 16 * i}" fill="{COLOURS[i]}">{name}</text>'
    caption = "rows, 48 axes; CPU seconds of all threads"
    yield f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">{caption}</text>'
    yield "</svg>"


def main() -> None:
    """Write the page and the picture."""
    records = json.loads((FOLDER / "benchmarks.json").read_text())
    online = FOLDER / "online.json"
    (FOLDER / "growth.svg").write_text("\n".join(growth(records)) + "\n")
    text = [HEAD, "![CPU seconds against rows](growth.svg)", *tables(records)]
    if online.exists():
        text += ["\n## One row at a time\n", json.loads(online.read_text())["table"]]
    (FOLDER / "benchmarks.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
