"""A whole verification on a small market: what needs no label is measured, and nothing of the market changes."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from membergate.cli.reviews import print_plan
from membergate.domain.errors import BadInputError, NotEnoughDataError
from membergate.learning.model import load_model
from membergate.operations.evaluation import usual_sample
from membergate.operations.history import History
from membergate.operations.review_plan import COLUMNS, plan_reviews, write_sheet
from membergate.operations.verify import Verified, verify
from membergate.operations.workspace import Workspace
from membergate.verification.certificate import Terms
from membergate.verification.report import Report, from_json

pytestmark = pytest.mark.xdist_group("verified")


@pytest.fixture(scope="module")
def place(verified: Verified) -> Workspace:
    """Give the workspace in which the learned model was verified."""
    return Workspace(verified.html.parents[2])


@pytest.fixture(scope="module")
def history(place: Workspace) -> History:
    """Open its market once."""
    return History(place.warehouse())


@pytest.fixture(scope="module")
def report(verified: Verified) -> Report:
    """Read the report that was written."""
    return from_json(verified.json.read_bytes())


def test_every_part_is_measured(report: Report) -> None:
    """Structure, controls, planted rings, drift, money, the card and explanations are all in the report."""
    beyond = report.surroundings
    assert beyond.without_labels is not None
    assert beyond.drift is not None
    assert beyond.card is not None
    assert beyond.explanations is not None
    assert [region.region for region in beyond.without_labels.regions] == ["suspicious", "other"]
    assert {row.what for row in beyond.without_labels.agreements} == {"clusters", "risk tiers"}
    assert len(beyond.without_labels.score_controls) == 3
    assert beyond.drift.rows[0].name == "risk_score"
    assert len(beyond.card.features) == len(beyond.drift.rows) - 1
    assert report.losses is not None
    assert report.losses.members <= report.losses.reviewed
    assert len(report.over_time) == 3
    assert beyond.explored is None  # nothing is on record


def test_rivals_stand_beside_the_score_on_the_same_sample(report: Report) -> None:
    """Five jurors, economics, clustering, trees and beliefs from the same labels, best first, with paired leads."""
    rows = report.surroundings.rivals
    assert rows is not None
    assert len(rows) == 9
    assert {row.name for row in rows if row.asks_labels} == {
        "boosted trees, same features and labels",
        "belief propagation on soft links",
    }
    precisions = [row.average_precision.value for row in rows]
    assert precisions == sorted(precisions, key=lambda value: -(value or 0.0))
    own = report.metrics.average_precision
    for row in rows:
        assert own.value is not None
        assert row.average_precision.value is not None
        assert row.precision_lead.value == pytest.approx(own.value - row.average_precision.value)
        assert row.precision_lead.n == own.n


def test_the_first_sections_say_what_hangs_on_the_door(report: Report) -> None:
    """Materiality, the hardest cases, conduct, software, and how far a neighbourhood reaches are in the report."""
    beyond = report.surroundings
    assert beyond.materiality is not None
    assert beyond.materiality.tier == "high"
    assert beyond.materiality.applications_a_year > 500
    assert beyond.materiality.at_stake_minor is not None
    assert beyond.materiality.at_stake_minor > 0
    assert beyond.confusion is not None
    assert beyond.confusion.genuine + beyond.confusion.merchants >= report.metrics.evidence.sampled
    assert beyond.conduct is not None
    assert beyond.conduct.decided > 100
    assert {"membergate", "python", "numpy"} <= set(report.origin.lineage)
    assert beyond.without_labels is not None
    for region in beyond.without_labels.regions:
        assert region.reach is not None
        assert region.distances[0] <= region.reach <= region.distances[-1] * 2
        assert list(region.distances) == sorted(region.distances)
        assert len(region.reachability) > 50


def test_an_honest_market_raises_no_alarm(report: Report) -> None:
    """No column knows the answer, no statement is later than its decision, no row is seen before it happened."""
    hindsight = report.surroundings.hindsight
    assert hindsight is not None
    assert hindsight.features > 40
    assert hindsight.labelled_merchants >= 10
    assert hindsight.statements > 10_000
    assert (hindsight.leaks, hindsight.late_statements, hindsight.early_rows) == ((), 0, ())
    assert all(control.passes for control in hindsight.controls)


def test_planted_rings_are_found_and_innocents_spared(report: Report) -> None:
    """The ring that shares everything is caught; living under one roof costs nobody a membership."""
    beyond = report.surroundings.without_labels
    assert beyond is not None
    assert beyond.planted is not None
    naive, *_, last = beyond.planted.rings
    assert (naive.attack.name, naive.caught.value) == ("naive", 1.0)
    assert naive.merged.value == 1.0
    assert last.attack.cost_minor > naive.attack.cost_minor
    for row in beyond.planted.rings:
        let_in = row.units_uncapped + row.units_capped + row.units_on_trial
        assert let_in <= row.units_asked
        # Three articles a ring, of which a trial lets in three units in thirty days.
        assert row.units_on_trial <= 3 * 3
        assert (row.cost_per_unit_minor is None) is (let_in == 0)
    assert any(row.units_on_trial > 0 for row in beyond.planted.rings)
    hostel = beyond.planted.innocents[0]
    assert (hostel.name, hostel.merged.value) == ("hostel", 0.0)
    assert all(control.passes for control in beyond.controls), beyond.controls


def test_ways_out_hold_when_decided_again(report: Report) -> None:
    """Every counterfactual that was tried gives the answer that it names, and every decision names a reason."""
    tried = report.surroundings.explanations
    assert tried is not None
    assert tried.asked > 0
    assert tried.with_reason == tried.asked
    assert 0 < tried.valid == tried.with_counterfactual
    assert 0 < tried.with_way_out <= tried.behaved <= tried.asked
    assert tried.way_out_valid == tried.with_way_out
    assert 0 < tried.with_one_change <= tried.with_way_out


def test_outcomes_are_weighed_in_money_rings_and_friction(report: Report) -> None:
    """Nobody beats the oracle; known rings are few and counted whole; dispositions of a thousand add up to them."""
    beyond = report.surroundings
    assert beyond.net_value is not None
    worth = {row.policy: row.value.value for row in beyond.net_value}
    assert set(worth) == {"candidate", "strict", "admit_all", "best_two_way", "oracle"}
    assert max(worth, key=lambda name: worth[name] or 0.0) == "oracle"
    assert beyond.rings is not None
    assert 0 < beyond.rings.rings <= beyond.rings.accounts // 2
    assert [scope.scope for scope in beyond.rings.scopes] == ["full", "holders"]
    assert beyond.friction is not None
    assert sum(beyond.friction.per_thousand.values()) == pytest.approx(1000)
    assert beyond.friction.review_minutes is None  # the shipped policy does not say how long a review takes
    assert beyond.conduct is not None
    assert beyond.conduct.p99_ms is not None
    assert beyond.conduct.median_ms is not None
    assert 0 < beyond.conduct.median_ms <= beyond.conduct.p99_ms
    assert beyond.conduct.looked_up_longest_ms is not None
    assert beyond.conduct.looked_up_longest_ms > beyond.conduct.median_ms


def test_regions_are_told_apart(report: Report) -> None:
    """Genuine admission is measured by region too, the ten largest by name at most."""
    regions = [row.group for row in report.metrics.groups if row.kind == "region"]
    assert 1 < len(regions) <= 12


def test_parameters_beside_the_chosen_ones_are_tried(report: Report) -> None:
    """Three parameters, each moved both ways, with paired intervals; thresholds move decisions, and the right way."""
    rows = report.surroundings.sensitivity
    assert rows is not None
    assert [(row.parameter.split()[0], row.factor) for row in rows] == [
        ("reach", 0.8), ("reach", 1.25), ("fewest", 0.5), ("fewest", 2.0), ("loss", 0.8), ("loss", 1.25)
    ]  # fmt: skip
    cheaper, dearer = (row.genuine_admission.value for row in rows[-2:])
    assert cheaper is not None
    assert dearer is not None
    assert cheaper >= 0 >= dearer
    assert all(row.genuine_admission.n == rows[0].genuine_admission.n > 10 for row in rows)


def test_reviewers_who_speak_together_have_no_kappa(verified: Verified, report: Report) -> None:
    """The market's reviews carry one joint judgement a case: a typed absence, in JSON and in words."""
    found = report.surroundings.reviewers
    assert found is not None
    assert (found.kappa, found.absence, found.shared_cases) == (None, "not_applicable", 0)
    assert found.cases > 100
    html = verified.html.read_text(encoding="utf-8")
    assert "carries one joint judgement" in html
    assert "Nobody has signed this report" in html


def test_a_smaller_propensity_than_the_terms_say_is_refused_at_once(
    place: Workspace, history: History, still_clock: Callable[[], datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be certified is told once the sample is known, before anything else is measured."""
    monkeypatch.setattr("membergate.operations.verify._surroundings", lambda *_, **__: pytest.fail("measured for long"))
    with pytest.raises(BadInputError, match="sampled with propensity"):
        verify(place, clock=still_clock, terms=Terms(smallest_propensity=0.9), history=history)


def test_a_sample_made_small_by_training_until_late_is_told(
    verified: Verified, place: Workspace, history: History
) -> None:
    """Trained until the usual instant nothing is to be said; trained until the end, what that would leave is."""
    model, end = load_model(place.models / verified.model_version), history.last_instant
    assert usual_sample(history, model, end) is None
    late = replace(model, lineage=replace(model.lineage, trained_until=end))
    usual = usual_sample(history, late, end)
    assert usual is not None
    assert 0 < usual.merchant_operators < usual.operators
    nobody_left_out = replace(late, lineage=replace(late.lineage, holdout_share=0.0))
    assert usual_sample(history, nobody_left_out, end) is None


def test_verifying_leaves_the_market_alone(place: Workspace, report: Report, history: History) -> None:
    """Planting happens in a copy: the warehouse's parts are what they were, and the views show no planted row."""
    assert report.format
    history.warehouse.verify()
    assert not history.connection.execute("SELECT 1 FROM orders WHERE order_id = md5('order')").fetchall()
    tables = history.connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    assert not [name for (name,) in tables if "planted" in name or "planting" in name]


def test_a_plan_draws_by_known_chances(place: Workspace, history: History, tmp_path: Path) -> None:
    """The sheet is a table of labels: drawn accounts wait for an answer, reviewed ones stand for themselves alone."""
    plan = plan_reviews(place, budget=40, history=history)
    assert plan.accounts == plan_reviews(place, budget=40, history=history).accounts
    assert set(plan.accounts) < set(plan_reviews(place, budget=80, history=history).accounts)
    assert set(plan.accounts).isdisjoint(account for account, _ in plan.known)
    write_sheet(plan, tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    waiting = [row for row in rows if not row["label"]]
    assert [row["subject_id"] for row in waiting] == list(plan.accounts)
    assert all(0 < float(row["propensity"]) <= 1 for row in waiting)
    assert {row["propensity"] for row in rows if row["label"]} <= {"1"}
    assert len(rows) == len(plan.accounts) + len(plan.known)


def test_a_plan_tells_what_its_rarest_draws_cost(
    place: Workspace, history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    """A floor under the chances lets a certificate take fewer operators, at the price of a wider interval."""
    free = plan_reviews(place, budget=80, history=history)
    floor = (free.toll.smallest_propensity + 80 / free.waiting) / 2
    floored = plan_reviews(place, budget=80, terms=Terms(smallest_propensity=floor), history=history)
    assert floored.toll.smallest_propensity == pytest.approx(floor)
    assert free.toll.clean_operators > floored.toll.clean_operators > floored.toll.clean_operators_alike
    assert free.toll.clean_operators_alike == floored.toll.clean_operators_alike
    assert floored.half_width > free.half_width
    assert [row.floored is None for row in floored.rows] == [row.reviews < floor * free.waiting for row in floored.rows]
    print_plan(free)
    said = " ".join(capsys.readouterr().out.split())
    assert f"smallest chance: {free.toll.smallest_propensity:.3g}; to certify 2% at 95% takes" in said
    assert f"about {free.toll.clean_operators:,} operators" in said
    assert "--smallest-propensity" in said
    print_plan(floored)
    assert f"none below {floor:.3g}" in capsys.readouterr().out
    with pytest.raises(BadInputError, match=r"give nobody a chance of 0\.9"):
        plan_reviews(place, budget=80, terms=Terms(smallest_propensity=0.9), history=history)


def test_a_plan_says_what_cannot_be_had(place: Workspace, history: History) -> None:
    """A budget and a width together, a width out of range, and one that no review gives are told apart."""
    with pytest.raises(BadInputError, match="budget or a width"):
        plan_reviews(place, budget=10, half_width=0.1, history=history)
    with pytest.raises(BadInputError, match="out of range"):
        plan_reviews(place, half_width=1.5, history=history)
    with pytest.raises(NotEnoughDataError, match="reviewing everybody"):
        plan_reviews(place, half_width=1e-5, history=history)
