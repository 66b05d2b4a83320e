"""Loading a policy: what is checked, and how errors point at the place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from membergate.deciding.policy import Policy, load_policy
from membergate.domain.disposition import Checkpoint
from membergate.domain.errors import PolicyError

Load = Callable[[str], Policy]
HEAD = 'name: small\nversion: "1.0"\ndescription: d\n'
RULE = HEAD + "rules:\n  - id: r\n    purpose: p\n"


def test_the_smallest_policy_admits_everyone(load: Load) -> None:
    """Name, version and description are all that a policy must have."""
    policy = load(HEAD)
    assert (policy.name, policy.version, policy.reads, policy.operator_cap) == ("small", "1.0", (), None)


def test_a_policy_is_effective_from_its_start_up_to_its_end(load: Load) -> None:
    """The start counts and the end does not; without a zone, UTC."""
    policy = load(HEAD + "effective_from: 2025-11-01\neffective_until: 2025-11-12T00:00:00+08:00\n")
    assert policy.effective_until == datetime(2025, 11, 11, 16, tzinfo=UTC)
    assert not policy.is_effective(datetime(2025, 10, 31, 23, 59, tzinfo=UTC))
    assert policy.is_effective(datetime(2025, 11, 1, tzinfo=UTC))
    assert not policy.is_effective(datetime(2025, 11, 11, 16, tzinfo=UTC))


def test_the_digest_is_of_the_text(load: Load) -> None:
    """Equal texts have equal digests, any other text another."""
    assert load(HEAD).digest == load(HEAD).digest != load(HEAD + "# changed\n").digest


def test_reads_are_kept_by_checkpoint(load: Load) -> None:
    """A rule at an order does not make the admission read its evidence."""
    policy = load(RULE + "    checkpoint: order\n    when: list_deny\n    at_least: hold_order\n")
    assert policy.reads_at[Checkpoint.ORDER] == ("list_deny",)
    assert policy.reads_at[Checkpoint.ADMISSION] == ()


@pytest.mark.parametrize(
    ("text", "what", "place"),
    [
        ("", "the policy is empty", "test.yaml"),
        ("- a\n", "Expected `object`, got `array`", "line 1, column 1"),
        ("name: [\n", "this is no YAML", "line 2"),
        ("name: &a x\nversion: *a\n", "no anchors or aliases", "line 1, column 7"),
        (HEAD + "name: again\n", "name stands twice", "line 4, column 1"),
        (HEAD + "rule: []\n", "there is no setting named rule here", "line 4, column 1"),
        ("name: small\nversion: 1.0\ndescription: d\n", "Expected `str`, got `float`", "line 2, column 10"),
        (HEAD + "refusal: never\n", "Invalid enum value 'never'", "line 4, column 10"),
        (HEAD + "effective_from: 2025-11-02\neffective_until: 2025-11-01\n", "end before it begins", "line 5"),
        (HEAD + "effective_from: 0001-01-01T00:00:00+14:00\n", "outside the calendar", ""),
        (HEAD + "effective_from: 2025-13-45\n", "cannot read this value", "line 4, column 17"),
        (HEAD + "operator_cap: {accounts: .inf, at_least: deny}\n", "not finite", "line 4, column 26"),
        (HEAD + "operator_cap: {accounts: 0, at_least: deny}\n", "Expected `int` >= 1", "line 4, column 26"),
        (HEAD + "operator_cap: {accounts: 5, at_least: trial}\n", "does not belong", "line 4, column 39"),
        (HEAD + "caps:\n  trial: {units_per_sku: 2}\n", "come together", "line 5, column 10"),
        (HEAD + "caps:\n  deny: {orders_per_day: 2}\n", "no setting named deny", "line 5, column 3"),
        (RULE + "    when: list_deny\n", "rule r has no effect", "line 5, column 5"),
        (RULE + "    when: list_deny\n    at_least: hold_order\n", "does not belong at the admission", "line 8"),
        (RULE + "    when: list_deny\n    at_least: deny\n    reason: lower\n", "Expected `str` matching", "line 9"),
        (
            RULE + "    when: list_deny\n    at_least: deny\n    caps: {orders_per_day: 1}\n",
            "its disposition carries none",
            "line 9, column 11",
        ),
        (
            RULE + "    when: list_deny\n    tag: t\n  - id: r\n    purpose: p\n    when: list_deny\n    tag: t\n",
            "r stands twice",
            "line 9, column 9",
        ),
        (RULE + "    when: list_dany\n    tag: t\n", "there is no evidence named list_dany", "line 7, column 11"),
        (RULE + "    when: 'list_deny and lisst'\n    tag: t\n", "no evidence named lisst", "line 7, column 26"),
        (
            RULE + "    when: |\n      list_deny\n      and lisst\n    tag: t\n",
            "no evidence named lisst",
            "line 9, column 11",
        ),
        (
            RULE + "    when: >-\n      list_deny\n      and lisst\n    tag: t\n",
            "no evidence named lisst",
            "line 9, column 11",
        ),
        (RULE + "    when: list_deny\n      and lisst\n    tag: t\n", "no evidence named lisst", "line 8, column 11"),
        (
            HEAD + "counterfactuals:\n  - {evidence: regime, scale: 1, step: 1, lowest: 0, highest: 1}\n",
            "regime is a text, a number is needed here",
            "line 5, column 16",
        ),
        (
            HEAD + "counterfactuals:\n  - {evidence: risk_score, scale: 1, step: 1, lowest: 2, highest: 1}\n",
            "make no range",
            "line 5, column 5",
        ),
        (
            HEAD + "exploration:\n  explored: [deny]\n  minimum_propensity: 0.02\n  strata:\n"
            "    - {risk_score_at_most: 0.5, propensity: 0.1}\n",
            "the last must reach 1",
            "line 8, column 5",
        ),
        (
            HEAD + "exploration:\n  explored: [admit]\n  minimum_propensity: 0.02\n  strata:\n"
            "    - {risk_score_at_most: 1, propensity: 0.1}\n",
            "admit does not belong at the admission checkpoint above trial",
            "line 5, column 14",
        ),
    ],
)
def test_errors_point_at_line_and_column(load: Load, text: str, what: str, place: str) -> None:
    """Every error says what is wrong and where, as an editor counts."""
    with pytest.raises(PolicyError) as caught:
        load(text)
    assert what in caught.value.what
    assert place in caught.value.where


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("genuine_value_minor: 42000 ", "genuine_value: 42000 "),
        ("at_least: review\n    reason: COORDINATED_BUYING", "at_least: revue\n    reason: COORDINATED_BUYING"),
    ],
)
def test_the_nearest_setting_or_choice_is_named(load: Load, default_text: str, change: str, expected: str) -> None:
    """A misspelt key or choice is answered with what was probably meant, and with all that is allowed."""
    assert change in default_text
    with pytest.raises(PolicyError) as caught:
        load(default_text.replace(change, expected))
    assert "did you mean" in caught.value.next_step
    assert caught.value.allowed


def test_machinery_whose_witness_does_not_exist_is_an_error(default_text: str) -> None:
    """A policy that weighs probabilities cannot load where no model's evidence is known."""
    with pytest.raises(PolicyError, match="there is no evidence named"):
        load_policy(default_text, origin="default.yaml", vocabulary={})


def test_a_policy_that_is_too_large_or_too_deep_is_refused(load: Load) -> None:
    """Size, depth and the number of values are bounded before anything is built."""
    for text in (HEAD + "#" * 300_000, HEAD + "rules: " + "[" * 5000, HEAD + "rules: [" + "1, " * 20_000 + "1]"):
        with pytest.raises(PolicyError):
            load(text)
