"""A decision survives every form it takes: flat record, Arrow table, Parquet file."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from membergate.domain.decision import Caps, Counterfactual, Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.errors import BadInputError, WorkspaceError
from membergate.domain.evidence import Absence, Evidence
from membergate.store import (
    decision_from_record,
    decision_to_record,
    decisions_from_table,
    decisions_to_table,
    open_store,
    read_decisions,
    write_decisions,
)
from membergate.store.codec import COLUMNS, LONGEST_ID

MakeDecision = Callable[..., Decision]

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
IDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=LONGEST_ID)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# from year 1000, the first that our instants write with four digits, to the last
INSTANTS = st.integers(-30_000_000_000_000_000, 253_000_000_000_000_000).map(
    lambda us: EPOCH + timedelta(microseconds=us)
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHARES = st.none() | st.floats(0.0, 1.0)
LIMITS = st.none() | st.integers(1, 2**31)
EVIDENCE = st.builds(
    Evidence,
    name=TEXTS,
    value=st.booleans() | st.integers(-(2**70), 2**70) | FINITE | TEXTS | st.sampled_from(Absence),
    origin=TEXTS,
    observed_at=INSTANTS,
)
DECISIONS = st.builds(
    Decision,
    decision_id=IDS,
    checkpoint=st.sampled_from(Checkpoint),
    application_id=st.none() | IDS,
    order_id=st.none() | IDS,
    account_id=IDS,
    operator_id=IDS,
    decided_at=INSTANTS,
    as_of=INSTANTS,
    disposition=st.sampled_from(Disposition),
    merchant_probability=SHARES,
    risk_score=SHARES,
    reason_codes=st.lists(TEXTS, max_size=4).map(tuple),
    evidence=st.lists(EVIDENCE, max_size=5).map(tuple),
    counterfactual=st.none() | st.builds(Counterfactual, TEXTS, FINITE, FINITE, st.sampled_from(Disposition)),
    caps=st.none() | st.builds(Caps, LIMITS, LIMITS, LIMITS, LIMITS),
    policy_version=IDS,
    model_version=IDS,
    promotion_id=st.none() | IDS,
    degraded=st.booleans(),
    explore=st.booleans(),
    propensity=SHARES,
    contributions=st.lists(st.tuples(TEXTS, FINITE), max_size=4).map(tuple),
)


@settings(deadline=None)
@given(DECISIONS)
def test_a_flat_record_reads_back_as_the_same_decision(decision: Decision) -> None:
    """Types and bits included: `repr` tells 1 from 1.0 from True, -0.0 from 0.0, a text from an absence."""
    record = decision_to_record(decision)
    assert tuple(record) == COLUMNS
    assert repr(decision_from_record(record)) == repr(decision)


@settings(deadline=None)
@given(st.lists(DECISIONS, max_size=4))
def test_a_table_reads_back_as_the_same_decisions(decisions: list[Decision]) -> None:
    """An Arrow table carries decisions without loss and in order, none of them too."""
    assert repr(decisions_from_table(decisions_to_table(decisions))) == repr(tuple(decisions))


@settings(max_examples=30, deadline=None)
@given(decisions=st.lists(DECISIONS, max_size=3, unique_by=lambda decision: decision.decision_id))
def test_a_database_reads_back_the_same_decisions(
    tmp_path_factory: pytest.TempPathFactory, decisions: list[Decision]
) -> None:
    """What the codec can write, SQLite keeps."""
    with open_store(tmp_path_factory.mktemp("codec") / "record.sqlite") as store:
        store.record(decisions)
        assert [repr(store.decision(decision.decision_id)) for decision in decisions] == [repr(d) for d in decisions]


def test_a_file_is_the_same_bytes_every_time(tmp_path: Path, make_decision: MakeDecision) -> None:
    """Two runs give identical files, and a file reads back as what was written."""
    decisions = [make_decision(number) for number in range(50)]
    for name in ("first.parquet", "second.parquet"):
        write_decisions(decisions, tmp_path / name)
    assert (tmp_path / "first.parquet").read_bytes() == (tmp_path / "second.parquet").read_bytes()
    assert read_decisions(tmp_path / "first.parquet") == tuple(decisions)


def test_the_columns_are_those_of_the_contract(make_decision: MakeDecision) -> None:
    """Names, order and types do not depend on the data."""
    table = decisions_to_table([make_decision()])
    assert table.schema == decisions_to_table([]).schema
    assert table.schema.names == list(COLUMNS)
    assert table.schema.field("as_of").type == pa.timestamp("us", tz="UTC")
    assert table.schema.field("reason_codes").type == pa.list_(pa.string())
    assert table.column("evidence")[0].as_py().startswith('[{"name":"a2_excess_units_ratio","value":1.0,"origin":')


def test_a_text_is_not_an_absence(make_decision: MakeDecision) -> None:
    """The text `withheld` and the absence `withheld` are written under different keys."""
    written = decision_to_record(make_decision())["evidence"]
    assert '{"name":"cluster_id","absence":"withheld",' in written
    assert '{"name":"declared_use","value":"withheld",' in written


def test_equal_instants_are_written_equally(make_decision: MakeDecision) -> None:
    """An instant from another time zone gives the same record."""
    decision = make_decision()
    elsewhere = decision.as_of.astimezone(timezone(timedelta(hours=8)))
    assert decision_to_record(make_decision(as_of=elsewhere)) == decision_to_record(decision)
    assert decision_from_record(decision_to_record(make_decision(as_of=elsewhere))).as_of.tzinfo is UTC


def test_a_negative_zero_probability_is_zero(make_decision: MakeDecision) -> None:
    """SQLite keeps no negative zero, so no backend does."""
    record = decision_to_record(make_decision(risk_score=-0.0))
    assert math.copysign(1.0, record["risk_score"]) == 1.0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"merchant_probability": math.nan}, "nan is no probability"),
        ({"risk_score": 1.5}, "1.5 is no probability"),
        ({"as_of": datetime(2025, 1, 1)}, "time zone"),  # noqa: DTZ001  # the point of the case
        ({"account_id": "x" * (LONGEST_ID + 1)}, "is no id"),
        ({"application_id": "\ud800"}, "is no id"),
        ({"reason_codes": ("\ud800",)}, "no place in JSON"),
        ({"contributions": (("a2", math.inf),)}, "finite"),
        ({"counterfactual": Counterfactual("a2", math.nan, 1.0, Disposition.ADMIT)}, "finite"),
        ({"evidence": (Evidence("a2", math.nan, "feature:A2", datetime(2025, 1, 1, tzinfo=UTC)),)}, "finite"),
        ({"evidence": (Evidence("a2", 1.0, "feature:A2", datetime(2025, 1, 1)),)}, "time zone"),  # noqa: DTZ001
    ],
)
def test_what_would_not_read_back_is_refused(
    make_decision: MakeDecision, changes: dict[str, Any], complaint: str
) -> None:
    """The error names the decision and the complaint; nothing is bent into shape."""
    with pytest.raises(BadInputError, match=complaint) as caught:
        decision_to_record(make_decision(**changes))
    assert "d-000000" in caught.value.where


@pytest.mark.parametrize(
    "changes",
    [
        {"evidence": "[{"},
        {"evidence": '[{"name":"a","origin":"o","observed_at":"2025-01-01"}]'},
        {"evidence": '[{"name":"a","value":1,"absence":"withheld","origin":"o","observed_at":"2025-01-01"}]'},
        {"evidence": '[{"name":"a","value":1,"origin":"o","observed_at":"yesterday"}]'},
        {"disposition": "maybe"},
        {"caps": '{"units":3}'},
        {"reason_codes": None},
    ],
)
def test_an_altered_record_is_recognised(make_decision: MakeDecision, changes: dict[str, Any]) -> None:
    """A row that something else changed is an error that names the decision, not a wrong decision."""
    with pytest.raises(WorkspaceError, match="cannot be read back") as caught:
        decision_from_record(decision_to_record(make_decision()) | changes)
    assert "d-000000" in caught.value.where


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """A missing file, a damaged one and a foreign table are each one readable error."""
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(b"PAR1")
    for path in (tmp_path / "missing.parquet", damaged):
        with pytest.raises(BadInputError, match="cannot read decisions"):
            read_decisions(path)
    with pytest.raises(BadInputError, match="no table of decisions"):
        decisions_from_table(pa.table({"a": [1]}))


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, make_decision: MakeDecision) -> None:
    """Writing into a folder that is not there fails readably; a refused decision leaves no half file."""
    with pytest.raises(WorkspaceError, match="cannot write"):
        write_decisions([make_decision()], tmp_path / "missing" / "decisions.parquet")
    path = tmp_path / "decisions.parquet"
    write_decisions([make_decision()], path)
    with pytest.raises(BadInputError):
        write_decisions([make_decision(risk_score=2.0)], path)
    assert read_decisions(path) == (make_decision(),)
    assert [file.name for file in tmp_path.iterdir()] == ["decisions.parquet"]


def test_only_files_are_replaced(tmp_path: Path) -> None:
    """A folder or a device that stands at the path stays what it is."""
    with pytest.raises(BadInputError, match="no file"):
        write_decisions([], tmp_path)
    with pytest.raises(BadInputError, match="no file"):
        write_decisions([], Path("/dev/null"))
    assert Path("/dev/null").is_char_device()
