"""CSV and JSON-lines files, turned into Parquet with every value as text.

Nothing is guessed: a value stays the text that it was until the schema's checks read it, and a line that is no record
is set aside instead of failing the file. Only the encoding must be right, because nothing can be read without it.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from membergate.domain.errors import BadInputError
from membergate.market.warehouse import count, literal

_CHUNK = 1 << 22  # bytes
_ALWAYS_KEPT = 1_000  # malformed lines; as many are quarantined however few the good ones are
_LONGEST_LINE = 16 << 20  # bytes
_MOST_LINES_OF_A_ROW = 20
_MARKS = {  # UTF-32 first: its mark begins with that of UTF-16
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}
_PARQUET = "(FORMAT parquet, COMPRESSION snappy)"


@dataclass(frozen=True, slots=True)
class MalformedRow:
    """A line of a text file that is no record of it.

    Parameters
    ----------
    file
        The file, as a person knows it.
    line
        Its line number, from 1.
    text
        The line.
    problem
        What is wrong with it.
    """

    file: str
    line: int
    text: str
    problem: str


def marked_encoding(start: bytes) -> str:
    """Name the encoding that the byte-order mark at a file's start declares; empty for UTF-8, or without a mark."""
    return next((name for name, marks in _MARKS.items() if start.startswith(marks)), "")


def as_utf8(path: Path, copy: Path, encoding: str) -> Path:
    """Give a UTF-8 file of the same text: the file itself, or `copy` where another encoding is declared.

    Raises
    ------
    BadInputError
        If the encoding is unknown, or the bytes are not of it; the position of the first wrong byte is named.
    """
    try:
        "".encode(encoding)  # refuses what turns bytes into bytes, or texts into texts: hex, rot13
        name = codecs.lookup(encoding).name
    except (LookupError, ValueError):
        raise BadInputError(
            f"unknown encoding of texts {encoding!r}",
            where=f"{path}, declared in the mapping",
            allowed="an encoding that Python knows, such as latin-1, cp1252, gb18030, shift_jis or utf-16",
        ) from None
    if name == "utf-8":
        for _ in _decoded(path, name):
            pass
        return path
    with copy.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines(_decoded(path, name))
    return copy


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    position = 0
    with path.open("rb") as stream:
        while True:
            chunk = stream.read(_CHUNK)
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                raise _wrong_encoding(path, encoding, position - pending + error.start) from None
            yield text
            if not chunk:
                return
            position += len(chunk)


def _wrong_encoding(path: Path, encoding: str, position: int) -> BadInputError:
    with path.open("rb") as stream:
        stream.seek(position)
        byte = stream.read(1).hex().upper()
        stream.seek(0)
        declared = marked_encoding(stream.read(len(codecs.BOM_UTF32_LE)))
    return BadInputError(
        f"the file is not {encoding.upper()}: byte 0x{byte} at position {position} (counted from 0)",
        where=str(path),
        allowed="UTF-8, with or without a byte-order mark; or the encoding that a mapping declares",
        next_step=(
            f"convert it (iconv -f {declared or 'gb18030'} -t utf-8 {path.name} > converted{path.suffix}"
            f"{'' if declared else ', with the encoding it has'}), "
            f"or declare `encoding:{f' {declared}' if declared else ''}` in a mapping file"
        ),
    )


def stage_csv(
    connection: duckdb.DuckDBPyConnection, path: Path, original: Path, staged: Path, delimiter: str
) -> tuple[MalformedRow, ...]:
    """Write a CSV file's records as Parquet, all columns text, and give the lines that are no records.

    Parameters
    ----------
    path
        The file in UTF-8.
    original
        The file as the user knows it.
    staged
        Where the Parquet file goes.
    delimiter
        What stands between two fields.

    Raises
    ------
    BadInputError
        If the header is missing, repeats a name, or shows that the fields are separated by something else.
    """
    header = _header(path, original, delimiter)
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header)
    connection.execute(
        f"COPY (SELECT * FROM read_csv({literal(str(path))}, columns = {{{columns}}}, header = true, "
        f"auto_detect = false, delim = {literal(delimiter)}, quote = '\"', escape = '\"', "
        f"store_rejects = true, rejects_limit = 0, max_line_size = {_LONGEST_LINE})) "
        f"TO {literal(str(staged))} {_PARQUET}"
    )
    wrong = count(connection, "(SELECT DISTINCT line FROM reject_errors)")
    _require_some_sense(wrong, count(connection, f"read_parquet({literal(str(staged))})"), original)
    rejects = connection.execute(
        "SELECT line, any_value(csv_line), any_value(error_message) FROM reject_errors GROUP BY line ORDER BY line"
    ).fetchall()
    connection.execute("DELETE FROM reject_errors")
    for line, text, _ in rejects:
        _require_a_closing_quote(line, text or "", original)
    return tuple(
        MalformedRow(str(original), line, (text or "").strip("\r\n"), (problem or "").split("\n")[0])
        for line, text, problem in rejects
    )


def _require_a_closing_quote(line: int, text: str, original: Path) -> None:
    """Refuse a file in which a quote runs on: the lines that it swallows are rows, and would count as one bad row."""
    swallowed = text.strip().count("\n")
    if swallowed > _MOST_LINES_OF_A_ROW:
        raise BadInputError(
            f"a quote that opens here is closed only {swallowed:,} lines later, if at all",
            where=f"{original}, line {line}",
            allowed='fields in double quotes, a quote inside one written twice ("")',
            next_step="correct the quotes of that line, or export the file again",
        )


def _header(path: Path, original: Path, delimiter: str) -> tuple[str, ...]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header = tuple(name.strip() for name in next(csv.reader(stream, delimiter=delimiter), ()))
    repeated = sorted({name for name in header if header.count(name) > 1})
    if not any(header) or repeated:
        raise BadInputError(
            f"the header names {repeated[0]!r} twice" if repeated else "the file has no header",
            where=f"{original}, line 1",
            allowed="a first line with one distinct name per column",
            next_step="export the file again with a header",
        )
    others = [mark for mark in ";\t|," if mark != delimiter and mark in header[0]]
    if len(header) == 1 and others:
        raise BadInputError(
            f"the fields of this file are separated by {others[0]!r}, not by {delimiter!r}",
            where=f"{original}, line 1",
            allowed=f"fields separated by {delimiter!r}",
            next_step=f"export it again with commas, or declare `delimiter: {others[0]!r}` in a mapping file",
        )
    return tuple(name or f"column_{place}" for place, name in enumerate(header, 1))


def stage_jsonl(
    connection: duckdb.DuckDBPyConnection, path: Path, original: Path, staged: Path
) -> tuple[MalformedRow, ...]:
    """Write a JSON-lines file's objects as Parquet, all values text, and give the lines that are no objects.

    Parameters are those of `stage_csv`. A JSON null is a missing value; a nested value stays JSON text.
    """
    lines = staged.with_suffix(".lines.parquet")
    # Read as a one-column CSV whose separator no JSON text can hold: a broken line then breaks nothing but itself.
    reader = (
        f"read_csv({literal(str(path))}, columns = {{'line': 'VARCHAR'}}, header = false, auto_detect = false, "
        f"delim = '\x1f\x1e\x1d', quote = '', escape = '', null_padding = true, max_line_size = {_LONGEST_LINE})"
    )
    is_object = "CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE false END"
    connection.execute(
        f"COPY (SELECT line, CASE WHEN {is_object} THEN line END AS object "
        f"FROM (SELECT ltrim(line, '\ufeff') AS line FROM {reader})) TO {literal(str(lines))} {_PARQUET}"
    )
    found = f"read_parquet({literal(str(lines))}, file_row_number = true)"
    broken = "object IS NULL AND line IS NOT NULL AND trim(line) <> ''"
    keys = [
        row[0]
        for row in connection.execute(
            f"SELECT DISTINCT unnest(json_keys(object)) AS key FROM {found} ORDER BY key"
        ).fetchall()
        if row[0]
    ]
    wrong = count(connection, f"(SELECT 1 FROM {found} WHERE {broken})")
    _require_some_sense(wrong, count(connection, f"(SELECT 1 FROM {found} WHERE object IS NOT NULL)"), original)
    paths = ", ".join(literal('$."' + key.replace('"', '\\"') + '"') for key in keys)
    values = ", ".join(f'v[{place}] AS "{_quoted(key)}"' for place, key in enumerate(keys, 1)) or "NULL AS nothing"
    connection.execute(
        f"COPY (SELECT {values} FROM (SELECT json_extract_string(object, [{paths}]) AS v FROM {found} "
        f"WHERE object IS NOT NULL ORDER BY file_row_number)) TO {literal(str(staged))} {_PARQUET}"
    )
    lines_wrong = connection.execute(
        f"SELECT file_row_number + 1, line FROM {found} WHERE {broken} ORDER BY file_row_number"
    ).fetchall()
    return tuple(MalformedRow(str(original), line, text, "this line is no JSON object") for line, text in lines_wrong)


def _require_some_sense(wrong: int, right: int, original: Path) -> None:
    """Refuse a file of which most lines are no records: it is of another kind, and its lines need not be kept."""
    if wrong > max(right, _ALWAYS_KEPT):
        raise BadInputError(
            f"{wrong:,} lines of the file are no records, and only {right:,} are",
            where=str(original),
            allowed="comma-separated values under a header, or one JSON object a line",
            next_step="look at the file: is it what its name says, and whole?",
        )


def _quoted(name: str) -> str:
    return name.replace('"', '""')
