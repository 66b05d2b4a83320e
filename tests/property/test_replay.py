"""The replay's query and the door's closures give one answer, whatever the policy and the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import duckdb
import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given, settings

from membergate.deciding.policy import Policy, Refusal, decide
from membergate.deciding.policy.conformance import boundary_values
from membergate.deciding.policy.economics import Economics
from membergate.deciding.policy.policy import OperatorCap
from membergate.deciding.policy.replay import verdicts_to_duckdb
from membergate.deciding.policy.verdicts import read_facts
from membergate.domain.disposition import LADDERS, Checkpoint, Disposition, severity
from membergate.domain.evidence import Absence, Evidence, EvidenceKind, EvidenceValue
from membergate.operations.policies import SHIPPED, shipped_policy

AT = datetime(2025, 11, 1, tzinfo=UTC)
ROWS = 300
POLICIES = {name: shipped_policy(name) for name in SHIPPED}
VALUES = {(name, read): boundary_values(policy, read) for name, policy in POLICIES.items() for read in policy.reads}
TYPES = {EvidenceKind.NUMBER: pa.float64(), EvidenceKind.TEXT: pa.string(), EvidenceKind.BOOLEAN: pa.bool_()}


@st.composite
def policies(draw: st.DrawFn) -> tuple[str, Policy]:
    """Draw a shipped policy with other economics, cap, refusal, and a share of its rules with other effects."""
    name = draw(st.sampled_from(SHIPPED))
    policy = POLICIES[name]
    rules = []
    for rule in policy.rules:
        if draw(st.booleans()):
            asks = draw(st.sampled_from(LADDERS[rule.checkpoint]))
            backed, explorable = draw(st.booleans()), draw(st.booleans())
            rules.append(replace(rule, at_least=asks, caps=None, is_backed_by_person=backed, is_explorable=explorable))
    return name, replace(
        policy,
        rules=tuple(rules),
        economics=policy.economics and economics(draw, policy.economics),
        refusal=draw(st.sampled_from(Refusal)),
        operator_holder_cap=policy.operator_holder_cap
        and OperatorCap(draw(st.integers(1, 6)), draw(st.sampled_from([Disposition.REVIEW, Disposition.DENY]))),
    )


def economics(draw: st.DrawFn, given: Economics) -> Economics:
    """Draw other figures."""
    money, ratio = st.floats(1, 1e6), st.floats(0, 1)
    return replace(
        given,
        genuine_value_minor=draw(money),
        merchant_loss_minor=draw(money),
        wrong_denial_harm_ratio=draw(ratio),
        trial=replace(given.trial, value_kept_ratio=draw(ratio), loss_kept_ratio=draw(ratio)),
        review=replace(given.review, sensitivity=draw(ratio), queue_price_minor=draw(st.floats(0, 5e3))),
    )


def evidence_of(name: str, reads: tuple[str, ...], random: Random) -> dict[str, Evidence]:
    """Draw evidence around the places where the policy turns; some absent, a few at fault."""
    said: dict[str, EvidenceValue | Absence] = {}
    for read in reads:
        luck = random.random()
        if luck > 0.1:
            said[read] = Absence.SOURCE_FAILED if luck > 0.998 else random.choice(VALUES[name, read])
    return {read: Evidence(read, value, "test", AT) for read, value in said.items()}


def relation(policy: Policy, reads: tuple[str, ...], rows: Sequence[tuple[Mapping[str, Evidence], float]]) -> pa.Table:
    """Lay evidence out as the query takes it."""
    laid = []
    for evidence, lottery in rows:
        facts, failed = read_facts(reads, policy.kinds, evidence)
        laid.append({name: facts.get(name) for name in reads} | {"lottery": lottery, "failed": sorted(failed)})
    fields = [(name, TYPES[policy.kinds[name]]) for name in reads]
    fields += [("lottery", pa.float64()), ("failed", pa.list_(pa.string()))]
    return pa.Table.from_pylist(laid, schema=pa.schema(fields))


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    """Open an empty database in memory."""
    return duckdb.connect()


@settings(max_examples=15, deadline=None)
@given(policies(), st.sampled_from(Checkpoint), st.integers(0, 2**32))
def test_the_query_decides_as_the_door_does(
    database: duckdb.DuckDBPyConnection, drawn: tuple[str, Policy], checkpoint: Checkpoint, seed: int
) -> None:
    """The same rung and the same luck for every row, on random policies and evidence around their turning points."""
    (name, policy), random = drawn, Random(seed)  # noqa: S311 (cases, not secrets)
    reads = policy.reads_at[checkpoint]
    rows = [(evidence_of(name, reads, random), random.random() * 0.2) for _ in range(ROWS)]
    database.register("evidence", relation(policy, reads, rows))
    query = f"select rung, is_explored from ({verdicts_to_duckdb(policy, checkpoint, 'evidence')})"
    answered = database.execute(query).fetchall()
    database.unregister("evidence")
    verdicts = [decide(policy, checkpoint, evidence, lottery=lottery) for evidence, lottery in rows]
    assert answered == [(severity(v.disposition, checkpoint), v.explore) for v in verdicts]
