"""`HibariTTS`: speech on this machine, one clause in 10 to 25 ms.

Holds the service, and what makes the voice's clauses into a conversation: no silence before the
first word, a short pause between two pieces, and when each word is spoken. The weights come inside
the library `hibari-tts`; nothing is fetched.
"""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from antiphon.audio import AudioFormat, to_pcm
from antiphon.frames import WordTime
from antiphon.models import shared
from antiphon.options import within
from antiphon.pipeline.offload import offload
from antiphon.services.base import TTS, SpeechChunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HibariTTS"]

_RATE = 24_000
_SLICE = AudioFormat(_RATE).n_bytes(0.2)
_SEED = 0
"""Of the voice's breath noise: the same text gives the same bytes."""
_BLOCK = 120
"""Samples (5 ms) whose level is taken at once to find where the voice begins and ends."""
_AUDIBLE = 5e-4
"""Root mean square of a block that belongs to the voice.

Source: measured on 24 clauses: silence is below 0.00003, and the first block of the softest begin
("Six bikes") is above 0.0003; the voice's mean is 0.06.
"""
_BEFORE, _AFTER = 3, 8
"""Blocks kept before the first audible block and after the last: a soft begin and end."""
_PAUSE_CLAUSE, _PAUSE_SENTENCE = 0.2, 0.4
"""Seconds between two pieces.

Source: the voice itself pauses for 0.18 to 0.27 s at a comma within a sentence. Between sentences
the sum of the silences that it makes at both ends would be 0.75 s, too long for a conversation.
"""
_DIGITS = frozenset("0123456789²³")
"""Signs that count as digits and that the voice reads well; the last two are of square metres."""
_COMMA_SOUNDS = 3
"""A pause within a piece lasts as long as so many sounds (15 a second)."""


class HibariTTS(TTS):
    """Speaks English with the voice "heart", which the library `hibari-tts` carries.

    Each piece is synthesised whole, in a thread, and handed out in slices of 0.2 s. The silence of
    0.2 to 0.3 s that the voice makes before each piece is cut: it would be waited for. Loaded once
    per process.

    Args:
        speed: Of speaking; 1 is the voice's own pace, 2 is twice as fast.

    Raises:
        OptionError: `speed` is outside 0.5 to 2.
    """

    name = "hibari"
    audio_format = AudioFormat(_RATE)

    def __init__(self, *, speed: float = 1.0) -> None:
        within("HibariTTS", "speed", speed, 0.5, 2.0, "times the voice's pace")
        self._speed = speed

    async def prewarm(self) -> None:
        """Load the voice.

        Raises:
            ModelError: The library is not installed or its files are damaged.
        """
        await shared.load(self.name, _Voice)

    async def synthesize(self, pieces: AsyncIterator[str]) -> AsyncGenerator[SpeechChunk, None]:
        """Speak one reply.

        When closed or cancelled it ends at once; a clause that a thread works on is dropped.

        Raises:
            ModelError: The library is not installed or its files are damaged.
        """
        voice = await shared.load(self.name, _Voice)
        pause, number = 0.0, 0
        async for text in pieces:
            spoken = await offload(voice.speak, text, self._speed, pause)
            if spoken is not None:
                words = spoken.words
                for begin in range(0, len(spoken.pcm), _SLICE):
                    yield SpeechChunk(spoken.pcm[begin : begin + _SLICE], number, words)
                    words = ()
                pause = _pause_after(text)
            number += 1


@dataclass(frozen=True, slots=True)
class _Spoken:
    pcm: bytes
    words: tuple[WordTime, ...]


class _Voice:
    """The loaded voice. Any number of threads may use it at once: nothing changes any more."""

    def __init__(self) -> None:
        from hibari import Hibari

        self._hibari = Hibari(threads=1)
        # Loads the pronunciation too, both the lexicon and the net for words that are not in it:
        # else the first caller would wait for it, and two at once would load it twice.
        self.speak("Hibari, qxz.", 1.0, 0.0)

    def speak(self, text: str, speed: float, pause: float) -> _Spoken | None:
        """Speak one piece of text.

        Args:
            text: A clause.
            speed: As in `HibariTTS`.
            pause: Seconds of silence put before it.

        Returns:
            The sound and its words' times, or None if there is nothing to speak.
        """
        import numpy as np

        text = "".join(map(_plain_digit, text))
        phonemes = [part for part in self._hibari.phonemize(text) if _sounds(part)]
        if not phonemes:
            return None
        sound = np.concatenate(
            [
                self._hibari.from_ids(self._hibari.ids(part), speed, np.random.default_rng(_SEED))
                for part in phonemes
            ]
        )
        voice = _without_silence(sound)
        if not len(voice):
            return None
        silence = round(pause * _RATE)
        pcm = bytes(2 * silence) + to_pcm(voice)
        return _Spoken(pcm, self._word_times(text, silence / _RATE, len(voice) / _RATE))

    def _word_times(self, text: str, begin: float, seconds: float) -> tuple[WordTime, ...]:
        """Share the seconds out to the words by their number of sounds, so that "4512" is long."""
        words = text.split()
        sounds = [_sounds(self._hibari.g2p(word)) for word in words]
        pauses = [_COMMA_SOUNDS if word[-1] in ",;:.!?" else 0 for word in words[:-1]] + [0]
        each = seconds / max(sum(sounds) + sum(pauses), 1)
        times = []
        for word, count, pause in zip(words, sounds, pauses, strict=True):
            times.append(WordTime(word, begin, begin + count * each))
            begin += (count + pause) * each
        return tuple(times)


def _plain_digit(sign: str) -> str:
    """Give a digit such as "①" in its plain form: hibari-tts 0.2.1 raises at some."""
    return str(unicodedata.digit(sign)) if sign.isdigit() and sign not in _DIGITS else sign


def _sounds(phonemes: str) -> int:
    """Count the sounds in a string of phonemes, without its signs for stress and pauses."""
    return sum(sign.isalpha() and sign not in "ˈˌ" for sign in phonemes)


def _without_silence(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut the silence at both ends of mono float32 sound at 24 kHz."""
    import numpy as np

    blocks = sound[: len(sound) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    audible = np.flatnonzero(np.einsum("ij,ij->i", blocks, blocks) > _AUDIBLE**2 * _BLOCK)
    if not len(audible):
        return sound[:0]
    first = max(int(audible[0]) - _BEFORE, 0)
    return sound[first * _BLOCK : (int(audible[-1]) + 1 + _AFTER) * _BLOCK]


def _pause_after(text: str) -> float:
    last = text.rstrip("\"')]”’ ")[-1:]
    return _PAUSE_SENTENCE if last in ".!?…" else _PAUSE_CLAUSE
