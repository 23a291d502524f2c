"""What sound is made of: the format that travels with samples, and conversions of single chunks.

Holds `AudioFormat` and functions from bytes to bytes or arrays that keep no state. Must not hold
anything that remembers the chunk before (`resample`, `framing`, `level`), nor a wire's own coding
(`g711`, `wave`). numpy is imported by the functions that compute, so importing this costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from antiphon.errors import OptionError, UsageError
from antiphon.options import Declared, one_of, within

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "TELEPHONE",
    "WIDEBAND",
    "AudioFormat",
    "mix_down",
    "pick_channel",
    "to_float",
    "to_pcm",
]

_BYTES_PER_SAMPLE = 2
_FULL_SCALE = 32768.0
# WAV files hold more channels than a call does; above this a header is damaged, not ambitious.
_MOST_CHANNELS = 32


@dataclass(frozen=True, slots=True)
class AudioFormat(Declared):
    """Rate, channels and sample type of a stream of sound. Equal formats can be linked.

    Attributes:
        sample_rate: Samples per second of each channel, in hertz, 8000 to 48000.
        channels: 1 for mono, 2 for stereo, at most 32. The samples of one instant, a frame, lie
            side by side.
        sample_type: ``"s16le"``, signed 16-bit little-endian integers, is the only one: what
            every wire that we speak carries, or decodes to.

    Raises:
        OptionError: On construction, for a value outside these ranges.
    """

    sample_rate: int
    channels: int = 1
    sample_type: Literal["s16le"] = "s16le"

    def __post_init__(self) -> None:
        within("AudioFormat", "sample_rate", self.sample_rate, 8000, 48000, "Hz")
        within("AudioFormat", "channels", self.channels, 1, _MOST_CHANNELS, "channels")
        for name, value in (("sample_rate", self.sample_rate), ("channels", self.channels)):
            if not isinstance(value, int):
                raise OptionError(f"AudioFormat: {name} must be a whole number, not {value!r}")
        one_of("AudioFormat", "sample_type", self.sample_type, ("s16le",))

    @property
    def bytes_per_frame(self) -> int:
        """Bytes of one instant: one sample of every channel."""
        return _BYTES_PER_SAMPLE * self.channels

    def samples(self, n_bytes: int) -> int:
        """Count the samples of each channel in `n_bytes`.

        Raises:
            UsageError: `n_bytes` is negative or cuts a frame.
        """
        whole, cut = divmod(n_bytes, self.bytes_per_frame)
        if cut or n_bytes < 0:
            raise UsageError(
                f"{n_bytes} bytes are no whole number of {self.bytes_per_frame}-byte frames "
                f"({self})"
            )
        return whole

    def seconds(self, n_bytes: int) -> float:
        """Give the duration of `n_bytes`, in seconds.

        Raises:
            UsageError: `n_bytes` is negative or cuts a frame.
        """
        return self.samples(n_bytes) / self.sample_rate

    def n_bytes(self, seconds: float) -> int:
        """Give the size of `seconds` of sound in bytes, rounded to whole frames.

        Raises:
            UsageError: `seconds` is negative.
        """
        if seconds < 0:
            raise UsageError(f"sound cannot last {seconds!r} seconds")
        return round(seconds * self.sample_rate) * self.bytes_per_frame

    def __str__(self) -> str:
        names = {1: "mono", 2: "stereo"}
        channels = names.get(self.channels, f"{self.channels}-channel")
        return f"{self.sample_rate / 1000:g} kHz {channels} {self.sample_type}"


WIDEBAND = AudioFormat(16000)
"""16 kHz mono: what the models listen to and our WebSocket carries."""

TELEPHONE = AudioFormat(8000)
"""8 kHz mono: what a telephone line carries, once decoded (ITU-T G.711)."""


def require_frames(pcm: bytes, channels: int = 1) -> None:
    """Refuse s16le bytes that end within a sample or within a frame.

    Raises:
        UsageError: With the number of bytes and what would be right.
    """
    if len(pcm) % (_BYTES_PER_SAMPLE * channels):
        unit = "sample" if channels == 1 else f"frame of {channels} channels"
        raise UsageError(
            f"{len(pcm)} bytes of s16le sound end within a {unit}: give a multiple of "
            f"{_BYTES_PER_SAMPLE * channels} bytes (antiphon.audio.Framer collects whole frames)"
        )


def to_float(pcm: bytes) -> NDArray[np.float32]:
    """Turn s16le bytes into numbers.

    Args:
        pcm: s16le bytes, any rate; several channels stay interleaved.

    Returns:
        float32 in [-1, 1), shape (samples,), a new array: the integer divided by 32768, exactly.

    Raises:
        UsageError: `pcm` ends within a sample.
    """
    import numpy as np

    require_frames(pcm)
    scaled: NDArray[np.float32] = np.multiply(
        np.frombuffer(pcm, "<i2"), np.float32(1 / _FULL_SCALE), dtype=np.float32
    )
    return scaled


def to_pcm(samples: NDArray[np.floating[Any]]) -> bytes:
    """Turn numbers into s16le bytes; the inverse of `to_float`, exactly.

    Args:
        samples: Floats in [-1, 1], shape (samples,) or (samples, channels). Louder ones are
            clipped, NaN becomes silence.

    Returns:
        s16le bytes, rounded to the nearest step, channels interleaved.

    Raises:
        UsageError: `samples` are integers: they would all be clipped to noise.
    """
    import numpy as np

    if samples.dtype.kind != "f":
        raise UsageError(f"to_pcm takes floats in [-1, 1], not {samples.dtype}")
    # Clipped before it is scaled, since scaling could overflow.
    scaled = np.minimum(samples, np.float32(32767 / _FULL_SCALE))
    np.maximum(scaled, np.float32(-1.0), out=scaled)
    scaled *= np.float32(_FULL_SCALE)
    np.rint(scaled, out=scaled)
    np.copyto(scaled, 0, where=np.isnan(scaled))
    pcm: bytes = scaled.astype("<i2").tobytes()
    return pcm


def mix_down(pcm: bytes, channels: int) -> bytes:
    """Average the channels of interleaved sound into one.

    Args:
        pcm: s16le bytes, `channels` interleaved.
        channels: How many there are, 1 or more.

    Returns:
        Mono s16le bytes, rounded to the nearest step (halves to even).

    Raises:
        UsageError: `pcm` ends within a frame, or `channels` is not positive.
    """
    import numpy as np

    _require_channels(channels)
    require_frames(pcm, channels)
    if channels == 1:
        return pcm
    frames = np.frombuffer(pcm, "<i2").reshape(-1, channels)
    mono: bytes = np.rint(frames.mean(axis=1, dtype=np.float64)).astype("<i2").tobytes()
    return mono


def pick_channel(pcm: bytes, channels: int, index: int) -> bytes:
    """Take one channel of interleaved sound, such as the caller's side of a stereo recording.

    Args:
        pcm: s16le bytes, `channels` interleaved.
        channels: How many there are, 1 or more.
        index: Which one, from 0.

    Returns:
        Mono s16le bytes.

    Raises:
        UsageError: `pcm` ends within a frame, or there is no such channel.
    """
    import numpy as np

    _require_channels(channels)
    require_frames(pcm, channels)
    if not 0 <= index < channels:
        raise UsageError(f"there is no channel {index}: the sound has 0 to {channels - 1}")
    return np.frombuffer(pcm, "<i2")[index::channels].tobytes()


def _require_channels(channels: int) -> None:
    if channels < 1:
        raise UsageError(f"sound has 1 channel or more, not {channels}")
