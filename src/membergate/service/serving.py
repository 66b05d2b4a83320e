"""Running the service on a port until it is told to stop, and stopping without dropping anybody."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from litestar import Litestar

from membergate.domain.errors import BadInputError
from membergate.domain.instants import Clock
from membergate.operations.history import History
from membergate.operations.workspace import Workspace
from membergate.service.access import Gatekeeper
from membergate.service.app import create_app
from membergate.service.arriving import ArrivingProtocol
from membergate.service.desks import desks_of
from membergate.service.door import Door
from membergate.service.identity import IdentityProvider
from membergate.service.kafka import KafkaIntake, KafkaOutlet, KafkaSettings
from membergate.service.reloading import Reloader
from membergate.service.sending import Sender
from membergate.service.settings import ServiceSettings
from membergate.store import open_store

DEFAULT_PORT = 8420
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""Addresses that only this machine reaches."""
_KEEP_ALIVE_S = 5
_DRAIN_S = 15


def make_server(app: Litestar, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> uvicorn.Server:
    """Make the server, not yet running.

    Parameters
    ----------
    app
        What `create_app` made.
    host
        The address to listen on. Anything but loopback opens the service to the network, which has no key to it yet.
    port
        The port, 0 for any free one.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=ArrivingProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    return uvicorn.Server(config)


def serve(app: Litestar, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> None:
    """Serve until an interrupt or SIGTERM; requests under way are answered first, for at most 15 seconds.

    Parameters
    ----------
    app
        What `create_app` made.
    host, port
        Where to listen.

    Raises
    ------
    BadInputError
        If nobody can listen there.
    """
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise BadInputError(
            f"cannot listen: {error.strerror or error}",
            where=f"{host}:{port}",
            next_step="end what listens there, or name another port",
        ) from None
    with listening:
        make_server(app, host, port).run(sockets=[listening])


def serve_workspace(
    workspace: Workspace,
    clock: Clock,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    settings: ServiceSettings | None = None,
    provider: IdentityProvider | None = None,
    kafka: KafkaSettings | None = None,
    on_ready: Callable[[Door], object] | None = None,
) -> None:
    """Serve what is live in a workspace, follow what is published and loaded, and deliver what waits in the outbox.

    Parameters
    ----------
    workspace
        Holds what is live.
    clock
        Gives the present.
    host, port
        Where to listen.
    settings
        The door's limits.
    provider
        Reads people's tokens.
    kafka
        Kafka, for webhooks that are topics and for events; None without.
    on_ready
        Told of the door before anybody is let in.

    Raises
    ------
    BadInputError
        If nobody can listen there, or nobody could get in.
    WorkspaceError
        If nothing is live.
    """
    history = History(workspace.warehouse())
    workspace.required_live()
    record = open_store(workspace.record)
    is_open = host in LOOPBACK
    if not is_open and provider is None and not record.keys.all():
        raise BadInputError(
            "nobody could get in: outside loopback the service asks for keys, and there is none",
            where=host,
            next_step="membergate keys create NAME --role analyst --by YOU, or --oidc-issuer",
        )
    desks = desks_of(workspace, history, record, clock)
    gatekeeper = Gatekeeper(record, clock, provider=provider, is_strict=not is_open)
    app = create_app(desks, record, clock, settings=settings, gatekeeper=gatekeeper, workspace=workspace)
    door: Door = app.state.door
    if on_ready is not None:
        on_ready(door)
    outlet = None if kafka is None else KafkaOutlet(kafka.properties)
    reloader, sender = Reloader(door, workspace, history, clock), Sender(record.outbox, clock, outlet=outlet)
    intake = KafkaIntake(record, clock, kafka) if kafka is not None and kafka.topic else None
    workers = [worker for worker in (reloader, sender, intake) if worker is not None]
    for worker in workers:
        worker.start()
    try:
        serve(app, host, port)
    finally:
        for worker in workers:
            worker.stop()
