"""What the decision service can be told, with defaults that are safe on a machine of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Limits of the door.

    Parameters
    ----------
    allowed_hosts
        Host names under which the service may be addressed, without port; `*` allows all. It keeps a page in somebody's
        browser from reaching a service on loopback under a name of its own (DNS rebinding).
    max_body_bytes
        Longest request body, in bytes.
    clock_tolerance
        How far a client's `as_of` may run ahead of our clock.
    body_time_limit
        How long a client may take to send its body.
    answer_time_limit
        How long an answer may take; after that the client gets 503 and may ask again.
    """

    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    max_body_bytes: int = 16_384
    clock_tolerance: timedelta = timedelta(seconds=5)
    body_time_limit: timedelta = timedelta(seconds=10)
    answer_time_limit: timedelta = timedelta(seconds=30)
