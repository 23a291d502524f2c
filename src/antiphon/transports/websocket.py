"""The WebSocket transport: sound as binary messages, everything else as JSON.

From the client:

- binary: mono PCM, signed 16-bit little-endian, 16 kHz, in messages of any length; a sample that a
  message's end cuts is completed by the next message;
- ``{"type":"start","sample_rate":..,"agent_sample_rate":..}``, only as the first message: other
  rates, 8000 to 48000 Hz;
- ``{"type":"text","text":..}``: a turn that was typed;
- ``{"type":"end"}``: hang up once the agent has finished.

To the client: binary likewise, at most 200 ms before it is to be heard; and the events of
`antiphon.transports.events`, after a first ``{"type":"started"}`` with the rates that hold.

Close codes (RFC 6455, section 7.4); the reason starts with a word for machines:

====  ====================================================================================
1000  end, idle, session-length
1001  shutdown
1003  unsupported-rate
1008  audio-rate, text-rate, message-rate, bad-messages, late-start, slow-reader
1009  message-too-big
1011  internal-error
1013  overloaded
====  ====================================================================================

Holds the protocol, over any `antiphon.transports.socket.Socket`. Must not hold a web framework, nor
know the agent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from antiphon.audio.formats import AudioFormat
from antiphon.errors import TransportError
from antiphon.frames import Direction, End, Frame, TypedText
from antiphon.options import Declared
from antiphon.pipeline.processor import FrameProcessor
from antiphon.transports.base import AudioInput, SpeechOutput
from antiphon.transports.events import error_event
from antiphon.transports.line import PACKET, Line, LineOptions
from antiphon.transports.line_timer import LineTimer
from antiphon.transports.messages import HangUp, NotUnderstood, Start, Typed, parse
from antiphon.transports.socket import Socket, SocketWire, close_socket

__all__ = ["WebSocketTransport"]

DEFAULT_RATE = 16_000
"""Hz, both ways, unless the client's first message says otherwise."""

ROOM_TIMEOUT = 10.0
"""Seconds without room in the pipeline, until the client is told that the server is too slow."""


class WebSocketTransport(Declared):
    """One person on a WebSocket. Made by `open`; serves one pipeline, once.

    The socket is closed when the pipeline has ended, however it ended; and the pipeline ends when
    the client leaves, hangs up or breaks a limit.

    Args:
        socket: The accepted connection.
        options: Limits.
        sample_rate: Of the client's sound, in Hz.
        agent_sample_rate: Of the agent's, in Hz.
        session: Told to the client, for its logs.
        first: A message that was received already.

    Attributes:
        sample_rate: As given.
        agent_sample_rate: As given.
        ending: Why the session ended, where it was not the pipeline's own end.
    """

    def __init__(
        self,
        socket: Socket,
        options: LineOptions | None = None,
        *,
        sample_rate: int = DEFAULT_RATE,
        agent_sample_rate: int = DEFAULT_RATE,
        session: str = "",
        first: bytes | str | None = None,
    ) -> None:
        self.options = options or LineOptions()
        self.sample_rate = sample_rate
        self.agent_sample_rate = agent_sample_rate
        self.session = session
        self.ending: TransportError | None = None
        self._socket = socket
        self._first = first
        self._input = _SocketInput(self)
        self._output = _SocketOutput(self)

    @classmethod
    async def open(
        cls, socket: Socket, options: LineOptions | None = None, *, session: str = ""
    ) -> WebSocketTransport:
        """Agree on rates: wait shortly for the first message, which may set them.

        Cancelling it leaves the socket open.

        Raises:
            TransportError: The client left, or wants what cannot be served; the socket is closed.
        """
        options = options or LineOptions()
        try:
            async with asyncio.timeout(options.start_wait):
                first = await socket.receive()
        except TimeoutError:
            return cls(socket, options, session=session)
        try:
            message = parse(first) if isinstance(first, str) else None
        except NotUnderstood:
            message = None  # it is answered once the pipeline runs
        except TransportError as error:
            await close_socket(socket, error)
            raise
        if not isinstance(message, Start):
            return cls(socket, options, session=session, first=first)
        return cls(
            socket,
            options,
            sample_rate=message.sample_rate or DEFAULT_RATE,
            agent_sample_rate=message.agent_sample_rate or DEFAULT_RATE,
            session=session,
        )

    def input(self) -> FrameProcessor:
        """The stage that hears the client; the first of the pipeline."""
        return self._input

    def output(self) -> FrameProcessor:
        """The stage that speaks to the client; the last of the pipeline, or near it."""
        return self._output

    def hang_up(self, ending: TransportError) -> None:
        """End the session now: what was heard is entered, the rest is dropped, the line closed.

        Args:
            ending: What the client is told; the first one counts.
        """
        if self.ending is None:
            self.ending = ending
            self._input.stop()

    async def close(self, ending: TransportError) -> None:
        """Close the socket of a session whose pipeline never ran."""
        self.ending = self.ending or ending
        await close_socket(self._socket, self.ending)


class _SocketInput(AudioInput):
    """Reads the socket, and holds the client to the limits of its line."""

    def __init__(self, transport: WebSocketTransport) -> None:
        super().__init__(AudioFormat(transport.sample_rate))
        self._transport = transport
        self._rest = b""
        """Half of a sample, whose other half comes with the next message."""
        self._ended = False

    def started(self) -> None:
        """Tell the client that it is heard, and start to read."""
        transport = self._transport
        rates = {
            "sample_rate": transport.sample_rate,
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
        transport = self._transport
        message, transport._first = transport._first, None
        self._timer.arm()
        try:
            while True:
                if message is not None:
                    self._take(message)
                    self._timer.arm()
                if not self.has_room:
                    await self._wait_room()
                message = await transport._socket.receive()
        except TransportError as error:
            transport.hang_up(error)
        finally:
            self._timer.stop()

    async def _wait_room(self) -> None:
        try:
            async with asyncio.timeout(ROOM_TIMEOUT):
                await self.wait_room()
        except TimeoutError:
            problem = "the server cannot keep up; try again later"
            raise TransportError("overloaded", problem, close_code=1013) from None

    def _tick(self, now: float) -> None:
        try:
            packets = self._line.tick(now, is_busy=not self.task.replies.is_idle)
        except TransportError as error:
            self._timer.stop()
            self._transport.hang_up(error)
            return
        for _ in range(0 if self._ended else packets):
            self.take(bytes(self._format.n_bytes(PACKET)))

    def _take(self, message: bytes | str) -> None:
        # A character counts once here; four bytes at most make one, and the socket has a limit too.
        self._line.take_message(len(message), self.now)
        if isinstance(message, bytes):
            self._take_sound(message)
            return
        self._line.take_text(self.now)
        try:
            self._take_message(message)
        except NotUnderstood as problem:
            self._transport._output.tell(error_event("bad-message", str(problem)))
            self._line.take_bad()

    def _take_sound(self, message: bytes) -> None:
        pcm = self._rest + message
        whole = len(pcm) - len(pcm) % self._format.bytes_per_frame
        self._rest = pcm[whole:]
        pcm = pcm[:whole]
        self._line.take_sound(self._format.seconds(whole), self.now)
        if pcm and not self._ended:
            self.take(pcm)

    def _take_message(self, text: str) -> None:
        match parse(text):
            case Typed(text=typed):
                if not self._ended:
                    self.push(TypedText(typed))
            case HangUp():
                if not self._ended:
                    self.task.end()
            case Start() as start:
                wanted = (
                    start.sample_rate or DEFAULT_RATE,
                    start.agent_sample_rate or DEFAULT_RATE,
                )
                if wanted != (self._transport.sample_rate, self._transport.agent_sample_rate):
                    problem = "rates can only be set by the first message, sent at once"
                    raise TransportError("late-start", problem)


class _SocketOutput(SpeechOutput):
    """Speaks to the socket, and closes it when the pipeline is over."""

    def __init__(self, transport: WebSocketTransport) -> None:
        audio_format = AudioFormat(transport.agent_sample_rate)
        options = transport.options
        wire = SocketWire(transport._socket)
        super().__init__(wire, audio_format, send_timeout=options.send_timeout)
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
        self._transport.ending = ending
        await close_socket(self._transport._socket, ending)
