"""The HTTP front: the page, the WebSocket, health, and the sessions that are going on.

Puts a session factory behind Starlette and uvicorn. Must not know what an agent is made of.
"""

from antiphon.server.app import create_app
from antiphon.server.options import ServerOptions
from antiphon.server.serving import run, serve
from antiphon.server.sessions import Session, SessionFactory, Sessions
from antiphon.transports.line import LineOptions

__all__ = [
    "LineOptions",
    "ServerOptions",
    "Session",
    "SessionFactory",
    "Sessions",
    "create_app",
    "run",
    "serve",
]
