"""The report as one self-contained HTML page: no script, no network, a strict content security policy."""

from __future__ import annotations

import base64
import hashlib
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from membergate.domain.disposition import LADDERS, Checkpoint
from membergate.verification import plots, row_plots, structure_plots
from membergate.verification.ranking import LEAST_MERCHANTS, LEAST_STRICT_LEAKS
from membergate.verification.report import Report
from membergate.verification.structure import RegionStructure
from membergate.verification.unlabelled import WithoutLabels
from membergate.verification.wording import (
    decimal,
    money,
    money_interval,
    percent,
    percent_interval,
    points,
    points_interval,
)

_TEMPLATES = PackageLoader("membergate.verification")
_HEADLINE = (
    ("Genuine admission, in full", "full", "genuine_admission"),
    ("Genuine admission, holders", "holders", "genuine_admission"),
    ("Leakage, in full", "full", "leakage"),
    ("Leakage, holders", "holders", "leakage"),
    ("Leakage by operator, in full", "full", "leakage_by_operator"),
    ("Leakage by operator, holders", "holders", "leakage_by_operator"),
)
_POLICY_NAMES = {"candidate": "Candidate", "strict": "Strict rule", "incumbent": "Live now"}
_GRADE_WORDS = {
    "L0": "appeal upheld or verified false alarm",
    "L3": "two reviewers agree, on a probability sample",
    "L4": "proof of resale, or self-declaration",
}


def to_html(report: Report) -> str:
    """Render the report; the same report gives the same page, byte for byte."""
    environment = Environment(
        loader=_TEMPLATES, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "decimal": decimal,
        "money": money,
        "money_interval": money_interval,
        "percent": percent,
        "percent_interval": percent_interval,
        "points": points,
        "points_interval": points_interval,
    }
    style = _TEMPLATES.get_source(environment, "report.css")[0]
    metrics = report.metrics
    return environment.get_template("report.html.j2").render(
        report=report,
        style=Markup(style),  # noqa: S704 -- our own file
        style_hash="sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        plots=_plots(report),
        sought=_sought(report.surroundings.without_labels),
        headline=[(words, scope, figure) for words, scope, figure in _HEADLINE],
        policy_names=_POLICY_NAMES,
        least_merchants=LEAST_MERCHANTS,
        least_strict_leaks=LEAST_STRICT_LEAKS,
        grade_words=_GRADE_WORDS,
        dispositions=[disposition.value for disposition in LADDERS[Checkpoint.ADMISSION]],
        groups=[(kind, list(rows)) for kind, rows in groupby(metrics.groups, key=lambda row: row.kind)],
    )


def _plots(report: Report) -> dict[str, Markup]:
    """Draw every plot that stands once in the page."""
    metrics = report.metrics
    candidate, card, without_labels = metrics.outcomes[0], report.surroundings.card, report.surroundings.without_labels
    overall = (
        candidate.rates["full"].genuine_admission,
        candidate.rates["holders"].genuine_admission,
        metrics.outcomes[1].rates["full"].genuine_admission,
    )
    drawn = {
        "admission": plots.admission_against_leakage(metrics),
        "reliability": plots.reliability(metrics.calibration),
        "mix": plots.disposition_mix(candidate),
        "look_alikes": plots.look_alikes(metrics.groups, overall),
        "attacks": row_plots.attack_curve(without_labels.planted if without_labels else None),
        "drift": row_plots.drift_bars(report.surroundings.drift, {f.id: f.name for f in card.features} if card else {}),
        "plan": row_plots.plan_bars(without_labels.plan if without_labels else ()),
    }
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 -- drawn here, words escaped


def _sought(without_labels: WithoutLabels | None) -> list[tuple[RegionStructure, Markup, Markup]]:
    """Draw how clusters were sought in each region."""
    return [
        (region, Markup(structure_plots.neighbour_distances(region)), Markup(structure_plots.reachability(region)))  # noqa: S704 -- drawn here
        for region in (without_labels.regions if without_labels else ())
        if region.distances
    ]
