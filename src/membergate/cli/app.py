"""The command line. Exit codes: 0 done, 1 refused by a gate, 2 wrong use or bad input, 130 interrupted."""

from __future__ import annotations

import sys

import typer
from typer.main import get_command

from membergate import __version__
from membergate.cli import (
    audits,
    demonstrations,
    doors,
    identities,
    keys,
    lists,
    mappings,
    markets,
    members,
    models,
    orders,
    policies,
    records,
    replays,
    reviews,
    webhooks,
)
from membergate.cli.rendering import ERR, print_error
from membergate.domain.errors import BadInputError, MembergateError, WorkspaceError

INTERRUPTED = 130
"""What Typer makes of Ctrl-C, too."""

app = typer.Typer(
    name="membergate",
    help="Admit more genuine members at the same leakage, and prove it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_ROOMS = (
    audits,
    demonstrations,
    markets,
    mappings,
    identities,
    models,
    doors,
    keys,
    orders,
    members,
    lists,
    policies,
    records,
    replays,
    reviews,
    webhooks,
)
for room in _ROOMS:
    room.register(app)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    *,
    version: bool = typer.Option(False, "--version", help="Print the version.", show_default=False),
) -> None:
    if version:
        print(f"membergate {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Run the command line; every error that a user can cause ends in one readable block, never in a traceback."""
    as_json = "--json" in sys.argv
    try:
        code = get_command(app).main(standalone_mode=False)
    except MembergateError as error:
        print_error(error, as_json=as_json)
        code = error.exit_code
    except typer.TyperException as error:
        code = _print_misuse(error, as_json=as_json)
    except typer.Abort:
        code = INTERRUPTED
    except UnicodeEncodeError as error:
        misread = BadInputError(
            "an argument holds what UTF-8 cannot carry", where=repr(error.object[:80]), allowed="text in UTF-8"
        )
        print_error(misread, as_json=as_json)
        code = misread.exit_code
    except RuntimeError as error:
        # DuckDB reports a Ctrl-C that strikes during a query in words of its own.
        if "interrupted" not in str(error).lower():
            raise
        code = INTERRUPTED
    except OSError as error:
        failure = WorkspaceError(
            f"the system refused: {error.strerror or error}",
            where=str(error.filename or ""),
            next_step="mend it and run the command again; what was loaded, learned and live is as it was",
        )
        print_error(failure, as_json=as_json)
        code = failure.exit_code
    except _database_errors() as error:
        failure = WorkspaceError(
            f"the loaded data cannot be read: {str(error).splitlines()[0]}",
            next_step="give it more memory, or ingest the market into a new workspace",
        )
        print_error(failure, as_json=as_json)
        code = failure.exit_code
    if code == INTERRUPTED:
        ERR.print("membergate: interrupted; what was loaded, learned and live is as it was", style="bold")
    sys.exit(code if isinstance(code, int) else 0)


def _database_errors() -> tuple[type[Exception], ...]:
    """Give DuckDB's errors, if a command has loaded it; loading it here would slow every start."""
    duckdb = sys.modules.get("duckdb")
    return () if duckdb is None else (duckdb.Error,)


def _print_misuse(error: typer.TyperException, *, as_json: bool) -> int:
    """Print what Typer did not understand as every other error is printed."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "membergate"
    misuse = BadInputError(error.format_message().strip().rstrip("."), next_step=f"{command} --help")
    print_error(misuse, as_json=as_json)
    return misuse.exit_code
