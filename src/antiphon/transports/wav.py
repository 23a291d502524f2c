"""The WAV transport: a recorded caller, and a recording of the whole conversation.

The caller's file is played in real time by the loop's clock: on a virtual loop as fast as the
machine allows. Holds bytes in and bytes out; must not hold file access.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from antiphon.audio.formats import AudioFormat, pick_channel
from antiphon.audio.resample import change_rate
from antiphon.audio.wave import read_wav, write_wav
from antiphon.errors import OptionError
from antiphon.frames import Direction, End, Frame
from antiphon.options import Declared, within
from antiphon.pipeline.processor import FrameProcessor
from antiphon.transports.base import AudioInput, SpeechOutput
from antiphon.transports.line import PACKET

__all__ = ["TimedEvent", "WavTransport"]

SHORTEST_TAIL = 1.5
"""Seconds. A turn is decided at most 1.2 s after the caller's last word (see `antiphon.turns`), and
its words may take a moment longer."""


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """An event that the far side was told.

    Attributes:
        at: Seconds since the file began to play.
        event: As a client of the WebSocket gets it (see `antiphon.transports.events`).
    """

    at: float
    event: Mapping[str, Any]


class WavTransport(Declared):
    """One caller from a file. Serves one pipeline, once.

    The file is followed by silence; the pipeline ends when the agent has been quiet for `tail`.

    Args:
        audio: A whole WAV file, mono or with several channels.
        channel: The caller's, counted from 0.
        tail: Seconds of quiet after the file, no reply open and nothing told, that end the call.
        max_seconds: Seconds after which the call ends, whoever is speaking.
        sample_rate: Of the agent's sound and of the recording, in Hz.

    Attributes:
        events: What the far side was told, in order.

    Raises:
        OptionError: An option is out of range, or there is no such channel.
        UsageError: `audio` is no WAV file that can be read; the text says why.
    """

    def __init__(
        self,
        audio: bytes,
        *,
        channel: int = 0,
        tail: float = 2.0,
        max_seconds: float = 600.0,
        sample_rate: int = 16_000,
    ) -> None:
        within("WavTransport", "tail", tail, SHORTEST_TAIL, 60, "seconds")
        within("WavTransport", "max_seconds", max_seconds, 1, 86_400, "seconds")
        file_format, pcm = read_wav(audio)
        if not 0 <= channel < file_format.channels:
            known = f"channels 0 to {file_format.channels - 1}"
            raise OptionError(f"WavTransport: channel={channel!r}, but the file has {known}")
        self.events: list[TimedEvent] = []
        self._caller = pick_channel(pcm, file_format.channels, channel)
        self._caller_format = AudioFormat(file_format.sample_rate)
        self._ear = _Ear(AudioFormat(sample_rate), self.events)
        self._output = SpeechOutput(self._ear, self._ear.format)
        self._input = _FileInput(self._caller, self._caller_format, self._ear, tail, max_seconds)

    def input(self) -> FrameProcessor:
        """The stage that plays the file to the agent; the first of the pipeline."""
        return self._input

    def output(self) -> FrameProcessor:
        """The stage that records the agent; the last of the pipeline, or near it."""
        return self._output

    def recording(self) -> bytes:
        """The conversation so far as a stereo WAV file: the caller left, the agent right.

        Both on one clock: the agent's sound stands where it was heard, and ends where it was cut.
        """
        import numpy as np

        rate = self._ear.format.sample_rate
        caller = change_rate(self._caller, self._caller_format.sample_rate, rate)
        left, right = np.frombuffer(caller, "<i2"), np.frombuffer(bytes(self._ear.pcm), "<i2")
        length = max(round(self._input.seconds * rate), len(right))
        both = np.zeros((length, 2), "<i2")
        both[: min(len(left), length), 0] = left[:length]
        both[: len(right), 1] = right
        return write_wav(AudioFormat(rate, channels=2), both.tobytes())


class _FileInput(AudioInput):
    """Plays the file, then silence, until the agent has nothing more to say."""

    def __init__(
        self, pcm: bytes, audio_format: AudioFormat, ear: _Ear, tail: float, max_seconds: float
    ) -> None:
        super().__init__(audio_format)
        self._pcm = pcm
        self._ear = ear
        self._tail = tail
        self._max_seconds = max_seconds
        self._ended = False

    def started(self) -> None:
        """Start the clock of the recording, and to play."""
        self._ear.begins = self.now
        self.start_task(self._play)

    def process(self, frame: Frame, direction: Direction) -> None:
        """Hand frames on; after `End` nothing is played any more."""
        if isinstance(frame, End) and direction is Direction.DOWN:
            self._ended = True
        self.push(frame, direction)

    async def _play(self) -> None:
        """Push each packet when its last sample would have been spoken."""
        begins = self.now
        size = self._format.n_bytes(PACKET)
        self._ear.active_at = begins + self._format.seconds(len(self._pcm))
        position = 0
        while not self._ended:
            packet = self._pcm[position : position + size].ljust(size, b"\0")
            position += size
            await asyncio.sleep(begins + self._format.seconds(position) - self.now)
            await self.wait_room()
            self.take(packet)
            passed = self.now - begins
            if position >= len(self._pcm) and self._is_quiet():
                self.task.end()
            elif passed >= self._max_seconds:
                self.task.replies.close_all()
                self.task.end()

    def _is_quiet(self) -> bool:
        if not self.task.replies.is_idle:
            self._ear.active_at = max(self._ear.active_at, self.now)
        return self.now - self._ear.active_at >= self._tail - 1e-6


class _Ear:
    """The far side of a file: it hears sound when a person would, and forgets what is cleared."""

    def __init__(self, audio_format: AudioFormat, events: list[TimedEvent]) -> None:
        self.format = audio_format
        self.begins = 0.0
        """Loop time at which the file began to play."""
        self.active_at = 0.0
        """Loop time at which the agent was last heard or told something."""
        self.pcm = bytearray()
        """What was heard since then, silences included."""
        self._events = events

    async def send_audio(self, pcm: bytes) -> None:
        """Hear a packet right after the one before it, but not before it came."""
        self.pcm.extend(bytes(max(self._now_bytes() - len(self.pcm), 0)))
        self.pcm.extend(pcm)
        self._note()

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Note an event; at ``clear``, what was not heard yet is dropped."""
        if event["type"] == "clear":
            del self.pcm[self._now_bytes() :]
        self._events.append(TimedEvent(asyncio.get_running_loop().time() - self.begins, event))
        self._note()

    def _now_bytes(self) -> int:
        return self.format.n_bytes(asyncio.get_running_loop().time() - self.begins)

    def _note(self) -> None:
        self.active_at = max(self.active_at, asyncio.get_running_loop().time())
