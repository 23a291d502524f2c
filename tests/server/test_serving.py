"""A real server on a real port of this machine: what virtual time cannot show."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.request import urlopen

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from antiphon.errors import ModelError, UsageError
from antiphon.server import LineOptions, ServerOptions, create_app, serve
from support.asgi import Flock

pytestmark = pytest.mark.real_time

TOKEN = "a-token-of-twenty-two"


class Server:
    def __init__(self, options: ServerOptions, flock: Flock) -> None:
        self.app = create_app(flock, options)
        self.options = options
        self.flock = flock
        self.port = 0
        self.url = ""

    @property
    def sessions(self) -> int:
        return len(self.app.state.sessions)

    def connect(self, query: str = "", **options: object) -> connect:
        url = f"{self.url.replace('http', 'ws')}ws{query}"
        return connect(url, compression=None, **options)

    async def wait_sessions(self, number: int, seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while self.sessions != number:  # noqa: ASYNC110 - nobody tells it
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(**options: object) -> AsyncIterator[Server]:
    server = Server(ServerOptions(port=0, **options), Flock(pace=0.1))
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(server.app, server.options, started=started.set_result))
        server.url = await started
        server.port = int(server.url.rstrip("/").rpartition(":")[2])
        try:
            yield server
        finally:
            task.cancel()


async def events_until(client: ClientConnection, wanted: str) -> list[dict[str, object]]:
    events = []
    async with asyncio.timeout(5.0):
        while not events or events[-1]["type"] != wanted:
            message = await client.recv()
            if isinstance(message, str):
                events.append(json.loads(message))
    return events


async def assert_answered(client: ClientConnection, text: str = "hello there") -> None:
    await client.send(json.dumps({"type": "text", "text": text}))
    heard, sound = "", 0
    async with asyncio.timeout(5.0):
        while heard != text:
            message = await client.recv()
            if isinstance(message, bytes):
                sound += len(message)
                continue
            event = json.loads(message)
            if event["type"] == "transcript" and event["final"]:
                heard = event["text"]
    assert sound == 2 * 16_000 * 0.1 * len(text.split())


async def closed(client: ClientConnection) -> tuple[int, str]:
    async with asyncio.timeout(5.0):
        await client.wait_closed()
    assert client.close_code is not None
    return client.close_code, (client.close_reason or "").partition(":")[0]


async def raw(server: Server) -> socket.socket:
    """A WebSocket whose client does nothing by itself: it neither reads nor answers pings."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(line, ("127.0.0.1", server.port))
    key = base64.b64encode(bytes(16)).decode()
    request = (
        f"GET /ws HTTP/1.1\r\nHost: localhost:{server.port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(line, request.encode())
    assert b"101" in await loop.sock_recv(line, 1024)
    return line


def frame(opcode: int, payload: bytes) -> bytes:
    """A frame as a client sends it: masked, here with zeros."""
    length = len(payload)
    head = bytes([0x80 | opcode, 0x80 | (length if length < 126 else 126)])
    return head + (length.to_bytes(2, "big") if length >= 126 else b"") + bytes(4) + payload


# ---- it works --------------------------------------------------------------------------------


async def test_a_conversation_and_the_page():
    async with serving() as server:
        loop = asyncio.get_running_loop()
        page = await loop.run_in_executor(None, lambda: urlopen(server.url).read())
        assert b"<title>" in page
        async with server.connect(user_agent_header=None) as client:
            [started] = await events_until(client, "started")
            assert started["sample_rate"] == 16_000
            await assert_answered(client)
            await client.send(json.dumps({"type": "end"}))
            assert await closed(client) == (1000, "end")
        await server.wait_sessions(0)


async def test_refusals_are_http_responses():
    async with serving(max_sessions=1, token=TOKEN) as server:
        with pytest.raises(InvalidStatus) as caught:
            await server.connect()
        assert caught.value.response.status_code == 401
        with pytest.raises(InvalidStatus) as caught:
            await server.connect(f"?token={TOKEN}", origin="http://evil.test")
        assert caught.value.response.status_code == 403
        async with server.connect(f"?token={TOKEN}") as client:
            with pytest.raises(InvalidStatus) as caught:
                await server.connect(additional_headers={"Authorization": f"Bearer {TOKEN}"})
            response = caught.value.response
            assert response.status_code == 503
            assert response.headers["Retry-After"] == "5"
            assert json.loads(response.body)["code"] == "full"
            await assert_answered(client)


async def test_stopping_tells_live_sessions():
    async with serving() as server:
        client = await server.connect()
        await events_until(client, "started")
    [error] = await events_until(client, "error")
    assert error["code"] == "shutdown"
    assert await closed(client) == (1001, "shutdown")


# ---- the port --------------------------------------------------------------------------------


async def test_no_free_port_names_one_that_is():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = ServerOptions(port=port)
        with pytest.raises(UsageError, match=rf"port {port} is in use: try --port \d+") as caught:
            await serve(create_app(Flock(), options), options)
        free = int(str(caught.value).rpartition(" ")[2])
        assert free != port
        socket.create_server(("127.0.0.1", free)).close()


async def test_models_that_cannot_be_loaded_end_the_server():
    async def prewarm() -> None:
        raise ModelError("whisper/tiny.en", "run `antiphon models pull`")

    options = ServerOptions(port=0)
    app = create_app(Flock(), options, prewarm=prewarm)
    with pytest.raises(ModelError, match="models pull"):
        await serve(app, options)


PROGRAM = """
import sys
from antiphon.server import ServerOptions, create_app, run
sys.path.insert(0, sys.argv[1])
from support.asgi import Flock
options = ServerOptions(port=0)
run(create_app(Flock(), options), options, started=lambda url: print(url, flush=True))
print("ended in order", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no POSIX signals")
async def test_ctrl_c_ends_the_process_in_order():
    tests = os.path.dirname(os.path.dirname(__file__))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, tests), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with connect(f"{url.replace('http', 'ws')}ws") as client:
        await events_until(client, "started")
        process.send_signal(signal.SIGINT)
        [error] = await events_until(client, "error")
        assert error["code"] == "shutdown"
        assert await closed(client) == (1001, "shutdown")
    assert await process.stdout.read() == b"ended in order\n"
    assert await process.wait() == 0


# ---- bad input, on the wire itself -----------------------------------------------------------


async def test_a_connection_that_never_asks_for_anything_takes_no_session():
    async with serving() as server:
        line = socket.create_connection(("127.0.0.1", server.port))
        async with server.connect() as client:
            await assert_answered(client)
            assert server.sessions == 1
        line.close()


async def test_a_client_that_is_gone_without_a_word():
    async with serving(ping_seconds=0.3) as server, server.connect() as witness:
        line = await raw(server)
        await server.wait_sessions(2)
        await server.wait_sessions(1)
        await assert_answered(witness)
        line.close()


async def test_a_client_that_cuts_the_connection_in_the_middle_of_a_message():
    async with serving() as server, server.connect() as witness:
        line = await raw(server)
        await server.wait_sessions(2)
        line.send(frame(2, bytes(640))[:100])
        line.close()
        await server.wait_sessions(1)
        await assert_answered(witness)


async def test_a_client_that_never_reads():
    async with (
        serving(line=LineOptions(send_timeout=0.3)) as server,
        server.connect() as witness,
    ):
        line = await raw(server)
        # 96 kB/s: what the two kernels hold is full after a few seconds.
        line.send(frame(1, b'{"type":"start","agent_sample_rate":48000}'))
        line.send(frame(1, json.dumps({"type": "text", "text": "on " * 300}).encode()))
        await server.wait_sessions(2)
        await server.wait_sessions(1, seconds=12.0)
        await assert_answered(witness)
        line.close()


async def test_ten_megabytes_are_refused_before_they_are_read():
    async with serving() as server, server.connect() as witness:
        async with server.connect() as client:
            with pytest.raises(ConnectionClosed):
                await client.send(bytes(10_000_000))
            assert (await closed(client))[0] == 1009
        await server.wait_sessions(1)
        await assert_answered(witness)


async def test_bytes_that_are_no_websocket():
    chance = random.Random(7)
    async with serving() as server, server.connect() as witness:
        for n in range(40):
            line = await raw(server)
            line.send(chance.randbytes(chance.randrange(1, 200)))
            if n % 2:
                line.shutdown(socket.SHUT_WR)
            line.close()
        await server.wait_sessions(1)
        await assert_answered(witness)


async def test_text_that_is_no_utf_8():
    async with serving() as server, server.connect() as witness:
        line = await raw(server)
        line.send(frame(1, b"\xff\xfe"))
        await server.wait_sessions(1)
        await assert_answered(witness)
        line.close()
