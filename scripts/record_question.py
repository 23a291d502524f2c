"""Record the first question of ``antiphon demo`` with the embedded voice.

Run it again when the question or the voice changes: ``python scripts/record_question.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from antiphon.audio import WIDEBAND, change_rate, write_wav
from antiphon.models.hibari import HibariTTS

QUESTION = "Hello, are you open on Saturday?"
BEFORE, AFTER = 0.3, 0.1
"""Seconds of silence around it: the voice detector needs to see it begin; the call adds its own."""

TARGET = Path(__file__).parents[1] / "src/antiphon/cli/assets/question.wav"


async def speak(text: str) -> bytes:
    """Speak `text`; gives a WAV file, mono, 16 kHz."""

    async def pieces() -> AsyncIterator[str]:
        yield text

    voice = HibariTTS()
    sound = b"".join([chunk.pcm async for chunk in voice.synthesize(pieces())])
    pcm = change_rate(sound, voice.audio_format.sample_rate, WIDEBAND.sample_rate)
    before, after = (bytes(WIDEBAND.n_bytes(seconds)) for seconds in (BEFORE, AFTER))
    return write_wav(WIDEBAND, before + pcm + after)


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(asyncio.run(speak(QUESTION)))
