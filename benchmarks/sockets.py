"""CPU of 50 real-time WebSocket calls with the voice detector, against bare echoing sockets."""

import socket
import subprocess
import sys
import time

from benchmarks.measure import line
from benchmarks.server import cpu_of, server, wait_port

CALLS, SECONDS = 50, 10

AGENT = """
from antiphon import Agent
from antiphon.testing import ScriptedLLM, ScriptedSTT, ScriptedTTS
agent = Agent(vad="silero", stt=ScriptedSTT("hello"), llm=ScriptedLLM("Hello to you."),
              tts=ScriptedTTS(), turn_detector=None)
"""

ECHO = """
import asyncio, sys
from websockets.asyncio.server import serve
async def echo(socket):
    async for message in socket:
        await socket.send(message)
async def main():
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), compression=None):
        await asyncio.get_running_loop().create_future()
import uvloop
uvloop.run(main())
"""

CALLERS = """
import asyncio, sys
from websockets.asyncio.client import connect
port, calls, seconds, path = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
# Quiet noise, as a microphone in a quiet room gives it.
import random
random.seed(0)
noise = b"".join(random.randint(-60, 60).to_bytes(2, "little", signed=True) for _ in range(320))
async def one(index):
    await asyncio.sleep(index * 0.02 / calls)
    async with connect(f"ws://127.0.0.1:{port}{path}", compression=None) as socket:
        async def read():
            async for _ in socket:
                pass
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read())
            loop = asyncio.get_running_loop()
            begun = loop.time()
            for packet in range(int(seconds * 50)):
                await socket.send(noise)
                await asyncio.sleep(max(begun + (packet + 1) * 0.02 - loop.time(), 0))
            reading.cancel()
async def main():
    async with asyncio.TaskGroup() as group:
        for index in range(calls):
            group.create_task(one(index))
import uvloop
uvloop.run(main())
"""


def callers(port: int, pid: int, path: str) -> float:
    """Share of a core that the process `pid` uses while the calls go on."""
    command = [sys.executable, "-c", CALLERS, str(port), str(CALLS), str(SECONDS + 4), path]
    process = subprocess.Popen(command)
    time.sleep(2.5)
    begun = cpu_of(pid)
    time.sleep(SECONDS)
    used = cpu_of(pid) - begun
    if process.wait(60):
        sys.exit("the callers failed")
    return used / SECONDS


def main() -> None:
    with server(AGENT) as (port, pid):
        ours = callers(port, pid, "/ws")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    echo = subprocess.Popen([sys.executable, "-c", ECHO, str(port)])
    try:
        wait_port(port)
        floor = callers(port, echo.pid, "/")
    finally:
        echo.terminate()
        echo.wait()
    line(f"{CALLS} calls, share of a core", f"{ours:.2f}", "goal <= 0.3")
    line(f"{CALLS} bare echoing sockets (websockets, uvloop)", f"{floor:.2f}")
    line("ours / bare sockets", f"{ours / floor:.1f}")
