"""Scripted services that hear: a voice detector, a speech-to-text, a turn detector.

They do what a test tells them, on the loop's clock, and compute nothing of note. Must not look
like any provider.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from antiphon.frames import Transcript, TurnCommitted, UserAudio, VoiceStarted, VoiceStopped
from antiphon.options import within
from antiphon.services.base.stt import STT, STTInput
from antiphon.services.base.turn import TurnDetector, TurnSoFar
from antiphon.services.base.vad import VAD, VADStream
from antiphon.testing.script import Script

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ScriptedSTT", "ScriptedTurnDetector", "ScriptedVAD"]

_HAIR = 1e-9
"""Seconds that sums of floats may be off: the grain of the virtual loop."""


class ScriptedVAD(VAD):
    """Hears a voice wherever the sound is not silent.

    Args:
        level: Root mean square of a window above which it is voice, in (0, 1).
        delay: Seconds until the answer; with 0 it is given within the call.
        window: Samples of a window at 16 kHz. The default is one packet of 20 ms, so that edges
            fall on times that can be told by heart.
    """

    name = "scripted-vad"

    def __init__(self, *, level: float = 0.01, delay: float = 0.0, window: int = 320) -> None:
        within("ScriptedVAD", "level", level, 1e-4, 1.0, "of full scale")
        within("ScriptedVAD", "delay", delay, 0.0, 0.05, "seconds")
        within("ScriptedVAD", "window", window, 16, 16_000, "samples")
        self.window = window
        self._power = level * level
        self._delay = delay

    def open(self) -> VADStream:
        """Begin a stream."""
        return _ScriptedVADStream(self._power, self._delay)


class _ScriptedVADStream:
    def __init__(self, power: float, delay: float) -> None:
        self._power = power
        self._delay = delay
        self._is_open = True

    def feed(self, window: NDArray[np.float32], answer: Callable[[float], None]) -> None:
        probability = 1.0 if float(window @ window) > self._power * len(window) else 0.0
        if self._delay:
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay, self._answer, answer, probability)
        else:
            self._answer(answer, probability)

    def _answer(self, answer: Callable[[float], None], probability: float) -> None:
        if self._is_open:
            answer(probability)

    def close(self) -> None:
        self._is_open = False


class ScriptedSTT(STT):
    """Hears the first text in the first stretch of voice, the second in the second, and so on.

    Words come one by one while the voice is on, all of them `final_after` it stopped. Each session
    reads the texts from the start.

    Args:
        texts: One for each stretch of voice; or one text for every stretch. ``""``: it was no
            speech; None: no words ever come; an exception is raised in the place of the words,
            and the session goes on with the next text if it transcribes again.
        final_after: Seconds from the end of the voice to its final words.
        interim_every: Seconds of voice to each further word of the interim transcripts; 0: none.
        rejoin: When the voice goes on before the turn was committed, give the words of both
            stretches as one segment, as Whisper does. If not, each stretch is a segment.
    """

    name = "scripted-stt"

    def __init__(
        self,
        texts: str | Sequence[str | Exception | None] = (),
        *,
        final_after: float = 0.12,
        interim_every: float = 0.3,
        rejoin: bool = False,
    ) -> None:
        within("ScriptedSTT", "final_after", final_after, 0.0, 60.0, "seconds")
        within("ScriptedSTT", "interim_every", interim_every, 0.0, 60.0, "seconds")
        owner, asked = "ScriptedSTT", "the words of a stretch of voice"
        self._script: Script[str | Exception | None] = (
            Script(owner, asked, constant=texts)
            if isinstance(texts, str)
            else Script(owner, asked, texts)
        )
        self._final_after = final_after
        self._interim_every = interim_every
        self._rejoin = rejoin
        self._resume_after = 0

    async def transcribe(self, audio: AsyncIterator[STTInput]) -> AsyncGenerator[Transcript, None]:
        """Transcribe one session; see the class."""
        script = self._script.fresh(after=self._resume_after)
        self._resume_after = 0
        hearing = _Hearing(script, self._interim_every, self._rejoin)
        async for item in audio:
            match item:
                case UserAudio():
                    for interim in hearing.hear(item.format.seconds(len(item.pcm))):
                        yield interim
                case VoiceStarted(late=late):
                    for interim in hearing.begin(late):
                        yield interim
                case TurnCommitted():
                    hearing.commit()
                case VoiceStopped():
                    for final in await self._finals(hearing):
                        yield final
        for final in await self._finals(hearing):
            yield final

    async def _finals(self, hearing: _Hearing) -> list[Transcript]:
        """Wait for the words of the stretch of voice that has ended, if one was under way."""
        if not hearing.is_on:
            return []
        await asyncio.sleep(self._final_after)
        try:
            return hearing.finish()
        except BaseException:
            self._resume_after = hearing.stretches
            raise


class _Hearing:
    """The stretch of voice under way and the segment that it belongs to."""

    def __init__(
        self, script: Script[str | Exception | None], interim_every: float, rejoin: bool
    ) -> None:
        self._script = script
        self._every = interim_every
        self._rejoin = rejoin
        self._item: str | Exception | None = None
        self._words: list[str] = []
        self._before: list[str] = []
        self._given = 0
        self._seconds = 0.0
        self._segment = 0
        self._is_closed = True
        self.is_on = False

    @property
    def stretches(self) -> int:
        """Stretches of voice that have begun."""
        return self._script.taken

    def begin(self, late: float) -> list[Transcript]:
        """A voice began `late` seconds ago; gives the interim transcripts that are due already."""
        self.is_on = True
        self._item = self._script.next()
        self._words = self._item.split() if isinstance(self._item, str) else []
        self._given = 0
        self._seconds = 0.0
        if self._is_closed or not self._rejoin:
            self._open()
        return self.hear(late)

    def _open(self) -> None:
        self._segment += 1
        self._before = []
        self._is_closed = False

    def hear(self, seconds: float) -> list[Transcript]:
        """Sound of the stretch passes; gives the interim transcripts that are due by it."""
        if not self.is_on or not self._every:
            return []
        self._seconds += seconds
        due = min(math.floor((self._seconds + _HAIR) / self._every), len(self._words))
        interims = []
        for count in range(self._given + 1, due + 1):
            text = " ".join([*self._before, *self._words[:count]])
            interims.append(Transcript(text, False, self._segment))
        self._given = max(self._given, due)
        return interims

    def commit(self) -> None:
        """The words so far are answered; a stretch under way goes on in a new segment."""
        self._is_closed = True
        if self.is_on:
            self._words = self._words[self._given :]
            self._seconds -= self._given * self._every
            self._given = 0
            self._open()

    def finish(self) -> list[Transcript]:
        """The voice has ended; gives its final words, if any come."""
        self.is_on = False
        if isinstance(self._item, Exception):
            raise self._item
        if self._item is None:
            return []
        self._before += self._words
        return [Transcript(" ".join(self._before), True, self._segment)]


class ScriptedTurnDetector(TurnDetector):
    """Judges pauses as told.

    Args:
        probabilities: That the turn is complete, in [0, 1]: one for every pause, or one for each
            in order, in which an exception is raised in the place of an answer; or a function
            that is given the turn and gives the probability.
        delay: Seconds until the answer.

    Attributes:
        asked: What it was asked about, in order.
    """

    name = "scripted-turn"

    def __init__(
        self,
        probabilities: float | Sequence[float | Exception] | Callable[[TurnSoFar], float] = 1.0,
        *,
        delay: float = 0.03,
    ) -> None:
        owner = "ScriptedTurnDetector"
        within(owner, "delay", delay, 0.0, 60.0, "seconds")
        self._answer: Callable[[TurnSoFar], float | Exception]
        if callable(probabilities):
            self._answer = probabilities
        elif isinstance(probabilities, int | float):
            within(owner, "probabilities", probabilities, 0.0, 1.0, "(a probability)")
            self._answer = lambda turn: probabilities
        else:
            for value in probabilities:
                if not isinstance(value, Exception):
                    within(owner, "probabilities", value, 0.0, 1.0, "(a probability)")
            script: Script[float | Exception] = Script(owner, "a probability", probabilities)
            self._answer = lambda turn: script.next()
        self._delay = delay
        self.asked: list[TurnSoFar] = []

    async def score(self, turn: TurnSoFar) -> float:
        """Answer after the delay."""
        self.asked.append(turn)
        answer = self._answer(turn)
        await asyncio.sleep(self._delay)
        if isinstance(answer, Exception):
            raise answer
        return answer
