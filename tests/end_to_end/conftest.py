"""Sound for tests from end to end: questions that the embedded voice asks, and words heard back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import cache

import pytest

from antiphon.audio import WIDEBAND, change_rate
from antiphon.frames import UserAudio, VoiceStarted, VoiceStopped
from antiphon.models.hibari import HibariTTS
from antiphon.models.whisper import WhisperSTT
from antiphon.services.base import STTInput


@pytest.fixture(scope="session")
def spoken() -> Callable[[str], bytes]:
    """Gives a text as the embedded voice speaks it: mono s16le, 16 kHz, nothing before or after."""

    async def speak(text: str) -> bytes:
        async def pieces() -> AsyncIterator[str]:
            yield text

        voice = HibariTTS()
        sound = b"".join([chunk.pcm async for chunk in voice.synthesize(pieces())])
        return change_rate(sound, voice.audio_format.sample_rate, WIDEBAND.sample_rate)

    return cache(lambda text: asyncio.run(speak(text)))


@pytest.fixture(scope="session")
def heard() -> Callable[[bytes], str]:
    """Gives the words in some sound, mono s16le at 16 kHz, as Whisper understands them."""

    async def listen(pcm: bytes) -> str:
        async def sound() -> AsyncIterator[STTInput]:
            yield VoiceStarted(0)
            yield UserAudio(pcm, WIDEBAND, 0)
            yield VoiceStopped(WIDEBAND.samples(len(pcm)))

        texts = [found.text async for found in WhisperSTT(interim=False).transcribe(sound())]
        return texts[-1] if texts else ""

    return lambda pcm: asyncio.run(listen(pcm))
