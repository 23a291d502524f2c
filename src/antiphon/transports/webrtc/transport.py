"""The WebRTC transport: one person in a browser, over any `Engine`.

Sound is Opus, both ways. The data channel carries what the text messages of our WebSocket do: from
the client ``{"type":"text","text":..}`` and ``{"type":"end"}``; to the client ``started`` first,
then the events of `antiphon.transports.events`. On ``clear`` the client mutes until the next
sound: at most one packet of it is still on its way.

Holds the protocol. Must not know a WebRTC library, nor the agent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from antiphon.audio.formats import AudioFormat
from antiphon.errors import TransportError
from antiphon.options import Declared
from antiphon.pipeline.processor import FrameProcessor
from antiphon.transports.events import error_event
from antiphon.transports.line import LineOptions
from antiphon.transports.webrtc.engine import Engine
from antiphon.transports.webrtc.opus import OpusEncoder
from antiphon.transports.webrtc.stages import EngineInput, EngineOutput

__all__ = ["WebRTCTransport"]

MOST_WAITING = 1_500
"""Packets and messages that wait for the pipeline: 30 s, while models are loaded."""


class WebRTCTransport(Declared):
    """One person on a peer connection; serves one pipeline, once.

    The connection is closed when the pipeline has ended, however it ended; and the pipeline ends
    when the client leaves, hangs up or breaks a limit.

    Args:
        engine: Unused so far; `answer` uses it.
        options: Limits.
        agent_sample_rate: Of the agent's sound before it is encoded, in Hz: 8000, 12000, 16000,
            24000 or 48000.
        bit_rate: Bits per second of the agent's sound, 6000 to 128000.
        session: Told to the client, for its logs.

    Attributes:
        agent_sample_rate: As given.
        ending: Why the session ended, where it was not the pipeline's own end.

    Raises:
        OptionError: For a value out of range.
        UsageError: There is no libopus.
    """

    def __init__(
        self,
        engine: Engine,
        options: LineOptions | None = None,
        *,
        agent_sample_rate: int = 16_000,
        bit_rate: int = 28_000,
        session: str = "",
    ) -> None:
        self.options = options or LineOptions()
        self.agent_sample_rate = agent_sample_rate
        self.session = session
        self.ending: TransportError | None = None
        self._engine = engine
        self._inbox: asyncio.Queue[tuple[int, bytes] | str] = asyncio.Queue(MOST_WAITING)
        self._wire = _EngineWire(engine, OpusEncoder(agent_sample_rate, bit_rate=bit_rate))
        self._input = EngineInput(self)
        self._output = EngineOutput(self, AudioFormat(agent_sample_rate))

    async def answer(self, offer_sdp: str) -> str:
        """Answer the client's offer. The pipeline may start before the connection stands.

        Raises:
            TransportError: The offer cannot be served.
        """
        return await self._engine.answer(offer_sdp, self)

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
        """Close the connection; alone for a session whose pipeline never ran."""
        self.ending = self.ending or ending
        if self.ending.reason not in ("end", "gone", "slow-reader"):
            try:
                event = error_event(self.ending.reason, str(self.ending))
                self._engine.send_text(json.dumps(event, separators=(",", ":")))
            except TransportError:
                pass  # nobody is there to be told
        await self._engine.close()

    # ---- what the engine tells --------------------------------------------------------------

    def take_packet(self, sequence: int, opus: bytes) -> None:
        """See `EngineListener`."""
        self._enter((sequence, opus))

    def take_message(self, message: str | bytes) -> None:
        """See `EngineListener`. Binary messages mean nothing here."""
        self._enter(message if isinstance(message, str) else "")

    def connected(self) -> None:
        """See `EngineListener`."""
        self._wire.ready.set()

    def disconnected(self) -> None:
        """See `EngineListener`."""
        self.hang_up(TransportError("gone", "the client has left"))

    def _enter(self, item: tuple[int, bytes] | str) -> None:
        try:
            self._inbox.put_nowait(item)
        except asyncio.QueueFull:
            problem = "the server cannot keep up; try again later"
            self.hang_up(TransportError("overloaded", problem, close_code=1013))


class _EngineWire:
    """An engine as `SpeechOutput` sees it. Nothing is sent before the connection stands."""

    def __init__(self, engine: Engine, encoder: OpusEncoder) -> None:
        self._engine = engine
        self._encoder = encoder
        self.ready = asyncio.Event()

    async def send_audio(self, pcm: bytes) -> None:
        await self.ready.wait()
        self._engine.send_packet(self._encoder.encode(pcm))

    async def send_event(self, event: Mapping[str, Any]) -> None:
        await self.ready.wait()
        self._engine.send_text(json.dumps(event, separators=(",", ":")))
