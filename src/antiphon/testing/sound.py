"""Sound for tests: a tone that is plainly no silence, and silence."""

from __future__ import annotations

import math
from array import array
from functools import cache
from sys import byteorder

from antiphon.audio.formats import AudioFormat

__all__ = ["tone"]

_HERTZ = 200
"""So that 5 ms hold a whole period at every rate, and pieces of packets join without a click."""


@cache
def _period(sample_rate: int, level: float) -> bytes:
    # A whole number of periods at rates, such as 44100, of which 200 is no divisor as well.
    count = sample_rate // math.gcd(sample_rate, _HERTZ)
    step = math.tau * _HERTZ / sample_rate
    samples = array("h", (round(32767 * level * math.sin(step * n)) for n in range(count)))
    if byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def tone(audio_format: AudioFormat, seconds: float, *, level: float = 0.3) -> bytes:
    """Make a sine of 200 Hz.

    Args:
        audio_format: Of the sound; mono.
        seconds: How long, rounded to whole samples.
        level: Peak, in (0, 1].

    Returns:
        s16le bytes.
    """
    size = audio_format.n_bytes(seconds)
    period = _period(audio_format.sample_rate, level)
    return (period * (size // len(period) + 1))[:size]
