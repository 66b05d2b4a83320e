"""The workspace: the folder in which everything of one membership programme lives."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from membergate.domain.errors import ModelError, WorkspaceError
from membergate.market.warehouse import Warehouse


@dataclass(frozen=True)
class Live:
    """What decides at the door now.

    Parameters
    ----------
    model_version
        Name of the folder in `models/`.
    policy_file
        Name of the file in `policies/`.
    published_at
        ISO 8601 instant.
    """

    model_version: str
    policy_file: str
    published_at: str


@dataclass(frozen=True)
class Workspace:
    """Paths and pointers; every change replaces a file whole, so a crash leaves the old state.

    Parameters
    ----------
    root
        The folder; made by the first command that needs it.
    """

    root: Path

    @property
    def warehouse_folder(self) -> Path:
        """Where the loaded market lies."""
        return self.root / "warehouse"

    @property
    def models(self) -> Path:
        """Where every learned model lies, a folder a version."""
        return self.root / "models"

    @property
    def policies(self) -> Path:
        """Where published policies lie, immutable."""
        return self.root / "policies"

    @property
    def record(self) -> Path:
        """The operational record: decisions."""
        return self.root / "membergate.sqlite"

    def report_folder(self, model_version: str) -> Path:
        """Where the verification report of a model lies."""
        return self.root / "reports" / model_version

    def warehouse(self) -> Warehouse:
        """Open the loaded market.

        Raises
        ------
        WorkspaceError
            If nothing was ingested yet.
        """
        return Warehouse.open(self.warehouse_folder)

    def live(self) -> Live | None:
        """Tell what is live; None before the first publish.

        Raises
        ------
        WorkspaceError
            If the pointer is damaged.
        """
        found = read_json(self.root / "live.json")
        if found is None:
            return None
        if set(found) != {field.name for field in fields(Live)}:
            raise WorkspaceError("live.json is damaged", where=str(self.root), next_step="membergate publish")
        return Live(**found)

    def required_live(self) -> Live:
        """Tell what is live.

        Raises
        ------
        WorkspaceError
            If nothing was published yet.
        """
        live = self.live()
        if live is None:
            raise WorkspaceError(
                "no model is live",
                where=str(self.root),
                next_step="membergate learn, membergate verify, membergate publish",
            )
        return live

    def set_live(self, live: Live) -> None:
        """Point the door at another model and policy, at one stroke."""
        write_atomically(self.root / "live.json", json.dumps(asdict(live), indent=2).encode())

    @contextmanager
    def going_live(self) -> Iterator[None]:
        """Let one at a time change what is live, on record and in the pointer; the others wait.

        The folder itself is locked, so that waiting leaves nothing behind.
        """
        folder = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def note_candidate(self, model_version: str) -> None:
        """Remember which model was learned last."""
        write_atomically(self.root / "candidate.json", json.dumps({"model_version": model_version}).encode())

    def chosen_model(self, model_version: str | None) -> str:
        """Resolve a model version: the one named, or `live`, else the one learned last.

        Raises
        ------
        ModelError
            If there is none, or none of that name.
        """
        if model_version == "live":
            model_version = self.required_live().model_version
        noted = read_json(self.root / "candidate.json")
        version = model_version or (str(noted["model_version"]) if noted else None)
        known = self.model_versions()
        if version is None or version not in known:
            raise ModelError(
                f"there is no model {version!r}" if version else "no model was learned yet",
                where=str(self.models),
                allowed=", ".join(known),
                next_step="membergate learn",
            )
        return version

    def model_versions(self) -> tuple[str, ...]:
        """Name the models that are there, in alphabetical order."""
        if not self.models.is_dir():
            return ()
        return tuple(sorted(path.name for path in self.models.iterdir() if not path.name.startswith(".")))


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None where there is no such file.

    Raises
    ------
    WorkspaceError
        If the file is damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        raise WorkspaceError(
            f"{path.name} is damaged",
            where=str(path),
            next_step="restore it from a backup, or remove it and publish again",
        ) from None
    return found


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content at one stroke: written aside, flushed to the disk, renamed over the old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
