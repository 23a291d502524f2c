"""Whisper's log-mel spectrogram: what Whisper and Smart Turn hear.

Holds the spectrogram in numpy, in single precision, frame by frame, so that a growing stretch of
sound costs only its new frames. Must not hold a model. Imports numpy: it is imported by its users
only.

It calls no BLAS: a matrix product of this size makes numpy's BLAS wake a thread on every core, and
on a busy machine the wait for them cost 15 to 40 ms (measured; here the whole takes 0.2 ms per
second).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["HOP", "MELS", "WINDOW", "energies", "features", "log_mel"]

SAMPLE_RATE = 16_000
MELS = 80
"""Bands of the spectrogram. Source: Whisper, section 2.2 of arXiv 2212.04356, like the next two."""
WINDOW = 400
"""Samples of a frame: 25 ms at 16 kHz."""
HOP = 160
"""Samples from one frame to the next: 10 ms at 16 kHz."""

_FLOOR = np.float32(1e-10)
"""Energy that counts as silence, whose logarithm would be infinite. Source: Whisper's
`audio.py`."""
_DECADES = 8.0
"""Range of the features below the loudest point. Source: Whisper's `audio.py`."""
_BINS = WINDOW // 2 + 1
_BLOCK = 128
"""Frames that are computed at a time: their spectra stay in the processor's cache (2x faster)."""


def energies(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the mel energies of every whole frame.

    Args:
        samples: Mono float32 in [-1, 1], shape (samples,), 16 kHz. Frame ``i`` is
            ``samples[i * HOP : i * HOP + WINDOW]``; nothing is padded.

    Returns:
        Logarithms to base 10, float32 in [-10, 5], shape (MELS, frames).
    """
    count = max(0, (len(samples) - WINDOW) // HOP + 1)
    found = np.zeros((MELS, count), np.float32)
    if not count:
        return found
    window, rising, falling, starts, bands = _filters()
    frames = sliding_window_view(samples, WINDOW)[::HOP]
    for begin in range(0, count, _BLOCK):
        spectrum = np.fft.rfft(frames[begin : begin + _BLOCK] * window)
        # Bins in rows: sums over bins are then sums of long rows.
        power = np.ascontiguousarray((spectrum.real**2 + spectrum.imag**2).T, np.float32)
        sums = np.zeros((MELS + 2, power.shape[1]), np.float32)
        sums[bands + 1] += np.add.reduceat(power * rising, starts, axis=0)
        sums[bands] += np.add.reduceat(power * falling, starts, axis=0)
        found[:, begin : begin + _BLOCK] = sums[1:-1]
    np.maximum(found, _FLOOR, out=found)
    logarithms: NDArray[np.float32] = np.log10(found, out=found)
    return logarithms


def features(logarithms: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """Turn energies into what the models take, filled up with silence at the end.

    Args:
        logarithms: From `energies`, shape (MELS, n), n from 1 to `frames`.
        frames: Frames that are wanted.

    Returns:
        float32 in [-1.5, 2.5], shape (MELS, frames): at most 8 decades below the loudest point,
        plus 4, divided by 4. Source: Whisper's `audio.py`.
    """
    lowest = logarithms.max() - np.float32(_DECADES)
    count = logarithms.shape[1]
    made = np.empty((MELS, frames), np.float32)
    np.maximum(logarithms, lowest, out=made[:, :count])
    made[:, count:] = max(lowest, np.log10(_FLOOR))
    made += 4.0
    made *= 0.25
    return made


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the features of a stretch of sound that is mirrored at both ends, as Whisper does.

    Args:
        samples: Mono float32, shape (samples,), 16 kHz, 320 samples or more.

    Returns:
        float32, shape (MELS, samples // HOP).
    """
    mirrored = np.pad(samples, WINDOW // 2, mode="reflect")
    count = len(samples) // HOP
    return features(energies(mirrored)[:, :count], count)


@cache
def _filters() -> tuple[
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.intp],
    NDArray[np.intp],
]:
    """Make the Hann window and the triangular filters.

    Each frequency lies between the middles of two neighbouring filters: it counts in one that falls
    and in one that rises. So the sums over all bins between two middles, weighted once by `rising`
    and once by `falling`, hold every filter.

    Returns:
        The window; per bin the weight in the rising and the falling filter, each of shape (bins,
        1); the first bin between each two middles, where there is one; and the number of the lower
        middle.
    """
    middles = _middles()
    width = 2.0 / (middles[2:] - middles[:-2])
    frequencies = np.arange(_BINS) * (SAMPLE_RATE / WINDOW)
    below = np.clip(np.searchsorted(middles, frequencies, side="right") - 1, 0, MELS)
    share = (frequencies - middles[below]) / (middles[below + 1] - middles[below])
    # The lowest stretch has no filter that falls, the highest none that rises.
    padded = np.concatenate([[0.0], width, [0.0]])
    rising = (share * padded[below + 1]).astype(np.float32)[:, None]
    falling = ((1.0 - share) * padded[below]).astype(np.float32)[:, None]
    bands, starts = np.unique(below, return_index=True)
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    return window, rising, falling, starts, bands


def _middles() -> NDArray[np.float64]:
    """Frequencies in hertz at which the filters begin, peak and end, evenly spaced in mel.

    Source: Slaney, Auditory Toolbox (1998): 200/3 Hz per mel up to 1000 Hz, then 27 mel for each
    factor of 6.4; each filter's area is the same.
    """
    top = 15.0 + np.log(SAMPLE_RATE / 2 / 1000.0) * 27.0 / np.log(6.4)
    mels = np.linspace(0.0, top, MELS + 2)
    high = 1000.0 * np.exp((mels - 15.0) * np.log(6.4) / 27.0)
    return np.asarray(np.where(mels < 15.0, mels * 200.0 / 3.0, high), np.float64)
