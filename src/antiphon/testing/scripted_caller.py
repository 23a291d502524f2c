"""`ScriptedCaller`: a transport in memory whose person follows a script, on the loop's clock.

Holds the steps of a script and the person who takes them. Must not hold what a test looks at
afterwards: that is `scripted_call`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from antiphon.audio.formats import WIDEBAND, AudioFormat
from antiphon.errors import OptionError
from antiphon.frames import TypedText
from antiphon.options import Declared
from antiphon.pipeline.processor import FrameProcessor
from antiphon.testing.scripted_wire import ScriptedWire
from antiphon.testing.sound import tone
from antiphon.transports.base import AudioInput, SpeechOutput
from antiphon.transports.line import PACKET

__all__ = ["HangUp", "Listen", "Pause", "ScriptedCaller", "Speak", "Step", "Write"]

_BATCH = 50
"""Packets whose timers are set at once: cheaper than a wait for each, and few timers at a time."""


@dataclass(frozen=True, slots=True)
class Speak:
    """The person speaks.

    Attributes:
        sound: Seconds of a tone, or s16le sound in the caller's format.
    """

    sound: float | bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """The person is silent.

    Attributes:
        seconds: For so long.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Listen:
    """The person is silent until the agent was heard.

    Attributes:
        seconds: Until so many seconds of the agent were heard, counted from now; None: until it
            was heard and then silent for `silence`.
        silence: Seconds.
        patience: Seconds after which the person gives up and the call fails.
    """

    seconds: float | None = None
    silence: float = 0.5
    patience: float = 30.0


@dataclass(frozen=True, slots=True)
class Write:
    """The person writes instead of speaking.

    Attributes:
        text: What.
    """

    text: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """The person leaves at once. A script that ends without it lets the agent finish."""


Step: TypeAlias = Speak | Pause | Listen | Write | HangUp


class ScriptedCaller(Declared):
    """One call in memory: a transport, and the person at its far end. Serves one pipeline, once.

    The person's microphone sends a packet every 20 ms, when its last sample was spoken. Steps that
    make no sound begin at the next whole packet.

    Args:
        script: What the person does, step by step; None: nothing, and the test itself calls
            `speak`, `write` and `hang_up`.
        audio_in: Format of the person's sound; mono.
        wire: The far side; it gives the format of the agent's sound.

    Attributes:
        wire: What the agent's side sent, and what was heard of it.
        spoken: The person's sounds: loop time of the start, and s16le sound.
    """

    def __init__(
        self,
        script: Sequence[Step] | None = None,
        *,
        audio_in: AudioFormat = WIDEBAND,
        wire: ScriptedWire | None = None,
    ) -> None:
        for step in script or ():
            if not isinstance(step, Step):
                known = "Speak, Pause, Listen, Write, HangUp"
                raise OptionError(f"a script is made of {known}, not of {step!r}")
        self.wire = wire or ScriptedWire()
        self.spoken: list[tuple[float, bytes]] = []
        self.audio_in = audio_in
        self._script = script
        self._input = _Microphone(self)
        self._output = SpeechOutput(self.wire, self.wire.audio_format)
        self._sent = 0
        self._unsent = bytearray()

    # ---- the transport --------------------------------------------------------------------

    def input(self) -> FrameProcessor:
        """The stage that speaks; the first of the pipeline."""
        return self._input

    def output(self) -> FrameProcessor:
        """The stage that the person hears; the last of the pipeline, or near it."""
        return self._output

    # ---- the person -----------------------------------------------------------------------

    def speak(self, pcm: bytes) -> None:
        """Let sound arrive now, whatever the clock says."""
        self._input.take(pcm)

    def write(self, text: str) -> None:
        """Let a written text arrive now."""
        self._input.push(TypedText(text))

    def hang_up(self) -> None:
        """Leave now."""
        self._input.task.cancel()

    # ---- the script -----------------------------------------------------------------------

    async def play(self) -> None:
        """Follow the script to its end; called by the input once the pipeline has started."""
        for step in self._script or ():
            match step:
                case Speak(sound=sound):
                    await self._sound(self._pcm(sound), is_speech=True)
                case Pause(seconds=seconds):
                    await self._sound(bytes(self.audio_in.n_bytes(seconds)))
                case Listen():
                    await self._fill()
                    await self._listen(step)
                case Write(text=text):
                    await self._fill()
                    self.write(text)
                case HangUp():
                    await self._fill()
                    self.hang_up()
                    return
        await self._fill()
        self._input.task.end()

    def _pcm(self, sound: float | bytes) -> bytes:
        return sound if isinstance(sound, bytes) else tone(self.audio_in, sound)

    async def _sound(self, pcm: bytes, *, is_speech: bool = False) -> None:
        if is_speech:
            self.spoken.append((self._time_of(self._sent + len(self._unsent)), pcm))
        size = self.audio_in.n_bytes(PACKET)
        self._unsent += pcm
        while len(self._unsent) >= size:
            whole = min(len(self._unsent) // size, _BATCH) * size
            await self._send([bytes(self._unsent[at : at + size]) for at in range(0, whole, size)])
            del self._unsent[:whole]

    async def _fill(self) -> None:
        """Send what is left of a packet, filled up with silence."""
        if self._unsent:
            await self._sound(bytes(self.audio_in.n_bytes(PACKET) - len(self._unsent)))

    async def _send(self, packets: Sequence[bytes]) -> None:
        """Send each packet when its last sample was spoken, and wait until all are sent."""
        loop, guard, take = asyncio.get_running_loop(), self._input.guard, self._input.take
        timers = []
        for packet in packets:
            self._sent += len(packet)
            timers.append(loop.call_at(self._time_of(self._sent), guard, take, packet))
        try:
            await asyncio.sleep(self._time_of(self._sent) - self._input.now)
        finally:
            for timer in timers:
                timer.cancel()

    def _time_of(self, n_bytes: int) -> float:
        return round(self.wire.began + self.audio_in.seconds(n_bytes), 9)

    async def _listen(self, step: Listen) -> None:
        wire, silence = self.wire, bytes(self.audio_in.n_bytes(PACKET))
        began = self._input.now
        before = wire.seconds_heard(began)
        while True:
            now = self._input.now
            heard = wire.seconds_heard(now) - before
            if step.seconds is None:
                if heard > 0 and wire.silent_since(now) >= step.silence - 1e-6:
                    return
            elif heard >= step.seconds - 1e-6:
                return
            if now - began >= step.patience:
                raise AssertionError(
                    f"the caller gave up: {heard:.2f} s of the agent were heard within "
                    f"{step.patience:g} s, from {began - wire.began:g} s of the call on"
                )
            await self._send([silence])


class _Microphone(AudioInput):
    """Starts the person once the pipeline has started."""

    _name = "ScriptedCaller"

    def __init__(self, caller: ScriptedCaller) -> None:
        super().__init__(caller.audio_in)
        self._caller = caller

    def started(self) -> None:
        self._caller.wire.began = self.now
        if self._caller._script is not None:
            self.start_task(self._caller.play)
