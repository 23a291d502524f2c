"""Cutting a stream of bytes into the sizes that wires and models want.

Holds two cutters that keep what does not fill a piece yet. Must not hold what a piece means, nor
when one should leave: pacing belongs to transports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.audio.formats import require_frames, to_float
from antiphon.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Framer", "Windows"]


class Framer:
    """Cuts bytes that come in any length into frames of one size; the rest is kept.

    Args:
        frame_bytes: Bytes of a frame, such as 640 for 20 ms of 16 kHz mono s16le.
        silence: The byte that means silence, for padding: 0 for s16le, 0xFF for mu-law, 0xD5 for
            A-law.

    Raises:
        UsageError: On construction, for a size below 1, or for `silence` that is no byte.
    """

    __slots__ = ("_frame_bytes", "_rest", "_silence")

    def __init__(self, frame_bytes: int, *, silence: int = 0) -> None:
        if frame_bytes < 1:
            raise UsageError(f"a frame has 1 byte or more, not {frame_bytes}")
        if not 0 <= silence <= 255:
            raise UsageError(f"silence is one byte, 0 to 255, not {silence}")
        self._frame_bytes = frame_bytes
        self._silence = bytes((silence,))
        self._rest = b""

    @property
    def frame_bytes(self) -> int:
        """Bytes of each frame."""
        return self._frame_bytes

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes of any length and give the frames that are now whole, in order."""
        size = self._frame_bytes
        if self._rest:
            data = self._rest + data
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        return [data[at : at + size] for at in range(0, whole, size)]

    def flush(self, pad: bool = True) -> bytes:
        """Give what is kept, and forget it.

        Args:
            pad: Fill it up with silence to a whole frame.

        Returns:
            The last frame; no bytes if nothing was kept.
        """
        rest, self._rest = self._rest, b""
        return rest.ljust(self._frame_bytes, self._silence) if pad and rest else rest


class Windows:
    """Cuts mono s16le sound into float windows of one size, for models; the rest is kept.

    The first sample of window `i`, counted from 0 since construction, is sample ``i * size`` of
    the stream. So events have places, in samples, whatever the chunks were.

    Args:
        size: Samples of a window, such as 512 at 16 kHz for the voice detector.

    Raises:
        UsageError: On construction, for a size below 1.
    """

    __slots__ = ("_given", "_rest", "_size")

    def __init__(self, size: int) -> None:
        if size < 1:
            raise UsageError(f"a window has 1 sample or more, not {size}")
        self._size = size
        self._rest = b""
        self._given = 0

    @property
    def size(self) -> int:
        """Samples of each window."""
        return self._size

    @property
    def samples_seen(self) -> int:
        """Samples that came in, also those that wait for the rest of their window."""
        return self._given + len(self._rest) // 2

    @property
    def position(self) -> int:
        """Samples given out in windows: the end of the last one, the beginning of the next."""
        return self._given

    def feed(self, pcm: bytes) -> list[NDArray[np.float32]]:
        """Take a chunk and give the windows that are now full, in order.

        Args:
            pcm: Mono s16le bytes of any length.

        Returns:
            Windows of float32 in [-1, 1), each of shape (size,). The last of them ends at
            `position`, the one before it `size` samples earlier.

        Raises:
            UsageError: `pcm` ends within a sample; the stream is unchanged.
        """
        require_frames(pcm)
        data = self._rest + pcm if self._rest else pcm
        whole = len(data) // (2 * self._size)
        if not whole:
            self._rest = data
            return []
        cut = 2 * self._size * whole
        self._rest = data[cut:]
        self._given += self._size * whole
        return list(to_float(data[:cut]).reshape(whole, self._size))

    def reset(self) -> None:
        """Drop what is kept; positions go on, as if it had been given out.

        For a stream that was interrupted: what follows starts a new window at `samples_seen`.
        """
        self._given += len(self._rest) // 2
        self._rest = b""
