"""`VAD`: a window of sound in, the probability of a voice out; and the stage that runs it.

Holds the contract and the path of sound to windows to edges. When a probability makes an edge is
decided in `antiphon.turns.voice`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from antiphon.audio.formats import WIDEBAND
from antiphon.audio.framing import Windows
from antiphon.frames import Direction, End, Frame, UserAudio
from antiphon.pipeline.processor import FrameProcessor
from antiphon.services.base.service import Service
from antiphon.turns.voice import VoiceEdges, VoiceOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["VAD", "VADStream", "VoiceActivity"]


class VADStream(Protocol):
    """One session's stream of windows."""

    def feed(self, window: NDArray[np.float32], answer: Callable[[float], None]) -> None:
        """Ask for the probability of a voice in the next window. Never waits.

        Args:
            window: Mono float32 in [-1, 1], shape ``(VAD.window,)``, 16 kHz.
            answer: Called once with the probability in [0, 1], on the loop, within 50 ms, in the
                order of the windows; not called after `close`.
        """

    def close(self) -> None:
        """The session is over. Harmless if called again."""


class VAD(Service):
    """Detects voices. One object serves every session of the process.

    Attributes:
        window: Samples at 16 kHz that it judges at once.
    """

    window: int = 512

    @abstractmethod
    def open(self) -> VADStream:
        """Begin a session's stream, with a fresh state."""

    def stage(self) -> FrameProcessor:
        """The stage that runs it with the default `VoiceOptions`."""
        return VoiceActivity(self)


class VoiceActivity(FrameProcessor):
    """The stage that adds `VoiceStarted` and `VoiceStopped` to the sound that passes.

    Args:
        vad: Any VAD.
        options: When a probability becomes an edge.
    """

    user_audio_needed = WIDEBAND

    def __init__(self, vad: VAD, options: VoiceOptions | None = None) -> None:
        self._vad = vad
        self._windows = Windows(vad.window)
        self._edges = VoiceEdges(vad.window, options or VoiceOptions())
        self._stream: VADStream | None = None
        self._unanswered = 0
        self._end: End | None = None

    async def setup(self) -> None:
        """Load the detector."""
        await self._vad.prewarm()
        self._stream = self._vad.open()

    async def cleanup(self) -> None:
        """Leave the detector."""
        if self._stream is not None:
            self._stream.close()

    def process(self, frame: Frame, direction: Direction) -> None:
        """Hand everything on, and judge each full window of sound.

        `End` waits for the last answer; a voice that is on then ends with it.
        """
        if isinstance(frame, End) and direction is Direction.DOWN:
            self._end = frame
            self._end_if_answered()
            return
        self.push(frame, direction)
        if isinstance(frame, UserAudio) and direction is Direction.DOWN:
            assert self._stream is not None
            for window in self._windows.feed(frame.pcm):
                self._unanswered += 1
                self._stream.feed(window, self._on_probability)

    def _end_if_answered(self) -> None:
        if self._end is not None and not self._unanswered:
            stopped, end = self._edges.end(), self._end
            self._end = None
            if stopped is not None:
                self.push(stopped)
            self.push(end)

    def _on_probability(self, probability: float) -> None:
        # The detector serves other sessions in the same call: an error here is only ours.
        self.guard(self._judge, probability)

    def _judge(self, probability: float) -> None:
        self._unanswered -= 1
        edge = self._edges.feed(probability)
        if edge is not None:
            self.push(edge)
        self._end_if_answered()
