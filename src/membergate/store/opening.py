"""Opening the operational record: a file of SQLite, or a PostgreSQL database, brought to the newest schema."""

from __future__ import annotations

import importlib
import sqlite3
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from membergate.domain.errors import BadInputError, WorkspaceError
from membergate.store.errors import readable_database_errors
from membergate.store.record import OperationalRecord

HEAD = "0007"
"""The newest revision of the schema. A test holds it equal to the newest file in `migrations/versions`."""
_PATIENCE_S = 10
"""How long a connection to SQLite waits for another that holds the file."""
_PRAGMAS = (
    f"PRAGMA busy_timeout={_PATIENCE_S * 1000}",
    "PRAGMA page_size=8192",  # of a new file: what a page cannot fill is lost once in 8 kB, not once in 4
    "PRAGMA journal_mode=WAL",  # readers never wait for the writer
    "PRAGMA synchronous=FULL",  # a decision that was answered survives a power cut; NORMAL could lose the last ones
    "PRAGMA foreign_keys=ON",
)


def open_store(url_or_path: str | Path) -> OperationalRecord:
    """Open the operational record, creating or upgrading its tables where needed.

    Parameters
    ----------
    url_or_path
        The path of an SQLite file, in a folder that exists; or a URL: `sqlite:///FILE`,
        `postgresql://USER@HOST/DATABASE` (needs the extra `postgresql`).

    Returns
    -------
    OperationalRecord
        Safe to share between threads. Close it, or use it as a context manager.

    Raises
    ------
    BadInputError
        If the URL cannot be read or names another database system.
    WorkspaceError
        If the database cannot be reached, is none, or was made by a newer version.
    """
    url = _url(url_or_path)
    origin = url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
    engine = _sqlite_engine(url) if url.get_backend_name() == "sqlite" else _postgresql_engine(url)
    try:
        with readable_database_errors(origin):
            _bring_to_head(engine)
    except BaseException:
        engine.dispose()
        raise
    return OperationalRecord(engine, origin)


def _bring_to_head(engine: Engine) -> None:
    with engine.connect() as connection:
        is_new = not connection.dialect.has_table(connection, "alembic_version")
        is_current = (
            not is_new and connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == HEAD
        )
    if is_current:
        return
    # Alembic takes a good part of a second to import, and is needed once in a database's life
    migrating = importlib.import_module("membergate.store.migrating")
    with engine.execution_options(is_writing=True).begin() as connection:
        migrating.migrate(connection)


def _url(url_or_path: str | Path) -> URL:
    text = str(url_or_path)
    if "://" not in text:
        return URL.create("sqlite", database=str(Path(text).absolute()))
    try:
        url = make_url(text)
    except ArgumentError:
        raise BadInputError("cannot read the store's URL", allowed=_ALLOWED) from None
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise BadInputError(f"no store on {url.get_backend_name()}", where=url.render_as_string(), allowed=_ALLOWED)
    return url


_ALLOWED = "a path, sqlite:///FILE, postgresql://USER@HOST/DATABASE"


def _sqlite_engine(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise BadInputError("the operational record needs a file", where=str(url), allowed="sqlite:///FILE, or a path")
    folder = Path(url.database).parent
    if not folder.is_dir():
        raise WorkspaceError(
            "no such folder for the operational record", where=str(folder), next_step="create it first"
        )
    engine = create_engine(url.set(drivername="sqlite+pysqlite"))
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    until = monotonic() + _PATIENCE_S
    for pragma in _PRAGMAS:
        while not _is_done(connection, pragma, until):
            sleep(0.005)


def _is_done(connection: sqlite3.Connection, pragma: str, until: float) -> bool:
    """Try once: SQLite's own patience does not reach to the change of a new file's journal, which needs it alone."""
    try:
        connection.execute(pragma)
    except sqlite3.OperationalError as error:
        is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
        if not is_busy or monotonic() > until:
            raise
        return False
    return True


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once where writing is meant: a reader that turns writer halfway cannot wait its turn."""
    if connection.get_execution_options().get("is_writing"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _postgresql_engine(url: URL) -> Engine:
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,  # a restarted server costs one round trip, not one failed decision
            connect_args={"connect_timeout": 10, "options": f"{url.query.get('options', '')} -c timezone=UTC"},
        )
    except ModuleNotFoundError:
        raise BadInputError(
            "PostgreSQL needs a driver that is not installed", next_step="pip install 'membergate[postgresql]'"
        ) from None
