"""webhooks: who is told of decisions and notices, signed, at least once."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Collection
from hashlib import sha256

from membergate.domain.errors import BadInputError
from membergate.domain.instants import Clock
from membergate.domain.urls import require_safe_url
from membergate.operations.opening import open_record, standing_record
from membergate.operations.workspace import Workspace
from membergate.store import TOLD, Webhook

SIGNATURE = "Membergate-Signature"
"""The header with the signature."""
_TOPIC = re.compile(r"kafka:[A-Za-z0-9._-]{1,249}")
TOLERANCE_S = 300
"""How old a signature may be before a receiver should refuse it."""


def add_webhook(workspace: Workspace, url: str, *, events: Collection[str] = TOLD, by: str, clock: Clock) -> Webhook:
    """Tell a URL, or a topic as `kafka:TOPIC`, of decisions and notices from now on; its secret signs the messages.

    Raises
    ------
    BadInputError
        If the URL is not safe, an event is unknown, or nobody is named.
    """
    if not _TOPIC.fullmatch(url):
        require_safe_url(url)
    unknown = sorted(set(events) - set(TOLD))
    if unknown or not events or not by.strip():
        raise BadInputError("a webhook is told of something, by somebody's will", allowed=", ".join(TOLD))
    webhook = Webhook(
        webhook_id=f"w-{secrets.token_hex(6)}",
        url=url,
        secret=f"mgs_{secrets.token_urlsafe(32)}",
        events=tuple(sorted(set(events))),
        created_at=clock(),
        created_by=by,
    )
    with open_record(workspace) as record:
        record.outbox.add(webhook)
    return webhook


def webhooks(workspace: Workspace) -> tuple[Webhook, ...]:
    """Give everybody who was ever told, oldest first."""
    with standing_record(workspace) as record:
        return record.outbox.webhooks()


def remove_webhook(workspace: Workspace, webhook_id: str, *, clock: Clock) -> None:
    """Tell somebody no longer; what still waits for them is given up.

    Raises
    ------
    UnknownSubjectError
        If there is no such webhook.
    """
    with standing_record(workspace) as record:
        record.outbox.remove(webhook_id, at=clock())


def signature(secret: str, body: bytes, at_s: int) -> str:
    """Sign a message: `t=SECONDS,v1=HEX`, HMAC-SHA-256 of `SECONDS.BODY`."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def is_signed(secret: str, body: bytes, header: str, now_s: float, tolerance_s: int = TOLERANCE_S) -> bool:
    """Tell whether a message is what we signed, and not long ago: for receivers written in Python.

    Parameters
    ----------
    secret
        The webhook's.
    body
        The bytes as they came.
    header
        The header `Membergate-Signature`.
    now_s
        Seconds since 1970.
    tolerance_s
        How old a signature may be.
    """
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    try:
        at_s = int(parts.get("t", ""))
    except ValueError:
        return False
    ours, theirs = signature(secret, body, at_s), header.encode(errors="surrogateescape")
    return abs(now_s - at_s) <= tolerance_s and hmac.compare_digest(ours.encode(), theirs)
