"""Samples: what the values of a column look like, from a bounded part of each file."""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass
from pathlib import Path

import duckdb

from membergate.domain.errors import BadInputError
from membergate.market.checks import ZONE_AFTER_TIME, Family, family_of
from membergate.market.mapping.viewing import listed
from membergate.market.sources import Source, open_source
from membergate.market.textfiles import marked_encoding
from membergate.market.warehouse import literal

SAMPLED_ROWS = 50_000
"""Rows of a source that are looked at."""
_HEAD_BYTES = 32 << 20  # of a text file
_DELIMITERS = (",", ";", "\t", "|")
_FORMATS = (
    "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d-%m-%Y %H:%M",
    "%d-%m-%Y", "%Y%m%d", "%Y%m%d%H%M%S", "%d %b %Y", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S",
)  # fmt: skip
_FLAGS = ("true", "false", "t", "f", "yes", "no", "y", "n", "0", "1")
_HIGH_BYTE, _GB2312_PAIR = re.compile(rb"[\x80-\xff]"), re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
_MOSTLY_PAIRS = 0.9
_MOST_SHOWN = 40
_MOSTLY = 0.98
"""Share from which on the values of a column are of a kind."""
_EPOCHS = {"seconds": (1e8, 4e9, 1_000_000), "milliseconds": (1e11, 4e12, 1_000), "microseconds": (1e14, 4e15, 1)}


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What a sample says of a column; shares are of the values that are there.

    Parameters
    ----------
    name
        The column.
    rows, filled, distinct
        Sampled rows, those with a value, and how many different values.
    numeric, whole, fraction, negative
        Shares of numbers, of whole numbers, of numbers with a fraction, of negative ones.
    smallest, largest
        Ends of the numbers; None where there are none.
    iso_time, zoned
        Shares of ISO 8601 instants and dates, and of those with an offset.
    decimal
        Share of numbers that are written with two digits behind the point, zeros included.
    currency, flag, email
        Shares of codes of three capital letters, of words for yes and no, of e-mail addresses.
    values
        Some of the values, in lower case.
    time_format
        Format of instants that are not ISO 8601; empty where none fits.
    other_format
        A second one that fits as well: day and month cannot be told apart.
    """

    name: str
    rows: int
    filled: int
    distinct: int
    numeric: float
    whole: float
    fraction: float
    negative: float
    smallest: float | None
    largest: float | None
    iso_time: float
    zoned: float
    decimal: float
    currency: float
    flag: float
    email: float
    values: tuple[str, ...]
    time_format: str = ""
    other_format: str = ""

    @property
    def is_unique(self) -> bool:
        """Whether every sampled row has a value of its own."""
        return self.rows > 0 and self.distinct == self.filled == self.rows

    @property
    def is_major(self) -> bool:
        """Whether numbers, if they are money, count the major unit: they have, or are written with, a fraction."""
        return self.fraction > 0 or self.decimal >= _MOSTLY

    @property
    def epoch(self) -> str:
        """The unit of instants that are counted since 1970; empty where they are not."""
        if self.whole < _MOSTLY or self.smallest is None or self.largest is None:
            return ""
        return next(
            (unit for unit, (low, high, _) in _EPOCHS.items() if low <= self.smallest <= self.largest < high), ""
        )

    @property
    def micros(self) -> int:
        """Microseconds in one of `epoch`."""
        return _EPOCHS[self.epoch][2]


@dataclass(frozen=True, slots=True)
class SourceProfile:
    """A source of a folder, as sampled.

    Parameters
    ----------
    name
        Its name: that of its file, without the ending and a number behind it.
    files
        What a mapping says of its files; empty where its name says it.
    encoding, delimiter
        How it is written, where that is not UTF-8 and a comma; else empty.
    relation
        SQL relation of the sampled rows.
    is_whole
        Whether the sample is all of it.
    columns
        Its columns, nested ones left out.
    nested
        The nested ones.
    """

    name: str
    files: str
    encoding: str
    delimiter: str
    relation: str
    is_whole: bool
    columns: tuple[ColumnProfile, ...]
    nested: tuple[str, ...]

    def column(self, name: str) -> ColumnProfile:
        """Give a column by its name."""
        return next(column for column in self.columns if column.name == name)


def profile(connection: duckdb.DuckDBPyConnection, source: Source, files: str, staging: Path) -> SourceProfile:
    """Sample a source and look at each of its columns.

    Parameters
    ----------
    files
        What a mapping is to say of the source's files.
    staging
        Folder for what is made on the way.

    Raises
    ------
    BadInputError
        If a file cannot be read.
    """
    encoding, delimiter, is_head, sampled = "", "", False, source
    if source.ending != ".parquet":
        path = source.files[0]
        head = staging / f"{source.name}.head{path.suffix}"
        encoding, is_head = _write_head(path, head)
        sampled = Source(source.name, (head,))
        delimiter = _delimiter(head, encoding or "utf-8") if source.ending == ".csv" else ""
    try:
        opened = open_source(connection, sampled, staging, encoding=encoding or "utf-8", delimiter=delimiter or ",")
    except BadInputError as error:
        where = error.where.replace(str(sampled.files[0]), str(source.files[0]))
        raise BadInputError(error.what, where=where, allowed=error.allowed, next_step=error.next_step) from None
    nested = tuple(name for name, kind in opened.columns.items() if family_of(kind) is Family.NESTED)
    table = listed((f"sample_{source.name}",))
    kept = f"* EXCLUDE ({listed(nested)})" if nested else "*"
    connection.execute(f"CREATE TABLE {table} AS SELECT {kept} FROM {opened.relation} LIMIT {SAMPLED_ROWS + 1}")
    rows = (connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,))[0]
    columns = [_column(connection, table, name, rows) for name in opened.columns if name not in nested]
    if source.ending != ".parquet":
        nested += tuple(column.name for column in columns if _is_json(column))
    return SourceProfile(
        source.name,
        files,
        encoding,
        delimiter if delimiter != "," else "",
        table,
        rows <= SAMPLED_ROWS and not is_head and len(source.files) == 1,
        tuple(column for column in columns if column.name not in nested),
        nested,
    )


def _is_json(column: ColumnProfile) -> bool:
    return bool(column.values) and all(value[:1] in {"{", "["} for value in column.values)


def _write_head(path: Path, head: Path) -> tuple[str, bool]:
    """Copy the first lines of a text file; give its encoding, empty for UTF-8, and say whether there are more."""
    with path.open("rb") as stream:
        content = stream.read(_HEAD_BYTES)
        is_cut = bool(stream.read(1))
    encoding = marked_encoding(content)
    if encoding:
        text = codecs.getincrementaldecoder(encoding)("replace").decode(content)
        content = (text[: text.rfind("\n") + 1] if is_cut else text).encode(encoding)
    elif b"\0" in content:
        raise BadInputError(
            "the file holds NUL bytes: it is no text, or UTF-16 without a byte-order mark",
            where=str(path),
            allowed="comma-separated values under a header, or one JSON object a line",
            next_step=f"convert it: iconv -f utf-16le -t utf-8 {path.name} > converted{path.suffix}",
        )
    elif is_cut:
        content = content[: content.rfind(b"\n") + 1]
    head.write_bytes(content)
    return encoding or _encoding(content), is_cut


def _encoding(content: bytes) -> str:
    """Guess how a text is encoded: empty for UTF-8, else by whether its high bytes come in pairs, as Chinese does."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        high = len(_HIGH_BYTE.findall(content))
        return "gb18030" if 2 * len(_GB2312_PAIR.findall(content)) >= _MOSTLY_PAIRS * high else "cp1252"
    return ""


def _delimiter(path: Path, encoding: str) -> str:
    """Give the mark that cuts the header into the most fields; a comma where none does."""
    with path.open(encoding=encoding, errors="replace", newline="") as stream:
        line = stream.readline()
    return max(_DELIMITERS, key=lambda mark: (len(next(csv.reader([line], delimiter=mark), [])), mark == ","))


def _column(connection: duckdb.DuckDBPyConnection, table: str, name: str, rows: int) -> ColumnProfile:
    raw = f"nullif(trim(CAST({listed((name,))} AS VARCHAR)), '')"
    number = "TRY_CAST(v AS DOUBLE)"
    is_instant = "coalesce(TRY_CAST(v AS TIMESTAMPTZ), TRY_CAST(left(v, 19) AS TIMESTAMPTZ)) IS NOT NULL"
    is_iso = f"regexp_matches(v, '^[0-9]{{4}}-[0-9]{{2}}') AND {is_instant}"
    shares = {
        "numeric": f"{number} IS NOT NULL",
        "whole": "regexp_full_match(v, '[+-]?[0-9]+(\\.0*)?')",
        "fraction": f"coalesce({number} <> trunc({number}), false)",
        "negative": f"coalesce({number} < 0, false)",
        "iso_time": is_iso,
        "zoned": f"regexp_matches(v, {literal(ZONE_AFTER_TIME)})",
        "decimal": "regexp_full_match(v, '[+-]?[0-9]+\\.[0-9]{2}')",
        "currency": "regexp_full_match(v, '[A-Z]{3}')",
        "flag": f"lower(v) IN ({', '.join(map(literal, _FLAGS))})",
        "email": "regexp_full_match(v, '[^@ ]+@[^@ ]+\\.[^@ ]+')",
    }
    counted = ", ".join(f"coalesce(avg(CAST({test} AS INTEGER)) FILTER (v IS NOT NULL), 0)" for test in shares.values())
    some = f"coalesce(list_sort(list(DISTINCT lower(left(v, 200))) FILTER (v IS NOT NULL))[:{_MOST_SHOWN}], [])"
    found = connection.execute(
        f"SELECT count(v), count(DISTINCT v), min({number}), max({number}), "
        f"{some}, {counted} FROM (SELECT {raw} AS v FROM {table})"
    ).fetchone()
    filled, distinct, smallest, largest, values, *measured = found or ()
    formats = ("", "")
    share = dict(zip(shares, measured, strict=True))
    if filled and share["iso_time"] < _MOSTLY:
        formats = _formats(connection, table, raw)
    return ColumnProfile(
        name, rows, filled, distinct, smallest=smallest, largest=largest, values=tuple(values),
        time_format=formats[0], other_format=formats[1], **share,
    )  # fmt: skip


def _formats(connection: duckdb.DuckDBPyConnection, table: str, raw: str) -> tuple[str, str]:
    """Give up to two formats in which nearly every value is an instant of a plausible year."""
    parsed = ", ".join(
        f"avg(CAST(coalesce(year(try_strptime(v, {literal(text)})) BETWEEN 1990 AND 2100, false) AS INTEGER))"
        for text in _FORMATS
    )
    found = connection.execute(f"SELECT {parsed} FROM (SELECT {raw} AS v FROM {table}) WHERE v IS NOT NULL").fetchone()
    fitting = [text for text, share in zip(_FORMATS, found or (), strict=True) if (share or 0) >= _MOSTLY]
    first, second, *_ = [*fitting, "", ""]
    return first, second


def contained(connection: duckdb.DuckDBPyConnection, child: tuple[str, str], parent: tuple[str, str]) -> float:
    """Give the share of a column's different values that another column holds, each a relation and a column's name."""
    (inner, a), (outer, b) = child, parent
    value = "nullif(trim(CAST({} AS VARCHAR)), '')"
    mine, theirs = value.format(listed((a,))), value.format(listed((b,)))
    found = connection.execute(
        f"SELECT avg(CAST(v IN (SELECT {theirs} FROM {outer} WHERE {theirs} IS NOT NULL) AS INTEGER)) "
        f"FROM (SELECT DISTINCT {mine} AS v FROM {inner}) WHERE v IS NOT NULL"
    ).fetchone()
    return float((found or (0,))[0] or 0)
