"""A feature table goes where nothing stands, or over an earlier one; whatever else somebody has is left alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from membergate.domain.errors import BadInputError
from membergate.operations.feature_files import checked_folder, in_place_of, is_remote
from membergate.operations.features import compute_features, refresh_features
from membergate.operations.workspace import Workspace

Snapshot = Callable[[Path], dict[str, str]]


def earlier_result(folder: Path) -> Path:
    """Make a folder as Spark leaves it."""
    folder.mkdir()
    for name in ("_SUCCESS", "._SUCCESS.crc", "part-00000-1.snappy.parquet", ".part-00000-1.snappy.parquet.crc"):
        (folder / name).write_bytes(b"")
    return folder


def test_a_table_is_written_over_an_earlier_one_only(workspace: Path, tmp_path: Path) -> None:
    """Computing twice into one file is fine; a file of somebody else's stays as it is."""
    out = tmp_path / "features.parquet"
    assert compute_features(Workspace(workspace), out) == compute_features(Workspace(workspace), out) > 0
    assert pq.read_schema(out).names[0] == "account_id"
    notes, other = tmp_path / "notes.txt", tmp_path / "other.parquet"
    notes.write_text("precious")
    pq.write_table(pa.table({"x": [1]}), other)
    for path in (notes, other):
        before = path.read_bytes()
        with pytest.raises(BadInputError, match="no feature table stands here"):
            compute_features(Workspace(workspace), path)
        assert path.read_bytes() == before
    with pytest.raises(BadInputError, match="no feature table stands here"):
        refresh_features(Workspace(workspace), notes)


def test_folders_and_missing_folders_are_named(workspace: Path, tmp_path: Path) -> None:
    """A folder in the file's place, one that is not there, and a file in the norms' place are readable errors."""
    with pytest.raises(BadInputError, match="a folder stands here"):
        compute_features(Workspace(workspace), tmp_path)
    with pytest.raises(BadInputError, match="no folder to write to"):
        compute_features(Workspace(workspace), tmp_path / "nowhere" / "features.parquet")
    (tmp_path / "f.norms").write_text("precious")
    with pytest.raises(BadInputError, match="norms"):
        compute_features(Workspace(workspace), tmp_path / "f.parquet")


@pytest.mark.parametrize("stranger", ["photo.jpg", "part-timers/list.csv", ".hidden", "_SUCCESS/x"])
def test_a_folder_of_anything_else_is_never_replaced(
    workspace: Path, tmp_path: Path, stranger: str, snapshot: Snapshot
) -> None:
    """One file or folder that Spark has not written is enough."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / stranger).parent.mkdir(exist_ok=True)
    (folder / stranger).write_text("precious")
    before = snapshot(folder)
    with pytest.raises(BadInputError, match="not written over"):
        checked_folder(folder, workspace)
    assert snapshot(folder) == before


def test_the_workspace_is_never_touched(workspace: Path, tmp_path: Path) -> None:
    """Neither it, nor a folder in it or around it, through a link either."""
    (tmp_path / "link").symlink_to(workspace)
    for out in (workspace, workspace / "out", tmp_path, tmp_path / "link" / "out", workspace / ".." / "workspace"):
        with pytest.raises(BadInputError, match="workspace"):
            checked_folder(out, workspace)
    with pytest.raises(BadInputError, match="no folder to write to"):
        checked_folder(tmp_path / "nowhere" / "out", workspace)


def test_an_earlier_result_is_replaced_when_the_new_one_is_whole(workspace: Path, tmp_path: Path) -> None:
    """Work that breaks off leaves the earlier result; what somebody adds meanwhile is not deleted."""
    folder = checked_folder(earlier_result(tmp_path / "out"), workspace)
    with suppress(KeyboardInterrupt), in_place_of(folder) as aside:
        earlier_result(aside)
        raise KeyboardInterrupt
    assert (folder / "part-00000-1.snappy.parquet").exists()
    with in_place_of(folder) as aside:
        earlier_result(aside)
        (aside / "part-00001-2.snappy.parquet").write_bytes(b"new")
    assert (folder / "part-00001-2.snappy.parquet").read_bytes() == b"new"
    meanwhile = in_place_of(folder)
    earlier_result(meanwhile.__enter__())
    (folder / "notes.txt").write_text("precious")
    with pytest.raises(BadInputError, match="cannot be put in its place"):
        meanwhile.__exit__(None, None, None)
    assert (folder / "notes.txt").read_text() == "precious"
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_an_address_of_a_store_is_no_path() -> None:
    """Such addresses go to Spark as they stand."""
    assert is_remote("s3a://bucket/features")
    assert not is_remote("out/features")
