"""The decision service as one ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ASGIApp

from membergate.domain.errors import MembergateError
from membergate.domain.instants import Clock
from membergate.operations.workspace import Workspace
from membergate.service.access import Gatekeeper
from membergate.service.desk import AdmissionDesk
from membergate.service.door import Desks, Door
from membergate.service.event_routes import EVENT_ROUTES
from membergate.service.following import Follower
from membergate.service.guarding import Hosts, add_security_headers, in_turn, only_hosts, only_one_length
from membergate.service.limits import TimeLimits
from membergate.service.member_routes import MEMBER_ROUTES
from membergate.service.metrics import METRIC_ROUTES, Counting, Metrics
from membergate.service.problems import answer_http_error, answer_membergate_error, answer_unforeseen, problem
from membergate.service.routes import DECISION_ROUTES
from membergate.service.rule_routes import RULE_ROUTES
from membergate.service.settings import ServiceSettings
from membergate.service.short_way import ShortWay, short_questions
from membergate.store import OperationalRecord

_THREADS = 40


class Service(Litestar):
    """The framework's application, which lets some questions go a short way past it."""

    short_way: ASGIApp | None = None
    is_short: Callable[[Any], bool]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or follow the application's life."""
        if self.short_way is not None and self.is_short(scope):
            await self.short_way(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(
    desks: AdmissionDesk | Desks,
    store: OperationalRecord,
    clock: Clock,
    *,
    settings: ServiceSettings | None = None,
    gatekeeper: Gatekeeper | None = None,
    workspace: Workspace | None = None,
) -> Service:
    """Put the routes around a desk and a record.

    Parameters
    ----------
    desks
        Who decides; an admission desk alone decides no orders.
    store
        Keeps every decision before it is answered. It is closed when the service shuts down.
    clock
        Gives the present.
    settings
        The door's limits; safe defaults where None.
    gatekeeper
        Tells who asks; where None, one that asks for keys as soon as there are any.
    workspace
        Whose lists and policies may be led over HTTP; None where nothing but decisions is given.

    Returns
    -------
    Service
        Decisions below `/v1`, `GET /health`, `GET /ready`, and the OpenAPI document at `/schema`. `app.state.door` is
        the door, whose desks may be exchanged.
    """
    limits = settings or ServiceSettings()
    metrics = Metrics()
    given = desks if isinstance(desks, Desks) else Desks(desks)
    door = Door(given, store, clock, limits, on_decided=metrics.decided, workspace=workspace)

    follower = Follower(door)
    hosts, gate = Hosts(limits.allowed_hosts), gatekeeper or Gatekeeper(store, clock)
    app = Service(
        [*DECISION_ROUTES, *MEMBER_ROUTES, *EVENT_ROUTES, *RULE_ROUTES, *METRIC_ROUTES],
        dependencies={"door": _always(door), "metrics": _always(metrics)},
        guards=[in_turn(only_one_length, only_hosts(hosts), gate.guard())],
        middleware=[DefineMiddleware(Counting, metrics=metrics), DefineMiddleware(TimeLimits, settings=limits)],
        before_send=[add_security_headers],
        exception_handlers={
            MembergateError: answer_membergate_error,
            HTTPException: answer_http_error,
            Exception: answer_unforeseen,
        },
        on_startup=[_make_threads, follower.start],
        on_shutdown=[follower.stop, store.close],
        state=State({"door": door}),
        request_max_body_size=limits.max_body_bytes,
        openapi_config=_openapi(),
        debug=False,  # said aloud: the framework would take it from the environment
        logging_config=None,  # our own handlers log
    )
    short_way = ShortWay(short_questions(door, limits), hosts, gate, metrics, otherwise=super(Service, app).__call__)
    app.is_short, app.short_way = short_way.has, TimeLimits(short_way, limits)
    return app


def _always(given: object) -> Provide:
    """Hand one object to every route that asks for it."""
    return Provide(lambda: given, sync_to_thread=False)


def _make_threads() -> None:
    """Make more threads than asyncio has: slow look-ups must not keep everybody else from one."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "membergate"))


def _openapi() -> OpenAPIConfig:
    """Describe the service as a document only: pages that draw it would fetch their scripts from a foreign host."""
    return OpenAPIConfig(
        title="membergate",
        version=version("membergate"),
        summary="Membership-admission decisions, with their reasons.",
        use_handler_docstrings=True,
        render_plugins=[JsonRenderPlugin()],
        openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, after_request=_answer_no_document),
    )


def _answer_no_document(response: Response[Any]) -> Response[Any]:
    """Answer an unknown path below `/schema` as every other one; the framework would send a page."""
    if response.status_code == HTTPStatus.NOT_FOUND:
        return problem(HTTPStatus.NOT_FOUND, code="not_found", what="Not Found")
    return response
