"""The declared rules: every one has a reason, and no lent thing links alone."""

from __future__ import annotations

import pytest

from membergate.domain.errors import BadInputError
from membergate.learning.identity import DEFAULT_RULES, Facet, LinkKind, LinkRule, LinkRules, Source


def test_every_kind_has_one_rule_with_a_reason() -> None:
    """Whoever reads the rules learns why each weight and cap is what it is."""
    assert [rule.kind for rule in DEFAULT_RULES.rules] == list(LinkKind)
    for rule in DEFAULT_RULES.rules:
        assert len(rule.reason) > 20
        assert all(len(cap.reason) > 20 for cap in rule.address_caps)


def test_only_what_was_registered_links_alone() -> None:
    """A card, a device or a delivery can be lent, so none of these facets reaches the threshold by itself."""
    alone = {rule.facet for rule in DEFAULT_RULES.rules if rule.weight >= DEFAULT_RULES.threshold}
    assert alone == {Facet.REGISTRATION}


def test_public_places_never_count_as_an_address() -> None:
    """A dorm, office, school, pickup point, locker or forwarder is no evidence at all, not even in support."""
    (address,) = (rule for rule in DEFAULT_RULES.rules if rule.kind is LinkKind.ADDRESS)
    caps = {cap.address_kind: cap.cap for cap in address.address_caps}
    for kind in ("dorm", "office", "school", "pickup", "locker", "forwarder"):
        assert caps[kind] == 0


def rule(kind: LinkKind, weight: int = 100) -> LinkRule:
    """Make a rule on account phones."""
    return LinkRule(kind, Facet.REGISTRATION, weight, 5, (Source("accounts", "phone_tok"),), "for a test")


@pytest.mark.parametrize(
    ("rules", "threshold"),
    [
        ((), 100),
        ((rule(LinkKind.PHONE), rule(LinkKind.PHONE)), 100),
        ((rule(LinkKind.PHONE, weight=0),), 100),
        ((rule(LinkKind.PHONE),), 0),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: tuple[LinkRule, ...], threshold: int) -> None:
    """No rules, two rules for a kind, or points below 1 are an error when they are declared, not when they are used."""
    with pytest.raises(BadInputError):
        LinkRules(rules, threshold)
