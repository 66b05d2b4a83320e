"""A refused candidate changes nothing: each reason is told, and what is live stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import pytest

from membergate.domain.errors import RefusedError
from membergate.operations.policies import read_policy
from membergate.operations.publish import publish
from membergate.operations.verify import Judgement, name_of
from membergate.operations.workspace import Workspace

REFUSALS: dict[str, dict[str, Any]] = {
    "leakage": {"opens": False, "reasons": ("Leakage among those admitted in full: the candidate lets more in.",)},
    "look-alike": {"opens": False, "reasons": ("Look-alike 'gift giver' is clearly harmed.",)},
    "expired": {"opens": False, "reasons": ("The evidence has expired.",)},
    "control": {"opens": False, "reasons": ("Shuffled devices still detect rings.",)},
    "another policy": {"policy_digest": "0" * 64},
    "data came in after": {"warehouse": "another"},
    "something else is live": {"incumbent": "m-0 with p-0.yaml"},
}


def test_each_refusal_is_told_and_changes_nothing(live: Workspace, clock: Callable[[], datetime]) -> None:
    """Whatever the reason, publish refuses with it; every file of the workspace but the record's own is as before."""
    current = live.required_live()
    passing = Judgement(
        opens=True,
        reasons=("fine",),
        policy_digest=read_policy(None).digest,
        incumbent=name_of(current),
        warehouse=live.warehouse().fingerprint,
    )
    folder = live.report_folder(current.model_version)
    folder.mkdir(parents=True, exist_ok=True)
    for name, altered in REFUSALS.items():
        (folder / "judgement.json").write_bytes(msgspec.json.encode(replace(passing, **altered)))
        before = _files(live)
        with pytest.raises(RefusedError) as refused:
            publish(live, clock=clock, model_version=current.model_version)
        told = f"{refused.value} {refused.value.where}"
        assert altered.get("reasons", (name,))[0] in told
        assert _files(live) == before
        assert live.required_live() == current
    (folder / "judgement.json").write_bytes(msgspec.json.encode(passing))
    assert publish(live, clock=clock, model_version=current.model_version).replaced == current


def _files(workspace: Workspace) -> dict[str, bytes]:
    return {
        str(path.relative_to(workspace.root)): path.read_bytes()
        for path in workspace.root.rglob("*")
        if path.is_file() and not path.name.startswith("membergate.sqlite") and path.suffix in {".json", ".yaml"}
    }
