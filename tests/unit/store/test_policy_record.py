"""One suite for both backends: policy versions never change, and their states follow the rules."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from membergate.domain.errors import BadInputError, RefusedError, UnknownSubjectError
from membergate.domain.instants import utc
from membergate.store import OperationalRecord, PolicyRecord, PolicyState, RecordConflictError

NOW = utc(2026, 1, 1)
S = PolicyState


def submit(policies: PolicyRecord, version: str = "1", text: str = "a text") -> bool:
    """Submit a version whose digest is made of its version."""
    return policies.submit("house", version, f"digest-{version}-{text}", text, at=NOW, by="anna")


def test_a_version_has_one_text_for_ever(store: OperationalRecord) -> None:
    """Submitting it again changes nothing; another text under its name is refused; the text reads back."""
    assert submit(store.policies)
    assert not submit(store.policies)
    with pytest.raises(RecordConflictError, match="versions never change"):
        submit(store.policies, text="another")
    assert store.policies.text_of("digest-1-a text") == "a text"
    with pytest.raises(UnknownSubjectError):
        store.policies.text_of("none")


def test_a_second_person_approves(store: OperationalRecord) -> None:
    """Who submitted cannot approve, however the name is written; a stranger's approval makes an event."""
    submit(store.policies)
    for name in ("anna", " Anna"):
        with pytest.raises(RefusedError, match="submitted this policy"):
            store.policies.advance(
                "digest-1-a text", S.APPROVED, allowed_from=[S.DRAFT], at=NOW, by=name, by_another=True
            )
    store.policies.advance("digest-1-a text", S.APPROVED, allowed_from=[S.DRAFT], at=NOW, by="bert", by_another=True)
    assert store.policies.state_of("digest-1-a text") is S.APPROVED
    assert [(event.state, event.by) for event in store.policies.history()] == [(S.DRAFT, "anna"), (S.APPROVED, "bert")]


def test_a_step_that_is_not_allowed_changes_nothing(store: OperationalRecord) -> None:
    """From another state, for an unknown version, or by nobody: refused."""
    submit(store.policies)
    with pytest.raises(RefusedError, match="is draft"):
        store.policies.advance("digest-1-a text", S.LIVE, allowed_from=[S.SHADOW], at=NOW, by="bert")
    with pytest.raises(UnknownSubjectError):
        store.policies.advance("none", S.LIVE, allowed_from=[S.SHADOW], at=NOW, by="bert")
    with pytest.raises(BadInputError):
        store.policies.advance("digest-1-a text", S.LIVE, allowed_from=[S.DRAFT], at=NOW, by="")
    assert len(store.policies.history()) == 1


def test_one_policy_is_live(store: OperationalRecord) -> None:
    """However many go live at once, all but the last are retired."""

    def go_live(version: int) -> None:
        submit(store.policies, str(version))
        store.policies.advance(f"digest-{version}-a text", S.LIVE, allowed_from=[S.DRAFT], at=NOW, by="bert")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(go_live, range(8)))
    states = {event.digest: event.state for event in store.policies.history()}
    assert sorted(states.values()) == [S.LIVE, *[S.RETIRED] * 7]
