"""`TTS`: pieces of text in, sound out; and the stage that runs it.

Holds the contract, the cutting of text into clauses on its way in, and how far sound may be made
ahead of what is played. Must not pace the sound: the output does.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

from antiphon.audio.formats import AudioFormat
from antiphon.context import Usage
from antiphon.frames import (
    Direction,
    Frame,
    SpeechAudio,
    SpeechEnded,
    SpeechPiece,
    TextDelta,
    TextEnded,
    UsageReported,
    WordTime,
)
from antiphon.options import within
from antiphon.pipeline.processor import FrameProcessor
from antiphon.pipeline.replies import ReplyScope
from antiphon.services.base.clauses import Clauses
from antiphon.services.base.service import Service

__all__ = ["TTS", "SpeechChunk", "TextToSpeech"]


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """Some sound.

    Attributes:
        pcm: In the service's `audio_format`.
        piece: Which of the pieces of text it speaks, counted from 0.
        words: Words of that piece, with times within the piece's sound, where they are known.
    """

    pcm: bytes
    piece: int
    words: tuple[WordTime, ...] = ()


class TTS(Service):
    """Turns text into speech.

    Attributes:
        audio_format: What it gives.
    """

    audio_format: AudioFormat

    @abstractmethod
    def synthesize(self, pieces: AsyncIterator[str]) -> AsyncGenerator[SpeechChunk, None]:
        """Speak one reply.

        Yields the sound of each piece as soon as there is some; pieces in order, none left out but
        those in which nothing can be spoken. Ends after the last. When closed or cancelled, it
        stops the provider's work within 50 ms.

        Args:
            pieces: Clauses, as they are written. May pause for seconds between two.

        Raises:
            RemoteError: The provider failed.
        """

    def stage(self) -> FrameProcessor:
        """The stage that runs it."""
        return TextToSpeech(self)


@dataclass(slots=True)
class _Speech:
    """One reply's text on its way to the service."""

    clauses: Clauses = field(default_factory=Clauses)
    waiting: deque[str] = field(default_factory=deque)
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    is_complete: bool = False
    pieces: int = 0


class TextToSpeech(FrameProcessor):
    """The stage that speaks each reply's text, clause by clause, in the reply's scope.

    Args:
        tts: Any text-to-speech service.
        max_ahead: Seconds of sound that may be made ahead of what is played. More would be paid
            for and, when the person interrupts, thrown away.
    """

    def __init__(self, tts: TTS, *, max_ahead: float = 10.0) -> None:
        within("TextToSpeech", "max_ahead", max_ahead, 0.5, 120, "seconds")
        self.speech_made = tts.audio_format
        self._tts = tts
        self._max_ahead = max_ahead
        self._speeches: dict[int, _Speech] = {}

    async def setup(self) -> None:
        """Prepare the service."""
        await self._tts.prewarm()

    def process(self, frame: Frame, direction: Direction) -> None:
        """Speak `TextDelta`; hand everything else on."""
        if isinstance(frame, TextDelta) and direction is Direction.DOWN:
            self.push(frame)
            self._add(frame.reply, frame.text)
        elif isinstance(frame, TextEnded) and direction is Direction.DOWN:
            self.push(frame)
            self._complete(frame.reply)
        else:
            self.push(frame, direction)

    def _add(self, reply: int, text: str) -> None:
        speech = self._speeches.get(reply) or self._begin(reply)
        if speech is not None:
            speech.waiting.extend(speech.clauses.add(text))
            speech.filled.set()

    def _complete(self, reply: int) -> None:
        speech = self._speeches.get(reply)
        if speech is None:
            self.push(SpeechEnded(reply))
            return
        speech.waiting.extend(speech.clauses.flush())
        speech.is_complete = True
        speech.filled.set()

    def _begin(self, reply: int) -> _Speech | None:
        scope = self.task.replies.get(reply)
        if scope is None:
            return None
        speech = self._speeches[reply] = _Speech()
        scope.on_close(partial(self._speeches.pop, reply, None))
        scope.start(self._speak, scope, speech, stage=self._tts.name)
        return speech

    async def _pieces(self, scope: ReplyScope, speech: _Speech) -> AsyncGenerator[str, None]:
        while True:
            while speech.waiting:
                await self._wait_played(scope)
                text = speech.waiting.popleft()
                scope.mark("tts_first_piece")
                self.push(SpeechPiece(scope.number, speech.pieces, text))
                speech.pieces += 1
                yield text
            if speech.is_complete:
                return
            speech.filled.clear()
            await speech.filled.wait()

    async def _wait_played(self, scope: ReplyScope) -> None:
        while scope.seconds_ahead > self._max_ahead:
            await scope.wait_progress()

    async def _speak(self, scope: ReplyScope, speech: _Speech) -> None:
        reply = scope.number
        async with (
            aclosing(self._pieces(scope, speech)) as pieces,
            aclosing(self._tts.synthesize(pieces)) as stream,
        ):
            async for chunk in stream:
                scope.mark("tts_first_audio")
                self.push(
                    SpeechAudio(reply, chunk.pcm, self._tts.audio_format, chunk.piece, chunk.words)
                )
        if self.task.params.enable_usage_metrics:
            usage = Usage(characters=len(scope.ledger.text), estimated=True)
            self.push(UsageReported(self._tts.name, usage))
        self.push(SpeechEnded(reply))
