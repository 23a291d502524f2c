"""A conversation over the WebSocket with a server in a process of its own, in real time."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
import websockets

from antiphon.audio import WIDEBAND
from support.commands import running
from support.spelling import overlap, words

PACKET = 0.02
LIMIT = 0.4
"""Seconds after the onset of the caller's voice in which the agent must be silent."""

WHOLE_ANSWER = "We are open Monday to Friday from nine to six, and on Saturday from ten to four."


@dataclass
class Client:
    """A caller with a microphone and an ear; the ear plays what has come, one after the other."""

    socket: websockets.ClientConnection
    events: list[tuple[float, dict]] = field(default_factory=list)
    played: bytearray = field(default_factory=bytearray)
    silent_from: float = 0.0
    _microphone: bytearray = field(default_factory=bytearray)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        async for message in self.socket:
            now = asyncio.get_running_loop().time()
            if isinstance(message, bytes):
                self._play(message, now)
            else:
                event = json.loads(message)
                self.events.append((now, event))
                if event["type"] == "clear" and self.silent_from > now:
                    cut = WIDEBAND.n_bytes(self.silent_from - now)
                    del self.played[len(self.played) - cut :]
                    self.silent_from = now
            self._news.set()

    def _play(self, pcm: bytes, now: float) -> None:
        assert self.silent_from < now + 0.25, "the server is too far ahead of the ear"
        self.silent_from = max(self.silent_from, now) + WIDEBAND.seconds(len(pcm))
        self.played += pcm

    async def speak_into_the_microphone(self) -> None:
        """Send a packet every 20 ms: what there is to say, else silence."""
        loop = asyncio.get_running_loop()
        begins, count, size = loop.time(), 0, WIDEBAND.n_bytes(PACKET)
        while True:
            packet = bytes(self._microphone[:size]).ljust(size, b"\0")
            del self._microphone[:size]
            await self.socket.send(packet)
            count += 1
            await asyncio.sleep(begins + count * PACKET - loop.time())

    async def say(self, pcm: bytes) -> float:
        """Say something now; gives the time of the first sample that can be heard."""
        onset = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(int)) > 500)[0]
        began = asyncio.get_running_loop().time()
        self._microphone += pcm
        return began + onset / WIDEBAND.sample_rate

    async def until(self, found, *, seconds: float = 15):
        """Wait until `found()` gives something; it is asked after each message of the server."""
        async with asyncio.timeout(seconds):
            while not (result := found()):
                self._news.clear()
                await self._news.wait()
        return result

    def heard_seconds(self) -> float:
        """Seconds of the agent that the ear has played by now."""
        ahead = max(self.silent_from - asyncio.get_running_loop().time(), 0.0)
        return WIDEBAND.seconds(len(self.played)) - ahead

    def final(self, role: str, after: int = 0) -> dict | None:
        """The first final transcript of `role` after so many events."""
        for _, event in self.events[after:]:
            if event["type"] == "transcript" and event["role"] == role and event["final"]:
                return event
        return None


@asynccontextmanager
async def calling(address: str):
    async with websockets.connect(f"ws://{address}/ws") as socket, asyncio.TaskGroup() as group:
        client = Client(socket)
        tasks = [
            group.create_task(client.listen()),
            group.create_task(client.speak_into_the_microphone()),
        ]
        yield client
        for task in tasks:
            task.cancel()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running("serve", "--port", "0", cwd=tmp_path_factory.mktemp("server")) as serve:
        address = serve.wait_for(r"http://(127\.0\.0\.1:\d+)/")[1]
        yield address
        assert serve.interrupt() == 0
        assert "Traceback" not in serve.printed


def test_a_spoken_question_an_interruption_and_what_is_remembered_of_it(server, spoken, heard):
    question = spoken("When are you open?")
    interruption = spoken("Sorry, what did you say?")

    async def talk():
        async with calling(server) as client:
            await client.say(question)
            await client.until(lambda: client.heard_seconds() >= 1.5)
            mark = len(client.events)
            onset = await client.say(interruption)
            cut = await client.until(lambda: client.final("agent", mark))
            cleared = [at for at, event in client.events if event["type"] == "clear"]
            played, silent_from = bytes(client.played), client.silent_from
            mark = len(client.events)
            remembered = await client.until(lambda: client.final("agent", mark))
            asked = client.final("user", mark)
            return onset, cut, cleared, played, silent_from, asked, remembered

    onset, cut, cleared, played, silent_from, asked, remembered = asyncio.run(talk())

    assert len(cleared) == 1
    assert silent_from == cleared[0]
    assert 0.05 < silent_from - onset <= LIMIT

    assert cut["interrupted"] is True
    prefix = words(cut["text"])
    assert prefix == words(WHOLE_ANSWER)[: len(prefix)]
    assert 2 <= len(prefix) < len(words(WHOLE_ANSWER)) - 2
    # A word that was cut in its middle may be understood or not.
    understood = words(heard(played))
    assert abs(len(understood) - len(prefix)) <= 1
    assert overlap(" ".join(understood[: len(prefix) - 1]), " ".join(prefix[:-1])) >= 0.8

    # The agent repeats what it remembers to have said: that, and not what it wanted to say.
    assert overlap(asked["text"], "Sorry, what did you say?") >= 0.8
    assert remembered["text"] == cut["text"]
    assert remembered["interrupted"] is False


def test_typed_text_is_answered_aloud(server, heard):
    async def talk():
        async with calling(server) as client:
            message = {"type": "text", "text": "Where is my order 4512?"}
            await client.socket.send(json.dumps(message))
            answer = await client.until(lambda: client.final("agent"))
            return answer, client.final("user"), bytes(client.played)

    answer, asked, played = asyncio.run(talk())
    assert asked["text"] == "Where is my order 4512?"
    assert answer["text"] == "Your order 4512 ships tomorrow afternoon."
    assert {"ships", "tomorrow", "afternoon"} <= set(words(heard(played)))
