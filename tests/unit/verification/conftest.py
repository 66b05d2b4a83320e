"""Evaluation samples made up for the tests: a few operators, some of them rings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from membergate.verification.sample import EvaluationSample

SampleMaker = Callable[..., EvaluationSample]


def make_sample(rows: int = 6, **given: Any) -> EvaluationSample:
    """Build a sample of single-account operators, all genuine, admitted and sampled alike, but for what is given."""
    arrays: dict[str, Any] = {
        "application_ids": np.array([f"ap{i:05d}" for i in range(rows)], dtype=np.str_),
        "account_ids": np.array([f"ac{i:05d}" for i in range(rows)], dtype=np.str_),
        "operator_ids": np.array([f"op{i:05d}" for i in range(rows)], dtype=np.str_),
        "submitted_at": np.datetime64("2025-09-01", "us") + np.arange(rows) * np.timedelta64(1, "h"),
        "is_merchant": np.zeros(rows, dtype=np.bool_),
        "grade": np.full(rows, "L3"),
        "weight": np.ones(rows),
        "risk_score": np.linspace(0.0, 1.0, rows) if rows else np.zeros(0),
        "merchant_probability": np.full(rows, np.nan),
        "disposition": np.full(rows, "admit"),
        "baseline_disposition": np.full(rows, "admit"),
    }
    return EvaluationSample(**(arrays | given))


def make_market(operators: int, seed: int, *, has_incumbent: bool = True) -> EvaluationSample:
    """Draw a market with rings, look-alikes, an imperfect strict rule and an L3 sample that favours the risky."""
    g = np.random.default_rng(seed)
    is_ring_run = g.random(operators) < 0.1
    size = np.where(is_ring_run & (g.random(operators) < 0.3), g.integers(2, 6, operators), 1)
    operator = np.repeat(np.arange(operators), size)
    rows, is_merchant = len(operator), is_ring_run[operator]
    look_alike = np.where(
        is_merchant, "", np.array(["", "gift giver", "office buyer"])[g.choice(3, rows, p=[0.7, 0.2, 0.1])]
    )
    latent = 0.9 * g.normal(size=operators)[operator] + 0.4 * g.normal(size=rows)
    latent += 2.6 * is_merchant + 0.5 * (look_alike != "")
    probability = 1 / (1 + np.exp(-(1.9 * latent - 4.5)))
    strict = latent + 0.8 * g.normal(size=rows)
    propensity = np.clip(3 * probability, 0.25, 1.0)
    grade = np.where(g.random(rows) < propensity, "L3", np.where(is_merchant, "L4", "L0"))
    return make_sample(
        rows,
        operator_ids=np.array([f"op{o:05d}" for o in operator]),
        is_merchant=is_merchant,
        grade=grade,
        weight=np.where(grade == "L3", 1 / propensity, np.nan),
        risk_score=1 / (1 + np.exp(-latent)),
        merchant_probability=probability,
        disposition=np.select(
            [probability < 0.05, probability < 0.1, probability < 0.4], ["admit", "admit_capped", "trial"], "deny"
        ),
        baseline_disposition=np.where(strict < 0.4, "admit", "deny"),
        incumbent_disposition=np.where(strict < 0.9, "admit", "deny") if has_incumbent else None,
        groups={"region": np.array(["north", "south"])[g.integers(0, 2, rows)], "look_alike": look_alike},
    )


@pytest.fixture(name="make_sample")
def _make_sample() -> SampleMaker:
    return make_sample


@pytest.fixture(name="make_market")
def _make_market() -> SampleMaker:
    return make_market


@pytest.fixture(scope="session")
def lenient_market(market: EvaluationSample) -> EvaluationSample:
    """Give the same market under a strict rule that also admits every third applicant unseen, and so leaks."""
    unseen = np.arange(len(market)) % 3 == 0
    return replace(market, baseline_disposition=np.where(unseen, "admit", market.baseline_disposition))


@pytest.fixture(scope="session")
def market() -> EvaluationSample:
    """Draw a market of 900 operators with something live."""
    return make_market(900, 7)
