"""What a proposal says of one column beside its source: unit, format of instants, words of its own, personal data."""

from __future__ import annotations

from typing import Any

from membergate.market.declaring import Column, Kind
from membergate.market.suggesting.profiling import ColumnProfile
from membergate.market.suggesting.wording import words

_MOSTLY = 0.9
_STATUS = {
    "placed": {"pending", "created", "new", "open", "authorized", "authorised", "on-hold", "unpaid", "submitted"},
    "paid": {"approved", "processing", "invoiced", "confirmed", "partially_paid", "partially_refunded", "captured"},
    "shipped": {"fulfilled", "dispatched", "in transit", "sent"},
    "delivered": {"complete", "completed", "closed", "done", "received"},
    "cancelled": {"canceled", "voided", "void", "unavailable", "failed", "expired", "declined", "storno"},
    "refunded": {"returned", "chargeback"},
}
"""Words that shops use, by the canonical one."""
_TOKENS = {
    "phone_tok": "phone", "recipient_phone_tok": "phone", "email_tok": "email", "recipient_tok": "text",
    "id_tok": "text",
}  # fmt: skip
_IS_TOKEN = ("tok", "hash", "sha", "hmac", "md5")


_MINOR_WORDS = {"minor", "cent", "cents", "pence", "fen"}


def says_minor(profile: ColumnProfile) -> bool:
    """Tell whether a column's own name says that it counts the minor unit (`total_minor`, `price_cents`)."""
    return not _MINOR_WORDS.isdisjoint(words(profile.name).split())


def value_of(column: Column, profile: ColumnProfile, *, is_grouped: bool = False, source_is_major: bool = False) -> Any:
    """Give the mapping's entry for a canonical column: a source column's name, or keys and values.

    Parameters
    ----------
    is_grouped
        Whether several rows of the source are put together, so that an expression must say which value it takes.
    source_is_major
        Whether any money of the source has decimals: all of it then counts the major unit, if no name says otherwise.
    """
    name = profile.name
    entry: dict[str, Any] = {"from": name}
    sql = _expression(column, profile)
    if sql:
        entry = {"expression": f"any_value({sql})" if is_grouped else sql}
    if column.kind is Kind.MONEY and (profile.is_major or (source_is_major and not says_minor(profile))):
        entry["unit"] = "major"
    token = _token(column, profile)
    if token:
        entry["token"] = token
    return name if entry == {"from": name} else entry


def _expression(column: Column, profile: ColumnProfile) -> str:
    name = quoted(profile.name)
    if column.kind is Kind.TIME and profile.iso_time < _MOSTLY:
        if profile.epoch:
            factor = "" if profile.micros == 1 else f" * {profile.micros}"
            return f"make_timestamp(cast({name} as bigint){factor})"
        if profile.time_format:
            return f"strptime({name}, '{profile.time_format}')"
    if column.kind is Kind.CHOICE:
        own = {word: canonical for canonical, words in _STATUS.items() for word in words if canonical in column.choices}
        arms = [f"when '{value}' then '{own[value]}'" for value in profile.values if value in own]
        return f"case lower({name}) {' '.join(arms)} else {name} end" if arms else ""
    if column.kind is Kind.COUNT and profile.whole < 1:
        return f"cast({name} as bigint)"
    return ""


def _token(column: Column, profile: ColumnProfile) -> str:
    if column.kind is not Kind.ID:
        return ""
    if profile.email >= _MOSTLY:
        return "email"
    is_token = any(word in profile.name.lower() for word in _IS_TOKEN)
    return "" if is_token else _TOKENS.get(column.name, "")


def quoted(name: str) -> str:
    """Write a column's name for an expression."""
    return name if name.isidentifier() and name.islower() else '"' + name.replace('"', '""') + '"'
