"""Calls between two peers of aiortc on this machine, in real time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from antiphon.errors import TransportError, UsageError
from antiphon.frames import Direction, Frame, SpeechAudio
from antiphon.pipeline import PipelineTask
from antiphon.transports.line import LineOptions
from antiphon.transports.webrtc import AiortcEngine, WebRTCTransport
from antiphon.transports.webrtc.aiortc_engine import (
    _Outgoing,
    _replace,
    ask_for_correction,
    hand_over,
    use_addresses,
)
from antiphon.transports.webrtc.opus import OpusDecoder, OpusEncoder
from support.parrot import Parrot

aiortc = pytest.importorskip("aiortc", reason="aiortc is not installed")
pytestmark = pytest.mark.real_time

HERE = ("127.0.0.1",)
RATE = 16_000


class Lossy(WebRTCTransport):
    """Never gets the packets whose place in the stream is in `missing`."""

    missing: frozenset[int] = frozenset()
    came = 0

    def take_packet(self, sequence: int, opus: bytes) -> None:
        self.came += 1
        if self.came - 1 not in self.missing:
            super().take_packet(sequence, opus)


class Client:
    """The page, played by a second peer."""

    def __init__(self) -> None:
        self.peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self.track = _Outgoing()
        audio = self.peer.addTransceiver("audio", direction="sendrecv")
        audio.sender.replaceTrack(self.track)
        hand_over(audio.receiver, self._hear)
        self.channel = self.peer.createDataChannel("events")
        self.channel.on("message", self._take)
        self.opened = asyncio.Event()
        self.channel.on("open", self.opened.set)
        self.closed = asyncio.Event()
        self.channel.on("close", self.closed.set)
        self.decoder = OpusDecoder(RATE)
        self.heard: list[tuple[float, bytes]] = []
        self.told: list[tuple[float, dict[str, Any]]] = []

    def _hear(self, sequence: int, opus: bytes) -> None:
        self.heard.append((now(), self.decoder.decode(opus)))

    def _take(self, message: str) -> None:
        self.told.append((now(), json.loads(message)))

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for _, event in self.told if event["type"] == kind]

    def at(self, kind: str) -> float:
        return next(at for at, event in self.told if event["type"] == kind)

    def say(self, message: object) -> None:
        self.channel.send(json.dumps(message))

    async def offer(self) -> str:
        use_addresses(self.peer, HERE)
        await self.peer.setLocalDescription(await self.peer.createOffer())
        sdp: str = self.peer.localDescription.sdp
        return sdp

    async def stream(self, pcm: bytes) -> list[float]:
        """Speak in real time; returns when each packet was sent."""
        encoder, begins, sent = OpusEncoder(RATE), now(), []
        for n in range(len(pcm) // 640):
            await asyncio.sleep(begins + n * 0.02 - now())
            sent.append(now())
            self.track.put(encoder.encode(pcm[n * 640 : n * 640 + 640]))
        return sent


class Call:
    def __init__(self, parrot: Parrot, options: LineOptions | None) -> None:
        self.parrot = parrot
        self.client = Client()
        self.transport = Lossy(AiortcEngine(addresses=HERE), options, session="abc")
        self.task: PipelineTask | None = None

    async def run(self) -> None:
        above, below = self.transport.input(), self.transport.output()
        self.task = self.parrot.task_between(above, below)
        await self.task.run()


def now() -> float:
    return asyncio.get_running_loop().time()


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it lies beyond a socket
            await asyncio.sleep(0.005)


@asynccontextmanager
async def calling(
    parrot: Parrot | None = None, options: LineOptions | None = None
) -> AsyncIterator[Call]:
    call = Call(parrot or Parrot(), options)
    client = call.client
    answer = await call.transport.answer(await client.offer())
    assert {line.split()[4] for line in answer.splitlines() if "a=candidate" in line} == {*HERE}
    async with asyncio.TaskGroup() as group:
        task = group.create_task(call.run())
        await client.peer.setRemoteDescription(
            aiortc.RTCSessionDescription(sdp=answer, type="answer")
        )
        await until(lambda: client.events("started"))
        yield call
        await client.peer.close()
        await task


def wave(seconds: float, pitch: float = 440.0) -> bytes:
    at = np.arange(round(seconds * RATE)) / RATE
    return (8000 * np.sin(2 * np.pi * pitch * at)).astype(np.int16).tobytes()


def pitch_of(pcm: bytes) -> float:
    spectrum = np.abs(np.fft.rfft(np.frombuffer(pcm, np.int16)))
    return float(np.argmax(spectrum) * RATE / (len(pcm) // 2))


class Singer(Parrot):
    """Says everything in a tone of 880 Hz."""

    def push(self, frame: Frame, direction: Direction = Direction.DOWN) -> None:
        if isinstance(frame, SpeechAudio):
            frame = replace(frame, pcm=wave(self.pace, 880))
        super().push(frame, direction)


async def test_sound_goes_both_ways_and_is_heard_at_its_pace():
    async with calling(Singer()) as call:
        client = call.client
        assert client.events("started") == [
            {"type": "started", "session": "abc", "sample_rate": RATE, "agent_sample_rate": RATE}
        ]
        await client.stream(wave(0.6))
        await until(lambda: len(call.parrot.audio) >= 2 * RATE * 0.6)
        assert pitch_of(bytes(call.parrot.audio[6400:16000])) == pytest.approx(440, abs=5)
        client.say({"type": "text", "text": "one two"})
        await until(lambda: call.parrot.heard)
        assert call.parrot.heard == ["one two"]
        assert len(client.heard) == 50  # two words of half a second
        heard = b"".join(pcm for _, pcm in client.heard)
        assert pitch_of(heard[6400:25600]) == pytest.approx(880, abs=5)
        assert np.abs(np.frombuffer(heard, np.int16)).max() == pytest.approx(8000, rel=0.2)
        times = [at for at, _ in client.heard]
        assert 0.9 < times[-1] - times[0] < 1.1
        await until(lambda: client.events("transcript")[-1]["final"])
        assert client.events("transcript")[-1]["text"] == "one two"


async def test_a_greeting_waits_for_the_connection_and_loses_nothing():
    async with calling(Parrot(greeting="hello")) as call:
        await until(lambda: call.parrot.heard)
        assert len(call.client.heard) == 25
        assert call.client.told[0][1]["type"] == "started"


async def test_a_lost_packet_does_not_raise_the_delay_afterwards():
    async with calling() as call:
        call.transport.missing = frozenset({30})
        sent = await call.client.stream(wave(1.6))
        await until(lambda: len(call.parrot.audio) >= 2 * RATE * 1.6)
        delays: dict[int, float] = {}
        for at, at_sample in call.parrot.positions:
            delays.setdefault(at_sample // 320, at - sent[min(at_sample // 320, 79)])
        before = float(np.median([delays[n] for n in range(5, 30)]))
        after = float(np.median([delays[n] for n in range(40, 80) if n in delays]))
        print(f"delay before {before * 1e3:.1f} ms, after {after * 1e3:.1f} ms")
        assert len(call.parrot.audio) == 2 * RATE * 1.6  # the gap was bridged
        assert before < 0.03
        assert after < before + 0.01


async def test_a_barge_in_leaves_at_most_one_packet():
    async with calling(Parrot(pace=5.0)) as call:
        client = call.client
        client.say({"type": "text", "text": "long"})
        await until(lambda: len(client.heard) >= 20)
        call.parrot.stop(interrupted=True)
        stopped = now()
        n_heard = len(client.heard)
        await until(lambda: client.events("clear"))
        assert client.at("clear") - stopped < 0.05
        await asyncio.sleep(0.2)
        assert len(client.heard) - n_heard <= 1
        client.say({"type": "text", "text": "again"})
        await until(lambda: len(client.heard) > n_heard + 5)


async def test_the_client_hangs_up_and_is_told_nothing_more():
    async with calling() as call:
        call.client.say({"type": "text", "text": "bye"})
        call.client.say({"type": "end"})
        await until(call.client.closed.is_set)
        assert call.parrot.heard == ["bye"]
        assert call.transport.ending is not None
        assert call.transport.ending.reason == "end"


async def test_a_client_that_vanishes_ends_the_session():
    async with calling(Parrot(pace=5.0)) as call:
        call.client.say({"type": "text", "text": "long"})
        await until(lambda: len(call.client.heard) > 5)
    assert call.task is not None
    assert call.task.outcome == "cancelled"
    assert call.transport.ending is not None
    assert call.transport.ending.reason == "gone"


async def test_messages_that_mean_nothing_are_answered_and_then_end_the_call():
    async with calling(options=LineOptions(max_bad_messages=3)) as call:
        client = call.client
        client.say({"type": "what"})
        await until(lambda: client.events("error"))
        assert client.events("error")[0]["code"] == "bad-message"
        client.channel.send(b"\x00")
        client.channel.send("{")
        await until(client.closed.is_set)
        assert client.events("error")[-1]["code"] == "bad-messages"


@pytest.mark.parametrize("offer", ["", "garbage", "v=0\r\nm=video 9 X 1\r\n", "\x00" * 1000])
async def test_an_offer_that_cannot_be_read_is_refused(offer: str):
    transport = WebRTCTransport(AiortcEngine(addresses=HERE))
    with pytest.raises(TransportError) as refusal:
        await transport.answer(offer)
    assert refusal.value.reason == "bad-offer"


async def test_an_offer_without_a_data_channel_or_with_video_is_refused():
    for kinds, has_channel in ((["audio"], False), (["audio", "video"], True), ([], True)):
        peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        for kind in kinds:
            peer.addTransceiver(kind)
        if has_channel:
            peer.createDataChannel("events")
        use_addresses(peer, HERE)
        await peer.setLocalDescription(await peer.createOffer())
        transport = WebRTCTransport(AiortcEngine(addresses=HERE))
        with pytest.raises(TransportError, match="one audio section"):
            await transport.answer(peer.localDescription.sdp)
        await peer.close()


def test_a_version_of_aiortc_that_is_made_differently_is_refused():
    with pytest.raises(UsageError, match=r"aiortc 1\..* has no object.gone"):
        _replace(object(), "gone", None)


def test_error_correction_is_asked_for():
    sdp = "m=audio\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 usedtx=1\r\na=rtpmap:0 PCMU/8000\r\n"
    assert ask_for_correction(sdp) == (
        "m=audio\r\na=rtpmap:111 opus/48000/2\r\n"
        "a=fmtp:111 minptime=10;useinbandfec=1;stereo=0;usedtx=0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
