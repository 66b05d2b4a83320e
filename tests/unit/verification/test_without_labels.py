"""Controls that need no label: what fails one is refused by the gate, what chance does is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from membergate.domain.instants import utc
from membergate.verification.card import findings_of
from membergate.verification.planted import Attack, Planted, PlantedReport, measure_planted, planted_controls
from membergate.verification.report import Report, Surroundings, build_report, from_json, to_json
from membergate.verification.sample import EvaluationSample
from membergate.verification.structure import ClusterRow, RegionStructure
from membergate.verification.unlabelled import WithoutLabels, control_score

SampleMaker = Callable[..., EvaluationSample]
ATTACKS = (
    Attack("naive", "shares everything", 12, True, True, False, 4_000),
    Attack("careful", "shares nothing", 2, False, False, True, 70_000),
)
INNOCENTS = {"hostel": "they live under one roof"}
NOTHING = WithoutLabels((), (), (), None, (), (), ())


def planted(careful_caught: bool, lost: int) -> PlantedReport:
    """Plant ten rings of four by each attack, and fifty innocents of whom some lose their membership."""
    scenario = np.repeat(["naive", "careful", "hostel"], [40, 40, 50])
    group = np.array([f"ring{i // 4}" for i in range(80)] + ["roof"] * 50)
    is_holder = np.ones(130, dtype=np.bool_)
    is_holder[:40] = False
    is_holder[80 : 80 + lost] = False
    is_full = is_holder.copy()
    is_full[40:80] = not careful_caught
    is_capped = is_full & (np.arange(130) >= 60) & (np.arange(130) < 80)
    given = Planted(
        scenario=scenario,
        group=group,
        is_full=is_full,
        is_capped=is_capped,
        is_holder=is_holder,
        was_full=np.ones(130, dtype=np.bool_),
        merged=np.repeat([4, 1, 1], [40, 40, 50]),
        units=np.where(is_holder, np.where(is_capped, 3.0, np.where(is_full, 8.0, 2.0)), 0.0),
    )
    return measure_planted(given, ATTACKS, INNOCENTS, 4.0, seed=0)


def test_recall_is_counted_by_ring() -> None:
    """Recall, what gets in, and what a unit let in costs follow from who was admitted; intervals are over rings."""
    naive, careful = planted(careful_caught=False, lost=0).rings
    assert (naive.caught.value, naive.kept_out.value, naive.merged.value) == (1.0, 1.0, 1.0)
    assert naive.cost_per_unit_minor is None
    assert naive.caught.low is not None
    assert 0.5 < naive.caught.low < 0.9  # ten rings, not forty accounts
    assert (careful.rings, careful.accounts, careful.caught.value) == (10, 40, 0.0)
    assert careful.units_asked == pytest.approx(8.0)
    assert (careful.units_uncapped, careful.units_capped, careful.units_on_trial) == (4.0, 1.5, 0.0)
    assert careful.cost_per_unit_minor == pytest.approx(70_000 / (12 * 5.5))
    tried = planted(careful_caught=True, lost=0).rings[1]
    assert (tried.units_uncapped, tried.units_capped, tried.units_on_trial) == (0.0, 0.0, 2.0)
    assert tried.cost_per_unit_minor == pytest.approx(70_000 / (12 * 2.0))


def test_innocents_who_pay_refuse() -> None:
    """Two of fifty innocents are within what is tolerated, ten are not; the bluntest ring must be found."""
    few, many = (planted_controls(planted(careful_caught=True, lost=lost)) for lost in (2, 10))
    assert [control.passes for control in few] == [True, True]
    assert [control.passes for control in many] == [False, True]
    assert "10 of" in many[0].sentence or "20%" in many[0].sentence


def test_a_score_that_knows_ids_is_found_out() -> None:
    """A score that goes with a digest of ids fails; one that does not passes but for luck."""
    generator = np.random.default_rng(0)
    digest, ids = generator.random(500), np.arange(500).astype(np.str_)
    leaking = control_score(0.2 * digest + generator.random(500) * 0.3, {"a digest": digest}, ids, seed=0)
    assert not leaking[0].passes
    passed = [
        control_score(np.random.default_rng(seed).random(500), {"a digest": digest}, ids, seed=seed)[0].passes
        for seed in range(1, 41)
    ]
    assert sum(passed) >= 39


def test_constant_quantities_say_nothing() -> None:
    """A market whose instants have whole seconds has no fraction to hold the score against."""
    assert control_score(np.arange(5.0), {"fraction": np.zeros(5)}, np.arange(5).astype(np.str_), seed=0) == ()


def clusters(*rows: ClusterRow) -> WithoutLabels:
    """Make a finding about clusters alone."""
    return replace(NOTHING, regions=(RegionStructure("suspicious", 500, 500, (), rows),))


def test_clusters_that_dissolve_refuse() -> None:
    """Most applicants in dissolved clusters refuse; so does a dissolved cluster that calls its people merchants."""
    stable, gone = ClusterRow("s0", 300, 0.9, 0.2, "stable"), ClusterRow("s1", 100, 0.3, 0.3, "dissolved")
    assert all(control.passes for control in clusters(stable, gone).controls)
    assert not all(control.passes for control in clusters(replace(stable, rows=50), gone).controls)
    accusing = clusters(stable, replace(gone, merchant_share=0.9)).controls
    assert [control.name for control in accusing if not control.passes] == ["cluster_s1"]


def test_a_failed_control_shuts_the_gate_of_the_report(make_sample: SampleMaker) -> None:
    """What fails without labels is a reason of the gate and a grave finding; the report reads back to an equal one."""
    rows = np.arange(1500)
    merchant = rows % 10 == 0
    sample = make_sample(
        1500,
        is_merchant=merchant,
        disposition=np.where(merchant, "deny", "admit"),
        baseline_disposition=np.where(rows % 10 < 4, "deny", "admit"),
    )
    scored = control_score(sample.risk_score, {"a digest": rows.astype(float)}, sample.operator_ids, seed=0)
    beyond = Surroundings(without_labels=replace(NOTHING, score_controls=scored))

    def built(surroundings: Surroundings | None = None) -> Report:
        moment = utc(2026, 1, 1)
        return build_report(
            sample, model_version="m", policy_version="p", produced_at=moment, seed=1, surroundings=surroundings
        )

    assert built().judgement.opens
    report = built(beyond)
    assert not report.judgement.opens
    assert any("goes with a digest" in reason for reason in report.judgement.reasons)
    assert report.findings[0].severity == "high"
    assert from_json(to_json(report)) == report


def test_findings_name_what_has_to_be_closed(make_sample: SampleMaker) -> None:
    """Planted rings that come in, dissolved clusters and open certificates are findings, each with an owner."""
    report = build_report(make_sample(200), model_version="m", policy_version="p", produced_at=utc(2026, 1, 1), seed=1)
    beyond = replace(
        clusters(ClusterRow("s1", 100, 0.3, 0.3, "dissolved")), planted=planted(careful_caught=False, lost=0)
    )
    found = findings_of(report.judgement, report.certificates, report.refusals, beyond, None)
    told = " ".join(finding.what for finding in found)
    assert "shares nothing" in told
    assert "s1 (overlap 0.30)" in told
    assert "No certificate" in told
    assert all(finding.owner and finding.due for finding in found)
