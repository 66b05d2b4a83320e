"""Running the service on a port until it is told to stop, and stopping without dropping anybody."""

from __future__ import annotations

import socket

import uvicorn
from litestar import Litestar

from membergate.domain.errors import BadInputError

DEFAULT_PORT = 8420
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
