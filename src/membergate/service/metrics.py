"""What the service counts of itself, for Prometheus."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from time import perf_counter

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from membergate.domain.access import Scope as Allowed
from membergate.domain.decision import Decision
from membergate.domain.errors import MembergateError
from membergate.service.answers import asks_for, refusals
from membergate.service.door import Door

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts requests and decisions of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "membergate_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "membergate_request_seconds",
            "Time from request to answer.",
            ("method", "route"),
            registry=self.registry,
            buckets=_BUCKETS_S,
        )
        self._decisions = Counter(
            "membergate_decisions",
            "Decisions answered, repeats included.",
            ("checkpoint", "disposition", "degraded"),
            registry=self.registry,
        )
        self._waiting = Gauge(
            "membergate_events_waiting", "Events that wait to be loaded into the warehouse.", registry=self.registry
        )
        self._live = Gauge(
            "membergate_live", "1 for what decides now.", ("model_version", "policy_version"), registry=self.registry
        )

    def decided(self, decision: Decision) -> None:
        """Count a decision."""
        degraded = "true" if decision.degraded else "false"
        self._decisions.labels(decision.checkpoint.value, decision.disposition.value, degraded).inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def exposition(self, door: Door) -> bytes:
        """Write everything down, with what is asked for only now."""
        self._waiting.set(door.store.inbox.count_waiting())
        self._live.clear()
        with suppress(MembergateError):  # not ready: nothing is live, and the metric is absent
            self._live.labels(*door.readiness()).set(1)
        return generate_latest(self.registry)


class Counting:
    """Middleware that counts and times requests by route, never by path: a path may hold anything.

    Parameters
    ----------
    app
        What is inside.
    metrics
        Counts.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count its answer."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        began, status = perf_counter(), int(HTTPStatus.INTERNAL_SERVER_ERROR)

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            route = str(scope.get("path_template") or "other")
            self._metrics.answered(str(scope["method"]), route, status, perf_counter() - began)


@get(
    "/metrics",
    **asks_for(Allowed.READ),
    sync_to_thread=True,
    media_type="text/plain",
    tags=["operation"],
    summary="Counts and times, for Prometheus",
    responses=refusals(),
)
def read_metrics(door: NamedDependency[Door], metrics: NamedDependency[Metrics]) -> Response[bytes]:
    """Write down requests, decisions and what waits, in Prometheus's text format."""
    return Response(metrics.exposition(door), media_type=CONTENT_TYPE_LATEST)


METRIC_ROUTES = [read_metrics]
"""The route about counts."""
