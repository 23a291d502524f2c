"""`Engine`: what we want of a WebRTC library, and no more, so that another can take its place.

Sound crosses it as Opus packets, never as samples: decoding and order are ours. Must not hold a
library's types.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Engine", "EngineListener"]


class EngineListener(Protocol):
    """What an engine tells; on the event loop, and none of these calls raises or waits."""

    def take_packet(self, sequence: int, opus: bytes) -> None:
        """An RTP packet came, whatever came before it.

        Args:
            sequence: Its sequence number, 0 to 65535.
            opus: Its payload.
        """

    def take_message(self, message: str | bytes) -> None:
        """A message came over the data channel."""

    def connected(self) -> None:
        """The line stands and the data channel is open: packets and texts can be sent."""

    def disconnected(self) -> None:
        """The far side has left or cannot be reached; nothing follows."""


class Engine(Protocol):
    """One peer connection. Used once."""

    async def answer(self, offer_sdp: str, listener: EngineListener) -> str:
        """Answer an offer of one audio section and a data channel; connecting goes on after it.

        Returns:
            The answer's SDP, with all candidates.

        Raises:
            TransportError: The offer cannot be read or has not what is needed; its reason is
                ``"bad-offer"``. The engine is closed then.
        """

    def send_packet(self, opus: bytes) -> None:
        """Send 20 ms of sound now. Dropped while there is no connection."""

    def send_text(self, text: str) -> None:
        """Send a message over the data channel.

        Raises:
            TransportError: ``"gone"``: the channel is not open; ``"slow-reader"``: the far side
                has let too much pile up.
        """

    async def close(self) -> None:
        """Let what was sent leave, within a bound, and end the connection. May be repeated."""
