"""URLs that may be asked or told: encrypted, or on this machine."""

from __future__ import annotations

from urllib.parse import urlsplit

from membergate.domain.errors import BadInputError

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def require_safe_url(url: str) -> None:
    """Hold a URL to be https, or http on loopback.

    Raises
    ------
    BadInputError
        If it is neither.
    """
    try:
        parts = urlsplit(url)
        is_safe = (parts.scheme == "https" and bool(parts.hostname)) or (
            parts.scheme == "http" and parts.hostname in _LOOPBACK
        )
    except (ValueError, AttributeError):
        is_safe = False
    if not is_safe or not url.isprintable():
        raise BadInputError("this is no safe URL", where=str(url)[:200], allowed="https://…, or http:// on loopback")
