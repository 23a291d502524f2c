"""Whisper in CTranslate2: a stretch of sound in, words out. Blocks; it runs in threads.

Holds the short encoder window, the guards against invented words and the decoding of tokens. Must
not know of segments or time (`whisper_session`). Imports numpy: it is imported when the model is
loaded.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.formats import to_float
from antiphon.models import mel

__all__ = ["Reading", "WhisperEngine", "settled_frames", "without_loop", "without_repeats"]

_RATE = mel.SAMPLE_RATE
_LEAST_FRAMES = 800
"""Frames that the encoder gets at least: 8 s.

Source: measured on 50 spoken orders, against `base` with the 30 s that Whisper was trained on: 6 %
other words for 72 ms of CPU; with 30 s 5 % for 328 ms; with 5 s 11 %, with 1 s of silence added 12
%, both for 65 ms.
"""
_MOST_FRAMES = 3000
"""Frames that the encoder takes at most: 30 s. Source: arXiv 2212.04356, section 2.2."""
_QUIET_FRAMES = 50
"""Frames of silence after the sound, so that the last word is seen to end."""

_TOKENS_PER_SECOND = 7
_TOKENS_MORE = 8
"""Tokens that a transcript may have, after which Whisper is taken for looping.

Source: measured: quick speech has up to 5 tokens a second; at half of this cap 8 of 50 orders reach
it, and 2 lose their last words.
"""
_SHORTEST_LOOP = 6
"""Tokens that must have come before in the same order, to be a loop."""

_LEAST_LOG_PROBABILITY = -1.0
"""Mean logarithm of the tokens' probabilities below which words are invented.

Source: Whisper's own `logprob_threshold`; measured: noise has -1.5 to -4.
"""
_SHORT = 3
_SHORT_LEAST = -2.2
"""Answers of up to 3 tokens may be less likely, down to this sum: Whisper doubts how to write "2",
"2." or "Two". Source: measured: accepts 43 of 61 rightly read single digits instead of 22, and 1 of
40 sneezes."""
_NO_SPEECH = 0.6
"""Probability of no speech above which the answer must not be unlikely. Source: Whisper's own."""
_SURELY_NO_SPEECH = 0.85
"""Likewise, above which no answer counts. Source: measured: silence and steady noise have 0.87 to
0.99, spoken orders up to 0.69, single digits up to 0.79."""

_AT_ONCE = 2
"""Decodes that run at once: a final one, and beside it one interim."""

_SPECIAL = re.compile(r"<\|.*\|>")
_REPEATED = re.compile(r"(.{8,}?[.?!])(?:\s+\1)+")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a stretch of sound says.

    Attributes:
        text: Its words; "" if there are none that can be believed.
        energies: Of the frames that later sound cannot change, shape (MELS, frames).
    """

    text: str
    energies: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Answer:
    tokens: list[str]
    is_capped: bool
    mean: float
    no_speech: float

    @property
    def is_believable(self) -> bool:
        if self.no_speech > _SURELY_NO_SPEECH:
            return False
        if self.mean >= _LEAST_LOG_PROBABILITY:
            return True
        count = len(self.tokens)
        return (
            count <= _SHORT and self.mean * count >= _SHORT_LEAST and self.no_speech <= _NO_SPEECH
        )


class WhisperEngine:
    """One loaded Whisper, shared by all sessions of the process.

    Args:
        directory: Of the model's files.
        threads: Threads of one decode.
    """

    def __init__(self, directory: Path, threads: int) -> None:
        import ctranslate2

        self._storage: Any = ctranslate2.StorageView.from_array
        self._whisper: Any = ctranslate2.models.Whisper(
            str(directory),
            device="cpu",
            compute_type="int8",
            inter_threads=_AT_ONCE,
            intra_threads=threads,
        )
        self._interim = threading.Lock()
        # The first decode allocates and picks its kernels; nobody should wait for that.
        self.read(settled_frames(), bytes(_RATE), ["<|startoftranscript|>"])

    @property
    def is_busy(self) -> bool:
        """Whether an interim is being read, so that another one would be refused."""
        return self._interim.locked()

    def read_interim(
        self, known: NDArray[np.float32], pcm: bytes, prompt: Sequence[str]
    ) -> Reading | None:
        """Read like `read`, unless another interim is being read.

        All interims of the process share one of the model's two places: the other is for final
        words.

        Returns:
            What was read; None if another interim is being read.
        """
        # Taken in the thread that gives it back: a job that is cancelled before it runs holds
        # nothing.
        if not self._interim.acquire(blocking=False):
            return None
        try:
            return self.read(known, pcm, prompt)
        finally:
            self._interim.release()

    def read(self, known: NDArray[np.float32], pcm: bytes, prompt: Sequence[str]) -> Reading:
        """Read a stretch of sound, 28 s at most.

        Args:
            known: `Reading.energies` of an earlier reading of the same stretch; of no frame at
            first.
            pcm: Mono s16le at 16 kHz, from `first_sample` of the known frames to the end.
            prompt: Special tokens that tell Whisper what to do.
        """
        settled, energies = _extend(known, to_float(pcm))
        count = energies.shape[1]
        frames = min(max(_LEAST_FRAMES, count + _QUIET_FRAMES + count % 2), _MOST_FRAMES)
        sound = self._storage(mel.features(energies[:, :frames], frames)[None])
        seconds = count * mel.HOP / _RATE
        answer = self._answer(sound, prompt, int(seconds * _TOKENS_PER_SECOND) + _TOKENS_MORE)
        if answer.is_capped:
            kept = without_loop(answer.tokens)
            if len(kept) < len(answer.tokens):
                # A loop is likely in itself: what comes before it is judged alone.
                answer = self._answer(sound, prompt, len(kept))
        text = without_repeats(_text(answer.tokens)) if answer.is_believable else ""
        # Full stops alone are what Whisper makes of a hum.
        return Reading(text if any(map(str.isalnum, text)) else "", settled)

    def _answer(self, sound: object, prompt: Sequence[str], most: int) -> _Answer:
        result = self._whisper.generate(
            sound,
            [list(prompt)],
            beam_size=1,
            return_scores=True,
            return_no_speech_prob=True,
            # CTranslate2 allows half of it for tokens of text, as Whisper does.
            max_length=max(2 * most, most + len(prompt)),
        )[0]
        return _Answer(
            result.sequences[0],
            len(result.sequences_ids[0]) >= most,
            result.scores[0],
            result.no_speech_prob,
        )


def settled_frames(
    known: NDArray[np.float32] | None = None, samples: int = 0
) -> NDArray[np.float32]:
    """Take the frames of a stretch that lie whole within its first `samples`; of None no frame."""
    if known is None:
        return np.empty((mel.MELS, 0), np.float32)
    count = (samples - mel.WINDOW // 2) // mel.HOP + 1
    # A frame that follows only one would begin before the first sample.
    return known[:, : count if count > 1 else 0]


def first_sample(known: NDArray[np.float32]) -> int:
    """Say at which sample of its stretch the sound must begin that is read beyond `known`."""
    return max(0, int(known.shape[1]) * mel.HOP - mel.WINDOW // 2)


def without_loop(tokens: list[str]) -> list[str]:
    """Cut what Whisper repeats at the end until its tokens are used up.

    Returns:
        The tokens up to the end of the first round; all if the last 6 are no repetition.
    """
    count = len(tokens)
    longest = 0
    for period in range(1, count):
        same = 0
        while (
            same < count - period and tokens[count - 1 - same] == tokens[count - 1 - same - period]
        ):
            same += 1
        longest = max(longest, same)
    return tokens[: count - longest] if longest >= _SHORTEST_LOOP else tokens


def without_repeats(text: str) -> str:
    """Keep one of several same sentences in a row, which Whisper sometimes makes of one."""
    return _REPEATED.sub(r"\1", text)


def _extend(
    known: NDArray[np.float32], samples: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add the frames of new sound to those that are known.

    Returns:
        The frames that are whole; and those with the last ones, which reach beyond the sound.
    """
    half = mel.WINDOW // 2
    if known.shape[1] == 0:
        # Mirrored, as Whisper does where sound begins.
        before = samples[half:0:-1] if len(samples) > half else np.zeros(half, np.float32)
        samples = np.concatenate([before, samples])
    whole = max(0, (len(samples) - mel.WINDOW) // mel.HOP + 1)
    padded = np.concatenate([samples, np.zeros(mel.WINDOW, np.float32)])
    energies = np.concatenate([known, mel.energies(padded)], axis=1)
    return energies[:, : known.shape[1] + whole], energies


def _text(tokens: Iterable[str]) -> str:
    """Join tokens, which spell bytes as letters, to text."""
    table = _bytes_by_letter()
    spelled = "".join(token for token in tokens if not _SPECIAL.fullmatch(token))
    # A character of several bytes may be cut by the cap.
    return bytes(table[letter] for letter in spelled).decode("utf-8", "ignore").strip()


@cache
def _bytes_by_letter() -> dict[str, int]:
    """Make the alphabet of byte-level tokens.

    Bytes that print stand for themselves, the others for letters from U+0100 on, in order. Source:
    GPT-2, `encoder.py`.
    """
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printing]
    table = {chr(byte): byte for byte in printing}
    return table | {chr(0x100 + index): byte for index, byte in enumerate(others)}
