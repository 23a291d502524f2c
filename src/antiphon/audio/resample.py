"""Changing the sample rate of a stream, without holding sound back.

A polyphase FIR filter, applied to each chunk as it comes: every output sample whose moment has
come leaves at once, and the only delay is the filter's own, 2.9 ms where one rate is 8 kHz, less
elsewhere. Holds the filter, its tables and the stream's state. Must not hold files, clocks or
formats of more than one channel.

How it is exact: taps are whole multiples of 2**-30 and samples are 16-bit integers, so every
product and every partial sum fits the 53 bits of a double and nothing is ever rounded before the
end. The output is therefore the same to the bit however the input was cut into chunks and on
whatever machine and linear algebra it is computed.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd, log
from typing import TYPE_CHECKING, Any, NamedTuple

from antiphon.audio.formats import require_frames
from antiphon.errors import OptionError
from antiphon.options import Declared, within

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Resampler", "change_rate"]

_HALF_LENGTH = 23
"""Half of the filter's length, in samples of the lower of the two rates."""

# h(u) = sum of _SERIES[k] * cos(pi * (k + 1/2) * u / _HALF_LENGTH) for |u| <= _HALF_LENGTH, u in
# samples of the lower rate: one low-pass filter for every pair of rates.
#
# Source: a minimax fit which tests/audio/test_prototype.py repeats: gain within 0.11 dB of 1 up to
# 0.85 of the lower Nyquist frequency (the telephone band ends at 3.4 of 4 kHz, ITU-T G.712), and
# under -85.8 dB from the Nyquist frequency on. A Kaiser-windowed sinc of this length loses 1.4 dB
# at 0.85 (measured).
_SERIES = (
    4.35340117e-02, 4.33115754e-02, 4.37554628e-02, 4.31123722e-02, 4.39101033e-02,
    4.30007760e-02, 4.39797169e-02, 4.29795942e-02, 4.39353351e-02, 4.30878185e-02,
    4.37810915e-02, 4.32812811e-02, 4.35553548e-02, 4.35310762e-02, 4.32939314e-02,
    4.37741934e-02, 4.31000938e-02, 4.39062453e-02, 4.30553259e-02, 4.32528947e-02,
    2.78386125e-02, 6.81777653e-03, 2.69123633e-04, 2.04445223e-06, -2.37570539e-07,
    -1.17863275e-06,
)  # fmt: skip

_STEP = 2.0**-30
_GROUP = 20
"""Output samples computed together, about. Measured: 16 to 48 cost the same within 10 %; this keeps
each product (at most 8000 weights for usual rates) under the size from which OpenBLAS starts
threads."""

_LARGEST_TERM = 1280
"""The largest that pairs of usual rates have, 32000 to 11025. Bounds a table to 0.8 MB."""

_PIECE = 1 << 14
"""Input samples per pass, which bounds the memory that a long chunk needs."""


class _Tables(NamedTuple):
    """The filter for one pair of rates, laid out for groups of output samples.

    Attributes:
        up: Output samples per cycle.
        down: Input samples per cycle.
        taps: Input samples that one output sample is made of.
        rows: Distinct groups; group `g` uses row ``g % rows``.
        group: Output samples per group.
        span: Input samples that a group is made of.
        weights: float64, shape (rows, group, span), multiples of 2**-30.
    """

    up: int
    down: int
    taps: int
    rows: int
    group: int
    span: int
    weights: NDArray[np.float64]


def _group_size(up: int) -> int:
    """Choose how many outputs to compute together: a multiple or a divisor of the cycle."""
    if up <= _GROUP:
        return up * round(_GROUP / up)
    divisors = [size for size in range(1, up + 1) if up % size == 0]
    return min(divisors, key=lambda size: abs(log(size / _GROUP)))


# Bounded: the six usual rates make 30 pairs and 3 MB.
@lru_cache(maxsize=64)
def _tables(from_rate: int, to_rate: int) -> _Tables:
    """Build the weights for one pair of rates, once per process; under 5 ms (measured)."""
    import numpy as np

    common = gcd(from_rate, to_rate)
    up, down = to_rate // common, from_rate // common
    if max(up, down) > _LARGEST_TERM:
        raise OptionError(
            f"Resampler: {from_rate} to {to_rate} Hz is {down}:{up}, and terms above "
            f"{_LARGEST_TERM} are not supported; use usual rates, such as 8000, 16000 or 44100"
        )
    # From here on time is counted in 1/up of an input sample, so that everything is whole.
    stretch = max(up, down)  # one sample of the lower rate
    centre = _HALF_LENGTH * stretch
    taps = 2 * centre // up + 1
    group = _group_size(up)
    rows = max(1, up // group)
    span = taps + -(-group * down // up)
    outputs = np.arange(rows * group)
    newest, phase = np.divmod(outputs * down, up)
    starts = outputs // group * group * down // up - taps + 1
    ages = np.arange(taps)
    weights = np.zeros((rows * group, span))
    places = (newest - starts)[:, None] - ages
    times = phase[:, None] + ages * up - centre
    np.put_along_axis(weights, places, _prototype(times / stretch), axis=1)
    weights *= min(1.0, up / down)
    np.rint(weights / _STEP, out=weights)
    weights *= _STEP
    weights.flags.writeable = False
    return _Tables(up, down, taps, rows, group, span, weights.reshape(rows, group, span))


def _prototype(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate the continuous filter at `u`, in samples of the lower rate, any shape."""
    import numpy as np

    # Clenshaw's recurrence: one cosine per point instead of one per term, ten times faster.
    angle = np.pi / _HALF_LENGTH * u
    twice = 2 * np.cos(angle)
    last = before = np.zeros_like(u)
    for term in reversed(_SERIES):
        last, before = term + twice * last - before, last
    values: NDArray[np.float64] = (last - before) * np.cos(angle / 2)
    values[np.abs(u) > _HALF_LENGTH] = 0.0
    return values


class Resampler(Declared):
    """Changes the rate of one mono stream, chunk by chunk; nothing is held back.

    After N input samples exactly ``ceil(N * to_rate / from_rate)`` output samples have left: no
    drift. The sound in them is late by `group_delay`, the same for all frequencies.
    Gain is within 0.11 dB up to 0.85 of the lower Nyquist frequency. Whatever lies above it is
    under -80 dB: aliases when the rate goes down, images when it goes up. Louder than full scale
    is clipped.

    Args:
        from_rate: Hz of what comes in, 8000 to 48000.
        to_rate: Hz of what goes out, 8000 to 48000. The same rate passes the bytes through.

    Raises:
        OptionError: On construction, for a rate out of range, or a pair whose ratio in lowest
            terms has a number above 1280.

    Source: 10 to 23 us per 20 ms chunk for every pair of the six rates above, one thread
        (measured, CPython 3.11, numpy 2.4, x86-64).
    """

    __slots__ = ("_done", "_fed", "_from", "_kept", "_kept_at", "_np", "_tables", "_to")

    def __init__(self, from_rate: int, to_rate: int) -> None:
        for name, rate in (("from_rate", from_rate), ("to_rate", to_rate)):
            within("Resampler", name, rate, 8000, 48000, "Hz")
            if not isinstance(rate, int):
                raise OptionError(f"Resampler: {name} must be a whole number, not {rate!r}")
        import numpy

        self._np: Any = numpy
        self._from = from_rate
        self._to = to_rate
        self._tables = _tables(from_rate, to_rate) if from_rate != to_rate else None
        self.reset()

    @property
    def from_rate(self) -> int:
        """Hz of what comes in."""
        return self._from

    @property
    def to_rate(self) -> int:
        """Hz of what goes out."""
        return self._to

    @property
    def group_delay(self) -> float:
        """How late the sound comes out, in seconds: 23 samples of the lower rate, or 0."""
        return _HALF_LENGTH / min(self._from, self._to) if self._tables else 0.0

    def reset(self) -> None:
        """Forget the stream: what comes next is the start of another one."""
        taps = self._tables.taps if self._tables else 1
        self._kept: NDArray[np.float64] = self._np.zeros(taps - 1)
        # Counted from the stream's start: where `_kept` begins (silence comes before the stream),
        # samples fed, samples given out.
        self._kept_at = 1 - taps
        self._fed = 0
        self._done = 0

    def feed(self, pcm: bytes) -> bytes:
        """Take a chunk of any size, also an empty one, and give all that is due.

        Args:
            pcm: Mono s16le bytes at `from_rate`.

        Returns:
            Mono s16le bytes at `to_rate`.

        Raises:
            UsageError: `pcm` ends within a sample; the stream is unchanged.
        """
        require_frames(pcm)
        if self._tables is None:
            return pcm
        samples = self._np.frombuffer(pcm, "<i2")
        if len(samples) <= _PIECE:
            return self._pass(samples, self._tables)
        pieces = range(0, len(samples), _PIECE)
        return b"".join(self._pass(samples[at : at + _PIECE], self._tables) for at in pieces)

    def flush(self) -> bytes:
        """Give what the filter still holds when the stream has ended, and start anew.

        Returns:
            Mono s16le bytes: `group_delay` seconds of sound, rounded up to whole input samples.
        """
        if self._tables is None:
            return b""
        held = -(-_HALF_LENGTH * self._from // min(self._from, self._to))
        rest = self.feed(bytes(2 * held))
        self.reset()
        return rest

    def _pass(self, samples: NDArray[np.int16], tables: _Tables) -> bytes:
        """Compute every output sample whose newest input sample has come."""
        np = self._np
        up, down, taps, rows, group, span, weights = tables
        self._fed += len(samples)
        begin, end = self._done, -(-self._fed * up // down)
        first, last = begin // group, -(-end // group)

        # Where each group's input begins. The group of the next output also tells what to keep.
        starts = np.arange(first, last + 1, dtype=np.int64) * (group * down) // up
        starts -= taps - 1 + self._kept_at
        have = len(self._kept) + len(samples)
        # The last group may reach past what has come: over zeros, for outputs not given out.
        line = np.zeros(max(have, int(starts[-1]) + span))
        line[: len(self._kept)] = self._kept
        line[len(self._kept) : have] = samples

        # Row i of `views` is line[i : i + span], without a copy; picking the starts copies those.
        views = np.ndarray((len(line) - span + 1, span), line.dtype, line, 0, (8, 8))
        columns = views[starts[:-1], :, None]
        out = np.empty((last - first, group, 1))
        at = 0
        while at < last - first:
            row = (first + at) % rows
            run = last - first - at if rows == 1 else min(rows - row, last - first - at)
            np.matmul(weights[row : row + run], columns[at : at + run], out=out[at : at + run])
            at += run

        keep = int(starts[end // group - first])
        self._kept = line[keep:have].copy()
        self._kept_at += keep
        self._done = end
        due = out.reshape(-1)[begin - first * group : end - first * group]
        np.rint(due, out=due)
        np.minimum(due, 32767.0, out=due)
        np.maximum(due, -32768.0, out=due)
        result: bytes = due.astype("<i2").tobytes()
        return result


def change_rate(pcm: bytes, from_rate: int, to_rate: int) -> bytes:
    """Change the rate of a whole recording, without delay and to the right length.

    Args:
        pcm: Mono s16le bytes at `from_rate`.
        from_rate: Hz, 8000 to 48000.
        to_rate: Hz, 8000 to 48000.

    Returns:
        Mono s16le bytes at `to_rate`: ``round(samples * to_rate / from_rate)`` samples, in place
        to within half a sample.

    Raises:
        OptionError: As `Resampler`.
        UsageError: `pcm` ends within a sample.
    """
    resampler = Resampler(from_rate, to_rate)
    late = round(resampler.group_delay * to_rate)
    wanted = round(len(pcm) // 2 * to_rate / from_rate)
    # One sample more than the delay, since both roundings may go up.
    silence = bytes(2 * (ceil(resampler.group_delay * from_rate) + 1))
    sound = resampler.feed(pcm) + resampler.feed(silence)
    return sound[2 * late : 2 * (late + wanted)]
