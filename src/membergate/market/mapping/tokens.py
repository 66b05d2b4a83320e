"""Keyed tokens of personal data: an e-mail address or a telephone number never enters the warehouse, its HMAC does.

The same person writes an address in several ways, so it is written alike first. The token is HMAC-SHA-256 (RFC 2104)
under a key that stays with the workspace: equal values meet, and nobody without the key can try out telephone numbers.
"""

from __future__ import annotations

KEY_BYTES = 32
_BLOCK_BYTES = 64  # of SHA-256

WRITINGS = {
    "email": "lower(trim({}))",
    "phone": "nullif(ltrim(regexp_replace({}, '[^0-9]', '', 'g'), '0'), '')",
    "text": "nullif(lower(trim(regexp_replace({}, '[\\s,.]+', ' ', 'g'))), '')",
}
"""How each kind of personal data is written alike: SQL in which `{}` stands for the value."""


def token_sql(sql: str, writing: str, key: bytes) -> str:
    """Give the SQL of a value's token; NULL where the value is missing.

    Parameters
    ----------
    sql
        SQL of the value.
    writing
        One of `WRITINGS`.
    key
        The workspace's key, at most 64 bytes.
    """
    padded = key.ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (f"unhex('{bytes(byte ^ mask for byte in padded).hex()}')" for mask in (0x36, 0x5C))  # RFC 2104
    message = f"encode({WRITINGS[writing].format(f'CAST({sql} AS VARCHAR)')})"
    return f"sha256({outer} || unhex(sha256({inner} || {message})))"
