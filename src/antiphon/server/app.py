"""The ASGI application: the page, ``/ws``, ``/healthz`` and ``/readyz``.

Holds what each address answers. Must not hold who may come in (`admission`), nor the listening and
the signals (`serving`).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import resources

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from antiphon.errors import TransportError
from antiphon.pipeline.params import PipelineParams
from antiphon.server.admission import Refusal, check_client, check_host
from antiphon.server.failures import describe
from antiphon.server.options import ServerOptions
from antiphon.server.readiness import Readiness
from antiphon.server.sessions import Full, Session, SessionFactory, Sessions
from antiphon.server.starlette_socket import StarletteSocket
from antiphon.transports.websocket import WebSocketTransport

__all__ = ["create_app"]

_log = logging.getLogger("antiphon.server")

RETRY_AFTER = 5
"""Seconds that a client who was refused for lack of room should wait."""

_PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/sound.js": ("sound.js", "text/javascript; charset=utf-8"),
    "/microphone.js": ("microphone.js", "text/javascript; charset=utf-8"),
}

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def create_app(
    factory: SessionFactory,
    options: ServerOptions | None = None,
    *,
    prewarm: Callable[[], Awaitable[None]] | None = None,
    params: PipelineParams | None = None,
) -> Starlette:
    """Make the application that serves `factory`'s agent.

    Args:
        factory: Makes each session's pipeline task.
        options: Limits, and who may come in.
        prewarm: Loads models, beside the start; ``/readyz`` tells when it is done.
        params: Of every session's pipeline; the sample rates are the client's.

    Returns:
        The application. Its ``state.sessions`` and ``state.readiness`` are for who runs it.
    """
    options = options or ServerOptions()
    front = _Front(factory, options, Readiness(prewarm), params or PipelineParams())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            loading = group.create_task(front.readiness.prepare(), name="prewarm")
            yield
            loading.cancel()

    pages = [Route(path, front.page(*page)) for path, page in _PAGE.items()]
    app = Starlette(
        routes=[
            *pages,
            Route("/healthz", front.health),
            Route("/readyz", front.ready),
            WebSocketRoute("/ws", front.talk),
        ],
        lifespan=lifespan,
    )
    app.state.sessions = front.sessions
    app.state.readiness = front.readiness
    return app


class _Front:
    """What the addresses answer."""

    def __init__(
        self,
        factory: SessionFactory,
        options: ServerOptions,
        readiness: Readiness,
        params: PipelineParams,
    ) -> None:
        self.sessions = Sessions(options.max_sessions, lambda: secrets.token_hex(6))
        self.readiness = readiness
        self._factory = factory
        self._options = options
        self._params = params

    def page(self, name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
        """What answers with a file of the page."""
        content = resources.files("antiphon.server").joinpath("page", name).read_bytes()

        async def answer(request: Request) -> Response:
            refusal = check_host(request.headers, self._options)
            if refusal is not None:
                return _refuse(refusal)
            return Response(content, media_type=media_type, headers=_PAGE_HEADERS)

        return answer

    async def health(self, request: Request) -> Response:
        """The process is alive."""
        return JSONResponse({"alive": True})

    async def ready(self, request: Request) -> Response:
        """Whether a session would be taken now."""
        trouble = self.readiness.trouble()
        if self.sessions.is_draining:
            trouble = "shutting down"
        answer = {"ready": trouble is None, "sessions": len(self.sessions)}
        if trouble is None:
            return JSONResponse(answer)
        return JSONResponse({**answer, "trouble": trouble}, 503, {"Retry-After": f"{RETRY_AFTER}"})

    async def talk(self, websocket: WebSocket) -> None:
        """One session, from the handshake to the close."""
        refusal = check_host(websocket.headers, self._options) or check_client(
            websocket.headers, websocket.query_params, self._options
        )
        if refusal is None and self.readiness.problem is not None:
            refusal = _later("not-ready", "the agent could not be loaded; see the server's log")
        if refusal is None:
            try:
                with self.sessions.open() as session:
                    await self._converse(session, websocket)
                return
            except Full as full:
                refusal = _later("full", str(full))
        _log.info("refused a connection: %s", refusal.code)
        await websocket.send_denial_response(_refuse(refusal))

    async def _converse(self, session: Session, websocket: WebSocket) -> None:
        _log.info("session %s begins; %d now", session.id, len(self.sessions))
        await websocket.accept()
        socket = StarletteSocket(websocket)
        try:
            transport = await WebSocketTransport.open(
                socket, self._options.line, session=session.id
            )
        except TransportError as error:
            _log.info("session %s never began: %s", session.id, error.reason)
            return
        try:
            params = replace(
                self._params,
                audio_in_sample_rate=transport.sample_rate,
                audio_out_sample_rate=transport.agent_sample_rate,
            )
            task = self._factory(transport.input(), transport.output(), params)
            session.begin(transport)
            await task.run()
        # A session fails alone: its end is logged and told, and the others go on.
        except Exception as error:  # noqa: BLE001
            _log.error("session %s failed: %s", session.id, describe(error))
            problem = "the agent failed; the server's log says where"
            await transport.close(TransportError("internal-error", problem, close_code=1011))
        finally:
            reason = transport.ending.reason if transport.ending else "cancelled"
            _log.info("session %s has ended: %s", session.id, reason)


def _later(code: str, message: str) -> Refusal:
    return Refusal(503, code, message, (("Retry-After", f"{RETRY_AFTER}"),))


def _refuse(refusal: Refusal) -> Response:
    body = {"code": refusal.code, "message": refusal.message}
    return JSONResponse(body, refusal.status, dict(refusal.headers))
