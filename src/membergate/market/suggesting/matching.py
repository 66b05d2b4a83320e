"""How well a source's column suits a canonical one: its name, and what its values can and cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from membergate.market.declaring import Column, Kind, Table
from membergate.market.suggesting.profiling import ColumnProfile
from membergate.market.suggesting.wording import TABLE_WORDINGS, column_wordings, likeness, words

_NAME_SHARE = 0.75
"""What the name counts for; the rest is what the values say."""
_IMPOSSIBLE = 0.0
_PLAUSIBLE = 0.6  # nothing speaks for it, nothing against it
_MOSTLY = 0.95
_FEW = 20  # different values of a column of choices or codes
_LONGEST_CHOICE = 40
_PREFIXES = {"order_lines": ("lineitem", "line", "item")}
Verdict = tuple[float, tuple[str, ...]]
"""How well values suit a kind, in [0, 1], and why."""


@dataclass(frozen=True, slots=True)
class Match:
    """One source column for one canonical column.

    Parameters
    ----------
    column
        The source's column.
    confidence
        In [0, 1].
    reasons
        Why, in a few words each.
    """

    column: str
    confidence: float
    reasons: tuple[str, ...]


def match(table: Table, column: Column, profile: ColumnProfile) -> Match:
    """Judge a source's column for a canonical one."""
    named, wording = _named(table, column.name, profile.name)
    suits, why = _suits(column, profile, is_key=table.key == (column.name,) and table.name != "accounts")
    reasons = (f"called like '{wording}'" if named < 1 else f"called '{wording}'", *why)
    confidence = _NAME_SHARE * named + (1 - _NAME_SHARE) * suits if suits > _IMPOSSIBLE else _IMPOSSIBLE
    if column.kind is Kind.CURRENCY and suits == 1.0:
        confidence = max(confidence, 0.8)  # codes of three letters speak for themselves
    return Match(profile.name, round(confidence, 3), reasons)


def _named(table: Table, column: str, name: str) -> tuple[float, str]:
    """Compare names, as they are and without the table's own name before them (`order_status` in orders)."""
    wordings = column_wordings(column)
    best = likeness(name, wordings)
    written = words(name)
    for prefix in map(words, (table.name, *TABLE_WORDINGS[table.name], *_PREFIXES.get(table.name, ()))):
        if written.startswith(prefix + " ") and (not column.endswith("_id") or table.name in _PREFIXES):
            shorter = likeness(written.removeprefix(prefix + " "), wordings)
            best = max(best, (shorter[0] - 0.01, shorter[1]), key=lambda found: found[0])
    return min(best[0], 1.0), best[1]


def _suits(column: Column, profile: ColumnProfile, *, is_key: bool) -> Verdict:
    """Say how well the values fit the column's kind; 0 where they cannot be such."""
    if not profile.filled:
        return _IMPOSSIBLE if column.is_required else 0.3, ("empty",)
    judge = _JUDGES.get(column.kind)
    if judge is not None:
        return judge(profile)
    if column.kind is Kind.CHOICE:
        return _choice(column, profile)
    return _id(profile, is_key=is_key) if column.kind is Kind.ID else (_PLAUSIBLE, ())


def _whole(profile: ColumnProfile) -> Verdict:
    return (1.0, ("whole numbers",)) if profile.whole >= _MOSTLY else (_IMPOSSIBLE, ())


def _number(profile: ColumnProfile) -> Verdict:
    return (1.0, ("numbers",)) if profile.numeric >= _MOSTLY else (_IMPOSSIBLE, ())


def _currency(profile: ColumnProfile) -> Verdict:
    is_code = profile.currency >= _MOSTLY and profile.distinct <= _FEW
    return (1.0, ("codes of three letters",)) if is_code else (_IMPOSSIBLE, ())


def _flag(profile: ColumnProfile) -> Verdict:
    return (1.0, ("yes or no",)) if profile.flag >= _MOSTLY else (_IMPOSSIBLE, ())


def _time(profile: ColumnProfile) -> Verdict:
    if profile.iso_time >= _MOSTLY:
        return 1.0, ("instants in ISO 8601",)
    if profile.epoch:
        return 0.9, (f"{profile.epoch} since 1970",)
    if profile.time_format:
        return 0.9, (f"instants as {profile.time_format}",)
    return _IMPOSSIBLE, ()


def _money(profile: ColumnProfile) -> Verdict:
    if profile.numeric < _MOSTLY or profile.epoch in {"milliseconds", "microseconds"}:
        return _IMPOSSIBLE, ()
    if profile.is_major:
        return 1.0, ("decimals, so the unit is the major one",)
    return 0.8, ("whole numbers",)


def _choice(column: Column, profile: ColumnProfile) -> Verdict:
    if profile.distinct > _FEW or any(len(value) > _LONGEST_CHOICE for value in profile.values):
        return _IMPOSSIBLE, ()
    allowed = {choice.lower() for choice in column.choices}
    known = [value for value in profile.values if value in allowed]
    if known:
        return 0.6 + 0.4 * len(known) / len(profile.values), (f"holds {', '.join(known[:3])}",)
    return (0.4 if column.is_required else 0.1), (f"words of its own: {', '.join(profile.values[:3])}",)


def _id(profile: ColumnProfile, *, is_key: bool) -> Verdict:
    if profile.iso_time >= _MOSTLY or profile.fraction > 0:
        return _IMPOSSIBLE, ()
    if is_key and profile.is_unique:
        return 1.0, ("each row has its own",)
    return _PLAUSIBLE, ()


_JUDGES: dict[Kind, Callable[[ColumnProfile], Verdict]] = {
    Kind.TIME: _time,
    Kind.MONEY: _money,
    Kind.COUNT: _whole,
    Kind.NUMBER: _number,
    Kind.CURRENCY: _currency,
    Kind.FLAG: _flag,
}
