"""The declared rules: every one has a reason, and no lent thing links alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from membergate.domain.errors import BadInputError
from membergate.learning.identity import DEFAULT_RULES, Facet, Habit, LinkKind, LinkRule, LinkRules, Source


def test_every_kind_has_one_rule_with_a_reason() -> None:
    """Whoever reads the rules learns why each weight and cap is what it is."""
    assert [rule.kind for rule in DEFAULT_RULES.every] == list(LinkKind)
    assert all(len(rule.reason) > 20 for rule in DEFAULT_RULES.every)
    for rule in DEFAULT_RULES.rules:
        assert all(len(cap.reason) > 20 for cap in rule.address_caps)


def test_nothing_that_can_be_lent_links_alone() -> None:
    """A card, a borrowed device or a delivery never reaches the threshold by itself; a registration or a habit does."""
    for rule in DEFAULT_RULES.rules:
        links_alone = rule.weight >= DEFAULT_RULES.threshold
        assert links_alone == (rule.facet is Facet.REGISTRATION or rule.habit is not None)


def test_a_roof_never_counts_as_an_address() -> None:
    """A home, dorm, office, school, pickup point, locker or forwarder is no evidence at all, not even in support."""
    (address,) = (rule for rule in DEFAULT_RULES.rules if rule.kind is LinkKind.ADDRESS)
    assert address.cap == 0
    assert {cap.address_kind for cap in address.address_caps} == {"warehouse", "shop"}


def rule(kind: LinkKind, weight: int = 100) -> LinkRule:
    """Make a rule on account phones."""
    return LinkRule(kind, Facet.REGISTRATION, weight, 5, (Source("accounts", "phone_tok"),), "for a test")


BOUND = Source("orders", "address_id", address_column="address_id")


@pytest.mark.parametrize(
    ("rules", "threshold"),
    [
        ((), 100),
        ((rule(LinkKind.PHONE), rule(LinkKind.PHONE)), 100),
        ((rule(LinkKind.PHONE, weight=0),), 100),
        ((rule(LinkKind.PHONE),), 0),
        ((replace(rule(LinkKind.ADDRESS), sources=(BOUND,), habit=Habit(1, 50)),), 100),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: tuple[LinkRule, ...], threshold: int) -> None:
    """No rules, two rules for a kind, points below 1, or a habit of places are errors when they are declared."""
    with pytest.raises(BadInputError):
        LinkRules(rules, threshold)
