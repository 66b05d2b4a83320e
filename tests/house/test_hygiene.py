"""What must never be in the project, and what must always be in order."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

LONGEST_README = 120
LONGEST_LINE_BY_HAND = 1_000
FORBIDDEN_MODULES = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
# put together from parts, so that this file does not contain what it forbids
REGISTRIES = ["py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "conda" + ".io"]
MARKS = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")
MACHINE_PATHS = re.compile(
    r"(?<![\w./}>$-])/("
    + "|".join(["ho" + "me", "ro" + "ot", "Us" + "ers", "wo" + "rk", "tm" + "p", "fa" + "rm", "mn" + "t"])
    + r")/\w"
)
SQL = re.compile(r"^\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|COPY|WITH|FROM|DESCRIBE|WHERE|AND|SET)\b")
RUNNERS = {"execute", "executemany", "sql", "query", "exec_driver_sql", "text"}


class Source(Protocol):
    """A Python file, as the fixture `sources` gives it."""

    path: str
    text: str
    tree: ast.Module


def imported(tree: ast.Module) -> Iterator[str]:
    """Give the top-level packages that a file imports, wherever it does so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]


def test_nothing_is_pickled(sources: list[Source]) -> None:
    """A file of ours can be read by somebody who does not trust us: arrays and manifests, never code."""
    users = {source.path: found for source in sources if (found := FORBIDDEN_MODULES & set(imported(source.tree)))}
    assert not users
    allowing = [
        source.path
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False"
    ]
    assert not allowing


def test_requirements_are_locked_and_name_no_host() -> None:
    """Every requirement has its hash; where it is fetched from is the reader's business."""
    root = Path(__file__).parents[2]
    files = sorted((root / "requirements").glob("*.txt"))
    assert files
    for file in files:
        text = file.read_text()
        assert not re.search(r"--(index-url|extra-index-url|find-links|trusted-host)|://", text), file.name
        logical = [line for line in text.replace("\\\n", " ").splitlines() if re.match(r"[A-Za-z0-9]", line)]
        assert logical, file.name
        assert not [line.split()[0] for line in logical if "--hash=sha256:" not in line], file.name


def test_no_file_names_a_registry(texts: dict[str, str]) -> None:
    """A mirror, a proxy or an offline copy must do as well."""
    assert not [(path, host) for path, text in texts.items() for host in REGISTRIES if host in text]


def test_no_file_knows_a_machine(texts: dict[str, str]) -> None:
    """No path of anybody's machine is written down."""
    found = {path: match.group() for path, text in texts.items() if (match := MACHINE_PATHS.search(text))}
    assert not found


def test_nothing_is_left_for_later(texts: dict[str, str]) -> None:
    """What is not done is not hinted at in the code."""
    found = {path: match.group() for path, text in texts.items() if path != "LICENSE" and (match := MARKS.search(text))}
    assert not found


def test_nothing_third_party_is_committed(texts: dict[str, str]) -> None:
    """Scripts and styles are written by hand, or built; never a bundle."""
    assets = {path: text for path, text in texts.items() if path.endswith((".js", ".mjs", ".css", ".html", ".j2"))}
    bundled = [
        path
        for path, text in assets.items()
        if ".min." in path or max(map(len, text.splitlines()), default=0) > LONGEST_LINE_BY_HAND
    ]
    assert not bundled


def test_the_readme_is_short(texts: dict[str, str]) -> None:
    """It can be read standing."""
    assert len(texts["README.md"].splitlines()) <= LONGEST_README


def test_every_changelog_fragment_has_a_type(texts: dict[str, str]) -> None:
    """`NAME.TYPE.md` with a type that the change log knows, and something to say."""
    root = Path(__file__).parents[2]
    towncrier = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["towncrier"]
    types = {kind["directory"] for kind in towncrier["type"]}
    fragments = {path: text for path, text in texts.items() if path.startswith("changelog.d/")}
    wrong = [
        path
        for path, text in fragments.items()
        if not re.fullmatch(rf"changelog\.d/[+\w-]+\.({'|'.join(sorted(types))})\.md", path) or not text.strip()
    ]
    assert not wrong


# --- SQL is made of declared names; values are bound ------------------------------------------------------------------


def pasted_values(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Find the placeholders by which a value might be pasted into SQL: line and expression.

    Three shapes give them away: a placeholder between single quotes is a value made into a literal by hand; so is one
    with `!r`; and a statement that is handed to a connection is never put together by `%`, nor by `.format` of anything
    but constants.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and SQL.match(_first_text(node)):
            yield from ((node.lineno, ast.unparse(part)) for part in _quoted_placeholders(node))
        if isinstance(node, ast.Call) and _runs_sql(node) and node.args and _is_put_together(node.args[0]):
            yield node.lineno, ast.unparse(node.args[0])


def _first_text(node: ast.JoinedStr) -> str:
    first = node.values[0]
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def _quoted_placeholders(node: ast.JoinedStr) -> Iterator[ast.FormattedValue]:
    before = ""
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            if (before.count("'") % 2 and not _is_declared(part.value)) or part.conversion == ord("r"):
                yield part
        elif isinstance(part, ast.Constant):
            before += str(part.value)


def _is_declared(expression: ast.expr) -> bool:
    """Whether it is a constant by name: `REASON`, `Reason.ORPHAN`."""
    return ast.unparse(expression).rpartition(".")[2].isupper()


def _runs_sql(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in RUNNERS


def _is_put_together(argument: ast.expr) -> bool:
    if isinstance(argument, ast.BinOp) and isinstance(argument.op, ast.Mod):
        return True
    is_format = (
        isinstance(argument, ast.Call) and isinstance(argument.func, ast.Attribute) and argument.func.attr == "format"
    )
    if not is_format or not isinstance(argument, ast.Call):
        return False
    filled = [*argument.args, *(keyword.value for keyword in argument.keywords)]
    return not all(isinstance(value, ast.Constant) for value in filled)


def test_sql_is_never_built_from_values(sources: list[Source]) -> None:
    """Statements are put together from identifiers and expressions that the code declares; values are bound.

    Tests are left out: they feed their own values to their own databases.
    """
    found = [
        f"{source.path}:{line}: {expression}"
        for source in sources
        if not source.path.startswith("tests/")
        for line, expression in pasted_values(source.tree)
    ]
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize(
    ("code", "is_pasted"),
    [
        ("""c.execute(f"SELECT * FROM {TABLE} WHERE id = ?", [x])""", False),
        ("""c.execute(f"SELECT * FROM {TABLE} WHERE id = '{x}'")""", True),
        ("""sql = f"SELECT 'a', {column} FROM t WHERE name = 'x{y}'\"""", True),
        ("""sql = f"SELECT 'a', {column} FROM t\"""", False),
        ("""c.execute(f"SELECT '{Reason.ORPHAN}' AS reason")""", False),
        ("""c.execute(f"SELECT {x!r}")""", True),
        ("""c.execute("SELECT * FROM t WHERE id = %s" % x)""", True),
        ("""c.execute(sql.format(name=x))""", True),
        ("""c.execute(sql.format(join=''))""", False),
        ("""say(f"it's {x}")""", False),
    ],
)
def test_what_counts_as_pasted(code: str, is_pasted: bool) -> None:
    """The rule finds what it is for, and leaves declared names alone."""
    assert bool(list(pasted_values(ast.parse(code)))) is is_pasted
