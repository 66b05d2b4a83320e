"""A refused candidate changes nothing: each reason is told, and what is live stays as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from membergate.domain.errors import BadInputError, RefusedError
from membergate.domain.instants import format_instant
from membergate.operations.history import History
from membergate.operations.policies import read_policy
from membergate.operations.policy_lifecycle import history as policy_history
from membergate.operations.publish import publish
from membergate.operations.signing import sign
from membergate.operations.verify import Judgement, Verified, name_of, read_judgement, verify
from membergate.operations.workspace import Workspace
from membergate.store import PolicyState, open_store
from membergate.verification.certificate import Terms
from membergate.verification.report import digest_of, from_json

pytestmark = pytest.mark.xdist_group("verified")

REFUSALS: dict[str, dict[str, Any]] = {
    "leakage": {"opens": False, "reasons": ("Leakage among those admitted in full: the candidate lets more in.",)},
    "look-alike": {"opens": False, "reasons": ("Look-alike 'gift giver' is clearly harmed.",)},
    "expired": {"opens": False, "reasons": ("The evidence has expired.",)},
    "control": {"opens": False, "reasons": ("Shuffled devices still detect rings.",)},
    "another policy": {"policy_digest": "0" * 64},
    "data came in after": {"warehouse": "another"},
    "something else is live": {"incumbent": "m-0 with p-0.yaml"},
    "is not the one that the gate judged": {"report_digest": "0" * 64},
}


def test_each_refusal_is_told_and_changes_nothing(
    live: Workspace, verified: Verified, clock: Callable[[], datetime]
) -> None:
    """Whatever the reason, publish refuses with it; every file of the workspace but the record's own is as before."""
    current = live.required_live()
    passing = Judgement(
        opens=True,
        reasons=("fine",),
        policy_digest=read_policy(None).digest,
        incumbent=name_of(current),
        warehouse=live.warehouse().fingerprint,
        report_digest=digest_of(verified.json.read_bytes()),
    )
    folder = live.report_folder(current.model_version)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(verified.json, folder)
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
    published = publish(live, clock=clock, model_version=current.model_version, signed_by=" Ada Li ")
    assert published.replaced == current
    signed = from_json((folder / "report.json").read_bytes()).sign_off
    assert signed == published.sign_off
    assert digest_of((folder / "report.json").read_bytes()) == passing.report_digest
    assert (signed.by, signed.at, signed.model_version) == ("Ada Li", format_instant(clock()), current.model_version)
    assert signed.warning == ""
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert all(word in html for word in ("Ada Li", "nothing is certified", signed.policy_version, signed.replaced))
    assert policy_history(live)[-1].by == "Ada Li"
    _old_evidence_is_told(live, passing, clock)


def _old_evidence_is_told(live: Workspace, passing: Judgement, clock: Callable[[], datetime]) -> None:
    """Four hundred days on it is refused where an age is given, and else goes live with a warning in the report."""

    def later() -> datetime:
        return clock() + timedelta(days=400)

    current = live.required_live()
    assert passing.incumbent == name_of(current)
    before = _files(live)
    with pytest.raises(RefusedError, match=r"is too old: the newest application is 4\d\d days old"):
        publish(live, clock=later, model_version=current.model_version, max_age_days=60)
    with pytest.raises(BadInputError, match="no age"):
        publish(live, clock=later, model_version=current.model_version, max_age_days=-1)
    assert _files(live) == before
    signed = publish(live, clock=later, model_version=current.model_version, max_age_days=1000).sign_off
    assert "days old when this went live" in signed.warning
    html = (live.report_folder(current.model_version) / "report.html").read_text(encoding="utf-8")
    assert "Old evidence" in html


def test_only_certificates_that_hold_give_a_term(
    verified: Verified, live: Workspace, clock: Callable[[], datetime]
) -> None:
    """The earliest end of those that hold; an expired one is told; those that do not hold say nothing."""
    report, current = from_json(verified.json.read_bytes()), live.required_live()
    one, *others = report.certificates
    assert not any(each.certificate.holds for each in report.certificates)
    held = replace(one, certificate=replace(one.certificate, holds=True, valid_until="2025-01-01T00:00:00.000000Z"))
    signed = sign(live, replace(report, certificates=(held, *others)), current, by="", replaced="")
    assert signed.valid_until == "2025-01-01T00:00:00.000000Z"
    assert "had expired on 2025-01-01" in signed.warning


def test_a_look_leaves_what_the_gate_judged_alone(
    verified: Verified, tmp_path: Path, clock: Callable[[], datetime]
) -> None:
    """With an instant of one's own, no byte of report and judgement moves, and the page says that it is no gate run."""
    shutil.copytree(verified.html.parents[2], tmp_path / "workspace")
    place = Workspace(tmp_path / "workspace")
    before = _files(place)
    until = History(place.warehouse()).last_instant - timedelta(days=20)
    look = verify(place, clock=clock, until=until, terms=Terms(alpha=0.9, delta=0.9))
    assert look.report.is_look
    assert "No gate run" in look.html.read_text(encoding="utf-8")
    assert "The gate opens" not in look.html.read_text(encoding="utf-8")
    after = _files(place)
    assert {name: after[name] for name in before} == before
    assert [Path(name).name for name in after.keys() - before.keys()] == [look.json.name]
    judgement = read_judgement(place, look.model_version)
    assert judgement is not None
    assert judgement.report_digest == digest_of(verified.json.read_bytes())


def test_what_is_live_is_verified_again_and_signed_anew(
    verified: Verified, tmp_path: Path, clock: Callable[[], datetime]
) -> None:
    """When its certificate has run out, the same model with the same policy may be verified and published again.

    A policy in shadow that nobody can read any more stands in the report, and in nobody's way.
    """
    shutil.copytree(verified.html.parents[2], tmp_path / "workspace")
    place = Workspace(tmp_path / "workspace")
    first = publish(place, clock=clock)
    with open_store(place.record) as record:
        record.policies.submit("old", "0", "0" * 64, "name: [", at=clock(), by="anna")
        record.policies.advance("0" * 64, PolicyState.SHADOW, allowed_from=tuple(PolicyState), at=clock(), by="bert")
    again = verify(place, clock=clock)
    assert again.report.surroundings.shadows == ()
    assert [shadow.policy for shadow in again.report.surroundings.unread_shadows] == ["old-0"]
    assert again.report.judgement.opens
    assert "It is what is live already" in again.report.judgement.reasons[0]
    assert [outcome.policy for outcome in again.report.metrics.outcomes] == ["candidate", "strict"]
    renewed = publish(place, clock=clock, signed_by="Ada Li")
    assert (renewed.live.model_version, renewed.live.policy_file) == (first.live.model_version, first.live.policy_file)
    assert renewed.replaced == first.live


@pytest.mark.parametrize("name", ["x" * 201, "Ada\x1b[31m", "two\nlines"])
def test_a_name_that_cannot_stand_under_a_report(live: Workspace, clock: Callable[[], datetime], name: str) -> None:
    """A name too long, or with what cannot be seen, is bad input before anything else is asked."""
    with pytest.raises(BadInputError, match="cannot stand under a report"):
        publish(live, clock=clock, signed_by=name)


def _files(workspace: Workspace) -> dict[str, bytes]:
    return {
        str(path.relative_to(workspace.root)): path.read_bytes()
        for path in workspace.root.rglob("*")
        if path.is_file() and not path.name.startswith("membergate.sqlite") and path.suffix in {".json", ".yaml"}
    }
