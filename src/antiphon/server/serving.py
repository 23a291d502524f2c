"""Listening: the port, the signals, and an orderly end, on uvicorn.

Holds what a process that serves does around the application. Must not hold what is served.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from antiphon.errors import UsageError
from antiphon.server.options import ServerOptions
from antiphon.server.readiness import Readiness
from antiphon.server.sessions import Sessions

__all__ = ["run", "serve"]

_log = logging.getLogger("antiphon.server")

BACKLOG = 128

SEND_BUFFER = 131_072
"""Bytes of the kernel's buffer for each connection: four seconds of sound. With the default of
megabytes, a client that never reads would go unnoticed for a minute."""

GONE_AFTER = 30_000
"""Milliseconds after which the kernel drops a connection whose far side acknowledges nothing.
Source: Linux tcp(7), TCP_USER_TIMEOUT; without it, a quarter of an hour."""

LAST_WORDS = 3
"""Seconds for connections to close once all sessions have ended."""

_PORTS_TRIED = 20


async def serve(
    app: Starlette, options: ServerOptions, *, started: Callable[[str], None] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM; then end the sessions, each told so, and return.

    A second SIGINT cuts `ServerOptions.drain_seconds` short. Cancelling it ends it likewise.

    Args:
        app: From `create_app`.
        options: The same as the application's.
        started: Told the address of the page, once it can be opened.

    Raises:
        UsageError: The port cannot be listened on; the text says what to do.
        Exception: What `prewarm` raised: without models there is nothing to serve.
    """
    readiness: Readiness = app.state.readiness
    with _listen(options.host, options.port) as listener:
        port = listener.getsockname()[1]
        host = f"[{options.host}]" if ":" in options.host else options.host
        server = _Server(_configure(app, options), app.state.sessions, readiness, options)
        server.on_started = lambda: started and started(f"http://{host}:{port}/")
        try:
            await server.serve(sockets=[listener])
        except asyncio.CancelledError:
            if server.started:
                await server.shutdown([listener])
            raise
    if readiness.problem is not None:
        raise readiness.problem


def run(
    app: Starlette, options: ServerOptions, *, started: Callable[[str], None] | None = None
) -> None:
    """Serve from a program's main function, on uvloop where it is installed; see `serve`."""
    make_loop: Callable[[], asyncio.AbstractEventLoop] | None = None
    if sys.platform != "win32":
        with suppress(ImportError):
            import uvloop

            make_loop = uvloop.new_event_loop
    # uvicorn raises the signal again after the orderly end.
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(serve(app, options, started=started))


def _configure(app: Starlette, options: ServerOptions) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws="websockets-sansio",
        # Sound does not compress, and each stream would cost 300 KB.
        ws_per_message_deflate=False,
        ws_max_size=options.line.max_message,
        ws_ping_interval=options.ping_seconds,
        ws_ping_timeout=options.ping_seconds,
        lifespan="on",
        # uvicorn's own lines at level INFO hold the query, and so the token.
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=LAST_WORDS,
    )


class _Server(uvicorn.Server):
    """uvicorn, which ends sessions before it ends connections."""

    def __init__(
        self,
        config: uvicorn.Config,
        sessions: Sessions,
        readiness: Readiness,
        options: ServerOptions,
    ) -> None:
        super().__init__(config)
        self._sessions = sessions
        self._readiness = readiness
        self._drain_seconds = options.drain_seconds
        self.on_started: Callable[[], object] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        is_second = self.should_exit
        super().handle_exit(sig, frame)
        if is_second:
            self._loop.call_soon_threadsafe(self._sessions.hurry)

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._readiness.problem is not None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        if len(self._sessions):
            _log.info("ending %d sessions", len(self._sessions))
        left = await self._sessions.drain(self._drain_seconds)
        if left:
            _log.warning("these sessions did not end: %s", ", ".join(left))
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    """Open the port.

    Raises:
        UsageError: It is taken, not ours to take, or the host is not this machine's.
    """
    try:
        return _bind(host, port)
    except socket.gaierror:
        raise UsageError(f"host {host!r} is not known: try 127.0.0.1") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"port {port} is in use: try --port {_free(host, port)}") from None
        if error.errno == errno.EACCES:
            raise UsageError(f"port {port} is for the system only: try --port 8642") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(f"host {host!r} is no address of this machine") from None
        raise


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit these from their listener.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_AFTER)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _free(host: str, port: int) -> int:
    """A port near `port` that is free right now, or the next one if none is."""
    for near in range(port + 1, min(port + _PORTS_TRIED, 65_535) + 1):
        with suppress(OSError):
            _bind(host, near).close()
            return near
    return port + 1
