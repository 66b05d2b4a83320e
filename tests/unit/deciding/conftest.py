"""What the tests of deciding share: a vocabulary, the shipped policies, and applicants with a history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources

import pytest

from membergate.deciding.policy import Policy, load_policy
from membergate.domain.evidence import Absence, Evidence, EvidenceKind, EvidenceValue, Vocabulary

AT = datetime(2025, 11, 1, tzinfo=UTC)
NUMBERS = (
    "merchant_probability",
    "uncalibrated_probability",
    "probability_low",
    "probability_high",
    "members_probability_high",
    "risk_score",
    "evidence_mass",
    "history_days",
    "operator_accounts",
    "operator_holders",
    "operator_recent_applications",
    "tenure_days",
    "detector_disagreement",
    "cluster_merchant_share",
    "company_invoice_ratio",
    "a2_excess_units_ratio",
    "a3_same_sku_same_day_max",
    "a4_purchase_limit_hit_rate",
    "b1_category_entropy",
    "b3_depth_over_breadth",
    "b4_resellability_index",
    "c2_cadence_vs_depletion",
    "c6_promo_concentration",
    "d3_benefit_share_of_gmv",
    "d4_arbitrage_margin",
    "d5_arbitrage_profit_90d_minor",
    "e2_one_time_recipient_share",
    "e4_ship_to_self_share",
    "e5_addr_account_degree",
    "h1_hard_component_size",
    "h5_synchrony_score",
    "h7_co_delivery_convergence",
    "l2_linked_recent_applications",
)

Witness = Callable[..., dict[str, Evidence]]


def evidence_of(**said: EvidenceValue | Absence) -> dict[str, Evidence]:
    """Witness values by name."""
    return {name: Evidence(name, value, "test", AT) for name, value in said.items()}


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """Give the evidence names that the shipped policies rely on."""
    return (
        dict.fromkeys(NUMBERS, EvidenceKind.NUMBER)
        | dict.fromkeys(("regime", "declared_use", "look_alike", "cluster_id"), EvidenceKind.TEXT)
        | dict.fromkeys(("list_allow", "list_watch", "list_deny", "is_calibrated"), EvidenceKind.BOOLEAN)
    )


@pytest.fixture(scope="session")
def load(vocabulary: Vocabulary) -> Callable[[str], Policy]:
    """Give a function that loads a policy text under the vocabulary."""
    return lambda text: load_policy(text, origin="test.yaml", vocabulary=vocabulary)


def shipped_text(name: str) -> str:
    """Read a shipped policy."""
    return resources.files("membergate.deciding").joinpath("policies", f"{name}.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def default(load: Callable[[str], Policy]) -> Policy:
    """Load the default policy."""
    return load(shipped_text("default"))


@pytest.fixture(scope="session")
def strict(load: Callable[[str], Policy]) -> Policy:
    """Load the strict-threshold policy."""
    return load(shipped_text("strict"))


@pytest.fixture(scope="session")
def default_text() -> str:
    """Give the default policy's text, for tests that change one line of it."""
    return shipped_text("default")


@pytest.fixture(scope="session")
def witness() -> Witness:
    """Give a function that witnesses values by name, and nothing else."""
    return evidence_of


@pytest.fixture(scope="session")
def applicant() -> Witness:
    """Give a function that witnesses a household of a year, twenty orders and no oddity, with changes by name."""

    def witnessed(**changes: EvidenceValue | Absence) -> dict[str, Evidence]:
        said: dict[str, EvidenceValue | Absence] = {
            "merchant_probability": 0.003,
            "uncalibrated_probability": 0.05,
            "probability_low": 0.001,
            "probability_high": 0.01,
            "is_calibrated": True,
            "risk_score": 0.1,
            "evidence_mass": 20.0,
            "history_days": 365.0,
            "operator_holders": 0.0,
            "detector_disagreement": 0.1,
            "cluster_merchant_share": 0.02,
            "company_invoice_ratio": 0.0,
            "declared_use": "personal",
            "regime": "ordinary",
            "list_allow": False,
            "list_watch": False,
            "list_deny": False,
            "a2_excess_units_ratio": 0.0,
            "a3_same_sku_same_day_max": 2.0,
            "a4_purchase_limit_hit_rate": 0.05,
            "b3_depth_over_breadth": 0.4,
            "b4_resellability_index": 0.3,
            "c6_promo_concentration": 0.2,
            "d3_benefit_share_of_gmv": 0.1,
            "d4_arbitrage_margin": -0.2,
            "d5_arbitrage_profit_90d_minor": 0.0,
            "e2_one_time_recipient_share": 0.1,
            "e4_ship_to_self_share": 0.9,
            "e5_addr_account_degree": 0.1,
            "h1_hard_component_size": 1.0,
            "h5_synchrony_score": 0.0,
            "h7_co_delivery_convergence": 0.0,
            "l2_linked_recent_applications": 0.0,
        }
        return evidence_of(**(said | changes))

    return witnessed
