"""The command line in this process: as a shell would start it, without paying for a new interpreter each time."""

from __future__ import annotations

import sys

import pytest

from membergate.cli import app


class CommandLine:
    """The command line in this process, as a shell would start it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: object) -> tuple[object, str, str]:
        """Run one command; give its exit code, its output, and its error output with the white space made one."""
        self._monkeypatch.setattr(sys, "argv", ["membergate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            app.main()
        out, err = self._capsys.readouterr()
        return end.value.code, out, " ".join(err.replace("│", " ").split())


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Give the command line."""
    return CommandLine(monkeypatch, capsys)
