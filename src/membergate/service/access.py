"""Who gets in: keys of programs, tokens of people, what each may do, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from threading import Lock
from time import monotonic
from typing import Any

from litestar.connection import Request
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from membergate.domain.access import Principal, Scope
from membergate.domain.instants import Clock
from membergate.operations.keys import PREFIX, principal_of
from membergate.service.guarding import Connection
from membergate.service.identity import IdentityProvider
from membergate.store import ApiKey, OperationalRecord

SCOPE = "scope"
"""The handler's option that names what it asks of its caller; a handler without it is open to everybody."""
EVERYBODY = Principal("loopback", frozenset(Scope))
"""Who asks where no keys are asked for: whoever can reach the port."""
_KEYS_LAST_S = 1.0
_MOST_BUCKETS = 10_000


class Gatekeeper:
    """Tells who asks.

    Parameters
    ----------
    store
        Knows the keys.
    clock
        Tells when keys expire.
    provider
        Reads people's tokens; None for programs only.
    is_strict
        Whether nobody gets in without a key or token. Where False, everybody does until the first key is made.
    timer
        Seconds that only ever grow.
    """

    def __init__(
        self,
        store: OperationalRecord,
        clock: Clock,
        *,
        provider: IdentityProvider | None = None,
        is_strict: bool = False,
        timer: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._provider = provider
        self._is_strict = is_strict or provider is not None
        self._timer = timer
        self._keys: tuple[ApiKey, ...] = ()
        self._read_at = -_KEYS_LAST_S
        self._lock = Lock()
        self._buckets = _Buckets(timer)

    def guard(self) -> Guard:
        """Make the guard that lets requests through, or answers 401, 403 or 429."""

        async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
            scope = handler.opt.get(SCOPE)
            if scope is None:
                return
            authorization = connection.headers.get("authorization")
            if self._knows(authorization):
                principal = self.principal(authorization)
            else:
                principal = await asyncio.to_thread(self.principal, authorization)
            if scope not in principal.scopes:
                raise HTTPException(status_code=HTTPStatus.FORBIDDEN, detail=f"this asks for the scope {scope.value!r}")
            wait_s = self.take(principal)
            if wait_s > 0:
                raise HTTPException(
                    status_code=HTTPStatus.TOO_MANY_REQUESTS,
                    detail=f"at most {principal.rate_per_s:g} requests a second",
                    headers={"retry-after": str(max(1, round(wait_s)))},
                )
            connection.scope["state"]["principal"] = principal

        return guard

    def known(self, authorization: str | None) -> Principal | None:
        """Tell who comes where that needs no waiting; None where it does, or where nobody does."""
        if not self._knows(authorization):
            return None
        try:
            return self.principal(authorization)
        except HTTPException:
            return None

    def take(self, principal: Principal) -> float:
        """Take one request of somebody's rate; gives 0, or in how many seconds there will be one."""
        return self._buckets.take(principal)

    def principal(self, authorization: str | None) -> Principal:
        """Tell who comes with an Authorization header. It may wait for the record or the identity provider.

        Raises
        ------
        HTTPException
            401, if nobody does.
        NotReadyError
            If the identity provider cannot be asked.
        """
        known = self._known_keys()
        if authorization is None:
            if self._is_strict or known:
                raise _unauthorised("this asks for a key or a token: Authorization: Bearer …")
            return EVERYBODY
        kind, _, token = authorization.partition(" ")
        principal = None
        if kind.lower() == "bearer" and token.startswith(PREFIX):
            principal = principal_of(known, token.strip(), self._clock())
        elif kind.lower() == "bearer" and self._provider is not None:
            principal = self._provider.principal(token.strip())
        if principal is None:
            raise _unauthorised("this key or token is not valid")
        return principal

    def _knows(self, authorization: str | None) -> bool:
        """Tell whether neither the record nor the identity provider need be waited for."""
        is_ours = authorization is None or authorization.partition(" ")[2].startswith(PREFIX)
        return is_ours and self._timer() - self._read_at < _KEYS_LAST_S

    def _known_keys(self) -> tuple[ApiKey, ...]:
        with self._lock:
            if self._timer() - self._read_at >= _KEYS_LAST_S:
                self._keys = self._store.keys.all()
                self._read_at = self._timer()
            return self._keys


def principal_in(request: Request[Any, Any, Any]) -> Principal:
    """Give who asks, as the guard has found."""
    principal: Principal = request.scope["state"].get("principal", EVERYBODY)
    return principal


def _unauthorised(detail: str) -> HTTPException:
    return HTTPException(
        status_code=HTTPStatus.UNAUTHORIZED, detail=detail, headers={"www-authenticate": 'Bearer realm="membergate"'}
    )


class _Buckets:
    """A token bucket for each key: it holds one second's requests, and fills as time goes by."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._levels: dict[str, tuple[float, float]] = {}
        self._lock = Lock()

    def take(self, principal: Principal) -> float:
        """Take one request; gives 0, or in how many seconds there will be one."""
        rate = principal.rate_per_s
        if rate is None:
            return 0.0
        size, now = max(1.0, rate), self._timer()
        with self._lock:
            level, at = self._levels.get(principal.key_id, (size, now))
            level = min(size, level + (now - at) * rate)
            allowed = level >= 1.0
            self._levels[principal.key_id] = (level - 1.0 if allowed else level, now)
            if len(self._levels) > _MOST_BUCKETS:
                self._levels.clear()
        return 0.0 if allowed else (1.0 - level) / rate
