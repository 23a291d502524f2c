"""For the whole test session: no connection leaves this machine, and Ctrl-C is not ignored.

Holds these two switches and nothing else. Patched are the standard library's sockets, which asyncio,
websockets and HTTP clients use; a child process is on its own.
"""

from __future__ import annotations

import ipaddress
import signal
import socket
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

pytest_plugins = ["pytester"]

# A shell starts its background jobs with Ctrl-C ignored, and their children inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class LeftTheMachine(RuntimeError):
    """Not an OSError: code that survives a lost connection must not survive this."""


def _refuse(host: object) -> NoReturn:
    raise LeftTheMachine(
        f"a test tried to reach {host!r}: tests stay on this machine, use 127.0.0.1 or a stand-in"
    )


def _check_host(host: object) -> None:
    if isinstance(host, bytes):
        host = host.decode()
    # No host means "any address of this machine", as a server says when it binds.
    if host in (None, "", "localhost"):
        return
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        _refuse(host)
    if not (address.is_loopback or address.is_unspecified):
        _refuse(host)


def _check_address(target: socket.socket, address: Any) -> None:
    if target.family in (socket.AF_INET, socket.AF_INET6):
        _check_host(address[0])


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    """Guard a method whose last argument is the address: connect, connect_ex, sendto."""

    def call(self: socket.socket, *arguments: Any) -> Any:
        _check_address(self, arguments[-1])
        return original(self, *arguments)

    return call


def _guarded_lookup(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(host: Any, *arguments: Any, **options: Any) -> Any:
        _check_host(host)
        return original(host, *arguments, **options)

    return call


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex", "sendto"):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        patch.setattr(socket, name, _guarded_lookup(getattr(socket, name)))
    config.add_cleanup(patch.undo)
