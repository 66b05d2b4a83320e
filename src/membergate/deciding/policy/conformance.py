"""Conformance: the promises that every policy must keep, checked on cases around the places where it turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

from membergate.deciding.policy import witnesses
from membergate.deciding.policy.economics import Stakes
from membergate.deciding.policy.policy import Policy
from membergate.deciding.policy.turning import turning_values
from membergate.deciding.policy.verdicts import decide
from membergate.domain.disposition import LADDERS, Checkpoint, severity
from membergate.domain.evidence import Absence, Evidence, EvidenceKind, EvidenceValue

_AT = datetime(2000, 1, 1, tzinfo=UTC)
_UNLUCKY = 1.0
"""A draw that the exploration lane never takes: luck is no softening."""
_HIDDEN = 3
"""Witnesses that are hidden in each case, one after the other; every case hides others."""
_EXTREMES = (-1e9, 0.0, 0.5, 1.0, 1e9)


def check_policy(policy: Policy, *, cases: int = 50, seed: int = 0) -> None:
    """Check that a policy is total, deterministic, indifferent to rule order, and never softened by missing evidence.

    Parameters
    ----------
    policy
        The policy.
    cases
        Cases drawn for each checkpoint, at least 1.
    seed
        Seed of the draws.

    Raises
    ------
    AssertionError
        If a promise is broken, with the case that breaks it.
    """
    random = Random(seed)  # noqa: S311 (cases, not secrets)
    for checkpoint in Checkpoint:
        values = {name: boundary_values(policy, name) for name in policy.reads_at[checkpoint]}
        for _ in range(cases):
            evidence = {
                name: _witnessed(name, random.choice(options))
                for name, options in values.items()
                if random.random() < 0.9  # noqa: PLR2004 (most witnesses speak)
            }
            _check_case(policy, checkpoint, evidence, random)
            for name in random.sample(sorted(values), k=min(_HIDDEN, len(values))):
                _check_absence(policy, checkpoint, evidence, name, values[name])


def boundary_values(policy: Policy, name: str) -> tuple[EvidenceValue, ...]:
    """Give values of one evidence at, just below and just above every place where the policy turns on it.

    Parameters
    ----------
    policy
        The policy.
    name
        Evidence that it reads.

    Returns
    -------
    tuple
        In [0, 1] for probabilities and scores.
    """
    kind = policy.kinds[name]
    if kind is EvidenceKind.BOOLEAN:
        return (False, True)
    if kind is EvidenceKind.TEXT:
        compared = [condition.texts for condition in policy.conditions() if name in condition.reads]
        return tuple(sorted({"", "another"}.union(*compared)))
    blending = [condition.numbers for condition in policy.conditions() if name in condition.blended]
    points = {*_EXTREMES, *turning_values(policy, name, _all_stakes(policy))}.union(*blending)
    near = {point + step * max(1.0, abs(point)) for point in points for step in (-1e-6, 0.0, 1e-6)}
    if name in witnesses.IN_UNIT_INTERVAL:
        near = {point for point in near if 0 <= point <= 1}
    return tuple(sorted(near))


def _all_stakes(policy: Policy) -> list[Stakes]:
    """Give the economics under every segment by itself, with and without the business lane."""
    if policy.economics is None:
        return []
    factors = {(1.0, 1.0), *((segment.value_multiplier, segment.loss_multiplier) for segment in policy.segments)}
    return [Stakes(policy.economics, value, loss, offered) for value, loss in factors for offered in (False, True)]


def _check_case(policy: Policy, checkpoint: Checkpoint, evidence: Mapping[str, Evidence], random: Random) -> None:
    verdict = decide(policy, checkpoint, evidence, lottery=_UNLUCKY)
    if verdict.disposition not in LADDERS[checkpoint]:
        raise AssertionError(f"{verdict.disposition} is not on the ladder of {checkpoint}: {_told(evidence)}")
    if decide(policy, checkpoint, evidence, lottery=_UNLUCKY) != verdict:
        raise AssertionError(f"two answers to one question: {_told(evidence)}")
    rules = list(policy.rules)
    random.shuffle(rules)
    shuffled = decide(replace(policy, rules=tuple(rules)), checkpoint, evidence, lottery=_UNLUCKY)
    if replace(shuffled, rule_outcomes=()) != replace(verdict, rule_outcomes=()):
        raise AssertionError(f"the order of the rules matters: {_told(evidence)}")


def _check_absence(
    policy: Policy,
    checkpoint: Checkpoint,
    evidence: Mapping[str, Evidence],
    name: str,
    values: tuple[EvidenceValue, ...],
) -> None:
    def rung(value: EvidenceValue | Absence) -> int:
        verdict = decide(policy, checkpoint, {**evidence, name: _witnessed(name, value)}, lottery=_UNLUCKY)
        return severity(verdict.disposition, checkpoint)

    mildest = min(rung(value) for value in values)
    for absence in Absence:
        if rung(absence) < mildest:
            raise AssertionError(f"at {checkpoint}, {name} {absence} is milder than any value of it: {_told(evidence)}")


def _witnessed(name: str, value: EvidenceValue | Absence) -> Evidence:
    return Evidence(name, value, "conformance", _AT)


def _told(evidence: Mapping[str, Evidence]) -> str:
    return ", ".join(f"{name} = {item.value!r}" for name, item in sorted(evidence.items()))
