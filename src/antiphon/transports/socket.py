"""`Socket`: a WebSocket connection of whatever library, and how one is spoken to and closed.

Must not hold the protocol that is spoken over it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Protocol

from antiphon.errors import TransportError
from antiphon.transports.events import error_event

__all__ = ["Socket", "SocketWire", "close_socket"]

CLOSE_TIMEOUT = 1.0
"""Seconds for the last event and the close frame; a line that takes none of them is dropped."""

_LONGEST_REASON = 123
"""Bytes. Source: RFC 6455, section 5.5: a control frame has 125, two of them are the code."""

_UNTOLD = ("end", "gone", "slow-reader")
"""Endings that are no error, or that nobody is there to be told of."""


class Socket(Protocol):
    """One WebSocket connection, of whatever library."""

    async def receive(self) -> bytes | str:
        """Wait for the next message. Cancelling the wait loses none.

        Raises:
            TransportError: The connection is closed; its reason is ``"gone"``.
        """

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message; waits while the client does not read.

        Raises:
            TransportError: The connection is closed; its reason is ``"gone"``.
        """

    async def send_text(self, text: str) -> None:
        """Send a text message; waits and raises likewise."""

    async def close(self, code: int, reason: str) -> None:
        """Begin to close; waits and raises likewise."""


class SocketWire:
    """A socket as `SpeechOutput` sees it: sound as binary, events as JSON text messages."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    async def send_audio(self, pcm: bytes) -> None:
        """Send one packet."""
        await self._socket.send_bytes(pcm)

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send one event."""
        await self._socket.send_text(json.dumps(event, separators=(",", ":")))


async def close_socket(socket: Socket, ending: TransportError) -> None:
    """Tell the client why, and close; both only if it still listens."""
    reason = f"{ending.reason}: {ending}".encode()[:_LONGEST_REASON].decode(errors="ignore")
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            if ending.reason not in _UNTOLD:
                await SocketWire(socket).send_event(error_event(ending.reason, str(ending)))
            await socket.close(ending.close_code, reason)
    except (TransportError, TimeoutError):
        pass  # nobody is there to be told
