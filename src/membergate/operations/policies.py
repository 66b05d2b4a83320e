"""Where policies come from: the shipped ones, a user's file, or the published ones of a workspace."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from membergate.deciding.policy import Policy, load_policy
from membergate.domain.errors import PolicyError, WorkspaceError
from membergate.operations.testimony import vocabulary
from membergate.operations.workspace import Workspace, write_atomically

DEFAULT = "default"
STRICT = "strict"
"""The strict-threshold rule that membergate replaces, kept as the yardstick of every report."""
LIBRARY = "library"
"""Documented rules for the domain's patterns, to copy from."""
SHIPPED = (DEFAULT, STRICT, LIBRARY)
"""The policies that come with membergate."""


def shipped_policy(name: str) -> Policy:
    """Load a policy that comes with membergate: `default`, `strict` or `library`."""
    text = resources.files("membergate.deciding").joinpath("policies", f"{name}.yaml").read_text(encoding="utf-8")
    return load_policy(text, origin=f"{name}.yaml (shipped)", vocabulary=vocabulary())


def read_policy(file: Path | None) -> Policy:
    """Load a user's policy, or the shipped default where no file is named.

    Raises
    ------
    PolicyError
        If the file cannot be read, or holds no valid policy.
    """
    if file is None:
        return shipped_policy(DEFAULT)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(
            "the policy cannot be read", where=str(file), allowed="a YAML file in UTF-8", next_step=str(error)
        ) from None
    return load_policy(text, origin=str(file), vocabulary=vocabulary())


def policy_file_name(policy: Policy) -> str:
    """Name the file of a published policy; equal content gives an equal name."""
    return f"{policy.name}-{policy.version}-{policy.digest[:12]}.yaml"


def store_policy(workspace: Workspace, policy: Policy) -> str:
    """Keep a policy in the workspace, immutable, and give its file name."""
    name = policy_file_name(policy)
    if not (workspace.policies / name).exists():
        write_atomically(workspace.policies / name, policy.text.encode())
    return name


def live_policy(workspace: Workspace) -> Policy:
    """Load the policy that is live.

    Raises
    ------
    WorkspaceError
        If nothing is live, or the file was altered after it was published.
    """
    live = workspace.required_live()
    policy = read_policy(workspace.policies / live.policy_file)
    if policy_file_name(policy) != live.policy_file:
        raise WorkspaceError(
            "the live policy was altered after it was published",
            where=str(workspace.policies / live.policy_file),
            next_step="membergate publish, with the policy that is meant",
        )
    return policy
