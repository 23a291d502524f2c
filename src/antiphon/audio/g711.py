"""G.711, the coding of telephone lines: 8 bits a sample, mu-law or A-law, by look-up tables.

Holds the tables and the four functions. Must not hold rates or wires: both codings work on single
samples, at any rate.

Source: ITU-T G.711 (11/88), tables 1a to 2b.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from antiphon.audio.formats import require_frames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["alaw_decode", "alaw_encode", "ulaw_decode", "ulaw_encode"]

# Both laws: a sign bit, 3 bits of segment, 4 bits of step within it; each segment's steps are
# twice as wide as those of the one below. G.711 mirrors the codes on the wire by these masks.
_ULAW_MASK = 0xFF
_ALAW_MASK = 0x55
# mu-law works on magnitudes moved by 33 of 8192 steps, which makes the segments powers of two.
_ULAW_BIAS = 33
_ULAW_LARGEST = 8158


def ulaw_encode(pcm: bytes) -> bytes:
    """Code s16le bytes as mu-law: one byte a sample.

    Raises:
        UsageError: `pcm` ends within a sample.
    """
    require_frames(pcm)
    return _look_up(_ulaw_codes(), pcm, "<u2")


def ulaw_decode(codes: bytes) -> bytes:
    """Turn mu-law bytes into s16le bytes: two a sample, within +-32124."""
    return _look_up(_ulaw_samples(), codes, "u1")


def alaw_encode(pcm: bytes) -> bytes:
    """Code s16le bytes as A-law: one byte a sample.

    Raises:
        UsageError: `pcm` ends within a sample.
    """
    require_frames(pcm)
    return _look_up(_alaw_codes(), pcm, "<u2")


def alaw_decode(codes: bytes) -> bytes:
    """Turn A-law bytes into s16le bytes: two a sample, within +-32256."""
    return _look_up(_alaw_samples(), codes, "u1")


def _look_up(table: NDArray[np.uint8] | NDArray[np.int16], data: bytes, kind: str) -> bytes:
    import numpy as np

    return table.take(np.frombuffer(data, kind)).tobytes()


def _all_samples() -> NDArray[np.int32]:
    """Give all 16-bit samples, in the order of their bytes read as unsigned: shape (65536,)."""
    import numpy as np

    return np.arange(65536, dtype=np.uint16).astype(np.int16).astype(np.int32)


def _segment(magnitude: NDArray[np.int32], lowest: int) -> NDArray[np.int32]:
    """Count the segment borders, `lowest` and its doubles, that lie at or below `magnitude`."""
    import numpy as np

    borders = lowest << np.arange(7)
    return np.searchsorted(borders, magnitude, side="right").astype(np.int32)


@cache
def _ulaw_codes() -> NDArray[np.uint8]:
    """Build table 2a: the code of each sample, shape (65536,)."""
    import numpy as np

    value = _all_samples() >> 2
    magnitude = np.minimum(np.abs(value), _ULAW_LARGEST) + _ULAW_BIAS
    segment = _segment(magnitude, 64)
    code = segment << 4 | (magnitude >> segment + 1 & 0xF)
    signed: NDArray[np.int32] = np.where(value < 0, code | 0x80, code)
    return (signed ^ _ULAW_MASK).astype(np.uint8)


@cache
def _ulaw_samples() -> NDArray[np.int16]:
    """Build table 2b: the sample of each code, shape (256,)."""
    import numpy as np

    code = np.arange(256, dtype=np.int32) ^ _ULAW_MASK
    segment, step = code >> 4 & 7, code & 0xF
    magnitude = ((2 * step + _ULAW_BIAS) << segment) - _ULAW_BIAS
    return (np.where(code & 0x80, -magnitude, magnitude) * 4).astype("<i2")


@cache
def _alaw_codes() -> NDArray[np.uint8]:
    """Build table 1a: the code of each sample, shape (65536,)."""
    import numpy as np

    value = _all_samples() >> 3
    # Steps are even about the middle: -1 is the first step below zero, as 0 is the first above.
    magnitude = np.where(value < 0, ~value, value)
    segment = _segment(magnitude, 32)
    code = segment << 4 | (magnitude >> np.maximum(segment, 1) & 0xF)
    signed: NDArray[np.int32] = np.where(value < 0, code, code | 0x80)
    return (signed ^ _ALAW_MASK).astype(np.uint8)


@cache
def _alaw_samples() -> NDArray[np.int16]:
    """Build table 1b: the sample of each code, shape (256,)."""
    import numpy as np

    code = np.arange(256, dtype=np.int32) ^ _ALAW_MASK
    segment, step = code >> 4 & 7, code & 0xF
    # The lowest two segments are one straight line: both have the narrowest steps.
    magnitude = np.where(segment == 0, 2 * step + 1, (2 * step + 33) << np.maximum(segment, 1) - 1)
    return (np.where(code & 0x80, magnitude, -magnitude) * 8).astype("<i2")
