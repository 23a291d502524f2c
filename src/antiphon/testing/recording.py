"""A call as sound: both sides of a conversation on one clock.

Holds the mixing. Must not hold files.
"""

from __future__ import annotations

from collections.abc import Iterable

from antiphon.audio.formats import AudioFormat

__all__ = ["stereo"]


def stereo(
    left: Iterable[tuple[float, bytes]],
    left_rate: int,
    right: Iterable[tuple[float, bytes]],
    right_rate: int,
    seconds: float,
) -> bytes:
    """Lay sounds out in time.

    Args:
        left: Sounds of the left channel: mono s16le bytes, each with its start in seconds.
        left_rate: Of them, in Hz; the rate of the result too.
        right: Of the right channel.
        right_rate: Of them, in Hz.
        seconds: Length of the result; what goes beyond is cut.

    Returns:
        A WAV file.
    """
    import numpy as np

    from antiphon.audio.resample import change_rate
    from antiphon.audio.wave import write_wav

    heard = _track(right, right_rate, seconds)
    if right_rate != left_rate:
        heard = change_rate(heard, right_rate, left_rate)
    tracks = [np.frombuffer(pcm, "<i2") for pcm in (_track(left, left_rate, seconds), heard)]
    both = np.zeros((round(seconds * left_rate), 2), "<i2")
    for channel, track in enumerate(tracks):
        both[: len(track), channel] = track[: len(both)]
    return write_wav(AudioFormat(left_rate, channels=2), both.tobytes())


def _track(sounds: Iterable[tuple[float, bytes]], rate: int, seconds: float) -> bytes:
    track = bytearray(2 * round(seconds * rate))
    for at, pcm in sounds:
        start = 2 * round(at * rate)
        end = min(start + len(pcm), len(track))
        track[start:end] = pcm[: max(end - start, 0)]
    return bytes(track)
