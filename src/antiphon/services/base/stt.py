"""`STT`: sound in, transcripts out; and the stage that runs it.

Holds the contract, and the one task of a session that reads the service's generator. Must not
decide when a turn is over.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import TypeAlias

from antiphon.audio.formats import WIDEBAND, AudioFormat
from antiphon.errors import ModelError, RemoteError
from antiphon.frames import (
    Direction,
    End,
    Frame,
    ServiceFailed,
    Transcript,
    TurnCommitted,
    UserAudio,
    VoiceStarted,
    VoiceStopped,
)
from antiphon.pipeline.processor import FrameProcessor
from antiphon.services.base.service import Service

__all__ = ["STT", "STTInput", "SpeechToText"]

STTInput: TypeAlias = UserAudio | VoiceStarted | VoiceStopped | TurnCommitted
"""What a speech-to-text service is given, in order: all sound, and what is known about it.

`VoiceStopped` asks for final words now. `TurnCommitted` says that the words so far were answered:
what comes next is a new segment.
"""

_PATIENCE = 30.0
"""Seconds of sound that wait for a service that reads too slowly before it counts as failed."""

_RETRY_AFTER = 0.25
"""Seconds before the second try in succession; the first comes at once, each waits twice as
long."""
_RETRY_AFTER_AT_MOST = 8.0
"""Seconds: a service that is back is used again within one turn."""


class STT(Service):
    """Turns speech into words.

    Attributes:
        audio_format: What it wants to hear.
    """

    audio_format: AudioFormat = WIDEBAND

    @abstractmethod
    def transcribe(self, audio: AsyncIterator[STTInput]) -> AsyncGenerator[Transcript, None]:
        """Transcribe one session.

        Yields for each segment, counted from 1, any number of interim transcripts and at least one
        final. A final may come again for the same segment, with more words, if the person goes on
        after a short pause and before `TurnCommitted`; it then replaces the earlier one. Ends when
        `audio` ends, after the last final.

        Raises:
            RemoteError: The service failed; the stage reports it and, if it is retryable, starts
                again with the sound that came since.
        """

    def stage(self) -> FrameProcessor:
        """The stage that runs it."""
        return SpeechToText(self)


class SpeechToText(FrameProcessor):
    """The stage that hears with an `STT` and pushes its transcripts.

    Sound, voice edges and everything else pass at once; transcripts join them when they come.

    Args:
        stt: Any speech-to-text service.
    """

    def __init__(self, stt: STT) -> None:
        self.user_audio_needed = stt.audio_format
        self._stt = stt
        self._inbox: deque[STTInput] = deque()
        self._waiting = 0
        """Bytes of sound in the inbox."""
        self._most_waiting = stt.audio_format.n_bytes(_PATIENCE)
        self._filled = asyncio.Event()
        self._ended = False
        self._end: Frame | None = None
        self._segments = 0
        """The highest number of a segment so far."""

    async def setup(self) -> None:
        """Prepare the service."""
        await self._stt.prewarm()

    def started(self) -> None:
        """Start to listen."""
        self.start_task(self._listen)

    def process(self, frame: Frame, direction: Direction) -> None:
        """Hand everything on, and let the service hear what is meant for it."""
        if isinstance(frame, End) and direction is Direction.DOWN:
            # The last words come before the end: it waits for the service to finish.
            self._end, self._ended = frame, True
            self._filled.set()
            return
        self.push(frame, direction)
        if isinstance(frame, UserAudio | VoiceStarted | VoiceStopped | TurnCommitted):
            self._hear(frame)

    def _hear(self, item: STTInput) -> None:
        if isinstance(item, UserAudio):
            self._waiting += len(item.pcm)
            if self._waiting > self._most_waiting:
                self._fail(RemoteError(self._stt.name, "reads sound too slowly", retryable=True))
                # The edges stay: what the service knows of the person's voice must hold.
                self._inbox = deque(i for i in self._inbox if not isinstance(i, UserAudio))
                self._waiting = len(item.pcm)
        self._inbox.append(item)
        self._filled.set()

    async def _items(self) -> AsyncGenerator[STTInput, None]:
        while True:
            while self._inbox:
                item = self._inbox.popleft()
                if isinstance(item, UserAudio):
                    self._waiting -= len(item.pcm)
                yield item
            if self._ended:
                return
            self._filled.clear()
            await self._filled.wait()

    async def _listen(self) -> None:
        pause = 0.0
        while True:
            before = self._segments
            failure = await self._transcribe()
            if failure is not None:
                self._fail(failure)
                if not (isinstance(failure, RemoteError) and failure.retryable):
                    await self._discard()
            if self._ended:
                break
            if self._segments > before:
                pause = 0.0
            await self._wait_ended(pause)
            pause = min(max(2 * pause, _RETRY_AFTER), _RETRY_AFTER_AT_MOST)
        if self._end is not None:
            self.push(self._end)

    async def _transcribe(self) -> RemoteError | ModelError | None:
        """Run the service until the audio ends, or until it fails: then gives its error."""
        earlier = self._segments
        try:
            async with (
                aclosing(self._items()) as items,
                aclosing(self._stt.transcribe(items)) as transcripts,
            ):
                async for transcript in transcripts:
                    # Each run of the service counts from 1 again.
                    segment = earlier + transcript.segment
                    self._segments = max(self._segments, segment)
                    self.push(replace(transcript, segment=segment) if earlier else transcript)
        except (RemoteError, ModelError) as error:
            return error
        if self._ended:
            return None
        return RemoteError(self._stt.name, "stopped before the sound did", retryable=True)

    async def _wait_ended(self, seconds: float) -> None:
        """Wait for the end of the sound, but not longer than `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not self._ended:
                    self._filled.clear()
                    await self._filled.wait()
        except TimeoutError:
            pass

    async def _discard(self) -> None:
        """The service is gone for good: forget what it will not hear, until the end."""
        async with aclosing(self._items()) as items:
            async for _ in items:
                pass

    def _fail(self, error: RemoteError | ModelError) -> None:
        self.push(ServiceFailed(self._stt.name, error.code, str(error)))
