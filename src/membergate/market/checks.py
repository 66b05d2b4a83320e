"""Checked reading of one table: every value is cast if it can be, and the first thing wrong with a row is named.

The checks are SQL made from the schema's declarations, so that DuckDB reads a table once, in parallel, whatever its
size. A bad value refuses its row, never the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from membergate.market.declaring import INGESTED_AT, LONGEST_ID, Column, Kind, Table
from membergate.market.quarantine import SHOWN_CHARACTERS, Reason
from membergate.market.warehouse import literal

CLOCK_SKEW = "INTERVAL 1 DAY"
"""How far an event may lie after the instant at which it was known: clocks differ, and local time slips in as UTC."""

_EARLIEST, _LATEST = "TIMESTAMP '1970-01-01'", "TIMESTAMP '2200-01-01'"
ZONE_AFTER_TIME = r":[0-9]{2}([.,][0-9]+)?\s*[A-Za-z+-]"
"""A text instant whose time of day is followed by an offset or the name of a zone."""
_WHOLE_NUMBER = r"^\s*[+-]?[0-9]+(\.0*)?\s*$"
_DIGIT_FIRST = r"^\s*[0-9]"


class Family(Enum):
    """What a source's column is made of, as far as the checks care."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    INSTANT = "instant"
    ZONED = "zoned"
    FLAG = "flag"
    NESTED = "nested"


def family_of(sql_type: str) -> Family:
    """Sort a DuckDB type into its family."""
    name = sql_type.upper()
    if name.endswith("]") or name.startswith(("STRUCT", "MAP", "UNION", "VARIANT")):
        return Family.NESTED
    if name.startswith(("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")):
        return Family.ZONED
    if name.startswith("TIMESTAMP") or name == "DATE":
        return Family.INSTANT
    if name in {"FLOAT", "DOUBLE"} or name.startswith("DECIMAL"):
        return Family.REAL
    if name.endswith(("INT", "INTEGER")):
        return Family.INTEGER
    return Family.FLAG if name == "BOOLEAN" else Family.TEXT


def checked_select(
    table: Table,
    families: dict[str, Family],
    source: str,
    *,
    time_zones: Mapping[str, str],
    mixed: frozenset[str] = frozenset(),
    now: str | None = None,
) -> str:
    """Give the query that reads a source as a table: typed columns, `_seq`, and what is wrong with each row.

    Parameters
    ----------
    table
        The canonical table.
    families
        What each canonical column that the source has is made of.
    source
        SQL relation with the raw columns and `_seq`.
    time_zones
        For time columns that declare it, the zone of instants without an offset; UTC for the others.
    mixed
        Columns that hold instants both with and without an offset, and declare no zone for the latter.
    now
        SQL timestamp after which nothing can have happened; None trusts `ingested_at` alone.

    Returns
    -------
    str
        A SELECT with the columns that the source has, `ingested_at` (NULL where it has none), `_seq`, `_reason`,
        `_column` and `_value`; the last three are NULL for a good row.
    """
    columns = [column for column in table.readable_columns if column.name in families]
    # Three layers, because DuckDB would cast a value again for each time that a CASE asks for it.
    read, problems = ["_seq"], ["*"]
    for column in columns:
        family = families[column.name]
        read.append(f'"{column.name}"')
        read.append(f'{_value(column, family, time_zones.get(column.name))} AS "t_{column.name}"')
        problems.append(f'{_problem(column, family, is_mixed=column.name in mixed)} AS "p_{column.name}"')
    future = _future(table, families, now)
    named = [f'"p_{column.name}"' for column in columns]
    outer = ["_seq", *(f'"t_{column.name}" AS "{column.name}"' for column in columns)]
    if INGESTED_AT.name not in families:
        outer.append(f"CAST(NULL AS TIMESTAMP) AS {INGESTED_AT.name}")
    event = next((name for name in table.event if name in families), None)
    outer.append(f"coalesce({', '.join(named)}, {future}) AS _reason")
    outer.append(_first_wrong(columns, literal, literal(event) if event else "NULL") + " AS _column")
    shown = _shown(f'"{event}"') if event else "NULL"
    outer.append(_first_wrong(columns, lambda name: _shown(f'"{name}"'), shown) + " AS _value")
    layers = f"(SELECT {', '.join(problems)} FROM (SELECT {', '.join(read)} FROM {source}))"
    return f"SELECT {', '.join(outer)} FROM {layers}"


def _first_wrong(columns: list[Column], what: Callable[[str], str], otherwise: str) -> str:
    arms = " ".join(f'WHEN "p_{column.name}" IS NOT NULL THEN {what(column.name)}' for column in columns)
    return f"CASE WHEN _reason IS NULL THEN NULL {arms} ELSE {otherwise} END"


def _shown(raw: str) -> str:
    return f"left(CAST({raw} AS VARCHAR), {SHOWN_CHARACTERS})"


def _future(table: Table, families: dict[str, Family], now: str | None) -> str:
    event = [f'"t_{name}"' for name in table.event if name in families]
    if not event or table.is_announced:
        return "NULL"
    known = [f'"t_{INGESTED_AT.name}"'] if INGESTED_AT.name in families else []
    tests = [f"coalesce({', '.join(event)}) > {known[0]} + {CLOCK_SKEW}"] if known else []
    if now is not None:
        tests += [f"{column} > {now} + {CLOCK_SKEW}" for column in (*event, *known)]
    return f"CASE WHEN {' OR '.join(tests)} THEN {literal(Reason.EVENT_IN_FUTURE)} END" if tests else "NULL"


def _problem(column: Column, family: Family, *, is_mixed: bool) -> str:
    """Give the SQL of the reason why a value refuses its row; NULL where nothing is wrong with it."""
    raw, read = f'"{column.name}"', f'"t_{column.name}"'
    arms: list[tuple[str, Reason | None]] = [
        (_is_blank(raw, family), Reason.MISSING_VALUE if column.is_required else None)
    ]
    if column.kind is Kind.MONEY and family in {Family.TEXT, Family.REAL}:
        arms.append((is_fractional(raw), Reason.FRACTIONAL_MONEY))
    arms.append((f"{read} IS NULL", Reason.UNPARSABLE_TIME if column.kind is Kind.TIME else Reason.WRONG_TYPE))
    if is_mixed:
        arms.append((f"NOT {has_zone(raw)}", Reason.TIME_WITHOUT_ZONE))
    if column.kind is Kind.ID:
        arms.append((f"length({read}) > {LONGEST_ID}", Reason.OVERSIZED_ID))
        arms.append((f"contains({read}, chr(0))", Reason.NUL_IN_ID))
    if column.choices:
        arms.append((f"{read} NOT IN ({', '.join(map(literal, column.choices))})", Reason.UNKNOWN_VALUE))
    if column.kind is Kind.TIME:
        arms.append((f"{read} < {_EARLIEST} OR {read} >= {_LATEST}", Reason.OUT_OF_RANGE))
    if column.minimum is not None:
        below = Reason.NON_POSITIVE_QUANTITY if column.name == "quantity" else Reason.OUT_OF_RANGE
        arms.append((f"{read} < {column.minimum}", below))
    if column.maximum is not None:
        arms.append((f"{read} > {column.maximum}", Reason.OUT_OF_RANGE))
    written = " ".join(f"WHEN {test} THEN {literal(reason) if reason else 'NULL'}" for test, reason in arms)
    return f"CASE {written} END"


def is_fractional(raw: str) -> str:
    """Give the SQL test for a number with a fraction; integral floats (199.0) are whole numbers written long."""
    number = f"TRY_CAST({raw} AS DOUBLE)"
    return f"(isfinite({number}) AND {number} <> trunc({number}))"


def has_zone(raw: str) -> str:
    """Give the SQL test for a text instant that carries an offset or a zone."""
    return f"regexp_matches({raw}, {literal(ZONE_AFTER_TIME)})"


def _is_blank(raw: str, family: Family) -> str:
    if family is Family.TEXT:
        return f"({raw} IS NULL OR trim({raw}) = '')"
    # A frame library writes a missing number as NaN; nobody means it as a value.
    return f"({raw} IS NULL OR isnan({raw}))" if family is Family.REAL else f"{raw} IS NULL"


def _value(column: Column, family: Family, time_zone: str | None) -> str:
    """Give the SQL of the canonical value; NULL where it is missing or wrong."""
    raw = f'"{column.name}"'
    if family is Family.NESTED:
        return f"CAST(NULL AS {column.kind.sql_type})"
    match column.kind:
        case Kind.MONEY | Kind.COUNT:
            value = _whole(raw, family)
        case Kind.NUMBER:
            value = _real(raw, family)
        case Kind.TIME:
            value = _instant(raw, family, time_zone)
        case Kind.FLAG:
            value = _flag(raw, family)
        case Kind.CHOICE:
            value = _choice(f"lower(trim({_text(raw, family)}))", column.choices)
        case Kind.CURRENCY:
            code = f"upper(trim({_text(raw, family)}))"
            value = f"CASE WHEN regexp_full_match({code}, '[A-Z]{{3}}') THEN {code} END"
        case _:
            value = _text(raw, family)
    return value


def _text(raw: str, family: Family) -> str:
    if family is Family.TEXT:
        return f"CASE WHEN trim({raw}) = '' THEN NULL ELSE {raw} END"
    if family is Family.REAL:
        # Whole ids that passed through a float column (123.0) must still meet the ids that did not (123).
        whole = f"CAST(TRY_CAST({raw} AS HUGEINT) AS VARCHAR)"
        return (
            f"CASE WHEN isnan({raw}) THEN NULL WHEN {raw} = trunc({raw}) THEN {whole} ELSE CAST({raw} AS VARCHAR) END"
        )
    return f"CAST({raw} AS VARCHAR)"


def _choice(word: str, choices: tuple[str, ...]) -> str:
    """Give a word in its declared spelling (`l4` is `L4`); a word that is none of the choices stays what it is."""
    respelled = " ".join(
        f"WHEN {literal(choice.lower())} THEN {literal(choice)}" for choice in choices if choice != choice.lower()
    )
    return f"CASE {word} {respelled} ELSE {word} END" if respelled else word


def _whole(raw: str, family: Family) -> str:
    if family is Family.TEXT:
        digits = f"split_part(trim({raw}), '.', 1)"
        return f"CASE WHEN regexp_matches({raw}, {literal(_WHOLE_NUMBER)}) THEN TRY_CAST({digits} AS BIGINT) END"
    if family is Family.REAL:
        return f"CASE WHEN isfinite({raw}) AND {raw} = trunc({raw}) THEN TRY_CAST({raw} AS BIGINT) END"
    return f"TRY_CAST({raw} AS BIGINT)" if family is Family.INTEGER else "CAST(NULL AS BIGINT)"


def _real(raw: str, family: Family) -> str:
    if family not in {Family.TEXT, Family.REAL, Family.INTEGER}:
        return "CAST(NULL AS DOUBLE)"
    number = f"TRY_CAST({raw} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def _instant(raw: str, family: Family, time_zone: str | None) -> str:
    # DuckDB reads an offset only where it follows the time at once; Shopify and Ruby write a space before it.
    text = rf"regexp_replace({raw}, '\s+([+-][0-9:]+)\s*$', '\1')" if family is Family.TEXT else raw
    zoned = f"timezone('UTC', TRY_CAST({text} AS TIMESTAMPTZ))"
    naive = f"TRY_CAST({raw} AS TIMESTAMP)"
    if time_zone is not None:
        naive = f"timezone('UTC', timezone({literal(time_zone)}, {naive}))"
    if family is Family.TEXT:
        is_date = f"regexp_matches({raw}, {literal(_DIGIT_FIRST)})"
        parsed = f"CASE WHEN {has_zone(raw)} THEN {zoned} WHEN {is_date} THEN {naive} END"
    elif family is Family.INSTANT:
        parsed = naive
    elif family is Family.ZONED:
        parsed = zoned
    else:
        parsed = "CAST(NULL AS TIMESTAMP)"
    return parsed


def _flag(raw: str, family: Family) -> str:
    match family:
        case Family.FLAG:
            return raw
        case Family.TEXT:
            return f"TRY_CAST(trim({raw}) AS BOOLEAN)"
        case Family.INTEGER | Family.REAL:
            return f"CASE {raw} WHEN 0 THEN false WHEN 1 THEN true END"
        case _:
            return "CAST(NULL AS BOOLEAN)"
