"""A pipeline of a transport and a probe, as the suite for transports drives it.

Must not hold a check.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from antiphon.audio.formats import AudioFormat
from antiphon.frames import (
    Direction,
    Frame,
    PlaybackEnded,
    PlaybackStarted,
    SpeechAudio,
    SpeechEnded,
    SpeechPiece,
    UserAudio,
)
from antiphon.pipeline.pipeline import Pipeline
from antiphon.pipeline.processor import FrameProcessor
from antiphon.pipeline.replies import ReplyScope
from antiphon.pipeline.task import PipelineTask
from antiphon.testing.sound import tone

__all__ = ["FarSide", "Probe", "Session", "Transport"]


class Transport(Protocol):
    """The two ends of a pipeline on one wire."""

    def input(self) -> FrameProcessor:
        """The first stage; `user_audio_made` tells its format."""

    def output(self) -> FrameProcessor:
        """The last stage; `speech_needed` tells its format."""


class FarSide(Protocol):
    """The person's end of the wire, as a test holds it."""

    @property
    def messages(self) -> Sequence[tuple[float, bytes | Mapping[str, Any]]]:
        """What came, in order, with the loop time: sound as bytes, events as mappings."""

    async def hang_up(self) -> None:
        """Leave at once."""


class Probe(FrameProcessor):
    """Stands where the agent's stages stand: notes what comes and gives what a test makes."""

    def __init__(self) -> None:
        self.heard: list[UserAudio] = []
        self.told: list[tuple[float, Frame]] = []

    def process(self, frame: Frame, direction: Direction) -> None:
        """Note it and hand it on; a reply that was played is closed, as the floor would."""
        if direction is Direction.UP:
            self.told.append((self.now, frame))
            scope = self.task.replies.get(getattr(frame, "reply", 0))
            if isinstance(frame, PlaybackEnded) and scope is not None:
                scope.close()
        elif isinstance(frame, UserAudio):
            self.heard.append(frame)
        self.push(frame, direction)

    def times_of(self, kind: type[PlaybackStarted | PlaybackEnded], reply: int) -> list[float]:
        """Loop times at which the output told so of a reply."""
        found = [(at, frame) for at, frame in self.told if isinstance(frame, kind)]
        return [at for at, frame in found if frame.reply == reply]


class Session:
    """A running pipeline of the transport and the probe."""

    def __init__(self, transport: Transport, far: FarSide, patience: float) -> None:
        self.far = far
        self.probe = Probe()
        made, output = transport.input(), transport.output()
        assert made.user_audio_made is not None, "the input must tell its format: user_audio_made"
        assert output.speech_needed is not None, "the output must tell its format: speech_needed"
        self.user_format: AudioFormat = made.user_audio_made
        self.format: AudioFormat = output.speech_needed
        self.task = PipelineTask(Pipeline([made, self.probe, output]))
        self.ended = asyncio.Event()
        self._patience = patience

    async def run(self) -> None:
        """Run the pipeline to its end."""
        try:
            await self.task.run()
        finally:
            self.ended.set()

    def sound(self, seconds: float, *, level: float = 0.3) -> bytes:
        """Something for the agent to say, in the output's format."""
        return tone(self.format, seconds, level=level)

    def reply(self, number: int, pcm: bytes, *, ends: bool = True) -> ReplyScope:
        """Make a reply of one piece; not committed."""
        scope = self.task.replies.open(number)
        self.probe.push(SpeechPiece(number, 0, f"Reply {number}."))
        self.probe.push(SpeechAudio(number, pcm, self.format, 0))
        if ends:
            self.probe.push(SpeechEnded(number))
        return scope

    @property
    def packets(self) -> list[tuple[float, bytes]]:
        """The sound that came to the far side, with loop times."""
        return [(at, sent) for at, sent in self.far.messages if isinstance(sent, bytes)]

    @property
    def sound_out(self) -> bytes:
        """The same, put together."""
        return b"".join(pcm for _, pcm in self.packets)

    async def wait(self, condition: Callable[[], object], what: str) -> None:
        """Look again every 5 ms: wires have no common way to tell."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while not condition():
            assert loop.time() < deadline, f"{what} did not come within {self._patience:g} s"
            await asyncio.sleep(0.005)

    async def wait_played(self, reply: int) -> None:
        """Wait until the output tells that the reply was played."""
        await self.wait(
            lambda: self.probe.times_of(PlaybackEnded, reply), f"PlaybackEnded({reply})"
        )
