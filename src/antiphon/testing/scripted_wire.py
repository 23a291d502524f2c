"""`ScriptedWire`: the far side of a call in memory, with an ear that plays what arrives.

Holds what was sent, when, and what a person would have heard of it. Must not hold who speaks into
the other end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from antiphon.audio.formats import WIDEBAND, AudioFormat
from antiphon.errors import TransportError
from antiphon.options import Declared, within

__all__ = ["ScriptedWire"]


class ScriptedWire(Declared):
    """Takes sound and events, and plays the sound as a client does.

    Each packet is played right after the one before it, but not before it came; at a ``clear``,
    what was not played yet is dropped.

    Args:
        audio_format: Of the sound that it is sent; mono.
        send_delay: Seconds that each message takes; meanwhile the sender waits.
        lost_after: Seconds after which the line is lost; None: never.

    Attributes:
        began: Loop time, in seconds, at which the call began: what `lost_after` counts from.
        messages: Loop time and content of everything that was sent, in order: packets of sound
            as bytes, events as mappings.
    """

    def __init__(
        self,
        audio_format: AudioFormat = WIDEBAND,
        *,
        send_delay: float = 0.0,
        lost_after: float | None = None,
    ) -> None:
        within("ScriptedWire", "send_delay", send_delay, 0.0, 60.0, "seconds")
        if lost_after is not None:
            within("ScriptedWire", "lost_after", lost_after, 0.0, 1e6, "seconds")
        self.audio_format = audio_format
        self.began = 0.0
        self.messages: list[tuple[float, bytes | Mapping[str, Any]]] = []
        self._send_delay = send_delay
        self._lost_after = lost_after
        self._sounds: list[tuple[float, bytes]] = []
        """What the ear plays: loop time of its start, and sound."""
        self._ear = 0.0
        """Loop time at which the ear has played everything."""
        self._bytes = 0
        """Of all sounds."""

    # ---- what the agent's side calls ------------------------------------------------------

    async def send_audio(self, pcm: bytes) -> None:
        """Take one packet.

        Raises:
            TransportError: The line is lost.
        """
        now = await self._carry()
        self.messages.append((now, pcm))
        start = max(now, self._ear)
        self._sounds.append((start, pcm))
        self._bytes += len(pcm)
        self._ear = round(start + self.audio_format.seconds(len(pcm)), 9)

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Take one event.

        Raises:
            TransportError: The line is lost.
        """
        now = await self._carry()
        self.messages.append((now, event))
        if event["type"] == "clear":
            self._clear(now)

    async def _carry(self) -> float:
        if self._send_delay:
            await asyncio.sleep(self._send_delay)
        now = asyncio.get_running_loop().time()
        if self._lost_after is not None and now - self.began >= self._lost_after:
            raise TransportError("gone", "the line is lost", close_code=1006)
        return now

    def _clear(self, now: float) -> None:
        kept = []
        for start, pcm in self._sounds:
            played = self.audio_format.n_bytes(max(now - start, 0.0))
            if played:
                kept.append((start, pcm[:played]))
        self._sounds = kept
        self._bytes = sum(len(pcm) for _, pcm in kept)
        self._ear = min(self._ear, now)

    # ---- what came ------------------------------------------------------------------------

    @property
    def packets(self) -> list[tuple[float, bytes]]:
        """Loop time and sound of each packet, in order."""
        return [(at, sent) for at, sent in self.messages if isinstance(sent, bytes)]

    @property
    def events(self) -> list[tuple[float, Mapping[str, Any]]]:
        """Loop time and content of each event, in order."""
        return [(at, sent) for at, sent in self.messages if not isinstance(sent, bytes)]

    # ---- what the person hears ------------------------------------------------------------

    def heard_audio(self, until: float | None = None) -> bytes:
        """The sound that was heard, without the silences between.

        Args:
            until: Loop time in seconds; None: to the end of all that was sent.
        """
        return b"".join(pcm for _, pcm in self.heard(until))

    def heard(self, until: float | None = None) -> list[tuple[float, bytes]]:
        """The sounds that were heard, each with the loop time of its start.

        Args:
            until: Loop time in seconds; None: to the end of all that was sent.
        """
        if until is None:
            return list(self._sounds)
        size = self.audio_format.n_bytes
        return [(at, pcm[: size(until - at)]) for at, pcm in self._sounds if at < until]

    def spans(self, until: float | None = None) -> tuple[tuple[float, float], ...]:
        """When the agent was heard: stretches without a gap, as loop times of start and end.

        Args:
            until: Loop time in seconds; None: to the end of all that was sent.
        """
        spans: list[tuple[float, float]] = []
        for start, pcm in self.heard(until):
            end = round(start + self.audio_format.seconds(len(pcm)), 9)
            if spans and start - spans[-1][1] < 1e-6:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((start, end))
        return tuple(spans)

    def seconds_heard(self, now: float) -> float:
        """Seconds of sound that were heard until `now`, the loop's time."""
        return self.audio_format.seconds(self._bytes) - max(self._ear - now, 0.0)

    def silent_since(self, now: float) -> float:
        """Seconds since the last sound that was heard; negative while it plays."""
        return now - self._ear
