"""Examples: a policy is asked what its author expects of it, and says where it answers otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from membergate.deciding.policy.policy import Example, Policy
from membergate.deciding.policy.verdicts import decide
from membergate.domain.decision import RuleOutcome, Verdict

_UNLUCKY = 1.0
"""A draw that the exploration lane never takes."""


@dataclass(frozen=True, slots=True)
class ExampleOutcome:
    """What a policy answered to one of its examples.

    Parameters
    ----------
    example
        The example.
    verdict
        The answer.
    complaints
        What was expected and is not so; none where the example holds.
    """

    example: Example
    verdict: Verdict
    complaints: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the answer is the expected one."""
        return not self.complaints


def run_examples(policy: Policy) -> tuple[ExampleOutcome, ...]:
    """Ask a policy every example that it carries, in its order."""
    return tuple(_outcome(policy, example) for example in policy.examples)


def _outcome(policy: Policy, example: Example) -> ExampleOutcome:
    verdict = decide(policy.at(example.at), example.checkpoint, example.evidence, lottery=_UNLUCKY)
    outcomes = dict(verdict.rule_outcomes)
    complaints = []
    if verdict.disposition is not example.expects:
        complaints.append(f"expected {example.expects}, decided {verdict.disposition}")
    given = ", ".join(verdict.reason_codes) or "none"
    complaints += [f"no reason {code} among: {given}" for code in example.reasons if code not in verdict.reason_codes]
    complaints += [
        f"rule {rule_id} did not hit: {outcomes[rule_id]}"
        for rule_id in example.hits
        if outcomes[rule_id] is not RuleOutcome.HIT
    ]
    return ExampleOutcome(example, verdict, tuple(complaints))
