"""A WebSocket in memory: what a client says goes in, what it is sent comes out with its time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from antiphon.errors import TransportError


class MemorySocket:
    def __init__(self) -> None:
        self._incoming: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self._left = False
        self.reading = asyncio.Event()
        self.reading.set()
        self.sent: list[tuple[float, bytes | str]] = []
        self.closed: tuple[float, int, str] | None = None

    # ---- the client's side ----

    def say(self, message: bytes | str | dict[str, Any]) -> None:
        if isinstance(message, dict):
            message = json.dumps(message)
        self._incoming.put_nowait(message)

    def leave(self) -> None:
        self._left = True
        self._incoming.put_nowait(None)

    @property
    def sound(self) -> list[tuple[float, bytes]]:
        return [(at, message) for at, message in self.sent if isinstance(message, bytes)]

    @property
    def events(self) -> list[tuple[float, dict[str, Any]]]:
        return [(at, json.loads(message)) for at, message in self.sent if isinstance(message, str)]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [event for _, event in self.events if event["type"] == kind]

    # ---- the server's side ----

    async def receive(self) -> bytes | str:
        message = await self._incoming.get()
        if message is None:
            self._incoming.put_nowait(None)
            raise self._gone()
        return message

    async def send_bytes(self, data: bytes) -> None:
        await self._send(data)

    async def send_text(self, text: str) -> None:
        await self._send(text)

    async def close(self, code: int, reason: str) -> None:
        await self.reading.wait()
        if self._left or self.closed:
            raise self._gone()
        self.closed = (asyncio.get_running_loop().time(), code, reason)

    async def _send(self, message: bytes | str) -> None:
        await self.reading.wait()
        if self._left or self.closed:
            raise self._gone()
        self.sent.append((asyncio.get_running_loop().time(), message))

    def _gone(self) -> TransportError:
        return TransportError("gone", "the client has closed the connection")
