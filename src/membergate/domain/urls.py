"""URLs that may be asked or told: encrypted, or on this machine."""

from __future__ import annotations

from urllib.parse import urlsplit

from membergate.domain.errors import BadInputError

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_LONGEST = 2_000


def require_safe_url(url: str) -> None:
    """Hold a URL to be https, or http on loopback, and to be one that can be asked: a host, a port, no spaces.

    Raises
    ------
    BadInputError
        If it is neither, or cannot be asked.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")  # what looking its address up will do
        is_safe = bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK))
        can_be_asked = parts.port != 0 and parts.username is None and (parts.path + parts.query).isascii()
    except (ValueError, AttributeError):
        is_safe = can_be_asked = False
    if not is_safe or not can_be_asked or not url.isprintable() or " " in url or len(url) > _LONGEST:
        raise BadInputError(
            "this is no safe URL",
            where=str(url)[:200],
            allowed=f"https://…, or http:// on loopback; no name or password in it, a path in percent-encoding, "
            f"at most {_LONGEST} characters",
        )
