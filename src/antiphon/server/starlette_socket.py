"""Starlette's WebSocket as a `Socket` of the transport. Must not know the protocol."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.websockets import WebSocket, WebSocketDisconnect

from antiphon.errors import TransportError

__all__ = ["StarletteSocket"]


class StarletteSocket:
    """An accepted WebSocket."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def receive(self) -> bytes | str:
        """Wait for the next message."""
        try:
            message = await self._websocket.receive()
        except RuntimeError as error:  # Starlette's answer to reading on after the end
            raise _gone() from error
        if message["type"] == "websocket.disconnect":
            raise _gone()
        data: bytes | str | None = message.get("bytes")
        return message["text"] if data is None else data

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        await _sent(self._websocket.send_bytes(data))

    async def send_text(self, text: str) -> None:
        """Send a text message."""
        await _sent(self._websocket.send_text(text))

    async def close(self, code: int, reason: str) -> None:
        """Begin to close."""
        await _sent(self._websocket.close(code, reason))


async def _sent(sending: Awaitable[None]) -> None:
    try:
        await sending
    # Starlette and uvicorn say RuntimeError to whoever writes after a close frame.
    except (WebSocketDisconnect, RuntimeError, OSError) as error:
        raise _gone() from error


def _gone() -> TransportError:
    return TransportError("gone", "the client has closed the connection", close_code=1000)
