"""The command line answers at once, and every error ends in one readable block with the exit code that it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from membergate.cli.settings import DEFAULT_PORT
from membergate.operations import ingest as ingesting
from membergate.operations.workspace import Workspace
from membergate.service import serving

if TYPE_CHECKING:
    from tests.journey.conftest import CommandLine

HELP = [
    ["--version"],
    ["--help"],
    *([name, "--help"] for name in ("demo", "simulate", "ingest", "learn", "verify", "publish", "monitor")),
    *([name, "--help"] for name in ("admit", "explain", "serve", "features", "replay", "operators")),
    *([name, "--help"] for name in ("audit", "keys", "order", "sweep", "appeals", "events", "record", "webhooks")),
    *(["features", name, "--help"] for name in ("list", "show", "compute")),
    *(["map", name, "--help"] for name in ("list", "coverage", "suggest")),
    *(["policy", name, "--help"] for name in ("check", "show", "diff", "test")),
    *(["policy", name, "--help"] for name in ("submit", "approve", "shadow", "activate", "rollback", "history")),
    *(["list", name, "--help"] for name in ("add", "show", "import", "retract", "export", "rates")),
    *(["order", "--help"], ["sweep", "--help"]),
    *(["appeals", name, "--help"] for name in ("open", "list", "uphold", "reject")),
    *(["keys", name, "--help"] for name in ("create", "list", "revoke")),
    *(["events", name, "--help"] for name in ("take", "load")),
    *(["webhooks", name, "--help"] for name in ("add", "list", "remove")),
    *(["audit", name, "--help"] for name in ("head", "verify")),
    *(["record", name, "--help"] for name in ("export", "erase")),
    ["reviews", "plan", "--help"],
]
SLOW_LIBRARIES = ["sklearn", "lightgbm", "numba", "duckdb", "pyarrow"]
ASK_EACH = f"""
import sys
from membergate.cli.app import main
for arguments in {HELP!r}:
    sys.argv = ["membergate", *arguments]
    try:
        main()
    except SystemExit as end:
        assert end.code == 0, arguments
loaded = sorted(set({SLOW_LIBRARIES!r}) & set(sys.modules))
assert not loaded, loaded
"""


def test_help_and_version_load_no_slow_library() -> None:
    """Whoever asks for help or the version does not wait for libraries that learn and query."""
    asked = subprocess.run([sys.executable, "-c", ASK_EACH], capture_output=True, text=True, check=False, timeout=120)
    assert asked.returncode == 0, asked.stderr
    assert "membergate 0." in asked.stdout


def test_every_command_is_asked_for_help(run: CommandLine) -> None:
    """The list above names every command that there is."""
    _, out, _ = run("--help")
    commands = [line.split()[0] for line in out.partition("Commands:")[2].splitlines() if line.strip()]
    assert set(commands) == {arguments[0] for arguments in HELP if not arguments[0].startswith("-")}


def test_port_that_help_names_is_the_services_own() -> None:
    """The command line repeats the service's port so that it need not load the service."""
    assert DEFAULT_PORT == serving.DEFAULT_PORT


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Commands:"),
        (["--version"], "membergate 0."),
    ],
)
def test_bare_questions_end_well(run: CommandLine, arguments: list[str], said: str) -> None:
    """Without a command the help is printed; the version is one line."""
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    assert said in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["features"], "Missing command"),
        (["explain"], "Missing argument 'account'"),
        (["verify", "--alpha", "much"], "Invalid value for '--alpha'"),
        (["learn", "--fast"], "No such option: --fast"),
    ],
)
def test_misuse_ends_in_one_block(run: CommandLine, arguments: list[str], said: str) -> None:
    """A word that the command line does not know ends in exit code 2, what was wrong, and where to read on."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "--help" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "command", [["learn"], ["verify"], ["publish"], ["admit"], ["explain", "a"], ["features", "compute", "x.parquet"]]
)
def test_no_workspace(run: CommandLine, tmp_path: Path, command: list[str]) -> None:
    """A command that needs a workspace says that there is none and what comes first, and makes nothing."""
    code, out, err = run(*command, "--workspace", tmp_path / "none")
    assert (code, out) == (2, "")
    assert "membergate ingest" in err or "membergate learn" in err
    assert not (tmp_path / "none").exists()
    assert not Path("x.parquet").exists()


def test_unreadable_instant(run: CommandLine, tmp_path: Path) -> None:
    """An instant that cannot be read is quoted, beside a form that could have been."""
    code, out, err = run("learn", "--as-of", "last tuesday", "--workspace", tmp_path)
    assert (code, out) == (2, "")
    assert "last tuesday" in err
    assert "allowed:" in err


def test_missing_market_folder(run: CommandLine, tmp_path: Path) -> None:
    """A market folder that is not there is named, and no table is made of it."""
    code, out, err = run("ingest", tmp_path / "nowhere", "--workspace", tmp_path / "workspace")
    assert (code, out) == (2, "")
    assert "nowhere" in err.replace(" ", "")
    assert "Traceback" not in err


def test_a_feature_is_titled_by_its_id(run: CommandLine, tmp_path: Path) -> None:
    """However it was typed, and features are listed from A1 on, E10 after E9."""
    code, out, _ = run("features", "show", "a2", "--workspace", tmp_path / "none")
    assert (code, out.split()[0]) == (0, "A2")
    _, out, _ = run("features", "list", "--json", "--workspace", tmp_path / "none")
    ids = [feature["id"] for feature in json.loads(out)]
    assert ids == sorted(ids, key=lambda name: (name[0], int(name[1:])))
    assert ids[ids.index("E9") + 1] == "E10"


def test_unknown_feature_as_json(run: CommandLine) -> None:
    """With --json an error is one JSON document on the standard output, with its stable code."""
    code, out, err = run("features", "show", "Z9", "--json")
    error = json.loads(out)["error"]
    assert (code, err) == (2, "")
    assert error["code"] == "unknown_subject"
    assert "Z9" in error["what"]
    assert "A2" in error["allowed"].split()


def test_misuse_as_json(run: CommandLine) -> None:
    """Programs read misuse in the same form as any other error."""
    code, out, err = run("explain", "--json")
    assert (code, err) == (2, "")
    assert json.loads(out)["error"]["next"] == "membergate explain --help"


@pytest.mark.parametrize("cause", [KeyboardInterrupt(), RuntimeError("Query interrupted")])
def test_interrupt(run: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cause: BaseException) -> None:
    """Ctrl-C ends in exit code 130 and one sentence, also where it strikes inside a query."""

    def interrupted(*_: object, **__: object) -> NoReturn:
        raise cause

    monkeypatch.setattr(ingesting, "ingest", interrupted)
    code, out, err = run("ingest", tmp_path, "--workspace", tmp_path)
    assert (code, out) == (130, "")
    assert err == "membergate: interrupted; what was loaded, learned and live is as it was"


def test_window_that_ends_before_it_begins(run: CommandLine, workspace: Workspace) -> None:
    """An empty window is a mistake, and not a batch of no decisions."""
    window = ("--since", "2025-06-01", "--until", "2025-05-01")
    code, _, err = run("admit", *window, "--workspace", workspace.root)
    assert code == 2
    assert "the window is empty" in err


def test_full_disk(run: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the system refuses is said in its words, with the file."""

    def refused(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "No space left on device", "part-0.parquet")

    monkeypatch.setattr(ingesting, "ingest", refused)
    code, _, err = run("ingest", tmp_path, "--workspace", tmp_path)
    assert code == 2
    assert "No space left on device" in err
    assert "part-0.parquet" in err


@pytest.mark.parametrize("command", ["verify", "publish"])
def test_unknown_model(run: CommandLine, workspace: Workspace, command: str) -> None:
    """A model that is not there is named, beside those that are."""
    code, out, err = run(command, "--model", "m-none", "--workspace", workspace.root)
    assert (code, out) == (2, "")
    assert "m-none" in err
    assert all(version in err for version in workspace.model_versions())


def test_refused_publish(run: CommandLine, workspace: Workspace) -> None:
    """A gate's refusal is exit code 1, says what to do first, and leaves what is live as it was."""
    live = workspace.live()
    code, out, err = run("publish", "--workspace", workspace.root)
    assert (code, out) == (1, "")
    assert "was not verified" in err
    assert "next: membergate verify --model" in err
    assert workspace.live() == live


def test_events_from_a_file_are_counted_and_bad_ones_alone_are_listed(run: CommandLine, tmp_path: Path) -> None:
    """A file without a mistake ends in three counts; a mistake is named by its line and where it lies."""
    row = {"account_id": "a\u2028\x85-1", "registered_at": "2025-01-01T00:00:00Z"}
    good = {"specversion": "1.0", "id": "1", "source": "shop", "type": "membergate.accounts.v1", "data": row}
    bad = good | {"id": "2", "data": {"account_id": "a-2", "registered_at": "yesterday"}}
    file, workspace = tmp_path / "events.jsonl", tmp_path / "workspace"
    file.write_text(json.dumps(good, ensure_ascii=False) + "\n", encoding="utf-8")
    assert run("events", "take", file, "--workspace", workspace) == (0, "accepted: 1\nduplicate: 0\nrefused: 0\n", "")
    file.write_text(json.dumps(good) + "\n" + json.dumps(bad) + "\n")
    code, out, err = run("events", "take", file, "--workspace", workspace)
    assert (code, err) == (0, "")
    assert "duplicate: 1\nrefused: 1\n" in out
    assert out.splitlines()[-2].split()[0] == "2"
    assert "data.registered_at" in out
