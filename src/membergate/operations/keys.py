"""keys: made, listed and revoked. A key's secret is shown once, when it is made."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest

from membergate.domain.access import SCOPES_OF, Principal, Role, Scope
from membergate.domain.errors import BadInputError
from membergate.domain.instants import Clock
from membergate.operations.lists import word
from membergate.operations.opening import open_record, standing_record
from membergate.operations.workspace import Workspace
from membergate.store import ApiKey

PREFIX = "mg_"
"""What every key begins with, so that one in a log or a repository can be found."""
DEFAULT_RATE_PER_S = 100.0
DEFAULT_DAYS = 365
_LONGEST_NAME = 120


@dataclass(frozen=True)
class NewKey:
    """A key, and the text to hand out, which cannot be had again."""

    key: ApiKey
    text: str


def create_key(
    workspace: Workspace,
    name: str,
    *,
    by: str,
    clock: Clock,
    roles: Collection[str] = (),
    scopes: Collection[str] = (),
    rate_per_s: float = DEFAULT_RATE_PER_S,
    days: int | None = DEFAULT_DAYS,
) -> NewKey:
    """Make a key of 256 random bits.

    Parameters
    ----------
    workspace
        Whose record keeps its digest.
    name
        Whose key it is; decisions and list changes made with it carry the name.
    by
        Who makes it.
    clock
        Gives the present.
    roles, scopes
        What it may do: everything that any of these may.
    rate_per_s
        How many requests a second.
    days
        For how many days it is valid; None for ever.

    Raises
    ------
    BadInputError
        If a word is unknown, a number out of range, nothing is allowed, or nobody is named.
    """
    if not 0 < len(name.strip()) <= _LONGEST_NAME or not name.isprintable() or not by.strip():
        raise BadInputError("a key has a name, and somebody who makes it", allowed=f"1 to {_LONGEST_NAME} characters")
    if not 0 < rate_per_s <= 1e6 or (days is not None and not 0 < days <= 36_500):  # noqa: PLR2004  # a century
        raise BadInputError("a rate or a validity that is none", allowed="rates above 0, 1 to 36500 days")
    allowed = {word(Scope, scope, "scope") for scope in scopes}
    for role in roles:
        allowed |= SCOPES_OF[word(Role, role, "role")]
    if not allowed:
        raise BadInputError("this key may do nothing", allowed=f"roles {', '.join(Role)}; scopes {', '.join(Scope)}")
    key_id, secret, now = secrets.token_hex(6), secrets.token_urlsafe(32), clock()
    key = ApiKey(
        key_id=key_id,
        name=name,
        secret_digest=_digest(secret),
        scopes=frozenset(allowed),
        rate_per_s=rate_per_s,
        created_at=now,
        created_by=by,
        expires_at=None if days is None else now + timedelta(days=days),
    )
    with open_record(workspace) as record:
        record.keys.add(key)
    return NewKey(key, f"{PREFIX}{key_id}_{secret}")


def keys(workspace: Workspace) -> tuple[ApiKey, ...]:
    """Give every key that there ever was, oldest first."""
    with standing_record(workspace) as record:
        return record.keys.all()


def revoke_key(workspace: Workspace, key_id: str, *, by: str, clock: Clock) -> None:
    """Void a key; every serving process refuses it within a second.

    Raises
    ------
    UnknownSubjectError
        If there is no such key.
    """
    with standing_record(workspace) as record:
        record.keys.revoke(key_id, at=clock(), by=by)


def principal_of(known: Collection[ApiKey], text: str, at: datetime) -> Principal | None:
    """Tell who comes with a key; None where it is none of ours, revoked or expired."""
    key_id, _, secret = text.removeprefix(PREFIX).partition("_")
    key = next((key for key in known if key.key_id == key_id), None)
    if key is None or not compare_digest(key.secret_digest, _digest(secret)) or not key.is_valid(at):
        return None
    return Principal(key.name, key.scopes, key.rate_per_s, key.key_id)


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
