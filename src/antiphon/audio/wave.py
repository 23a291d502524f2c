"""WAV files as bytes in memory: reading what recorders write, writing what everything reads.

Holds the parser, which is tolerant where real files are sloppy and exact everywhere else. Must
not hold file access: callers open files.

Source: "Multimedia Programming Interface and Data Specifications 1.0" (IBM, Microsoft, 1991) for
RIFF and `fmt `; "Multiple channel audio data and WAVE files" (Microsoft, 2001) for the extensible
format.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from antiphon.audio.formats import AudioFormat, require_frames, to_pcm
from antiphon.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["read_wav", "write_wav"]

_PCM = 0x0001
_FLOAT = 0x0003
_EXTENSIBLE = 0xFFFE
_READABLE = {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32)}
# What follows the format's number in the extensible format's 16-byte identifier.
_IDENTIFIER_TAIL = bytes.fromhex("000000001000800000aa00389b71")

_HEADER_BYTES = 44
_LARGEST = 0xFFFFFFFF - _HEADER_BYTES


class _Layout(NamedTuple):
    """What the `fmt ` chunk says: kind and width of the samples, and the format they make."""

    tag: int
    bits: int
    format: AudioFormat


def read_wav(data: bytes) -> tuple[AudioFormat, bytes]:
    """Read a WAV file.

    Reads integers of 8, 16, 24 and 32 bits and floats of 32 bits, also in the extensible format,
    with up to 32 channels. Unknown chunks are skipped. Where the size of the sound is missing
    (0 or 0xFFFFFFFF, as streaming recorders leave it) or larger than the file, the sound goes to
    the file's end; a frame that the file's end cuts is dropped.

    Args:
        data: The whole file.

    Returns:
        The format (the file's own rate and channels, s16le) and the sound as interleaved s16le
        bytes, wider samples rounded to the nearest step, floats above full scale clipped.

    Raises:
        UsageError: It is no WAV file, it is damaged, or its coding, rate (outside 8000 to
            48000 Hz) or number of channels is none that we read; the text says which.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise UsageError(f"this is no WAV file: it starts with {data[:4]!r}, not with b'RIFF'")
    (riff_size,) = struct.unpack_from("<I", data, 4)
    layout: _Layout | None = None
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"data":
            if layout is None:
                raise UsageError("the WAV file is damaged: its sound comes before its format")
            # A true 0 stands in a file whose outer size is right as well.
            if size == 0 and riff_size + 8 != len(data):
                size = len(data) - at
            return layout.format, _samples(data[at : at + size], layout)
        if name == b"fmt ":
            layout = _read_layout(data[at : at + size])
        at += size + size % 2  # chunks start at even places
    raise UsageError("the WAV file has no sound: there is no 'data' chunk")


def write_wav(format: AudioFormat, pcm: bytes) -> bytes:
    """Write a WAV file of 16-bit integers.

    Args:
        format: Of the sound.
        pcm: Interleaved s16le bytes.

    Returns:
        The whole file: 44 bytes of header, then `pcm`.

    Raises:
        UsageError: `pcm` ends within a frame, or is over the 4 GiB that a WAV file can hold.
    """
    require_frames(pcm, format.channels)
    return wav_header(format, len(pcm)) + pcm


def wav_header(format: AudioFormat, n_bytes: int) -> bytes:
    """Make the 44 bytes that come before `n_bytes` of s16le sound in a WAV file.

    Raises:
        UsageError: `n_bytes` is over the 4 GiB that a WAV file can hold.
    """
    if not 0 <= n_bytes <= _LARGEST:
        raise UsageError(f"a WAV file holds at most {_LARGEST} bytes of sound, not {n_bytes}")
    frame = format.bytes_per_frame
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", n_bytes + _HEADER_BYTES - 8, b"WAVE", b"fmt ", 16),
        *(_PCM, format.channels, format.sample_rate, format.sample_rate * frame, frame, 16),
        *(b"data", n_bytes),
    )


def _read_layout(chunk: bytes) -> _Layout:
    if len(chunk) < 16:
        raise UsageError(f"the WAV file is damaged: its format has {len(chunk)} bytes, not 16")
    tag, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE:
        if len(chunk) < 40 or chunk[26:40] != _IDENTIFIER_TAIL:
            raise UsageError("the WAV file's extensible format names no coding that we know")
        (tag,) = struct.unpack_from("<H", chunk, 24)
    if (tag, bits) not in _READABLE:
        raise UsageError(
            f"the WAV file has coding {tag:#06x} with {bits} bits; readable are integers (0x0001) "
            "of 8, 16, 24 or 32 bits and floats (0x0003) of 32 bits"
        )
    if frame != channels * bits // 8:
        raise UsageError(
            f"the WAV file is damaged: {channels} channels of {bits} bits are no {frame} bytes"
        )
    return _Layout(tag, bits, AudioFormat(rate, channels))


def _samples(sound: bytes, layout: _Layout) -> bytes:
    """Bring whole frames of the file's own coding to s16le."""
    frame = layout.bits // 8 * layout.format.channels
    sound = sound[: len(sound) - len(sound) % frame]
    if layout.bits == 16:
        return sound

    import numpy as np

    if layout.tag == _FLOAT:
        # A damaged file may hold any bit pattern: signalling NaN, infinity.
        with np.errstate(all="ignore"):
            return to_pcm(np.frombuffer(sound, "<f4"))
    if layout.bits == 8:  # the only width that is unsigned
        middle = np.frombuffer(sound, "u1").astype(np.int16) - 128
        return (middle << 8).astype("<i2").tobytes()
    if layout.bits == 24:
        wide = np.zeros((len(sound) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(sound, "u1").reshape(-1, 3)
        sound = wide.tobytes()
    # Half a step is added at 17 bits, where it cannot overflow.
    halves = np.frombuffer(sound, "<i4") >> 15
    rounded: NDArray[np.int32] = np.minimum((halves + 1) >> 1, 32767)
    return rounded.astype("<i2").tobytes()
