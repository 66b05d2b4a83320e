"""Rivals are measured on the same rows and draws as the score; the hardest cases are the ones most wrongly treated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from membergate.domain.instants import utc
from membergate.verification.confusion import MOST_CASES, find_confusion
from membergate.verification.html import to_html
from membergate.verification.report import Report, Surroundings, build_report, from_json, to_json
from membergate.verification.rivals import Rival, measure_rivals
from membergate.verification.sample import EvaluationSample
from membergate.verification.shadows import UnreadShadow, measure_shadows

SampleMaker = Callable[..., EvaluationSample]


def reported(sample: EvaluationSample, **measured: Any) -> Report:
    """Report a sample with what was measured beyond it."""
    return build_report(
        sample,
        model_version="m-1",
        policy_version="p-1",
        produced_at=utc(2025, 11, 1),
        seed=5,
        surroundings=Surroundings(**measured),
        replicates=100,
    )


@pytest.fixture
def sample(make_sample: SampleMaker) -> EvaluationSample:
    """Give 400 evenly weighted applicants, a sixth of them merchants, ordered by a fair score."""
    merchant = np.arange(400) % 6 == 0
    noise = np.random.default_rng(3).normal(size=400)
    score = 1 / (1 + np.exp(-(2.0 * merchant + noise)))
    disposition = np.where(score > 0.85, "deny", np.where(score > 0.7, "trial", "admit"))
    return make_sample(400, is_merchant=merchant, risk_score=score, disposition=disposition, weight=np.ones(400))


def test_a_rival_with_the_same_order_has_no_lead_over_itself(sample: EvaluationSample) -> None:
    """Any increasing image of the score is the score: leads of exactly 0, in an interval of exactly 0."""
    same, noise = measure_rivals(
        sample,
        [
            Rival("noise", False, np.random.default_rng(4).random(len(sample))),
            Rival("the score, otherwise scaled", True, 7 * sample.risk_score**3 - 2),
        ],
        seed=0,
    )
    assert (same.name, noise.name) == ("the score, otherwise scaled", "noise")
    for lead in (same.precision_lead, same.admission_lead):
        assert lead.value == 0
        assert lead.low in {None, 0.0}
    assert noise.precision_lead.low is not None
    assert noise.precision_lead.low > 0


def test_average_precision_is_that_of_scikit_learn(sample: EvaluationSample) -> None:
    """On evenly weighted rows the figure is the library's."""
    scores = np.random.default_rng(5).random(len(sample)) + 0.3 * sample.is_merchant
    (row,) = measure_rivals(sample, [Rival("other", False, scores)], seed=0)
    assert row.average_precision.value == pytest.approx(average_precision_score(sample.is_merchant, scores))


def test_a_strict_rule_that_admits_nobody_gives_no_bound(make_sample: SampleMaker) -> None:
    """Without a leakage to hold rivals to there is no row."""
    sample = make_sample(60, is_merchant=np.arange(60) % 6 == 0, baseline_disposition=np.full(60, "deny"))
    assert measure_rivals(sample, [Rival("other", False, np.arange(60.0))], seed=0) == ()


def test_the_hardest_cases_come_first(sample: EvaluationSample) -> None:
    """Genuine people kept out, the riskiest first; then merchants in full, the safest first; counts are of all."""
    reasons = {str(name): ("ONE", "TWO") for name in sample.application_ids.tolist()}
    zone = find_confusion(sample, reasons)
    genuine = [case for case in zone.cases if not case.is_merchant]
    merchants = [case for case in zone.cases if case.is_merchant]
    assert (len(genuine), len(merchants)) == (min(MOST_CASES, zone.genuine_kept_out), MOST_CASES)
    assert list(zone.cases) == genuine + merchants
    assert {case.disposition for case in genuine} == {"deny"}
    assert {case.disposition for case in merchants} == {"admit"}
    assert [case.risk_score for case in genuine] == sorted((c.risk_score for c in genuine), reverse=True)
    assert [case.risk_score for case in merchants] == sorted(c.risk_score for c in merchants)
    assert genuine[0].risk_score == sample.risk_score[~sample.is_merchant].max()
    assert zone.genuine_kept_out == int((~sample.is_merchant & (sample.disposition == "deny")).sum())
    assert zone.genuine + zone.merchants == len(sample)
    assert all(case.reason_codes == ("ONE", "TWO") for case in zone.cases)


def test_what_parts_buy_stands_in_the_report(sample: EvaluationSample) -> None:
    """Measured, a row a part with what is lost; not measured, the command that would and what it costs."""
    worse = np.random.default_rng(6).normal(size=len(sample)) + sample.risk_score
    rows = measure_rivals(sample, [Rival("jury", True, worse), Rival("clusters", True, sample.risk_score)], seed=0)[
        ::-1
    ]
    measured = reported(sample, ablations=rows)
    assert from_json(to_json(measured)).surroundings.ablations == rows
    page = to_html(measured)
    assert "the outlier detectors<small>jury</small>" in page
    assert page.count("the same in every\ndraw</small>") == 2
    assert rows[0].precision_lead.value is not None
    assert f"{100 * rows[0].precision_lead.value:+.1f}" in page
    assert "--ablations" not in page
    assert "“membergate verify --ablations” measures it" in to_html(reported(sample))
    assert "Nothing to measure: no labelled applicant, no part in use" in to_html(reported(sample, ablations=()))


def test_a_shadow_is_told_in_full_and_over_all_holders(make_sample: SampleMaker) -> None:
    """The shadow denies the four on trial, two of them merchants: only holders change, and leak their share less."""
    trial, merchant = np.arange(300) % 75 == 0, np.arange(300) % 150 == 0
    sample = make_sample(300, is_merchant=merchant, disposition=np.where(trial, "trial", "admit"))
    decided = {"calm-1-ab": sample.disposition, "wary-2-cd": np.where(trial, "deny", sample.disposition)}
    rows = measure_shadows(sample, decided, seed=0)
    calm, wary = rows
    assert (calm.policy, calm.changed, wary.policy, wary.changed) == ("calm-1-ab", 0, "wary-2-cd", 4)
    for scope in ("full", "holders"):
        assert (calm.leakage[scope].value, calm.leakage[scope].low) == (0.0, None)
    assert (wary.leakage["full"].value, wary.leakage["full"].low) == (0.0, None)
    assert wary.leakage["holders"].value == pytest.approx(-2 / 300)
    assert wary.genuine_admission["holders"].value == pytest.approx(-2 / 298)
    assert wary.leakage["holders"].high is not None
    report = reported(sample, shadows=rows)
    assert from_json(to_json(report)).surroundings.shadows == rows
    page = to_html(report)
    assert page.count("wary-2-cd") == 1
    assert page.count("the same\nrows") == 6
    assert "No policy stands in shadow" in to_html(reported(sample, shadows=()))


def test_what_a_shadow_reads_and_was_not_measured_is_named(make_sample: SampleMaker) -> None:
    """Its row names the evidence; a shadow that cannot be read is named with the reason, instead of no shadow."""
    sample = make_sample(30, disposition=np.full(30, "admit"))
    (row,) = measure_shadows(sample, {"quick-1-ab": sample.disposition}, seed=0)
    row = replace(row, unmeasured=("velocity_account_orders_1h",))
    unread = UnreadShadow("old-1", "there is no evidence named <gone>")
    report = reported(sample, shadows=(row,), unread_shadows=(unread,))
    assert from_json(to_json(report)).surroundings == report.surroundings
    page = to_html(report)
    assert "taken as not observed: velocity_account_orders_1h" in " ".join(page.split())
    alone = to_html(reported(sample, shadows=(), unread_shadows=(unread,)))
    for told in (page, alone):
        assert "old-1 stands in shadow and cannot be read" in told
        assert "no evidence named &lt;gone&gt;" in told
        assert "No policy stands in shadow" not in told


def test_why_no_ablation_was_measured_is_told(make_sample: SampleMaker) -> None:
    """Unasked, the report says how to ask; where the lesson is another than it was, that asking would not help."""
    sample = make_sample(30)
    assert "verify --ablations” measures it" in to_html(reported(sample))
    changed = to_html(reported(sample, is_lesson_whole=False))
    assert "Learned again it would not be the candidate" in changed
    assert "verify --ablations” measures it" not in changed
