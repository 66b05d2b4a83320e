"""Bringing a database to a revision of the schema, in one transaction, whoever else tries the same at the same time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from membergate.domain.errors import WorkspaceError

_SCRIPTS = Path(__file__).with_name("migrations")
_LOCK = 0x6D67_7374_6F72  # "mgstor": the advisory lock that PostgreSQL holds until the transaction ends


def migrate(connection: Connection, revision: str = "head") -> None:
    """Upgrade or downgrade the database to a revision.

    Parameters
    ----------
    connection
        A connection inside a writing transaction of its own: on SQLite the write lock, on PostgreSQL an advisory lock
        lets one process migrate while the others wait and then find nothing left to do.
    revision
        A revision's id, `head` for the newest, `base` for an empty database.

    Raises
    ------
    WorkspaceError
        If the database was made by a newer version of membergate.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    scripts = ScriptDirectory(str(_SCRIPTS))
    order = [script.revision for script in scripts.walk_revisions()]  # newest first
    current = revision_of(connection)
    if current is not None and current not in order:
        raise WorkspaceError(
            f"the operational record has revision {current}, which this version does not know",
            where=connection.engine.url.render_as_string(hide_password=True),
            allowed=f"revisions up to {order[0]}",
            next_step="upgrade membergate to the version that wrote it, or a newer one",
        )
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    target = order[0] if revision == "head" else revision
    is_upward = target != "base" and (current is None or order.index(target) <= order.index(current))
    (command.upgrade if is_upward else command.downgrade)(config, target)


def revision_of(connection: Connection) -> str | None:
    """Read which revision the database has; None for one that was never migrated."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision
