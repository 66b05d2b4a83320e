"""A decision as a row of the record and back, without loss, in a twentieth of the bytes of its JSON.

What is asked for by SQL stands in columns: keys (48 bits of a digest) of the decision and the account, the instant, the
checkpoint and the disposition. The rest is `content`. Evidence names and origins, texts, reasons and versions are terms
of the record's dictionary; the values of eight evidences have one term for their forms and are packed by `struct`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import RowMapping

from membergate.domain.decision import Counterfactual, Decision
from membergate.domain.disposition import Checkpoint, Disposition
from membergate.domain.errors import BadInputError, WorkspaceError
from membergate.domain.evidence import Evidence
from membergate.store.codec import caps_from_json, checked, counterfactual_from_json, json_of
from membergate.store.compact import (
    FORMATS,
    SIZES,
    Reader,
    Writer,
    read_contributions,
    write_contributions,
)
from membergate.store.terms import Terms
from membergate.store.values import ROUND, form_of, value_of

FORM = 1
"""The first byte of every content: how it is to be read."""
CHECKPOINTS = tuple(Checkpoint)
DISPOSITIONS = tuple(Disposition)
ERASED = b""
"""The content of a decision that was erased."""
_MICROSECOND = timedelta(microseconds=1)
_GROUP = 8
_EASY = frozenset("bhiqd")  # floats that one part says
_ONE_INSTANT, _DEGRADED, _EXPLORE, _PROPENSITY, _OWN_PROBABILITY, _OWN_SCORE, _DIGEST_ID, _WITNESSED = (
    1 << bit for bit in range(8)
)
_DIGEST_LENGTH = 26
_KEY_BYTES = 6
_DIGEST_BYTES = 12
_TEXTS = msgspec.json.Decoder(tuple[str, ...])
_SHAPE = msgspec.json.Decoder(tuple[tuple[str, str], ...])


class Head(NamedTuple):
    """What comes first in a content: its flags, and who was asked about."""

    flags: int
    decision_id: str
    application_id: str | None
    order_id: str | None
    account_id: str
    operator_id: str
    decided_at: datetime


def key_of(text: str) -> int:
    """Give the key by which a decision or an account is looked up: 48 bits, shared by few."""
    if _is_digest(text):
        return int(text[2 : 2 + 2 * _KEY_BYTES], 16)
    return int.from_bytes(sha256(text.encode()).digest()[:_KEY_BYTES], "big")


def pack(decision: Decision, terms: Terms) -> dict[str, Any]:
    """Write a decision as a row, without its number.

    Raises
    ------
    BadInputError
        If a part of the decision cannot be written so that it would read back the same.
    """
    checked(decision)
    try:
        content = _content(decision, terms)
    except (OverflowError, UnicodeEncodeError) as error:
        where = f"decision {decision.decision_id[:80]!r}"
        raise BadInputError(f"a text or number cannot be kept: {error}", where=where) from None
    return {
        "decision_key": key_of(decision.decision_id),
        "account_key": key_of(decision.account_id),
        "as_of": decision.as_of.astimezone(UTC),
        "checkpoint": CHECKPOINTS.index(decision.checkpoint),
        "disposition": DISPOSITIONS.index(decision.disposition),
        "content": content,
    }


def unpack(row: RowMapping, terms: Terms) -> Decision:
    """Read a decision back from its row.

    Raises
    ------
    WorkspaceError
        If the row was altered into something that is no decision.
    """
    try:
        reader = Reader(bytes(row["content"]), terms)
        return _decision(reader, row)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, struct.error, BadInputError) as error:
        raise WorkspaceError(
            f"a stored decision cannot be read back: {error}",
            where=f"decision number {row['number']}",
            next_step="membergate audit verify; then restore the record from a backup",
        ) from error


def account_of(row: RowMapping, terms: Terms) -> str:
    """Read only whom a row's decision is about."""
    reader = Reader(bytes(row["content"]), terms)
    reader.natural()
    if reader.take(1)[0] & _DIGEST_ID:
        reader.take(_DIGEST_BYTES - _KEY_BYTES)
    else:
        reader.name()
    reader.name()
    reader.name()
    return reader.name() or ""


def _content(decision: Decision, terms: Terms) -> bytes:
    writer, evidence = Writer(terms), decision.evidence
    values = {witnessed.name: witnessed.value for witnessed in evidence}
    as_of = decision.as_of
    is_at_once = all(one.observed_at is as_of or one.observed_at == as_of for one in evidence)
    own_probability = not _is_said(decision.merchant_probability, values.get("merchant_probability"))
    own_score = not _is_said(decision.risk_score, values.get("risk_score"))
    other = decision.counterfactual
    is_witnessed = other is not None and _is_said(other.actual, values.get(other.evidence))
    writer.natural(FORM)
    writer.out.append(
        _ONE_INSTANT * is_at_once
        | _DEGRADED * decision.degraded
        | _EXPLORE * decision.explore
        | _PROPENSITY * (decision.propensity is not None)
        | _OWN_PROBABILITY * own_probability
        | _OWN_SCORE * own_score
        | _DIGEST_ID * _is_digest(decision.decision_id)
        | _WITNESSED * is_witnessed
    )
    _write_names(writer, decision)
    for text in (decision.policy_version, decision.model_version, decision.promotion_id):
        writer.term(b"" if text is None else b"=" + text.encode())
    writer.term(json_of(decision.reason_codes))
    writer.term(b"" if decision.caps is None else json_of(decision.caps))
    _write_evidence(writer, evidence, None if is_at_once else as_of)
    for own, number in ((own_probability, decision.merchant_probability), (own_score, decision.risk_score)):
        if own:
            writer.out.append(number is not None)
            if number is not None:
                writer.double(abs(number))
    if decision.propensity is not None:
        writer.double(abs(decision.propensity))
    writer.term(b"" if other is None else json_of((other.evidence, other.needed, other.disposition)))
    if other is not None and not is_witnessed:
        writer.double(other.actual)
    write_contributions(writer, decision.contributions)
    return bytes(writer.out)


def _decision(reader: Reader, row: RowMapping) -> Decision:
    if reader.natural() != FORM:
        raise ValueError("its form is unknown")
    as_of = row["as_of"]
    flags, decision_id, application_id, order_id, account_id, operator_id, decided_at = read_head(reader, row)
    versions: list[Any] = [_optional(reader.term()) for _ in range(3)]
    reason_codes, caps = _TEXTS.decode(reader.term()), reader.term()
    evidence = _read_evidence(reader, as_of, is_at_once=bool(flags & _ONE_INSTANT))
    values = {witnessed.name: witnessed.value for witnessed in evidence}
    probability = _read_share(reader) if flags & _OWN_PROBABILITY else _number(values["merchant_probability"])
    score = _read_share(reader) if flags & _OWN_SCORE else _number(values["risk_score"])
    propensity = reader.double() if flags & _PROPENSITY else None
    counterfactual = _read_counterfactual(reader, values, is_witnessed=bool(flags & _WITNESSED))
    if None in versions[:2]:
        raise ValueError("a version is missing")
    return Decision(
        decision_id=decision_id,
        checkpoint=CHECKPOINTS[row["checkpoint"]],
        application_id=application_id,
        order_id=order_id,
        account_id=account_id,
        operator_id=operator_id,
        decided_at=decided_at,
        as_of=as_of,
        disposition=DISPOSITIONS[row["disposition"]],
        merchant_probability=probability,
        risk_score=score,
        reason_codes=reason_codes,
        evidence=evidence,
        counterfactual=counterfactual,
        caps=caps_from_json(caps) if caps else None,
        policy_version=versions[0],
        model_version=versions[1],
        promotion_id=versions[2],
        degraded=bool(flags & _DEGRADED),
        explore=bool(flags & _EXPLORE),
        propensity=propensity,
        contributions=read_contributions(reader),
    )


def _write_names(writer: Writer, decision: Decision) -> None:
    if _is_digest(decision.decision_id):
        writer.out += bytes.fromhex(decision.decision_id[2 + 2 * _KEY_BYTES :])
    else:
        writer.name(decision.decision_id)
    for name in (decision.application_id, decision.order_id, decision.account_id, decision.operator_id):
        writer.name(name)
    writer.integer((decision.decided_at - decision.as_of) // _MICROSECOND)


def _write_evidence(writer: Writer, evidence: Sequence[Evidence], as_of: datetime | None) -> None:
    """Write names and origins, then the values' forms and the values, then texts, then what deviates."""
    names, own = tuple([one.name for one in evidence]), tuple([one.origin for one in evidence])
    origins, shape = _shape(names, own)
    writer.term(shape)
    out, terms, texts = writer.out, writer.terms, []
    for start in range(0, len(evidence), _GROUP):
        tags = ""
        parts: list[Any] = []
        for witnessed in evidence[start : start + _GROUP]:
            value = witnessed.value
            form = ROUND.get(value) if type(value) is float else None
            tag, part = form or form_of(value, terms)
            tags += tag
            parts += part
            if tag in "sW":
                texts.append(str(value))
        writer.term(b"#" + tags.encode())
        out += _packed(tags, parts)
    for text in texts:
        writer.term(b"=" + text.encode())
    special = [] if own == origins else [place for place, origin in enumerate(own) if origin != origins[place]]
    writer.natural(len(special))
    for place in special:
        writer.natural(place)
        writer.raw(evidence[place].origin.encode())
    if as_of is not None:
        last, said = None, b""
        for witnessed in evidence:
            if witnessed.observed_at is not last:  # most are of one instant: it is written by copying
                last, start = witnessed.observed_at, len(out)
                writer.integer((last - as_of) // _MICROSECOND)
                said = bytes(out[start:])
            else:
                out += said


def read_head(reader: Reader, row: RowMapping) -> Head:
    """Read what comes first in a content, after its form."""
    flags = reader.take(1)[0]
    decision_id, application_id, order_id, account_id, operator_id = _read_names(reader, flags, row)
    decided_at = row["as_of"] + reader.integer() * _MICROSECOND
    return Head(flags, decision_id, application_id, order_id, account_id, operator_id, decided_at)


def _read_names(reader: Reader, flags: int, row: RowMapping) -> list[Any]:
    if flags & _DIGEST_ID:
        decision_id: str | None = f"d-{row['decision_key']:012x}{reader.take(_DIGEST_BYTES - _KEY_BYTES).hex()}"
    else:
        decision_id = reader.name()
    names = [decision_id, *(reader.name() for _ in range(4))]
    if None in (names[0], names[3], names[4]):
        raise ValueError("an id is missing")
    return names


def _read_counterfactual(reader: Reader, values: dict[str, Any], *, is_witnessed: bool) -> Counterfactual | None:
    content = reader.term()
    if not content:
        return None
    return counterfactual_from_json(content, values, None if is_witnessed else reader.double())


def _read_evidence(reader: Reader, as_of: datetime, *, is_at_once: bool) -> tuple[Evidence, ...]:
    shape = shape_of(reader.term())
    values = read_values(reader, len(shape))
    origins = {}
    for _ in range(reader.natural()):
        place = reader.natural()
        origins[place] = reader.raw().decode()
    if is_at_once and not origins:
        return tuple(Evidence(name, value, origin, as_of) for (name, origin), value in zip(shape, values, strict=True))
    instants = [as_of if is_at_once else as_of + reader.integer() * _MICROSECOND for _ in shape]
    return tuple(
        Evidence(name, values[place], origins.get(place, origin), instants[place])
        for place, (name, origin) in enumerate(shape)
    )


def read_values(reader: Reader, size: int) -> list[Any]:
    """Read so many values; what comes next are the origins that deviate."""
    values: list[Any] = []
    texts: list[tuple[int, str]] = []
    for _ in range(0, size, _GROUP):
        tags = reader.term()[1:].decode()
        form, sizes, length = _layout(tags)
        parts = struct.unpack(form, reader.take(length))
        place = 0
        for tag, width in zip(tags, sizes, strict=True):
            if tag in _EASY:
                values.append(float(parts[place]))
            else:
                if tag in "sW":
                    texts.append((len(values), tag))
                values.append(value_of(tag, parts[place : place + width], reader))
            place += width
    for place, tag in texts:
        text = reader.term()[1:].decode()
        values[place] = text if tag == "s" else int(text)
    return values


@lru_cache(maxsize=4096)
def _layout(tags: str) -> tuple[str, tuple[int, ...], int]:
    """Give what `struct` packs for the forms of some values, how many parts each has, and how many bytes all take."""
    form = "<" + "".join("H" if tag == "v" else FORMATS.get(tag, "") for tag in tags)
    return form, tuple(1 if tag == "v" else SIZES.get(tag, 0) for tag in tags), struct.calcsize(form)


@lru_cache(maxsize=256)
def shape_of(content: bytes) -> tuple[tuple[str, str], ...]:
    """Give the names and the general origins of a decision's evidence, in order."""
    return _SHAPE.decode(content)


def _read_share(reader: Reader) -> float | None:
    return reader.double() if reader.take(1)[0] else None


def _is_said(number: float | None, value: object) -> bool:
    """Tell whether evidence says the very same number."""
    return isinstance(value, float) and number is not None and value == number and value != 0.0


def _number(value: object) -> float:
    if not isinstance(value, float):
        raise TypeError("a number that evidence should say is missing")
    return value


def _optional(content: bytes) -> str | None:
    return content[1:].decode() if content else None


@lru_cache(maxsize=256)
def _shape(names: tuple[str, ...], origins: tuple[str, ...]) -> tuple[tuple[str, ...], bytes]:
    """Give general origins, and the term that names evidence with them."""
    general = tuple(_general(origin) for origin in origins)
    return general, json_of(tuple(zip(names, general, strict=True)))


def _packed(tags: str, parts: Sequence[Any]) -> bytes:
    form, _, _ = _layout(tags)
    return struct.pack(form, *parts)


def _general(origin: str) -> str:
    """Give an origin without the list entries behind it, which differ from decision to decision."""
    kind, _, rest = origin.partition(":")
    return f"{kind}:{rest.partition(':')[0]}" if kind == "list" and ":" in rest else origin


def _is_digest(text: str) -> bool:
    return len(text) == _DIGEST_LENGTH and text.startswith("d-") and _is_hex(text[2:])


def _is_hex(text: str) -> bool:
    return text.isascii() and not text.strip("0123456789abcdef")
