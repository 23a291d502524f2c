"""The two stages of the WebRTC transport: packets to sound and messages to frames, and back.

Must not know a WebRTC library, nor when a connection stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from antiphon.audio.formats import AudioFormat
from antiphon.errors import TransportError
from antiphon.frames import Direction, End, Frame, TypedText
from antiphon.transports.base import AudioInput, SpeechOutput
from antiphon.transports.events import error_event
from antiphon.transports.line import PACKET, Line
from antiphon.transports.line_timer import LineTimer
from antiphon.transports.messages import HangUp, NotUnderstood, Start, Typed, parse
from antiphon.transports.webrtc.opus import OpusDecoder
from antiphon.transports.webrtc.reorder import Reorder

if TYPE_CHECKING:
    from antiphon.transports.webrtc.transport import WebRTCTransport

__all__ = ["EngineInput", "EngineOutput"]

LISTEN_RATE = 16_000
"""Hz of the sound that is heard: what every voice detector and recogniser wants."""

LEAD = 0.02
"""Seconds that a packet may leave before its time: one packet, which evens out late timers. All
that leads is heard after a barge-in."""


class EngineInput(AudioInput):
    """Puts packets in order, decodes them, and holds the client to the limits of its line."""

    def __init__(self, transport: WebRTCTransport) -> None:
        super().__init__(AudioFormat(LISTEN_RATE))
        self._transport = transport
        self._order: Reorder[bytes] = Reorder()
        self._decoder = OpusDecoder(LISTEN_RATE)
        self._ended = False

    def started(self) -> None:
        """Tell the client that it is heard, and start to listen."""
        transport = self._transport
        rates = {
            "sample_rate": LISTEN_RATE,
            "agent_sample_rate": transport.agent_sample_rate,
        }
        transport._output.tell({"type": "started", "session": transport.session, **rates})
        self._line = Line(transport.options, self.now)
        self._timer = LineTimer(self._line, self.guard, self._tick)
        self.start_task(self._read)
        if transport.ending is not None:
            self.stop()

    def stop(self) -> None:
        """End the pipeline, if it runs; that closes its replies, as far as they were heard."""
        if self._task is not None:
            self._task.cancel()

    def process(self, frame: Frame, direction: Direction) -> None:
        """Hand frames on; after `End` nothing is heard any more."""
        if isinstance(frame, End) and direction is Direction.DOWN:
            self._ended = True
        self.push(frame, direction)

    async def _read(self) -> None:
        self._timer.arm()
        try:
            while True:
                item = await self._transport._inbox.get()
                if not self.has_room:
                    await self.wait_room()  # the inbox is bounded
                if isinstance(item, str):
                    self._take_text(item)
                else:
                    self._take_packet(*item)
                self._timer.arm()
        except TransportError as error:
            self._transport.hang_up(error)
        finally:
            self._timer.stop()

    def _take_packet(self, sequence: int, opus: bytes) -> None:
        self._line.take_message(len(opus), self.now)
        for lost, packet in self._order.take(sequence, opus):
            pcm = self._decoder.decode(packet, lost)
            self._line.take_sound(self._format.seconds(len(pcm)), self.now)
            if not self._ended:
                self.take(pcm)

    def _take_text(self, text: str) -> None:
        self._line.take_message(len(text), self.now)
        self._line.take_text(self.now)
        try:
            message = parse(text)
        except NotUnderstood as problem:
            self._transport._output.tell(error_event("bad-message", str(problem)))
            self._line.take_bad()
            return
        match message:
            case Typed(text=typed) if not self._ended:
                self.push(TypedText(typed))
            case HangUp() if not self._ended:
                self.task.end()
            case Start():
                pass  # the offer has said it all

    def _tick(self, now: float) -> None:
        try:
            packets = self._line.tick(now, is_busy=not self.task.replies.is_idle)
        except TransportError as error:
            self._timer.stop()
            self._transport.hang_up(error)
            return
        for _ in range(0 if self._ended else packets):
            self.take(bytes(self._format.n_bytes(PACKET)))


class EngineOutput(SpeechOutput):
    """Speaks to the client, and closes the connection when the pipeline is over."""

    def __init__(self, transport: WebRTCTransport, audio_format: AudioFormat) -> None:
        send_timeout = transport.options.send_timeout
        super().__init__(transport._wire, audio_format, send_timeout=send_timeout, lead=LEAD)
        self._transport = transport

    def tell(self, event: Mapping[str, Any]) -> None:
        """Queue an event; a far side that reads none of them ends the session."""
        try:
            super().tell(event)
        except TransportError as error:
            self._transport.hang_up(error)

    async def _send(self) -> None:
        try:
            await super()._send()
        except TransportError as error:
            self._transport.hang_up(error)

    async def cleanup(self) -> None:
        """Say what is left to be said, then close."""
        ending = self._transport.ending
        if ending is None and self.task.outcome == "failed":
            problem = "the agent failed; the server's log says where"
            ending = TransportError("internal-error", problem, close_code=1011)
        if ending is None or ending.reason not in ("gone", "slow-reader"):
            await super().cleanup()
        ending = ending or TransportError("end", "the conversation is over", close_code=1000)
        await self._transport.close(ending)
