"""The local transport: one person at this machine's microphone and loudspeaker.

Holds the session between two sound devices of whatever library. Must not hold a sound library (see
`portaudio`) nor decide when the microphone is to be trusted (see `devices`).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVarTuple

from antiphon.audio.formats import AudioFormat
from antiphon.audio.level import LevelMeter
from antiphon.errors import TransportError
from antiphon.frames import Direction, End, Frame
from antiphon.options import Declared
from antiphon.pipeline.processor import FrameProcessor
from antiphon.transports.base import AudioInput, SpeechOutput
from antiphon.transports.devices import (
    EchoGuard,
    Microphone,
    PlaybackQueue,
    Speaker,
    device_lost,
)

__all__ = ["LocalTransport"]

Arguments = TypeVarTuple("Arguments")

MOST_WAITING = 250
"""Packets of the microphone that wait for a busy loop: 5 s of 20 ms each."""

STALL = 3.0
"""Seconds without sound from the microphone after which it counts as gone."""


class LocalTransport(Declared):
    """One session between a microphone and a loudspeaker. Serves one pipeline, once.

    Without `full_duplex` the microphone's sound is replaced by silence while the agent is heard and
    for 0.25 s after, so that from a loudspeaker it cannot interrupt itself; the person cannot
    interrupt it either. With a headset, set `full_duplex`.

    Args:
        microphone: Hears the person.
        speaker: Plays the agent.
        full_duplex: Hear the person while the agent speaks.

    Attributes:
        level: Loudness of the microphone now, in dBFS, -96 to 0.
        is_guarded: The microphone's sound is silence now.
        lost_packets: Packets that were dropped, the oldest first, since the loop was busy for 5 s.
    """

    def __init__(
        self, microphone: Microphone, speaker: Speaker, *, full_duplex: bool = False
    ) -> None:
        self.level = -96.0
        self.is_guarded = False
        guard = None if full_duplex else EchoGuard(latency=speaker.latency)
        self._input = _MicrophoneInput(self, microphone, guard)
        self._output = _SpeakerOutput(speaker, guard)

    @property
    def lost_packets(self) -> int:
        """See the class."""
        return self._input.lost_packets

    def input(self) -> FrameProcessor:
        """The stage that hears; the first of the pipeline."""
        return self._input

    def output(self) -> FrameProcessor:
        """The stage that plays; the last of the pipeline, or near it."""
        return self._output


class _MicrophoneInput(AudioInput):
    """Hands sound over from the device's thread."""

    def __init__(
        self, owner: LocalTransport, microphone: Microphone, guard: EchoGuard | None
    ) -> None:
        super().__init__(microphone.format)
        self.lost_packets = 0
        self._owner = owner
        self._microphone = microphone
        self._guard = guard
        self._meter = LevelMeter(microphone.format)
        self._lock = threading.Lock()
        self._inbox: deque[bytes] = deque()
        """Filled by the device's thread."""
        self._waiting: deque[bytes] = deque()
        """Filled by the loop's, after the guard."""
        self._wake = asyncio.Event()
        self._ended = False

    def started(self) -> None:
        loop = asyncio.get_running_loop()
        self.start_task(self._listen)
        heard, lost = _from_thread(loop, self._heard), _from_thread(loop, self._lost)

        def take(pcm: bytes) -> None:
            with self._lock:
                is_first = not self._inbox
                if len(self._inbox) >= MOST_WAITING:
                    self._inbox.popleft()
                    self.lost_packets += 1
                self._inbox.append(pcm)
            # One call for all that waits: a loop that stands still is not flooded.
            if is_first:
                heard()

        try:
            self._microphone.start(take, lost)
        except TransportError as error:
            self.task.fail(error)

    def process(self, frame: Frame, direction: Direction) -> None:
        """Hand frames on; after `End` nothing is heard any more."""
        if isinstance(frame, End) and direction is Direction.DOWN:
            self._ended = True
        self.push(frame, direction)

    def _heard(self) -> None:
        with self._lock:
            packets = list(self._inbox)
            self._inbox.clear()
        for pcm in packets:
            self._meter.feed(pcm)
            seconds = self._format.seconds(len(pcm))
            guard = self._guard
            self._owner.is_guarded = guard is not None and guard.hears_agent(seconds, self.now)
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popleft()
                self.lost_packets += 1
            self._waiting.append(bytes(len(pcm)) if self._owner.is_guarded else pcm)
        self._owner.level = self._meter.rms
        self._wake.set()

    async def _listen(self) -> None:
        while not self._ended:
            self._wake.clear()
            if not self._waiting:
                try:
                    async with asyncio.timeout(STALL):
                        await self._wake.wait()
                except TimeoutError:
                    self._lost(f"no sound came for {STALL:g} s")
                    return
            while self._waiting and not self._ended:
                await self.wait_room()
                self.take(self._waiting.popleft())

    def _lost(self, reason: str) -> None:
        self.task.fail(device_lost(f"the microphone stopped ({reason})"))

    async def cleanup(self) -> None:
        self._ended = True
        self._microphone.stop()


class _SpeakerWire:
    """The device's queue as `SpeechOutput` sees it."""

    def __init__(
        self,
        queue: PlaybackQueue,
        audio_format: AudioFormat,
        guard: EchoGuard | None,
        failed: Callable[[TransportError], None],
    ) -> None:
        self._queue = queue
        self._format = audio_format
        self._guard = guard
        self._failed = failed

    async def send_audio(self, pcm: bytes) -> None:
        """Queue a packet; the device pulls it."""
        try:
            self._queue.put(pcm)
        except TransportError as error:
            # Raised from here it would be said to be the stage's.
            self._failed(error)
            return
        if self._guard is not None:
            now = asyncio.get_running_loop().time()
            self._guard.play(self._format.seconds(len(pcm)), now)

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """At ``clear``, drop what was not heard yet; nobody is there for the others."""
        if event["type"] == "clear":
            self._queue.clear()
            if self._guard is not None:
                self._guard.clear(asyncio.get_running_loop().time())


class _SpeakerOutput(SpeechOutput):
    """Starts and stops the device around the output."""

    def __init__(self, speaker: Speaker, guard: EchoGuard | None) -> None:
        self._queue = PlaybackQueue(speaker.format)
        wire = _SpeakerWire(self._queue, speaker.format, guard, self._failed)
        super().__init__(wire, speaker.format)
        self._speaker = speaker

    def started(self) -> None:
        super().started()
        lost = _from_thread(asyncio.get_running_loop(), self._lost)
        try:
            self._speaker.start(self._queue.pull, lost)
        except TransportError as error:
            self._failed(error)

    def _lost(self, reason: str) -> None:
        self._failed(device_lost(f"the loudspeaker stopped ({reason})"))

    def _failed(self, error: TransportError) -> None:
        self.task.fail(error)

    async def cleanup(self) -> None:
        await super().cleanup()
        self._speaker.stop()


def _from_thread(
    loop: asyncio.AbstractEventLoop, callback: Callable[[*Arguments], None]
) -> Callable[[*Arguments], None]:
    """Let a device's thread call `callback` on the loop, as long as there is one."""

    def call(*args: *Arguments) -> None:
        # A device may say a last word after the loop is closed: nobody is there to hear it.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(callback, *args)

    return call
