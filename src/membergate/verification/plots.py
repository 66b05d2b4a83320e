"""The report's four plots: genuine admission against leakage, reliability, disposition mix, look-alikes."""

from __future__ import annotations

import math

from membergate.domain.measurement import Measurement
from membergate.verification import charts
from membergate.verification.calibration import Calibration
from membergate.verification.charts import Axis, Mark
from membergate.verification.metrics import GroupRow, Metrics, PolicyOutcome
from membergate.verification.wording import percent

_POLICY_NAMES = {"candidate": "candidate", "strict": "strict rule", "incumbent": "live now"}
_ROW = 40.0
_NAME_WIDTH = 178.0


def admission_against_leakage(metrics: Metrics) -> str:
    """Plot what the score could admit at every leakage, and where each policy stands; "" where unknown."""
    marks = _policy_marks(metrics.outcomes)
    curve = metrics.equal_leakage.curve
    if not curve and not marks:
        return ""
    # The curve goes on to 'admit everyone'; past the policies it only squeezes what the reader compares.
    reach = [_end(mark.x) for mark in marks]
    x, y = charts.plane(420.0, (0.0, max(0.01, 1.15 * max(reach, default=0.1))), (0.0, 1.0))
    shown = [point for point in curve if point.leakage <= x.high]
    parts = charts.grid(x, y, "Leakage: merchant share among the admitted", "Genuine admission rate", _tick)
    banded = [(p.leakage, p.low, p.high) for p in shown if p.low is not None and p.high is not None]
    parts.append(charts.band(banded, x, y, "band genuine"))
    parts.append(charts.path([(p.leakage, p.genuine_admission) for p in shown], x, y, "curve genuine"))
    strict, score = metrics.equal_leakage.strict_leakage.value, metrics.equal_leakage.score_genuine_admission.value
    base = metrics.equal_leakage.strict_genuine_admission.value
    if strict is not None and score is not None and base is not None:
        parts.append(charts.line(x.at(strict), y.at(base), x.at(strict), y.at(score), "gain"))
    parts += [charts.draw_mark(mark, x, y) for mark in marks]
    parts += charts.legend(marks, ["curve genuine|risk score"])
    description = "; ".join(
        f"{mark.label}: leakage {percent(_value(mark.x))}, genuine admission {percent(_value(mark.y))}"
        for mark in marks
    )
    return charts.frame("admission", "Genuine admission against leakage", description, 420.0, parts)


def reliability(calibration: Calibration) -> str:
    """Plot stated probability against the share of merchants observed; "" where the model states none."""
    if not calibration.bins:
        return ""
    x, y = charts.plane(400.0, (0.0, 1.0), (0.0, 1.0), is_root=True)
    marks = [
        Mark(f"stated {percent(b.mean_probability)}", b.mean_probability, b.merchant_share, "merchant", "square")
        for b in calibration.bins
    ]
    parts = charts.grid(x, y, "Stated merchant probability", "Observed merchant share", _tick)
    parts.append(charts.path([(0.0, 0.0), (1.0, 1.0)], x, y, "diagonal"))
    parts.append(
        charts.path([(b.mean_probability, b.merchant_share.value or 0.0) for b in calibration.bins], x, y, "thin")
    )
    parts += [charts.draw_mark(mark, x, y) for mark in marks]
    named = Mark("bin of stated probability", 0.0, 0.0, "merchant", "square")
    parts += charts.legend([named], ["diagonal|perfect calibration"])
    described = "; ".join(f"{mark.label}, observed {percent(_value(mark.y))}" for mark in marks)
    return charts.frame("reliability", "Reliability of the merchant probability", described, 400.0, parts)


def disposition_mix(outcome: PolicyOutcome) -> str:
    """Plot what genuine applicants and merchants meet; "" where no share is determined."""
    rows = [(name, sides) for name, sides in outcome.mix.items() if any(side.value for side in sides)]
    if not rows:
        return ""
    height = 40 + len(rows) * 46.0
    scale = Axis(0.0, 1.0, _NAME_WIDTH, charts.WIDTH - 150, ())
    genuine, merchant = (
        Mark("genuine", 0, 0, "genuine", "circle"),
        Mark("merchants (hatched)", 0, 0, "merchant", "square"),
    )
    parts = charts.legend([genuine, merchant])
    for i, (name, sides) in enumerate(rows):
        top = 38 + i * 46.0
        parts.append(charts.text(_NAME_WIDTH - 12, top + 22, name.replace("_", " "), "name", "end"))
        for j, (side, tone) in enumerate(zip(sides, ("genuine", "merchant"), strict=True)):
            width = scale.at(side.value or 0.0) - scale.start
            y = top + 18 * j
            parts.append(charts.bar(scale.start, y, width, 15, tone, is_hatched=j == 1))
            parts.append(charts.text(scale.start + width + 8, y + 12, percent(side.value), "tick"))
    described = "; ".join(
        f"{name.replace('_', ' ')}: {percent(sides[0].value)} of genuine, {percent(sides[1].value)} of merchants"
        for name, sides in rows
    )
    return charts.frame("mix", "What genuine applicants and merchants meet", described, height, parts)


def look_alikes(groups: tuple[GroupRow, ...], overall: tuple[Measurement, Measurement, Measurement]) -> str:
    """Plot each look-alike's genuine admission under candidate and strict rule; "" where there is no look-alike.

    Parameters
    ----------
    groups
        The rows of the per-group table; other kinds are left out.
    overall
        Candidate in full, candidate over all holders, strict rule: the first row, to compare with.
    """
    named = [(row.group or "none of these", _figures(row)) for row in groups if row.kind == "look_alike"]
    if not named:
        return ""
    rows = [("all genuine applicants", overall), *named]
    bottom = 48 + len(rows) * _ROW
    x = Axis(0.0, 1.0, _NAME_WIDTH, charts.WIDTH - 84, (0.0, 0.25, 0.5, 0.75, 1.0))
    parts = [charts.line(x.at(tick), 40, x.at(tick), bottom, "grid") for tick in x.ticks]
    parts += [charts.text(x.at(tick), bottom + 18, _tick(tick), "tick", "middle") for tick in x.ticks]
    parts.append(charts.text((x.start + x.end) / 2, bottom + 42, "Genuine admission rate", "title", "middle"))
    for i, (name, figures) in enumerate(rows):
        middle = 48 + (i + 0.5) * _ROW
        parts.append(charts.text(_NAME_WIDTH - 12, middle + 4, name, "name", "end"))
        parts.append(charts.text(charts.WIDTH - 6, middle + 4, f"n {figures[0].n:,}", "tick", "end"))
        parts += [_row_mark(figure, kind, middle, x) for kind, figure in enumerate(figures)]
    parts += charts.legend([_group_mark(kind, 0.0, 0.0) for kind in range(3)])
    described = "; ".join(
        f"{name}: candidate {percent(full.value)}, with trial {percent(held.value)}, strict {percent(strict.value)}"
        for name, (full, held, strict) in rows
    )
    return charts.frame("look-alikes", "Genuine admission by look-alike", described, bottom + 56, parts)


def _policy_marks(outcomes: tuple[PolicyOutcome, ...]) -> list[Mark]:
    looks = {"candidate": ("genuine", "circle"), "strict": ("neutral", "square"), "incumbent": ("ink", "diamond")}
    marks = []
    for outcome in outcomes:
        tone, shape = looks[outcome.policy]
        for scope, is_hollow in (("full", False), ("holders", True)):
            rates = outcome.rates[scope]
            if is_hollow and rates.leakage.value == outcome.rates["full"].leakage.value:
                continue
            label = _POLICY_NAMES[outcome.policy] + (", trial too" if is_hollow else "")
            marks.append(Mark(label, rates.leakage, rates.genuine_admission, tone, shape, is_hollow))
    return [mark for mark in marks if _value(mark.x) is not None and _value(mark.y) is not None]


def _row_mark(figure: Measurement, kind: int, middle: float, x: Axis) -> str:
    offset = middle + (-9, 0, 9)[kind]
    return charts.draw_mark(_group_mark(kind, figure, 0.0), x, Axis(0.0, 1.0, offset, offset + 1, ()))


def _group_mark(kind: int, x: Measurement | float, y: float) -> Mark:
    looks = (
        ("candidate, in full", "genuine", "circle", False),
        ("candidate, trial too", "genuine", "circle", True),
        ("strict rule", "neutral", "square", False),
    )
    label, tone, shape, is_hollow = looks[kind]
    return Mark(label, x, y, tone, shape, is_hollow)


def _figures(row: GroupRow) -> tuple[Measurement, Measurement, Measurement]:
    return row.genuine_admission, row.genuine_holding, row.strict_genuine_admission


def _value(given: Measurement | float) -> float | None:
    return given.value if isinstance(given, Measurement) else given


def _end(given: Measurement | float) -> float:
    if isinstance(given, Measurement):
        return given.high if given.high is not None else given.value or 0.0
    return given


def _tick(value: float) -> str:
    shown = 100 * value
    return f"{shown:.0f}%" if math.isclose(shown, round(shown), abs_tol=1e-6) else f"{shown:.1f}%"
