"""Writing a proposal down: a mapping file in which every line says how sure it is and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from membergate.market.declaring import Column, Kind, Table
from membergate.market.schema import REQUIRED_TABLES, TABLES
from membergate.market.suggesting.choosing import Choice
from membergate.market.suggesting.matching import Match
from membergate.market.suggesting.profiling import ColumnProfile, SourceProfile
from membergate.market.suggesting.valuing import quoted, says_minor, value_of

_ASSUMED: dict[str, tuple[Any, str]] = {
    "status": ("paid", "nothing says what became of an order"),
    "quantity": (1, "nothing counts units: is every unit a line of its own?"),
    "category_l1": ("UNKNOWN", "nothing looks like a category"),
    "plan": ("membership", "nothing names a plan"),
}
"""Constants for required columns that an export may lack, to be looked at."""
_GROUPED = {"accounts", "orders"}
"""Tables of which several rows of a source are put together; of the others the first row is taken."""
_NUMBERED = "_numbered"
_WITHIN = {
    "line_id": ("order_id",),
    "event_id": ("account_id", "occurred_at", "event_type"),
    "login_id": ("account_id", "logged_in_at"),
}
"""Ids that exports often lack, and the columns within which rows are numbered to make them."""
_WHICH_UNIT = "no money of this source has decimals: is it in cents, or is `unit: major` missing?"
_UNSURE = 0.85
"""Confidence below which a line asks to be looked at."""


@dataclass
class _Section:
    """One canonical table of the file, as lines."""

    table: Table
    source: str
    keys: dict[str, Any] = field(default_factory=dict)
    columns: list[tuple[str, Any, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    numbered_within: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Give the section; one that lacks what is required, of a table that is not, is commented out."""
        head = [f"  {self.table.name}:", f"    from: {_inline(self.source)}"]
        head += [f"    {key}: {_inline(value)}" for key, value in self.keys.items()]
        body = [f"      {name}: {_inline(value)}{f' # {why}' if why else ''}" for name, value, why in self.columns]
        absent = [f"      # {name}: nothing found; a required column" for name in self.missing]
        lines = [*head, "    columns:", *body, *absent]
        is_off = bool(self.missing) and not self.table.is_required
        return [f"# {line}" if is_off and not line.lstrip().startswith("#") else line for line in lines]


def written(folder: Path, sources: list[SourceProfile], chosen: dict[str, Choice]) -> tuple[str, tuple[str, ...]]:
    """Write a mapping file, and name the required columns, `table.column`, that it lacks."""
    sections = [_section(choice, chosen) for name, choice in chosen.items() if name not in {"accounts", "applications"}]
    people = [_people(name, chosen) for name in ("accounts", "applications")]
    shown = [section for section in (*people, *sections) if section is not None]
    absent = [TABLES[name] for name in REQUIRED_TABLES if name not in {section.table.name for section in shown}]
    missing = [f"{section.table.name}.{name}" for section in shown for name in section.missing]
    missing += [f"{table.name}.{name}" for table in absent for name in table.required_columns]
    instants = [column for source in sources for column in source.columns if column.iso_time > 0 or column.time_format]
    is_naive = any(column.zoned < 1 for column in instants)
    lines = [
        f"# Proposed for {folder.name} from names and a sample of values. Look through it, correct it, and then:",
        f"#   membergate ingest {folder} --mapping THIS_FILE",
        "# The numbers say how sure a line is, from 0 to 1.",
        "version: 1",
        f"time_zone: UTC{' # CHECK: instants carry no offset; in which zone were they written?' if is_naive else ''}",
        *_sources(sources, shown),
        "tables:",
    ]
    for section in shown:
        lines += ["", *section.lines()] if lines[-1] != "tables:" else section.lines()
    lines += [f"# {table.name}: nothing looks like it; a required table" for table in absent]
    return "\n".join(lines) + "\n", tuple(missing)


def _sources(sources: list[SourceProfile], shown: list[_Section]) -> list[str]:
    lines = []
    for source in sources:
        said = {
            "files": [source.files] if source.files else None,
            "encoding": source.encoding or None,
            "delimiter": source.delimiter or None,
        }
        said = {key: value for key, value in said.items() if value is not None}
        lines += [f"  {_inline(source.name)}: {_inline(said)}"] if said else []
    for section in shown:
        if section.source.endswith(_NUMBERED):
            base = section.source.removesuffix(_NUMBERED)
            made = {"from": base, "number_within": section.numbered_within}
            lines.append(f"  {_inline(section.source)}: {_inline(made)}")
    return ["sources:", *lines] if lines else []


def _make_do(section: _Section, column: str, choice: Choice, chosen: dict[str, Choice]) -> None:
    """Make a required column of others, assume a constant that is to be looked at, or say that it is missing."""
    lines = chosen.get("order_lines")
    if column in _WITHIN and set(_WITHIN[column]) <= set(choice.columns):
        within = [choice.columns[name].column for name in _WITHIN[column]]
        section.source, section.numbered_within = choice.source.name + _NUMBERED, within
        made = {"expression": f"concat_ws('-', {', '.join(map(quoted, within))}, line_number)"}
        section.columns.insert(0, (column, made, f"rows have no id of their own; a number within {within[0]}"))
    elif column == "total_minor" and choice.repeats and lines is not None and lines.source is choice.source:
        section.columns.append((column, *_sum(lines, is_major=_is_major(choice, chosen))))
    elif column in _ASSUMED:
        constant, why = _ASSUMED[column]
        section.columns.append((column, {"constant": constant}, f"CHECK: {why}"))
    else:
        section.missing.append(column)


def _is_major(choice: Choice, chosen: dict[str, Choice]) -> bool:
    """Tell whether any money that is taken from a choice's source has decimals: a source counts in one unit."""
    return any(
        other.source.column(found.column).is_major
        for other in chosen.values()
        if other.source.name == choice.source.name
        for name, found in other.columns.items()
        if other.table.column(name).kind is Kind.MONEY
    )


def _sum(lines: Choice, *, is_major: bool) -> tuple[Any, str]:
    """Give the sum of an order's lines as its total."""
    price = lines.source.column(lines.columns["net_price_minor"].column)
    units = lines.columns.get("quantity")
    counted = f"cast({quoted(units.column)} as double) * " if units else ""
    entry = {"expression": f"sum({counted}cast({quoted(price.name)} as double))"}
    return entry | (
        {"unit": "major"} if is_major and not says_minor(price) else {}
    ), "CHECK: no total found: the sum of the lines"


def _section(choice: Choice, chosen: dict[str, Choice]) -> _Section:
    table, source = choice.table, choice.source
    section = _Section(table, source.name)
    is_grouped = choice.repeats and table.name in _GROUPED
    key = choice.columns.get(table.key[0])
    is_line = key is not None and table.name == "order_lines" and "order_id" in choice.columns
    if choice.repeats and key is not None and not is_line:
        section.keys["group_by" if is_grouped else "distinct_on"] = key.column
        if not is_grouped and source.column(key.column).filled < source.column(key.column).rows:
            section.keys["where"] = f"nullif(trim(cast({quoted(key.column)} as text)), '') is not null"
    if choice.lookup is not None:
        other, (ours, theirs), taken = choice.lookup
        section.keys["lookup"] = {other: {"key": {ours: theirs}, "take": [taken]}}
    for column in table.columns:
        found = choice.columns.get(column.name)
        if column.name == "account_id" and choice.lookup is not None:
            section.columns.append((column.name, choice.lookup[2], f"through {choice.lookup[0]}"))
        elif found is not None and choice.repeats and is_line and column.name == "line_id":
            order, line = quoted(choice.columns["order_id"].column), quoted(found.column)
            made = {"expression": f"concat({order}, '-', {line})"}
            section.columns.append(
                (column.name, made, f"{found.confidence:.2f}: {found.column} counts within an order")
            )
        elif found is not None:
            profile, is_major = source.column(found.column), _is_major(choice, chosen)
            value = value_of(column, profile, is_grouped=is_grouped, source_is_major=is_major)
            section.columns.append((column.name, value, _why(column, profile, found, source_is_major=is_major)))
        elif column.is_required or column.name in _WITHIN:
            _make_do(section, column.name, choice, chosen)
    return section


def _why(column: Column, profile: ColumnProfile, found: Match, *, source_is_major: bool) -> str:
    """Say how sure a line is and why, and what is to be looked at."""
    reasons, is_unsure = found.reasons, found.confidence < _UNSURE
    if column.kind is Kind.MONEY and profile.filled and not profile.is_major and not says_minor(profile):
        is_unsure |= not source_is_major
        unit = "other money here has decimals, so the unit is the major one" if source_is_major else _WHICH_UNIT
        reasons = (*reasons, unit)
    return f"{'CHECK: ' if is_unsure else ''}{found.confidence:.2f}: {'; '.join(reasons)}"


def _people(name: str, chosen: dict[str, Choice]) -> _Section | None:
    """Give accounts, or applications, from a table of their own or, where there is none, from the orders."""
    own, orders = chosen.get(name), chosen.get("orders")
    instant = {"accounts": "registered_at", "applications": "submitted_at"}[name]
    if own is not None and instant in own.columns:
        return _section(own, chosen)
    if orders is None or not {"account_id", "ordered_at"} <= set(orders.columns):
        return _section(own, chosen) if own is not None else None
    person = orders.lookup[2] if orders.lookup is not None else orders.columns["account_id"].column
    profile = None if orders.lookup is not None else orders.source.column(person)
    section = _Section(TABLES[name], orders.source.name, {"group_by": person})
    more: dict[str, Match] = {}
    if orders.lookup is not None:
        other, (ours, theirs), taken = orders.lookup
        others = own.columns if own is not None and own.source.name == other else {}
        more = {column: found for column, found in others.items() if column != "account_id"}
        taken_too = [found.column for found in more.values() if found.column not in {ours, taken}]
        section.keys["lookup"] = {other: {"key": {ours: theirs}, "take": [taken, *taken_too]}}
    account = TABLES[name].column("account_id")
    id_value = value_of(account, profile, is_grouped=False) if profile is not None else person
    when = value_of(TABLES["orders"].column("ordered_at"), orders.source.column(orders.columns["ordered_at"].column))
    when_sql = when["expression"] if isinstance(when, dict) else quoted(when)
    if name == "applications":
        section.columns.append(("application_id", id_value, "no applications found: one for each account"))
    section.columns.append(("account_id", id_value, "CHECK: one row for each account that orders"))
    edge = "min" if name == "accounts" else "max"
    why = "no such instant found: the first order" if name == "accounts" else "at its last order, with all its history"
    section.columns.append((instant, {"expression": f"{edge}({when_sql})"}, f"CHECK: {why}"))
    for column, found in more.items():
        value = value_of(TABLES[name].column(column), own.source.column(found.column), is_grouped=True) if own else None
        section.columns.append((column, value, f"{found.confidence:.2f}: {'; '.join(found.reasons)}"))
    if name == "applications":
        section.columns.append(("plan", {"constant": "membership"}, "CHECK: nothing names a plan"))
    return section


def _inline(value: Any) -> str:
    """Write a value on one line of YAML."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
        .strip()
        .removesuffix("...")
        .strip()
    )
