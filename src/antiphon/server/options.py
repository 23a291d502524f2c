"""The server's options. Holds values and their checks, nothing that runs."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from antiphon.errors import OptionError
from antiphon.options import Declared, within
from antiphon.transports.line import LineOptions

__all__ = ["ServerOptions", "is_loopback"]

_SHORTEST_TOKEN = 16
"""Characters. 16 of base64 hold 96 bits, which nobody guesses over a network."""


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without port, can only mean this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class ServerOptions(Declared):
    """Options of the server.

    Attributes:
        host: Address to listen on. Any but this machine's own needs a token.
        port: To listen on; 0 for any free one.
        max_sessions: At once; the next one is told to come again later.
        token: What a client must show, in ``?token=`` or ``Authorization: Bearer``.
        allowed_origins: Origins of pages of other servers that may connect, such as
            ``"https://example.com"``; their host names may also name this server, behind a proxy.
        drain_seconds: How long sessions may go on once the server was asked to stop.
        ping_seconds: Between two signs of life that are asked of each client; one that gives none
            for as long again is gone.
        line: Limits of each session.

    Raises:
        OptionError: For an unknown name, a value out of range, or a host without a token.
    """

    host: str = "127.0.0.1"
    port: int = 8642
    max_sessions: int = 10
    token: str | None = field(default=None, repr=False)
    allowed_origins: tuple[str, ...] = ()
    drain_seconds: float = 0.0
    ping_seconds: float = 20.0
    line: LineOptions = field(default_factory=LineOptions)

    def __post_init__(self) -> None:
        owner = "ServerOptions"
        within(owner, "port", self.port, 0, 65_535, "(a port)")
        within(owner, "max_sessions", self.max_sessions, 1, 10_000, "sessions")
        within(owner, "drain_seconds", self.drain_seconds, 0, 86_400, "seconds")
        within(owner, "ping_seconds", self.ping_seconds, 0.1, 3_600, "seconds")
        self._check_token()
        if isinstance(self.allowed_origins, str):
            raise OptionError(f"{owner}: allowed_origins must be a tuple: add a comma")
        for origin in self.allowed_origins:
            _check_origin(origin)

    def _check_token(self) -> None:
        make = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe())'"
        if self.token is None:
            if not is_loopback(self.host):
                raise OptionError(
                    f"ServerOptions: host={self.host!r} can be reached by others, so it needs a "
                    f"token; {make}"
                )
        elif len(self.token) < _SHORTEST_TOKEN or not self.token.isascii():
            raise OptionError(
                f"ServerOptions: token must have {_SHORTEST_TOKEN} ASCII characters or more; {make}"
            )


def _check_origin(origin: str) -> None:
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query:
        raise OptionError(
            f"ServerOptions: allowed_origins has {origin!r}; write scheme and host, such as "
            "'https://example.com'"
        )
