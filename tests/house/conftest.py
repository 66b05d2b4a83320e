"""What the house tests share: the project's own files, read once."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class SourceFile:
    """One Python file of the project.

    Parameters
    ----------
    path
        Its path from the project's root, with slashes.
    text
        Its content.
    """

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)


def _listed() -> list[str]:
    """List the files that belong to the project: what git has, and what it would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(path for path in set(listed) if (ROOT / path).is_file())


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    """Give every text file of the project by its path."""
    found = {}
    for path in _listed():
        content = (ROOT / path).read_bytes()
        if b"\x00" not in content:
            found[path] = content.decode()
    return found


@pytest.fixture(scope="session")
def sources(texts: dict[str, str]) -> list[SourceFile]:
    """Give every Python file of the project."""
    return [SourceFile(path, text) for path, text in texts.items() if path.endswith(".py")]
