"""A replay, as a policy author meets it.

I have a month of recorded decisions and an idea. The replay tells whom my draft would have let in or kept out, what
they turned out to be, and what it cannot know. I ask it to prove itself: both of its paths decide every row alike.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from membergate.domain.disposition import HOLDERS
from membergate.domain.labels import latest_reviews
from membergate.operations.admit import Admitted, admit
from membergate.operations.history import History, aware
from membergate.operations.policies import read_policy, shipped_policy, store_policy
from membergate.operations.replay import replay
from membergate.operations.workspace import Live, Workspace

if TYPE_CHECKING:
    from tests.journey.conftest import CommandLine

DRAFT = """
name: draft
version: "1"
description: Reviews everyone, but for a snooze; tightens the cap for half of the time.
operator_cap: {{accounts: 50, at_least: review}}
segments:
  - {{id: known, when: history_days >= 0}}
rules:
  - id: everyone
    purpose: A door with a person.
    when: operator_holders >= 0
    at_least: review
    reason: LOOK
    snoozes: [{{account: {account}, until: 2030-01-01}}]
overlays:
  - {{id: late, purpose: Tight., starts_at: {begin}, ends_at: 2030-01-01, operator_cap: 1}}
"""


@pytest.fixture
def decided(workspace: Workspace, still_clock: Callable[[], datetime]) -> Admitted:
    """Record what the default policy decides about the latest applications."""
    (version,) = workspace.model_versions()
    workspace.set_live(Live(version, store_policy(workspace, read_policy(None)), "2026-01-01T00:00:00Z"))
    history = History(workspace.warehouse())
    since = aware(history.applications().submitted_at[-600])
    return admit(workspace, clock=still_clock, since=since, history=history)


def test_the_policy_that_decided_changes_nothing(workspace: Workspace, decided: Admitted) -> None:
    """Replayed on its own decisions, the default policy makes every one of them again, on all its evidence."""
    found = replay(workspace, shipped_policy("default"), exact=True)
    everyone = found.groups[0]
    assert (everyone.decisions, everyone.changed, found.lacking_ratio) == (len(decided.decisions), 0, 0.0)
    assert (found.compared, found.disagreeing) == (len(decided.decisions), ())
    assert {old: n for old, _, n in found.moves} == Counter(d.disposition.value for d in decided.decisions)
    assert everyone.genuine + everyone.merchants > 0
    assert everyone.leakage_before == everyone.leakage_after
    history = History(workspace.warehouse())
    reviews = latest_reviews(history.labels(history.last_instant))
    let_in = [d for d in decided.decisions if d.disposition in HOLDERS and d.account_id in reviews]
    weights = np.array([1 / (reviews[d.account_id].propensity or 1.0) for d in let_in])
    leaked = np.array([reviews[d.account_id].is_merchant for d in let_in])
    found_leakage = everyone.leakage_after
    assert len(let_in) > 10
    assert found_leakage.value == pytest.approx(float(np.average(leaked, weights=weights)))
    assert (found_leakage.n, found_leakage.operators) == (len(let_in), len({d.operator_id for d in let_in}))
    assert found_leakage.low is not None


def test_another_policy_is_told_apart_by_truth_rule_and_segment(workspace: Workspace, decided: Admitted) -> None:
    """The strict rule keeps more out; what it would need and was not recorded is said."""
    found = replay(workspace, shipped_policy("strict"), exact=True)
    everyone = found.groups[0]
    assert found.disagreeing == ()
    assert everyone.changed == sum(n for old, new, n in found.moves if old != new)
    assert 0 < found.lacking_ratio < 1
    assert sum(rule.hits for rule in found.rules) > 0


def test_snoozes_and_overlays_count(workspace: Workspace, decided: Admitted, tmp_path: Path) -> None:
    """An account for which the rule sleeps comes in; both paths agree before and after the overlay begins."""
    middle = decided.decisions[len(decided.decisions) // 2]
    file = tmp_path / "draft.yaml"
    file.write_text(DRAFT.format(account=middle.account_id, begin=middle.as_of.isoformat()))
    found = replay(workspace, read_policy(file), exact=True)
    assert found.disagreeing == ()
    moves = Counter[str]()
    for _, new, decisions in found.moves:
        moves[new] += decisions
    assert moves["review"] >= len(decided.decisions) - 2
    assert found.groups[1].name == "known"
    assert 0 < found.groups[1].decisions <= found.groups[0].decisions


def test_the_command_warns_of_what_nobody_can_know(
    run: CommandLine, workspace: Workspace, decided: Admitted, tmp_path: Path
) -> None:
    """A door that is open lets in the refused, whose outcomes are unseen; an empty window is an error."""
    file = tmp_path / "open.yaml"
    file.write_text('name: open\nversion: "1"\ndescription: Lets everyone in.\n')
    place = ("--workspace", workspace.root)
    code, out, err = run("replay", "--policy", file, "--exact", *place)
    assert code == 0, err
    assert "outcomes of the refused are unseen" in " ".join(out.split())
    assert f"{len(decided.decisions)} decisions decided by both paths, 0 differently" in out
    told = json.loads(run("replay", "--policy", file, "--json", *place)[1])
    assert told["groups"][0]["admitted_after"] == len(decided.decisions)
    code, _, err = run("replay", "--policy", "default", "--since", "2040-01-01", *place)
    assert (code, "no admission is on record" in err) == (2, True)
