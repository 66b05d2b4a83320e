"""Properties of policies: total, deterministic, three-valued as SQL says, and never softened by what is missing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from random import Random

import duckdb
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from tests.property.fuzz_policy import fuzz

from membergate.deciding.policy import Policy, counterfactual, decide, load_policy, witnesses
from membergate.deciding.policy.condition import compile_condition
from membergate.deciding.policy.conformance import boundary_values, check_policy
from membergate.deciding.policy.operators import Fact
from membergate.deciding.policy.replay import to_duckdb
from membergate.deciding.policy.source import Passage
from membergate.deciding.policy.verdicts import read_facts
from membergate.domain.decision import RuleOutcome
from membergate.domain.disposition import LADDERS, Checkpoint, Disposition, severity
from membergate.domain.errors import PolicyError
from membergate.domain.evidence import Absence, Evidence, EvidenceKind, EvidenceValue

AT = datetime(2025, 11, 1, tzinfo=UTC)
TEXTS = {"cluster_id", "declared_use", "regime", "look_alike"}
FLAGS = {"list_allow", "list_watch", "list_deny", "is_calibrated"}
NUMBERS = {
    *witnesses.SCORES,
    "risk_score",
    "evidence_mass",
    "history_days",
    "operator_holders",
    "detector_disagreement",
    "cluster_merchant_share",
    "company_invoice_ratio",
    "a2_excess_units_ratio",
    "a3_same_sku_same_day_max",
    "a4_purchase_limit_hit_rate",
    "b3_depth_over_breadth",
    "b4_resellability_index",
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
}
VOCABULARY = (
    dict.fromkeys(NUMBERS, EvidenceKind.NUMBER)
    | dict.fromkeys(TEXTS, EvidenceKind.TEXT)
    | dict.fromkeys(FLAGS, EvidenceKind.BOOLEAN)
)


def shipped(name: str) -> Policy:
    """Load a shipped policy."""
    text = resources.files("membergate.deciding").joinpath("policies", f"{name}.yaml").read_text(encoding="utf-8")
    return load_policy(text, origin=f"{name}.yaml", vocabulary=VOCABULARY)


DEFAULT, STRICT = shipped("default"), shipped("strict")
TURNS = {(policy.name, name): boundary_values(policy, name) for policy in (DEFAULT, STRICT) for name in policy.reads}
CASE_VALUES = {
    name: [*(2 * TURNS.get(("default", name), TURNS.get(("strict", name), ()))), *Absence, None]
    for name in sorted({name for _, name in TURNS})
}
POLICIES = st.sampled_from([DEFAULT, STRICT])
CHECKPOINTS = st.sampled_from(list(Checkpoint))
LOTTERIES = st.floats(0, 1, exclude_max=True)


def witnessed(name: str, value: EvidenceValue | Absence) -> Evidence:
    """Witness one value."""
    return Evidence(name, value, "test", AT)


def cases() -> st.SearchStrategy[dict[str, Evidence]]:
    """Draw evidence around the places where the shipped policies turn; some absent, some not there at all."""
    return st.fixed_dictionaries({name: st.sampled_from(values) for name, values in CASE_VALUES.items()}).map(
        lambda drawn: {name: witnessed(name, value) for name, value in drawn.items() if value is not None}
    )


# --- verdicts --------------------------------------------------------------------------------------------


@given(
    POLICIES,
    CHECKPOINTS,
    st.dictionaries(
        st.sampled_from(sorted(VOCABULARY)),
        st.one_of(
            st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(Absence), st.just(10**400)
        ),
    ),
    LOTTERIES,
)
def test_deciding_is_total_and_deterministic_and_stays_on_the_ladder(
    policy: Policy, checkpoint: Checkpoint, values: dict[str, EvidenceValue | Absence], lottery: float
) -> None:
    """Whatever the witnesses say, even nonsense, there is one verdict, the same twice, on the checkpoint's ladder."""
    evidence = {name: witnessed(name, value) for name, value in values.items()}
    verdict = decide(policy, checkpoint, evidence, lottery=lottery)
    assert verdict == decide(policy, checkpoint, dict(reversed(evidence.items())), lottery=lottery)
    assert verdict.disposition in LADDERS[checkpoint]
    assert len(set(verdict.reason_codes)) == len(verdict.reason_codes)


@given(POLICIES, CHECKPOINTS, cases(), LOTTERIES, st.randoms(use_true_random=False))
def test_rule_order_decides_nothing(
    policy: Policy, checkpoint: Checkpoint, evidence: dict[str, Evidence], lottery: float, random: Random
) -> None:
    """Rules in another order give the same disposition, caps, reasons and propensity."""
    rules = list(policy.rules)
    random.shuffle(rules)
    verdict = decide(policy, checkpoint, evidence, lottery=lottery)
    shuffled = decide(replace(policy, rules=tuple(rules)), checkpoint, evidence, lottery=lottery)
    assert replace(shuffled, rule_outcomes=()) == replace(verdict, rule_outcomes=())
    assert sorted(shuffled.rule_outcomes) == sorted(verdict.rule_outcomes)


@given(POLICIES, CHECKPOINTS, cases(), st.data())
def test_missing_evidence_never_softens(
    policy: Policy, checkpoint: Checkpoint, evidence: dict[str, Evidence], data: st.DataObject
) -> None:
    """Whoever hides a witness is never better off than with the best thing that the witness could have said."""
    names = policy.reads_at[checkpoint]
    if not names:
        return
    name = data.draw(st.sampled_from(names))
    absence = data.draw(st.sampled_from([None, *Absence]))
    hidden = {key: value for key, value in evidence.items() if key != name}
    if absence is not None:
        hidden[name] = witnessed(name, absence)
    said = [
        decide(policy, checkpoint, {**evidence, name: witnessed(name, value)}, lottery=0.999)
        for value in TURNS[policy.name, name]
    ]
    unsaid = decide(policy, checkpoint, hidden, lottery=0.999)
    assert severity(unsaid.disposition, checkpoint) >= min(
        severity(verdict.disposition, checkpoint) for verdict in said
    )


@given(cases(), LOTTERIES, st.data())
def test_a_failed_source_never_leads_to_full_admission(
    evidence: dict[str, Evidence], lottery: float, data: st.DataObject
) -> None:
    """With any read witness at fault the verdict is degraded and at least a trial."""
    name = data.draw(st.sampled_from(DEFAULT.reads_at[Checkpoint.ADMISSION]))
    evidence[name] = witnessed(name, Absence.SOURCE_FAILED)
    verdict = decide(DEFAULT, Checkpoint.ADMISSION, evidence, lottery=lottery)
    assert verdict.degraded
    assert severity(verdict.disposition, Checkpoint.ADMISSION) >= severity(Disposition.TRIAL, Checkpoint.ADMISSION)


@given(POLICIES, CHECKPOINTS, cases(), st.data())
def test_one_more_hit_never_softens(
    policy: Policy, checkpoint: Checkpoint, evidence: dict[str, Evidence], data: st.DataObject
) -> None:
    """A rule that hits raises the disposition or leaves it."""
    template = data.draw(st.sampled_from([rule for rule in DEFAULT.rules if rule.at_least is not None]))
    always = compile_condition(Passage.of("true", "test"), VOCABULARY)
    asks = data.draw(st.sampled_from(LADDERS[checkpoint]))
    rule = replace(template, rule_id="extra", checkpoint=checkpoint, when=always, unless=None, at_least=asks, caps=None)
    before = decide(policy, checkpoint, evidence, lottery=0.999)
    after = decide(replace(policy, rules=(*policy.rules, rule)), checkpoint, evidence, lottery=0.999)
    assert severity(after.disposition, checkpoint) >= severity(before.disposition, checkpoint)
    assert ("extra", RuleOutcome.HIT) in after.rule_outcomes


@given(POLICIES, CHECKPOINTS, cases(), LOTTERIES)
def test_a_deny_entry_never_softens(
    policy: Policy, checkpoint: Checkpoint, evidence: dict[str, Evidence], lottery: float
) -> None:
    """A subject that is found on the deny list is answered at least as strictly as when it was on none."""
    clean = evidence | {name: witnessed(name, value=False) for name in ("list_allow", "list_watch", "list_deny")}
    listed = clean | {"list_deny": witnessed("list_deny", value=True)}
    before, after = (decide(policy, checkpoint, said, lottery=0.999) for said in (clean, listed))
    assert severity(after.disposition, checkpoint) >= severity(before.disposition, checkpoint)
    lucky = decide(policy, checkpoint, listed, lottery=lottery)
    assert lucky.explore or lucky.disposition is after.disposition


@given(cases(), LOTTERIES)
def test_a_counterfactual_holds_when_asked(evidence: dict[str, Evidence], lottery: float) -> None:
    """Deciding again with the needed value gives the milder disposition that the counterfactual promised."""
    verdict = decide(DEFAULT, Checkpoint.ADMISSION, evidence, lottery=lottery)
    found = counterfactual(DEFAULT, Checkpoint.ADMISSION, evidence, verdict, lottery=lottery)
    if found is None:
        return
    moved = {**evidence, found.evidence: witnessed(found.evidence, found.needed)}
    again = decide(DEFAULT, Checkpoint.ADMISSION, moved, lottery=lottery)
    assert again.disposition is found.disposition
    assert severity(again.disposition, Checkpoint.ADMISSION) < severity(verdict.disposition, Checkpoint.ADMISSION)


@pytest.mark.parametrize("policy", [DEFAULT, STRICT], ids=lambda policy: policy.name)
def test_shipped_policies_conform(policy: Policy) -> None:
    """The public checker finds nothing."""
    check_policy(policy)


# --- conditions ------------------------------------------------------------------------------------------

SMALL = {"a": EvidenceKind.NUMBER, "b": EvidenceKind.NUMBER, "s": EvidenceKind.TEXT, "t": EvidenceKind.TEXT}
SMALL |= {"f": EvidenceKind.BOOLEAN, "g": EvidenceKind.BOOLEAN}
NUMBER_VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.1, 0.5, 3.0, 1e308, -1e308, 5e-324]), st.floats(-10, 10)
)
TEXT_VALUES = st.sampled_from(["", "x", "y", "it's", "ü"])


def literal(text: str) -> str:
    """Write a text literal."""
    return "'" + text.replace("'", "''") + "'"


number_texts: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["a", "b", "a", "b"]),
        st.sampled_from(["0", "1", "0.5", "3", "1e308", "-2", ".25"]),
        st.builds("({} {} {})".format, number_texts, st.sampled_from("+-*/"), number_texts),
        st.builds("abs({})".format, number_texts),
        st.builds("-({})".format, number_texts),
        st.builds("{}({}, {})".format, st.sampled_from(["least", "greatest", "coalesce"]), number_texts, number_texts),
    )
)
condition_texts: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["f", "g", "true", "f = g", "f is true", "g is not false", "s is null", "a is not null"]),
        st.builds(
            "{} {} {}".format, number_texts, st.sampled_from(["=", "<>", "<", "<=", ">", ">=", "!="]), number_texts
        ),
        st.builds("({} between {} and {})".format, number_texts, number_texts, number_texts),
        st.builds("{} {} {}".format, st.sampled_from("st"), st.sampled_from(["=", "<>"]), TEXT_VALUES.map(literal)),
        st.builds("s {} (t, 'x')".replace("(t, ", "(").format, st.sampled_from(["in", "not in"])),
        st.just("a in (0, 1, -1, 0.5)"),
        st.just("coalesce(s, t, 'y') = 'y'"),
        st.builds("not {}".format, condition_texts.map("({})".format)),
        st.builds("({} {} {})".format, condition_texts, st.sampled_from(["and", "or"]), condition_texts),
    )
)
FACTS = st.fixed_dictionaries(
    {
        "a": st.none() | NUMBER_VALUES,
        "b": st.none() | NUMBER_VALUES,
        "s": st.none() | TEXT_VALUES,
        "t": st.none() | TEXT_VALUES,
        "f": st.none() | st.booleans(),
        "g": st.none() | st.booleans(),
    }
)


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    """Open an empty database in memory."""
    return duckdb.connect()


@settings(max_examples=60, deadline=None)
@given(text=condition_texts.filter(lambda text: len(text) < 300), rows=st.lists(FACTS, min_size=1, max_size=4))
def test_closures_agree_with_duckdb(
    database: duckdb.DuckDBPyConnection, text: str, rows: list[dict[str, Fact]]
) -> None:
    """A condition means the same to the door and to a replay, unknown included."""
    condition = compile_condition(Passage.of(text, "test"), SMALL)
    values = ", ".join(["(?::double, ?::double, ?::varchar, ?::varchar, ?::boolean, ?::boolean)"] * len(rows))
    query = f"select {condition.sql} from (values {values}) as facts({', '.join(SMALL)})"
    answers = database.execute(query, [row[name] for row in rows for name in SMALL]).fetchall()
    assert [answer for (answer,) in answers] == [condition.ask(row) for row in rows]


@settings(max_examples=20, deadline=None)
@given(cases())
def test_the_replay_query_agrees_with_the_verdict(
    database: duckdb.DuckDBPyConnection, evidence: dict[str, Evidence]
) -> None:
    """Every rule of the default policy has the outcome in DuckDB that it has at the door."""
    known = {name: item for name, item in evidence.items() if item.value is not Absence.SOURCE_FAILED}
    names = DEFAULT.reads_at[Checkpoint.ADMISSION]
    facts, failed = read_facts(names, DEFAULT.kinds, known)
    assert not failed
    types = {EvidenceKind.NUMBER: "double", EvidenceKind.TEXT: "varchar", EvidenceKind.BOOLEAN: "boolean"}
    columns = ", ".join(f'?::{types[DEFAULT.kinds[name]]} as "{name}"' for name in names)
    database.execute(f"create or replace temp table evidence as select {columns}", [facts.get(name) for name in names])
    row = database.execute(to_duckdb(DEFAULT, Checkpoint.ADMISSION, "evidence")).fetchall()[0]
    verdict = decide(DEFAULT, Checkpoint.ADMISSION, known, lottery=0.5)
    assert row[len(names) :] == tuple(outcome.value for _, outcome in verdict.rule_outcomes)


# --- the parsers -----------------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(
        ["a", "b", "s", "f", "1", "0.5", "'x'", "(", ")", ",", "abs", "least", "coalesce", "1e999", "x'1f'"]
    ),
    st.sampled_from(["and", "or", "not", "in", "between", "is", "null", "true", "case", "select", "list", "interval"]),
    st.sampled_from([*'<=+-*/[]{}?`@%^|&~#;.\\"', "<=", "::", "--", "/*", "*/", "$1", "->", "lambda", "date", ".."]),
)


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=25).map(" ".join)))
def test_any_condition_compiles_or_is_a_policy_error(text: str) -> None:
    """No text gets anything out of the condition compiler but a condition or a pointed error."""
    with suppress(PolicyError):
        assert compile_condition(Passage.of(text, "test"), SMALL).ask({}) in {True, False, None}


FRAGMENTS = st.sampled_from(
    [
        *"abc:-\n\t #'\"[]{}&*!|>%@`,?",
        "\n- ",
        "name: x\n",
        'version: "1"\n',
        "rules:\n",
        "  - id: r\n    when: ",
        "<<: *a\n",
        "!!python/object:os.system ",
        "2025-99-99",
        "0o9 ",
        "---\n",
        ".nan",
        "1e400",
        "? a\n: b\n",
        "description: d\n",
        "0x",
        "1:99",
        "\ufeff",
        "\x00",
    ]
)


@given(st.one_of(st.text(max_size=100), st.lists(FRAGMENTS, max_size=30).map("".join)))
def test_any_text_is_a_policy_or_a_policy_error(text: str) -> None:
    """No text gets anything out of the loader but a policy or a policy error."""
    with suppress(PolicyError):
        load_policy(text, origin="fuzz.yaml", vocabulary=SMALL)


def test_the_parsers_survive_a_fuzz() -> None:
    """Some thousand random and damaged inputs: each accepted or refused in time. More: `fuzz_policy.py 1000000`."""
    counts = fuzz(3_000, seed=1)
    assert counts["accepted"] > 0
    assert counts["refused"] > 0


DEFAULT_LINES = tuple(DEFAULT.text.split("\n"))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, len(DEFAULT_LINES) - 1), st.text(max_size=8), st.integers(0, 60))
def test_a_damaged_policy_loads_or_is_a_policy_error(line: int, inserted: str, column: int) -> None:
    """The default policy with one place damaged never raises anything else."""
    damaged = list(DEFAULT_LINES)
    damaged[line] = damaged[line][:column] + inserted + damaged[line][column + len(inserted) :]
    with suppress(PolicyError):
        load_policy("\n".join(damaged), origin="damaged.yaml", vocabulary=VOCABULARY)
