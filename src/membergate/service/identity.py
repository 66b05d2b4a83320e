"""People, by the tokens of an identity provider (OpenID Connect): who they are, and which roles it gives them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.request import urlopen

import jwt

from membergate.domain.access import SCOPES_OF, Principal, Role
from membergate.domain.errors import BadInputError
from membergate.domain.urls import require_safe_url
from membergate.service.problems import NotReadyError

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_TIMEOUT_S = 5
_KEYS_LAST_S = 300
_LEEWAY_S = 10
_MOST_ROLES = 100
_LONGEST_NAME = 255
"""What OpenID Connect allows a subject."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """An identity provider.

    Parameters
    ----------
    issuer
        Its URL, as its tokens name it; https, but for a provider on loopback.
    audience
        For whom its tokens must be.
    roles_claim
        The claim that lists the roles of a person.
    keys_url
        Where its keys are; found by the issuer's own document where empty.

    Raises
    ------
    BadInputError
        If a URL is none, or not safe.
    """

    issuer: str
    audience: str
    roles_claim: str = "roles"
    keys_url: str = ""

    def __post_init__(self) -> None:
        for url in (self.issuer, *([self.keys_url] if self.keys_url else [])):
            require_safe_url(url)
        if not self.audience or not self.roles_claim:
            raise BadInputError("tokens must be for somebody", allowed="an audience and a roles claim")


def provider_of(issuer: str, audience: str, roles_claim: str) -> IdentityProvider | None:
    """Set up an identity provider; None where no issuer is named.

    Raises
    ------
    BadInputError
        If its URL is not safe.
    """
    return IdentityProvider(ProviderSettings(issuer, audience, roles_claim)) if issuer else None


class IdentityProvider:
    """Reads tokens. Its methods may wait for the provider's keys; any thread may call them.

    Parameters
    ----------
    settings
        Whose tokens, and for whom.
    """

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._keys: jwt.PyJWKClient | None = None
        self._lock = Lock()

    def principal(self, token: str) -> Principal | None:
        """Tell who comes with a token; None where it is not valid here and now.

        Raises
        ------
        NotReadyError
            If the provider cannot be asked for its keys.
        """
        settings = self._settings
        try:
            key = self._client().get_signing_key_from_jwt(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(_ALGORITHMS),  # never one with a shared secret, and never none
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise NotReadyError("the identity provider does not answer", where=settings.issuer) from error
        except (jwt.PyJWTError, ValueError):
            return None
        scopes = frozenset().union(*(SCOPES_OF[role] for role in _roles(claims.get(settings.roles_claim))))
        name = str(claims["sub"])
        is_name = bool(name.strip()) and len(name) <= _LONGEST_NAME and name.isprintable()
        return Principal(name, scopes) if is_name else None

    def _client(self) -> jwt.PyJWKClient:
        with self._lock:
            if self._keys is None:
                url = self._settings.keys_url or self._discovered()
                self._keys = jwt.PyJWKClient(url, lifespan=_KEYS_LAST_S, timeout=_TIMEOUT_S)
            return self._keys

    def _discovered(self) -> str:
        issuer = self._settings.issuer
        where = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            with urlopen(where, timeout=_TIMEOUT_S) as answer:  # noqa: S310  # its scheme was checked with the settings
                document = json.load(answer)
            if document["issuer"] != issuer:
                raise NotReadyError("the provider's document names another issuer", where=where, allowed=issuer)
            require_safe_url(document["jwks_uri"])
        except (OSError, ValueError, KeyError, TypeError, BadInputError) as error:
            raise NotReadyError("the identity provider cannot be read", where=where, next_step=str(error)) from error
        return str(document["jwks_uri"])


def _roles(claim: Any) -> set[Role]:
    """Read the roles that a claim lists; words that mean nothing here are left out."""
    words = claim.split() if isinstance(claim, str) else claim
    known = set(Role)
    listed = words[:_MOST_ROLES] if isinstance(words, list) else []
    return {Role(word) for word in listed if isinstance(word, str) and word in known}
