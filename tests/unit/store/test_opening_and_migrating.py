"""Opening a database brings it to the newest schema, keeps what it holds, and refuses what is none of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from membergate.domain.decision import Decision
from membergate.domain.errors import BadInputError, WorkspaceError
from membergate.store import OperationalRecord, migrating, open_store
from membergate.store.opening import HEAD
from membergate.store.tables import METADATA

MakeDecision = Callable[..., Decision]


def migrate(store: OperationalRecord, revision: str) -> None:
    """Bring an open store to a revision."""
    with store._writing.begin() as connection:
        migrating.migrate(connection, revision)


def test_head_is_the_newest_revision() -> None:
    """The constant that spares the import of Alembic cannot lie."""
    assert ScriptDirectory(str(Path(migrating.__file__).with_name("migrations"))).get_heads() == [HEAD]


def test_migrations_make_the_tables_that_the_code_uses(store: OperationalRecord) -> None:
    """Alembic finds nothing to add, drop or alter between the migrated database and the declared tables."""
    with store._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_every_revision_goes_up_and_down_with_data(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """Down to nothing and up again, with rows in the tables, ends in a working record."""
    store.record([make_decision(number) for number in range(20)])
    revisions = [script.revision for script in ScriptDirectory(str(migrating._SCRIPTS)).walk_revisions()]
    for revision in [*revisions[1:], "base"]:
        migrate(store, revision)
    assert set(inspect(store._engine).get_table_names()) == {"alembic_version"}
    for revision in reversed(revisions):
        migrate(store, revision)
    assert store.record([make_decision()]) == 1
    assert store.decision("d-000000") == make_decision()


def test_migrating_a_current_database_keeps_its_rows(store: OperationalRecord, make_decision: MakeDecision) -> None:
    """Asking for the newest revision twice is no harm."""
    store.record([make_decision()])
    migrate(store, "head")
    assert store.decision("d-000000") == make_decision()


def test_many_may_open_a_new_database_at_once(store_url: str, make_decision: MakeDecision) -> None:
    """One of them makes the tables, the others wait and find them."""

    def open_and_record(number: int) -> int:
        with open_store(store_url) as store:
            return store.record([make_decision(number)])

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(open_and_record, range(6))) == [1] * 6


def test_a_new_file_that_another_holds_is_waited_for(tmp_path: Path) -> None:
    """A connection that makes a new file its own for a moment delays an opening, and does not break it."""
    path = tmp_path / "record.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with ThreadPoolExecutor(1) as threads:
            opening = threads.submit(open_store, path)
            with pytest.raises(TimeoutError):
                opening.result(timeout=0.2)
            other.execute("COMMIT")
            opening.result(timeout=60).close()


def test_a_database_of_a_newer_version_is_refused(store_url: str) -> None:
    """It is left as it is, and the error says what to do."""
    with open_store(store_url) as store, store._writing.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(WorkspaceError, match="9999") as caught:
        open_store(store_url)
    assert "upgrade membergate" in caught.value.next_step


def test_a_path_is_an_sqlite_file_with_a_log(tmp_path: Path) -> None:
    """Readers never wait for the writer, a power cut loses nothing, and odd names are names."""
    path = tmp_path / "odd %20 name?.sqlite"
    with open_store(path) as store, store._engine.connect() as connection:
        assert path.is_file()
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """It is one readable error, and the file is left as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, and longer than the header of one " * 10)
    before = path.read_bytes()
    with pytest.raises(WorkspaceError, match="not a database"):
        open_store(path)
    assert path.read_bytes() == before


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A mistyped path does not make folders."""
    with pytest.raises(WorkspaceError, match="no such folder"):
        open_store(tmp_path / "missing" / "record.sqlite")


@pytest.mark.parametrize("url", ["mysql://localhost/x", "://", "sqlite://", "sqlite:///:memory:", "nonsense://"])
def test_another_system_is_refused(url: str) -> None:
    """The error says which URLs are allowed."""
    with pytest.raises(BadInputError) as caught:
        open_store(url)
    assert "sqlite:///FILE" in caught.value.allowed


def test_a_server_out_of_reach_is_readable_and_keeps_the_password(tmp_path: Path) -> None:
    """No server listens in an empty folder; the password is not shown."""
    with pytest.raises(WorkspaceError) as caught:
        open_store(f"postgresql://someone:secret@/nowhere?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_a_locked_database_is_a_readable_error(tmp_path: Path, make_decision: MakeDecision) -> None:
    """When another process keeps writing for longer than we wait, nothing is recorded, and the error says why."""
    path = tmp_path / "record.sqlite"
    with open_store(path) as store:
        with store._engine.connect() as connection:
            connection.execute(text("PRAGMA busy_timeout=10"))  # of the one pooled connection
        other = sqlite3.connect(path)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(WorkspaceError, match="locked") as caught:
                store.record([make_decision()])
        finally:
            other.close()
        assert "try again" in caught.value.next_step
        assert store.decisions_of("account-0") == ()
        assert store.record([make_decision()]) == 1


def test_a_full_disk_is_a_readable_error(tmp_path: Path, make_decision: MakeDecision) -> None:
    """When no page can be added, the batch is refused whole, and what was acknowledged stays."""
    with open_store(tmp_path / "record.sqlite") as store:
        store.record([make_decision()])
        with store._engine.connect() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar()
            connection.execute(text(f"PRAGMA max_page_count={pages}"))
        with pytest.raises(WorkspaceError, match="full"):
            store.record([make_decision(number) for number in range(1, 3_000)])
        assert store.decision("d-000000") == make_decision()
        assert store.decisions_of("account-1") == ()
