"""A decision as one flat record and back, without loss: the form in which it is stored, exported and answered.

A record has the decision's fields as its keys, in the order of the contract. Identifiers are texts, instants are aware
UTC datetimes, what is nested is a canonical JSON text: equal documents give equal bytes. Floats keep every bit (JSON
carries the shortest text that reads back as the same number), integers stay integers, and a typed absence has another
key than a value, so that the text `"withheld"` and the absence `withheld` are never confused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from math import isfinite
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from membergate.domain.decision import Caps, Counterfactual, Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.errors import BadInputError, WorkspaceError
from membergate.domain.evidence import Absence, Evidence
from membergate.domain.instants import format_instant, parse_instant

Record = dict[str, Any]
"""Column name to text, float, boolean, aware UTC datetime or None."""

COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Decision))
"""The record's columns, in the contract's order."""
DOCUMENT_COLUMNS = ("reason_codes", "evidence", "counterfactual", "caps", "contributions")
"""Columns that hold canonical JSON."""
ID_COLUMNS = (
    "decision_id",
    "application_id",
    "order_id",
    "account_id",
    "operator_id",
    "policy_version",
    "model_version",
    "promotion_id",
)
"""Columns that hold opaque texts."""
LONGEST_ID = 512
"""Characters that an id may have: what every backend can index, whatever the alphabet."""
_SHOWN = 80
_ids_of = attrgetter(*ID_COLUMNS)


class EvidenceDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One witness's statement: either `value` or `absence` is there, never both."""

    name: str
    value: bool | int | float | str | UnsetType = UNSET
    absence: Absence | UnsetType = UNSET
    origin: str
    observed_at: str


class CounterfactualDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The smallest change of evidence that would have changed the disposition."""

    evidence: str
    actual: float
    needed: float
    disposition: Disposition


class CapsDocument(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Benefit limits; what is left out is not limited."""

    units_per_sku: int | None = None
    window_days: int | None = None
    benefit_minor_per_month: int | None = None
    orders_per_day: int | None = None
    promotion_stock_ratio: float | None = None


_ENCODER = msgspec.json.Encoder()
_REASONS = msgspec.json.Decoder(tuple[str, ...])
_EVIDENCE = msgspec.json.Decoder(tuple[EvidenceDocument, ...])
_COUNTERFACTUAL = msgspec.json.Decoder(CounterfactualDocument)
_CHANGE = msgspec.json.Decoder(tuple[str, float, Disposition])
_CAPS = msgspec.json.Decoder(CapsDocument)
_CONTRIBUTIONS = msgspec.json.Decoder(tuple[tuple[str, float], ...])


def decision_to_record(decision: Decision) -> Record:
    """Write a decision as a flat record.

    Parameters
    ----------
    decision
        The decision. Its instants are aware, its numbers finite, its probabilities in [0, 1], its ids short enough.

    Returns
    -------
    Record
        One value a column of `COLUMNS`, in that order.

    Raises
    ------
    BadInputError
        If a part of the decision cannot be written so that it would read back the same.
    """
    counterfactual, caps = decision.counterfactual, decision.caps
    try:
        return {
            "decision_id": _id(decision.decision_id, "decision_id"),
            "checkpoint": decision.checkpoint.value,
            "application_id": _optional_id(decision.application_id, "application_id"),
            "order_id": _optional_id(decision.order_id, "order_id"),
            "account_id": _id(decision.account_id, "account_id"),
            "operator_id": _id(decision.operator_id, "operator_id"),
            "decided_at": _utc(decision.decided_at, "decided_at"),
            "as_of": _utc(decision.as_of, "as_of"),
            "disposition": decision.disposition.value,
            "merchant_probability": _share(decision.merchant_probability, "merchant_probability"),
            "risk_score": _share(decision.risk_score, "risk_score"),
            "reason_codes": _json(decision.reason_codes),
            "evidence": _json(evidence_documents(decision)),
            "counterfactual": None if counterfactual is None else _json(counterfactual_document(counterfactual)),
            "caps": None if caps is None else _json(caps_document(caps)),
            "policy_version": _id(decision.policy_version, "policy_version"),
            "model_version": _id(decision.model_version, "model_version"),
            "promotion_id": _optional_id(decision.promotion_id, "promotion_id"),
            "degraded": decision.degraded,
            "explore": decision.explore,
            "propensity": _share(decision.propensity, "propensity"),
            "contributions": _json([(name, _finite(share, name)) for name, share in decision.contributions]),
        }
    except BadInputError as error:
        where = f"decision {decision.decision_id[:_SHOWN]!r}, {error.where}"
        raise BadInputError(error.what, where=where, allowed=error.allowed) from None


def decision_from_record(record: Mapping[str, Any]) -> Decision:
    """Read a decision back from its flat record.

    Parameters
    ----------
    record
        One value a column of `COLUMNS`, as `decision_to_record` gives it.

    Raises
    ------
    WorkspaceError
        If the record was altered into something that is no decision.
    """
    try:
        counterfactual, caps = record["counterfactual"], record["caps"]
        return Decision(
            decision_id=record["decision_id"],
            checkpoint=Checkpoint(record["checkpoint"]),
            application_id=record["application_id"],
            order_id=record["order_id"],
            account_id=record["account_id"],
            operator_id=record["operator_id"],
            decided_at=record["decided_at"],
            as_of=record["as_of"],
            disposition=Disposition(record["disposition"]),
            merchant_probability=record["merchant_probability"],
            risk_score=record["risk_score"],
            reason_codes=_REASONS.decode(record["reason_codes"]),
            evidence=_evidence(_EVIDENCE.decode(record["evidence"])),
            counterfactual=None if counterfactual is None else _counterfactual(_COUNTERFACTUAL.decode(counterfactual)),
            caps=None if caps is None else _caps(_CAPS.decode(caps)),
            policy_version=record["policy_version"],
            model_version=record["model_version"],
            promotion_id=record["promotion_id"],
            degraded=record["degraded"],
            explore=record["explore"],
            propensity=record["propensity"],
            contributions=_CONTRIBUTIONS.decode(record["contributions"]),
        )
    except (ValueError, TypeError, KeyError, BadInputError) as error:
        raise WorkspaceError(
            f"a stored decision cannot be read back: {error}",
            where=f"decision {record.get('decision_id')!r}",
            next_step="restore the record from a backup; it was changed by something else than membergate",
        ) from error


def is_storable_id(text: str) -> bool:
    """Tell whether a text can be an id on every backend: not too long, no NUL, nothing that UTF-8 cannot carry."""
    is_encodable = text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
    return len(text) <= LONGEST_ID and "\x00" not in text and is_encodable


def evidence_documents(decision: Decision) -> list[EvidenceDocument]:
    """Give the decision's evidence as documents, in its own order.

    Raises
    ------
    BadInputError
        If a value is not finite or an instant does not know its time zone.
    """
    written: dict[datetime, str] = {}
    documents = []
    for witnessed in decision.evidence:
        value, instant = witnessed.value, witnessed.observed_at
        at = written.get(instant)
        if at is None:
            at = written[instant] = format_instant(instant)
        if isinstance(value, Absence):
            document = EvidenceDocument(name=witnessed.name, absence=value, origin=witnessed.origin, observed_at=at)
        else:
            said = _evidence_value(witnessed)
            document = EvidenceDocument(name=witnessed.name, value=said, origin=witnessed.origin, observed_at=at)
        documents.append(document)
    return documents


def counterfactual_document(counterfactual: Counterfactual) -> CounterfactualDocument:
    """Give a counterfactual as a document.

    Raises
    ------
    BadInputError
        If one of its numbers is not finite.
    """
    return CounterfactualDocument(
        counterfactual.evidence,
        _finite(counterfactual.actual, "counterfactual"),
        _finite(counterfactual.needed, "counterfactual"),
        counterfactual.disposition,
    )


def caps_document(caps: Caps) -> CapsDocument:
    """Give caps as a document.

    Raises
    ------
    BadInputError
        If the share of a promotion's stock is not finite.
    """
    return CapsDocument(
        caps.units_per_sku,
        caps.window_days,
        caps.benefit_minor_per_month,
        caps.orders_per_day,
        None if caps.promotion_stock_ratio is None else _finite(caps.promotion_stock_ratio, "caps"),
    )


def checked(decision: Decision) -> None:
    """See that a decision can be kept without loss.

    Raises
    ------
    BadInputError
        If an id, an instant, a number or a share is none.
    """
    try:
        for column, text in zip(ID_COLUMNS, _ids_of(decision), strict=True):
            if text is not None and not (text.isascii() and len(text) <= LONGEST_ID and "\x00" not in text):
                _id(text, column)
        for column in ("decided_at", "as_of"):
            _utc(getattr(decision, column), column)
        for column in ("merchant_probability", "risk_score", "propensity"):
            _share(getattr(decision, column), column)
        _check_evidence(decision)
        for name, share in decision.contributions:
            if not isfinite(share):
                _finite(share, name)
        if decision.counterfactual is not None:
            counterfactual_document(decision.counterfactual)
        if decision.caps is not None:
            caps_document(decision.caps)
    except BadInputError as error:
        where = f"decision {decision.decision_id[:_SHOWN]!r}, {error.where}"
        raise BadInputError(error.what, where=where, allowed=error.allowed) from None


def _check_evidence(decision: Decision) -> None:
    instant = decision.as_of
    for witnessed in decision.evidence:
        value = witnessed.value
        if type(value) is float and not isfinite(value):
            _finite(value, witnessed.name)
        if witnessed.observed_at is not instant:  # most are of one instant, or of another
            instant = witnessed.observed_at
            _utc(instant, witnessed.name)


def json_of(document: object) -> bytes:
    """Write a document as canonical JSON; caps as their document.

    Raises
    ------
    BadInputError
        If a text or number has no place in JSON.
    """
    return _json(caps_document(document) if isinstance(document, Caps) else document).encode()


def caps_from_json(content: bytes) -> Caps:
    """Read caps back."""
    return _caps(_CAPS.decode(content))


def counterfactual_from_json(content: bytes, values: Mapping[str, object], actual: float | None) -> Counterfactual:
    """Read a counterfactual back; where no actual value is given, it is what the evidence says."""
    evidence, needed, disposition = _CHANGE.decode(content)
    found = values[evidence] if actual is None else actual
    if not isinstance(found, float):
        raise TypeError("a counterfactual needs a number")
    return Counterfactual(evidence, found, needed, disposition)


def _evidence_value(witnessed: Evidence) -> bool | int | float | str:
    value = witnessed.value
    return _finite(value, witnessed.name) if isinstance(value, float) else value


def _evidence(documents: tuple[EvidenceDocument, ...]) -> tuple[Evidence, ...]:
    # nearly all of a decision's evidence is of one instant: reading each text once saves a third of the cost
    instants = {text: parse_instant(text) for text in {document.observed_at for document in documents}}
    return tuple(
        Evidence(document.name, _stated(document), document.origin, instants[document.observed_at])
        for document in documents
    )


def _stated(document: EvidenceDocument) -> bool | int | float | str:
    value = document.absence if document.value is UNSET else document.value
    if isinstance(value, UnsetType) or (document.value is not UNSET and document.absence is not UNSET):
        raise ValueError(f"evidence {document.name!r} has both a value and an absence, or neither")
    return value


def _counterfactual(document: CounterfactualDocument) -> Counterfactual:
    return Counterfactual(document.evidence, document.actual, document.needed, document.disposition)


def _caps(document: CapsDocument) -> Caps:
    return Caps(
        document.units_per_sku,
        document.window_days,
        document.benefit_minor_per_month,
        document.orders_per_day,
        document.promotion_stock_ratio,
    )


def _json(document: object) -> str:
    try:
        return _ENCODER.encode(document).decode()
    except (ValueError, OverflowError) as error:
        raise BadInputError(f"a text or number has no place in JSON: {error}", where="documents") from None


def _id(text: str, column: str) -> str:
    if not is_storable_id(text):
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
        raise BadInputError(
            f"{shown!r} is no id", where=column, allowed=f"at most {LONGEST_ID} Unicode characters, none of them NUL"
        )
    return text


def _optional_id(text: str | None, column: str) -> str | None:
    return None if text is None else _id(text, column)


def _utc(instant: datetime, column: str) -> datetime:
    if instant.tzinfo is None:
        raise BadInputError("an instant must know its time zone", where=column, allowed="aware datetimes")
    return instant.astimezone(UTC)


def _finite(number: float, name: str) -> float:
    if not isfinite(number):
        raise BadInputError(
            f"{number} is not a finite number", where=name, allowed="finite numbers, or a typed absence"
        )
    return float(number)


def _share(number: float | None, column: str) -> float | None:
    """Check a probability or score. SQLite keeps no negative zero, so it is written as zero."""
    if number is None:
        return None
    if not 0.0 <= number <= 1.0:
        raise BadInputError(f"{number} is no probability or score", where=column, allowed="numbers in [0, 1]")
    return abs(float(number))
