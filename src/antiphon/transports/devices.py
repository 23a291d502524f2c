"""Sound devices as the local transport sees them, and what is decided about their sound.

Holds the two contracts, the sound that waits for a device, and the guard against the agent's own
echo. Must not hold a sound library (see `portaudio`) nor a session (see `local`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from antiphon.audio.formats import AudioFormat
from antiphon.errors import TransportError
from antiphon.options import Declared, within

__all__ = ["EchoGuard", "Microphone", "PlaybackQueue", "Speaker", "device_lost"]

ROOM_TAIL = 0.25
"""Seconds after the agent's last sound in which a room and a device's own delay still answer."""

MOST_QUEUED = 2.0
"""Seconds of the agent's sound that wait for the device. The pipeline sends 0.2 s ahead, and a
device may take as long again to begin; one that leaves this much does not play any more."""


class Microphone(Protocol):
    """A device that hears. Its calls come from the loop's thread; it may call back from any."""

    format: AudioFormat
    """Of the sound that it gives; mono."""

    def start(self, heard: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        """Begin to hear.

        Args:
            heard: Called with each packet of sound, about 20 ms.
            lost: Called once if the device ends by itself, with what is known of the reason.

        Raises:
            TransportError: It does not start; the text says what to do.
        """

    def stop(self) -> None:
        """Let go of the device; more than once does no harm."""


class Speaker(Protocol):
    """A device that is heard. Its calls come from the loop's thread; it may call back from any."""

    format: AudioFormat
    """Of the sound that it takes; mono."""

    latency: float
    """Seconds from when it takes sound until that is heard."""

    def start(self, pull: Callable[[int], bytes], lost: Callable[[str], None]) -> None:
        """Begin to play.

        Args:
            pull: Called with a number of bytes; gives exactly so many, at once.
            lost: As for a microphone.

        Raises:
            TransportError: It does not start; the text says what to do.
        """

    def stop(self) -> None:
        """Let go of the device; more than once does no harm."""


class EchoGuard(Declared):
    """Decides when the microphone would hear the agent from the loudspeaker.

    Told of sound that is given to the device at `now`, in seconds, it knows until when that is
    heard. Pure: it reads no clock.

    Args:
        latency: Seconds from the device's taking sound until that is heard.
        tail: Seconds after the last sound in which the microphone is still not trusted.
    """

    __slots__ = ("_heard_until", "_latency", "_tail")

    def __init__(self, *, latency: float = 0.0, tail: float = ROOM_TAIL) -> None:
        within("EchoGuard", "latency", latency, 0, 10, "seconds")
        within("EchoGuard", "tail", tail, 0, 10, "seconds")
        self._latency = latency
        self._tail = tail
        self._heard_until: float | None = None

    def play(self, seconds: float, now: float) -> None:
        """Sound of that duration is given to the device, behind what waits there."""
        begins = now + self._latency
        if self._heard_until is not None:
            begins = max(begins, self._heard_until)
        self._heard_until = begins + seconds

    def clear(self, now: float) -> None:
        """What waits at the device is dropped; what it has taken is still heard."""
        if self._heard_until is not None:
            self._heard_until = min(self._heard_until, now + self._latency)

    def hears_agent(self, seconds: float, now: float) -> bool:
        """Whether a packet of the microphone that ends at `now` may hold the agent's sound."""
        return self._heard_until is not None and now - seconds < self._heard_until + self._tail


class PlaybackQueue:
    """Sound on its way to a device that pulls it from a thread of its own.

    Full means that the device does not play any more: it is refused, not dropped.

    Args:
        audio_format: Of the sound.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self._most = audio_format.n_bytes(MOST_QUEUED)
        self._pcm = bytearray()
        self._lock = threading.Lock()

    def put(self, pcm: bytes) -> None:
        """Add sound.

        Raises:
            TransportError: `MOST_QUEUED` seconds wait already.
        """
        with self._lock:
            if len(self._pcm) + len(pcm) > self._most:
                raise device_lost(f"the loudspeaker has played nothing for {MOST_QUEUED:g} s")
            self._pcm += pcm

    def pull(self, n_bytes: int) -> bytes:
        """Take exactly so many bytes; where there are fewer, silence follows."""
        with self._lock:
            pcm = bytes(self._pcm[:n_bytes])
            del self._pcm[:n_bytes]
        return pcm.ljust(n_bytes, b"\0")

    def clear(self) -> None:
        """Drop what waits."""
        with self._lock:
            self._pcm.clear()


def device_lost(what: str) -> TransportError:
    """The error that says that a device has gone, and what may be the matter."""
    problem = f"{what}: is it unplugged, or in use by another program?"
    return TransportError("device-lost", problem)
