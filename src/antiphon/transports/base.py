"""The two ends of every pipeline: `AudioInput` and `SpeechOutput`, and the `Wire` between.

The output holds the gate (sound of a reply that is not committed never leaves), the pace (never
more than 200 ms ahead of the ear) and the account of what was played. Must not know which wire it
is, nor decide when a reply stops.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from antiphon.audio.formats import AudioFormat
from antiphon.errors import TransportError
from antiphon.frames import (
    AgentText,
    Direction,
    End,
    Frame,
    PlaybackEnded,
    PlaybackStarted,
    ReplyFrame,
    SpeechAudio,
    SpeechEnded,
    SpeechPiece,
    UserAudio,
)
from antiphon.options import within
from antiphon.pipeline.processor import FrameProcessor
from antiphon.pipeline.replies import ReplyScope
from antiphon.transports.events import CLEAR, event_of
from antiphon.transports.line import PACKET
from antiphon.transports.patience import Patience

__all__ = ["AudioInput", "SpeechOutput", "Wire"]

LEAD = 0.16
"""Seconds that a packet may leave before its time; with the packet itself, under 200 ms."""

SEND_TIMEOUT = 5.0
"""Default of `SpeechOutput`, in seconds: longer than a phone's change of cell, shorter than what
anyone waits in silence."""

MOST_EVENTS = 1000
"""Events that wait for a slow reader before it counts as gone; a turn makes about ten."""


class Wire(Protocol):
    """The far side, as the output sees it. Both calls may wait: that is how a slow reader shows."""

    async def send_audio(self, pcm: bytes) -> None:
        """Send one packet of sound in the output's format.

        Raises:
            TransportError: The line is gone.
        """

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send an event (see `antiphon.transports.events`).

        Raises:
            TransportError: The line is gone.
        """


class AudioInput(FrameProcessor):
    """The first stage: sound from the wire becomes `UserAudio` with its position.

    Args:
        audio_format: Of the sound that `take` is given.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self.user_audio_made = audio_format
        self._format = audio_format
        self._position = 0

    @property
    def seconds(self) -> float:
        """Seconds of sound taken so far."""
        return self._position / self._format.sample_rate

    def take(self, pcm: bytes) -> None:
        """Push sound that has arrived.

        Raises:
            UsageError: `pcm` ends within a sample.
        """
        at_sample = self._position
        self._position += self._format.samples(len(pcm))
        self.push(UserAudio(pcm, self._format, at_sample))


class _Playing:
    """A reply's sound on its way out."""

    __slots__ = (
        *("buffer", "ended", "over", "pieces"),
        *("samples_in", "samples_out", "scope", "started"),
    )

    def __init__(self, scope: ReplyScope) -> None:
        self.scope = scope
        self.buffer = bytearray()
        self.pieces: deque[tuple[int, str]] = deque()
        """Pieces whose sound has not begun to leave: (first sample, text)."""
        self.samples_in = 0
        self.samples_out = 0
        self.started = False
        self.ended = False
        """No more sound comes."""
        self.over = False
        """Played to its end; it is kept until its scope closes."""


class SpeechOutput(FrameProcessor):
    """The last stage: the sound of committed replies leaves at the pace of the ear.

    One reply plays at a time, in the order of their numbers.

    Args:
        wire: The far side.
        audio_format: What it plays; mono.
        send_timeout: Seconds that one message may take to be taken by the far side, before it
            counts as gone.
        lead: Seconds that a packet may leave before its time, 0 to 0.16. What leads is heard after
            an interruption where the far side cannot drop it.
    """

    def __init__(
        self,
        wire: Wire,
        audio_format: AudioFormat,
        *,
        send_timeout: float = SEND_TIMEOUT,
        lead: float = LEAD,
    ) -> None:
        within("SpeechOutput", "send_timeout", send_timeout, 0.1, 60, "seconds")
        within("SpeechOutput", "lead", lead, 0.0, LEAD, "seconds")
        self._lead = lead
        self.speech_needed = audio_format
        self._patience = Patience(send_timeout)
        self._format = audio_format
        self._packet_bytes = audio_format.n_bytes(PACKET)
        self._wire = wire
        self._replies: dict[int, _Playing] = {}
        self._pieces: dict[int, dict[int, str]] = {}
        self._events: deque[Mapping[str, Any]] = deque()
        self._wake = asyncio.Event()
        self._is_pacing = False
        """There is sound to send, and its time has not come: more of it changes nothing."""
        self._ear = 0.0
        """Loop time at which the ear will have played everything that was sent."""

    def tell(self, event: Mapping[str, Any]) -> None:
        """Queue an event for the far side, behind those that wait. Never waits.

        Raises:
            TransportError: The far side has not read for so long that it counts as gone.
        """
        if len(self._events) >= MOST_EVENTS:
            raise TransportError("slow-reader", f"{MOST_EVENTS} events were not read")
        self._events.append(event)
        self._wake.set()

    # ---- frames in ----------------------------------------------------------------------

    def started(self) -> None:
        """Start to send."""
        self.start_task(self._send)

    def process(self, frame: Frame, direction: Direction) -> None:
        """Keep sound of live replies, tell the far side what it should know, hand all on."""
        if direction is Direction.DOWN:
            if isinstance(frame, ReplyFrame):
                self._take(frame)
            elif isinstance(frame, End):
                self._wake.set()
            else:
                event = event_of(frame)
                if event is not None:
                    self.tell(event)
        self.push(frame, direction)

    def _take(self, frame: ReplyFrame) -> None:
        scope = self.task.replies.get(frame.reply)
        if scope is None:
            return
        playing = self._replies.get(frame.reply) or self._open(scope)
        match frame:
            case SpeechPiece(piece=piece, text=text):
                scope.ledger.add_text(piece, text)
                self._pieces.setdefault(frame.reply, {})[piece] = text
            case SpeechAudio(pcm=pcm, piece=piece, words=words):
                text = self._pieces.get(frame.reply, {}).pop(piece, "")
                if text:
                    playing.pieces.append((playing.samples_in, text))
                samples = self._format.samples(len(pcm))
                scope.ledger.add_audio(piece, samples, words)
                playing.samples_in += samples
                playing.buffer += pcm
                if not self._is_pacing:
                    self._wake.set()
            case SpeechEnded():
                scope.ledger.complete()
                playing.ended = True
                self._wake.set()

    def _open(self, scope: ReplyScope) -> _Playing:
        playing = self._replies[scope.number] = _Playing(scope)
        scope.ledger.sample_rate = self._format.sample_rate
        scope.on_commit(self._wake.set)
        scope.on_close(lambda: self._close(playing))
        return playing

    def _close(self, playing: _Playing) -> None:
        """The reply is over: note how far it was heard, drop the rest here and at the far side."""
        self._pieces.pop(playing.scope.number, None)
        del self._replies[playing.scope.number]
        if playing.over:
            return  # the ear may be at another one
        self._account(playing)
        # Counted in samples, not by `started`: the first packet may be on its way right now.
        if playing.samples_out and (playing.buffer or not playing.ended or self._ear > self.now):
            self._ear = self.now
            # It overtakes whatever else is still to be told: until it arrives, the ear hears us.
            self._events.appendleft(CLEAR)
        self._wake.set()

    # ---- sound out ----------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            self._wake.clear()
            while self._events:
                await self._bounded(self._wire.send_event(self._events.popleft()))
            playing = self._current()
            if playing is None:
                await self._wake.wait()
            elif len(playing.buffer) >= self._packet_bytes or (playing.ended and playing.buffer):
                await self._send_in_time(playing)
            else:
                await self._wait_for_more(playing)

    def _current(self) -> _Playing | None:
        """The reply whose turn it is to be heard, if its gate is open."""
        waiting = [number for number, playing in self._replies.items() if not playing.over]
        first = self._replies.get(min(waiting, default=-1))
        return first if first is not None and first.scope.committed else None

    async def _send_in_time(self, playing: _Playing) -> None:
        early = self._ear - self.now - self._lead
        if early > 1e-6:
            self._is_pacing = True
            try:
                await self._sleep(early, playing)
            finally:
                self._is_pacing = False
            return
        packet = bytes(playing.buffer[: self._packet_bytes])
        del playing.buffer[: self._packet_bytes]
        samples = self._format.samples(len(packet))
        playing.samples_out += samples
        self._ear = max(self._ear, self.now) + samples / self._format.sample_rate
        while playing.pieces and playing.pieces[0][0] < playing.samples_out:
            _, text = playing.pieces.popleft()
            spoken = event_of(AgentText(playing.scope.number, text, final=False))
            assert spoken is not None
            self.tell(spoken)
        await self._bounded(self._wire.send_audio(packet))
        if not playing.started and not playing.scope.closed:
            playing.started = True
            playing.scope.mark("playback_started")
            self.push(PlaybackStarted(playing.scope.number), Direction.UP)

    async def _wait_for_more(self, playing: _Playing) -> None:
        """Nothing to send now: the service is still speaking, or the ear is still listening."""
        left = self._ear - self.now
        if left > 1e-6:
            await self._sleep(left, playing)
        elif playing.ended:
            playing.scope.played(playing.samples_out)
            playing.over = True
            self.push(PlaybackEnded(playing.scope.number), Direction.UP)
        else:
            await self._wake.wait()

    async def _sleep(self, seconds: float, playing: _Playing) -> None:
        """Sleep, but wake for an event, new sound or a reply that closes."""
        timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
        # What a closed reply was heard of was settled when it closed; the ear has moved on.
        if not playing.scope.closed:
            self._account(playing)

    def _account(self, playing: _Playing) -> None:
        ahead = max(self._ear - self.now, 0.0) * self._format.sample_rate
        playing.scope.played(max(playing.samples_out - round(ahead), 0))

    async def _bounded(self, sending: Awaitable[None]) -> None:
        try:
            await self._patience.wait(sending)
        except TimeoutError:
            problem = f"the far side took nothing for {self._patience.seconds:g} s"
            raise TransportError("slow-reader", problem) from None

    async def cleanup(self) -> None:
        """Send the events that are left; the line may be gone already."""
        self._patience.stop()
        try:
            async with asyncio.timeout(1.0):
                while self._events:
                    await self._wire.send_event(self._events.popleft())
        except (TransportError, TimeoutError):
            self._events.clear()
