"""A client in memory: it speaks ASGI to the application, on the virtual loop, without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette

from antiphon.pipeline import FrameProcessor, PipelineParams, PipelineTask
from support.parrot import Parrot

HOST = "127.0.0.1:8642"


class Flock:
    """Makes a parrot for each session, and keeps them."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.parrots: list[Parrot] = []
        self.tasks: list[PipelineTask] = []

    def __call__(
        self, above: FrameProcessor, below: FrameProcessor, params: PipelineParams
    ) -> PipelineTask:
        parrot = Parrot(**self.options)
        task = parrot.task_between(above, below, params)
        self.parrots.append(parrot)
        self.tasks.append(task)
        return task


class Client:
    """One WebSocket connection."""

    def __init__(
        self, app: Starlette, *, query: str = "", host: str = HOST, **headers: str
    ) -> None:
        self._app = app
        named = {"host": host, **headers}
        self._scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "path": "/ws",
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode()) for k, v in named.items()],
            "extensions": {"websocket.http.response": {}},
            "subprotocols": [],
        }
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._left = False
        self.reading = asyncio.Event()
        self.reading.set()
        self.sent: list[tuple[float, dict[str, Any]]] = []
        self.over_at: float | None = None

    async def run(self) -> None:
        try:
            await self._app(self._scope, self._incoming.get, self._send)
        finally:
            self.over_at = asyncio.get_running_loop().time()

    async def _send(self, message: dict[str, Any]) -> None:
        await self.reading.wait()
        if self._left:
            raise OSError("the client is gone")
        self.sent.append((asyncio.get_running_loop().time(), message))
        if message["type"] == "websocket.close":
            self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})

    def say(self, message: bytes | str | dict[str, Any]) -> None:
        if isinstance(message, dict):
            message = json.dumps(message)
        kind = "text" if isinstance(message, str) else "bytes"
        self._incoming.put_nowait({"type": "websocket.receive", kind: message})

    def leave(self) -> None:
        self._left = True
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})

    # ---- what it was sent ----

    @property
    def status(self) -> int | None:
        """HTTP status with which it was refused."""
        first = self.sent[0][1] if self.sent else {}
        return first.get("status")

    @property
    def refusal(self) -> dict[str, Any]:
        return json.loads(self.sent[1][1]["body"])

    @property
    def headers(self) -> dict[str, str]:
        return {k.decode(): v.decode() for k, v in self.sent[0][1]["headers"]}

    @property
    def sound(self) -> list[bytes]:
        return [m["bytes"] for _, m in self.sent if m.get("bytes") is not None]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(m["text"]) for _, m in self.sent if m.get("text") is not None]

    @property
    def close(self) -> tuple[float, int, str] | None:
        for at, message in self.sent:
            if message["type"] == "websocket.close":
                return at, message["code"], message["reason"].partition(":")[0]
        return None


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[asyncio.TaskGroup]:
    """The application's lifespan, and a group for its clients."""
    async with app.router.lifespan_context(app), asyncio.TaskGroup() as group:
        yield group


async def until(when: float) -> None:
    await asyncio.sleep(when - asyncio.get_running_loop().time())
