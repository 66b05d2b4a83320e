"""The tutorial is true: each command of the page is run in order, and prints the lines that the page shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import pytest

from membergate.cli.app import main

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXIT_CODE = re.compile(r"\s+# exit code (\d+)$")
ASSIGNMENT = re.compile(r"(\w+)=\$\((.*)\)")


@dataclass
class Step:
    """One command of the page, the exit code that it states, and the lines that it shows."""

    command: str
    code: int = 0
    shown: list[str] = field(default_factory=list)


def steps(page: str) -> list[Step]:
    """Read the commands out of a page's console blocks."""
    found: list[Step] = []
    for block in BLOCK.findall(page):
        for line in block.splitlines():
            if line.startswith("$ "):
                code = EXIT_CODE.search(line)
                found.append(Step(EXIT_CODE.sub("", line[2:]), int(code[1]) if code else 0))
            else:
                found[-1].shown.append(line)
    return found


def occurs(line: str, printed: str) -> bool:
    """Tell whether a line of the page occurs in some line that was printed; `…` stands for anything."""
    words = [re.escape(word).replace("…", ".*") for word in line.split()]
    pattern = re.compile(" ".join(words))
    return any(pattern.search(" ".join(found.replace("│", " ").split())) for found in printed.splitlines())


class Shell:
    """As much of a shell as the page needs, in this process: `membergate …`, and `NAME=$(python …)`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._variables: dict[str, str] = {}

    def run(self, command: str) -> tuple[int, str]:
        """Run one command; give its exit code and all that it printed."""
        assignment = ASSIGNMENT.fullmatch(command)
        if assignment is not None:
            python, *arguments = shlex.split(assignment[2])
            assert python == "python"
            said = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
            self._variables[assignment[1]] = said.stdout.strip()
            return 0, ""
        self._monkeypatch.setattr(sys, "argv", shlex.split(Template(command).substitute(self._variables)))
        assert sys.argv[0] == "membergate"
        with pytest.raises(SystemExit) as end:
            main()
        assert isinstance(end.value.code, int)
        return end.value.code, "".join(self._capsys.readouterr())


def test_ellipsis_stands_for_anything_but_words_must_occur() -> None:
    """The comparison itself can fail: a line that was not printed is missed."""
    printed = "table      rows\naccounts   2008\n"
    assert occurs("accounts …", printed)
    assert not occurs("accounts 7", printed)
    assert not occurs("table accounts", printed)


def test_tutorial(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every command ends as the page says, and prints what the page shows."""
    shell = Shell(monkeypatch, capsys)
    monkeypatch.chdir(tmp_path)
    page = steps(PAGE.read_text(encoding="utf-8"))
    assert {shlex.split(step.command)[1] for step in page if step.command.startswith("membergate")} == {
        *("simulate", "ingest", "features", "learn", "verify", "publish", "admit", "explain")
    }
    for step in page:
        code, printed = shell.run(step.command)
        assert code == step.code, f"{step.command}\n{printed}"
        missing = [line for line in step.shown if not occurs(line, printed)]
        assert not missing, f"{step.command} does not print {missing} but\n{printed}"
