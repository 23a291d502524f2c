"""Scripted services that answer and speak: a language model and a text-to-speech.

They take the time that a test tells them, on the loop's clock, and note how each request ended.
Must not look like any provider.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from antiphon.audio.formats import AudioFormat
from antiphon.context import LLMContext
from antiphon.frames import WordTime
from antiphon.options import within
from antiphon.services.base.llm import LLM, LLMOutput
from antiphon.services.base.tts import TTS, SpeechChunk
from antiphon.testing.script import Script
from antiphon.testing.sound import tone

__all__ = ["Generation", "ScriptedLLM", "ScriptedReply", "ScriptedTTS", "Speech"]

Ending: TypeAlias = Literal["running", "complete", "cancelled", "failed"]

ScriptedReply: TypeAlias = str | Exception | Sequence[LLMOutput | float | Exception]
"""What a `ScriptedLLM` answers: a text, which comes token by token; an exception that it raises;
or a list of outputs as they come, in which a number is seconds of waiting."""


@dataclass(slots=True)
class Generation:
    """One request to a `ScriptedLLM`.

    Attributes:
        context: The conversation that it was given.
        given: What it gave, in order.
        ended: How it ended.
        began_at: Loop time, in seconds.
        ended_at: Likewise; None while it runs.
    """

    context: LLMContext
    began_at: float
    given: list[LLMOutput] = field(default_factory=list)
    ended: Ending = "running"
    ended_at: float | None = None


@dataclass(slots=True)
class Speech:
    """One request to a `ScriptedTTS`.

    Attributes:
        pieces: The pieces of text that it was given.
        samples: Samples of sound that it gave.
        ended: How it ended.
        began_at: Loop time, in seconds.
        ended_at: Likewise; None while it runs.
    """

    began_at: float
    pieces: list[str] = field(default_factory=list)
    samples: int = 0
    ended: Ending = "running"
    ended_at: float | None = None


@contextmanager
def _noting(record: Generation | Speech) -> Iterator[None]:
    """Note how the block ended."""
    try:
        yield
        record.ended = "complete"
    except Exception:
        record.ended = "failed"
        raise
    except BaseException:
        record.ended = "cancelled"  # or closed where it yields
        raise
    finally:
        record.ended_at = asyncio.get_running_loop().time()


class ScriptedLLM(LLM):
    """Gives the first reply to the first request, the second to the second, and so on.

    Args:
        replies: One for each request, in order; or one text for every request; or a function that
            is given the conversation and gives the reply.
        first_token: Seconds until the first output.
        tokens_per_second: Of a text; a token is a word with the space before it.

    Attributes:
        requests: What it was asked, in order, and how each request ended.
    """

    name = "scripted-llm"

    def __init__(
        self,
        replies: str | Sequence[ScriptedReply] | Callable[[LLMContext], ScriptedReply] = (),
        *,
        first_token: float = 0.2,
        tokens_per_second: float = 60.0,
    ) -> None:
        within("ScriptedLLM", "first_token", first_token, 0.0, 600.0, "seconds")
        within("ScriptedLLM", "tokens_per_second", tokens_per_second, 0.1, 1e6, "per second")
        self._reply: Callable[[LLMContext], ScriptedReply]
        if callable(replies):
            self._reply = replies
        else:
            script: Script[ScriptedReply] = (
                Script("ScriptedLLM", "a reply", constant=replies)
                if isinstance(replies, str)
                else Script("ScriptedLLM", "a reply", replies)
            )
            self._reply = lambda context: script.next()
        self._first_token = first_token
        self._pause = 1.0 / tokens_per_second
        self.requests: list[Generation] = []

    async def generate(self, context: LLMContext) -> AsyncGenerator[LLMOutput, None]:
        """Answer as the script says."""
        request = Generation(context, asyncio.get_running_loop().time())
        self.requests.append(request)
        with _noting(request):
            reply = self._reply(context)
            await asyncio.sleep(self._first_token)
            async with aclosing(self._outputs(reply)) as outputs:
                async for output in outputs:
                    request.given.append(output)
                    yield output

    async def _outputs(self, reply: ScriptedReply) -> AsyncGenerator[LLMOutput, None]:
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, str):
            for index, token in enumerate(re.findall(r"\s*\S+", reply)):
                if index:
                    await asyncio.sleep(self._pause)
                yield token
            return
        for output in reply:
            if isinstance(output, Exception):
                raise output
            if isinstance(output, int | float):
                await asyncio.sleep(output)
            else:
                yield output


class ScriptedTTS(TTS):
    """Speaks in a tone whose length follows the text.

    Args:
        characters_per_second: Of the speech: a piece of 30 characters lasts 2 s.
        first_audio: Seconds from the first piece of a reply to its first sound.
        realtime_factor: How much faster sound is made than it plays.
        chunk: Seconds of sound that are given at once.
        sample_rate: Of the sound, in Hz.
        word_times: Tell when each word is spoken, with the piece's first sound.
        failures: Speeches, counted from 1, that fail in the place of their first sound.

    Attributes:
        speeches: What it was asked to speak, in order, and how each speech ended.
    """

    name = "scripted-tts"

    def __init__(
        self,
        *,
        characters_per_second: float = 15.0,
        first_audio: float = 0.12,
        realtime_factor: float = 5.0,
        chunk: float = 0.1,
        sample_rate: int = 16_000,
        word_times: bool = False,
        failures: Mapping[int, Exception] | None = None,
    ) -> None:
        owner = "ScriptedTTS"
        within(owner, "characters_per_second", characters_per_second, 0.1, 1e4, "per second")
        within(owner, "first_audio", first_audio, 0.0, 600.0, "seconds")
        within(owner, "realtime_factor", realtime_factor, 0.1, 1e6, "(times real time)")
        within(owner, "chunk", chunk, 0.001, 60.0, "seconds")
        self.audio_format = AudioFormat(sample_rate)
        self._rate = characters_per_second
        self._first_audio = first_audio
        self._factor = realtime_factor
        self._chunk = self.audio_format.n_bytes(chunk)
        self._word_times = word_times
        self._failures = dict(failures or {})
        self.speeches: list[Speech] = []

    async def synthesize(self, pieces: AsyncIterator[str]) -> AsyncGenerator[SpeechChunk, None]:
        """Speak one reply."""
        speech = Speech(asyncio.get_running_loop().time())
        self.speeches.append(speech)
        failure = self._failures.get(len(self.speeches))
        with _noting(speech):
            async for piece in pieces:
                number = len(speech.pieces)
                speech.pieces.append(piece)
                if not any(letter.isalnum() for letter in piece):
                    continue
                if not speech.samples:
                    await asyncio.sleep(self._first_audio)
                    if failure is not None:
                        raise failure
                async with aclosing(self._speak(piece, number)) as chunks:
                    async for chunk in chunks:
                        speech.samples += self.audio_format.samples(len(chunk.pcm))
                        yield chunk

    async def _speak(self, piece: str, number: int) -> AsyncGenerator[SpeechChunk, None]:
        pcm = tone(self.audio_format, len(piece) / self._rate)
        words = self._words(piece) if self._word_times else ()
        for at in range(0, len(pcm), self._chunk):
            if at:
                await asyncio.sleep(self._chunk_seconds / self._factor)
            yield SpeechChunk(pcm[at : at + self._chunk], number, words if not at else ())

    @property
    def _chunk_seconds(self) -> float:
        return self.audio_format.seconds(self._chunk)

    def _words(self, piece: str) -> tuple[WordTime, ...]:
        return tuple(
            WordTime(match.group(), match.start() / self._rate, match.end() / self._rate)
            for match in re.finditer(r"\S+", piece)
        )
