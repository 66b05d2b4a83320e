"""The policies that ship: documented, and different in the way that the comparison needs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.deciding.conftest import shipped_text

from membergate.deciding.policy import Policy, decide, run_examples
from membergate.deciding.policy.conformance import check_policy
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.evidence import Evidence

Witness = Callable[..., dict[str, Evidence]]


def test_every_rule_of_the_default_policy_is_documented(default: Policy) -> None:
    """At least ten admission rules, each with a sentence of purpose and a reason code."""
    rules = [rule for rule in default.rules if rule.checkpoint is Checkpoint.ADMISSION]
    assert len(rules) >= 10
    assert all(rule.purpose.endswith(".") and rule.reason for rule in default.rules)


def test_the_strict_policy_refuses_for_any_single_threshold(strict: Policy, applicant: Witness) -> None:
    """It admits in full or refuses, and one oddity is enough."""
    assert decide(strict, Checkpoint.ADMISSION, applicant(), lottery=0.0).disposition is Disposition.ADMIT
    one_oddity = applicant(e5_addr_account_degree=2.1)
    verdict = decide(strict, Checkpoint.ADMISSION, one_oddity, lottery=0.0)
    assert (verdict.disposition, verdict.reason_codes) == (Disposition.DENY, ("CROWDED_ADDRESS",))
    assert {rule.at_least for rule in strict.rules} == {Disposition.DENY}


def test_what_the_strict_policy_refuses_in_look_alikes_the_default_admits(
    default: Policy, strict: Policy, applicant: Witness
) -> None:
    """A dorm's crowded address, a family's staples, a fan of promotions: one refuses them, the other admits."""
    look_alikes = (
        applicant(e5_addr_account_degree=2.5),
        applicant(a3_same_sku_same_day_max=24),
        applicant(c6_promo_concentration=0.6),
    )
    for evidence in look_alikes:
        assert decide(strict, Checkpoint.ADMISSION, evidence, lottery=0.0).disposition is Disposition.DENY
        assert decide(default, Checkpoint.ADMISSION, evidence, lottery=0.0).disposition is Disposition.ADMIT


@pytest.fixture(scope="module")
def library(load: Callable[[str], Policy]) -> Policy:
    """Load the library of rules."""
    return load(shipped_text("library"))


def test_the_library_documents_every_rule(library: Policy) -> None:
    """At least 25 rules, each with a purpose, whom it may hit, a reason of its own, and a guard for the vouched."""
    assert len(library.rules) >= 25
    assert all(rule.purpose.endswith(".") and rule.false_positives.endswith(".") for rule in library.rules)
    assert len({rule.reason for rule in library.rules}) == len(library.rules)
    assert all(rule.unless is not None and "list_allow" in rule.unless.reads for rule in library.rules)


def test_every_rule_of_the_library_has_an_example_that_it_hits_and_one_that_it_spares(library: Policy) -> None:
    """All examples hold, and the sparing one differs from the hitting one only in what spares."""
    assert [outcome for outcome in run_examples(library) if not outcome.holds] == []
    examples = {example.example_id: example for example in library.examples}
    for rule in library.rules:
        assert examples[rule.rule_id].hits == (rule.rule_id,)
        spared = examples[f"{rule.rule_id}-spares"]
        verdict = decide(library, rule.checkpoint, spared.evidence, lottery=1.0)
        assert dict(verdict.rule_outcomes)[rule.rule_id] == "miss"


def test_the_library_conforms(library: Policy) -> None:
    """Total, deterministic, indifferent to order, never softened by absence."""
    check_policy(library)
