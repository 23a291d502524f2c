"""`AiortcEngine`: aiortc behind our interface, with its receive path cut short.

aiortc's jitter buffer holds sound back by 80 ms, and by 300 ms and more for the rest of a call once
a packet is lost; here packets are handed over as they come and nothing is decoded by aiortc. Two
names that are not its public interface are replaced, each in one object of one call; where a
version of aiortc lacks them, making the answer fails. Must not decode sound or know events.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from importlib.metadata import version
from typing import Any
from uuid import uuid4

from antiphon.errors import TransportError, UsageError
from antiphon.options import Declared
from antiphon.transports.webrtc.engine import EngineListener

__all__ = ["AiortcEngine", "ask_for_correction", "hand_over", "use_addresses"]

CLOCK = 48_000
"""Hz of Opus' RTP timestamps, whatever the sound's rate. Source: RFC 7587, section 4.1."""
_PACKET = CLOCK // 50
_PAUSE = 3 * _PACKET
"""A sender that is later than this has paused: timestamps jump, and the far side shows patience."""

MOST_BUFFERED = 262_144
"""Bytes of texts that wait for the far side, about a thousand events."""

CLOSE_TIMEOUT = 1.0
"""Seconds for the last texts to leave."""

JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
CANDIDATES = "get_component_candidates"


class AiortcEngine(Declared):
    """A peer connection of aiortc.

    Args:
        addresses: Addresses of this machine to offer and listen at; None: all but loopback.
        ice_servers: STUN and TURN servers, as in a browser: ``{"urls": .., "username": ..,
            "credential": ..}``. None is needed where the server's address is public.

    Raises:
        UsageError: aiortc is not installed.
    """

    def __init__(
        self,
        *,
        addresses: Sequence[str] | None = None,
        ice_servers: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        try:
            import aiortc
        except ImportError as error:
            problem = f"WebRTC needs a library ({error}): pip install 'antiphon[webrtc]'"
            raise UsageError(problem) from error
        servers = [aiortc.RTCIceServer(**server) for server in ice_servers]
        self._addresses = addresses
        self._peer: Any = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=servers))
        self._outgoing = _Outgoing()
        self._channel: Any = None
        self._listener: EngineListener | None = None
        self._was_connected = False

    async def answer(self, offer_sdp: str, listener: EngineListener) -> str:
        """See `Engine.answer`."""
        from aiortc import RTCRtpReceiver, RTCSessionDescription

        self._listener = listener
        peer = self._peer
        peer.on("datachannel", self._take_channel)
        peer.on("connectionstatechange", self._state_changed)
        audio = peer.addTransceiver("audio", direction="sendrecv")
        capabilities: Any = RTCRtpReceiver.getCapabilities("audio")
        audio.setCodecPreferences([c for c in capabilities.codecs if c.name.lower() == "opus"])
        audio.sender.replaceTrack(self._outgoing)
        hand_over(audio.receiver, listener.take_packet)
        try:
            await peer.setRemoteDescription(RTCSessionDescription(sdp=offer_sdp, type="offer"))
            _check(peer)
        # aiortc's parser raises whatever its code stumbles over: the offer is the far side's.
        except Exception as error:
            await self.close()
            problem = "an offer must have one audio section with Opus and a data channel"
            raise TransportError("bad-offer", problem) from error
        if self._addresses is not None:
            use_addresses(peer, self._addresses)
        await peer.setLocalDescription(await peer.createAnswer())
        return ask_for_correction(peer.localDescription.sdp)

    def send_packet(self, opus: bytes) -> None:
        """See `Engine.send_packet`."""
        if self._peer.connectionState == "connected":
            self._outgoing.put(opus)

    def send_text(self, text: str) -> None:
        """See `Engine.send_text`."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            raise TransportError("gone", "the data channel is not open")
        if channel.bufferedAmount > MOST_BUFFERED:
            raise TransportError("slow-reader", f"{MOST_BUFFERED} bytes of events were not read")
        channel.send(text)

    async def close(self) -> None:
        """See `Engine.close`."""
        self._listener = None
        channel, self._channel = self._channel, None
        if channel is not None and channel.readyState == "open" and channel.bufferedAmount:
            left = asyncio.Event()
            channel.on("bufferedamountlow", left.set)
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await left.wait()
            except TimeoutError:
                pass  # nobody reads
        await self._peer.close()

    # ---- what aiortc tells ------------------------------------------------------------------

    def _take_channel(self, channel: Any) -> None:
        if self._channel is None and self._listener is not None:
            self._channel = channel
            channel.on("message", self._take_message)
            channel.on("close", self._leave)
            self._state_changed()

    def _take_message(self, message: str | bytes) -> None:
        if self._listener is not None:
            self._listener.take_message(message)

    def _state_changed(self) -> None:
        state = self._peer.connectionState
        if state in ("closed", "failed"):
            self._leave()
        elif state == "connected" and self._channel is not None and not self._was_connected:
            self._was_connected = True
            if self._listener is not None:
                self._listener.connected()

    def _leave(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.disconnected()


class _Outgoing:
    """A track, as aiortc's sender sees it: packets that are encoded already."""

    kind = "audio"

    def __init__(self) -> None:
        self.id = str(uuid4())
        self._packets: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._begin: float | None = None
        self._at = 0

    def put(self, opus: bytes) -> None:
        self._packets.append(opus)
        self._wake.set()

    async def recv(self) -> Any:
        from av import Packet

        while not self._packets:
            self._wake.clear()
            await self._wake.wait()
        now = asyncio.get_running_loop().time()
        if self._begin is None:
            self._begin = now
        clock = round((now - self._begin) * CLOCK)
        if clock - self._at > _PAUSE:
            self._at = clock
        packet = Packet(self._packets.popleft())
        packet.pts = self._at
        packet.time_base = Fraction(1, CLOCK)
        self._at += _PACKET
        return packet

    def stop(self) -> None:
        self._packets.clear()


class _Direct:
    """In the place of a jitter buffer: nothing stays here, and aiortc's decoder gets nothing."""

    def __init__(self, take: Callable[[int, bytes], None]) -> None:
        self._take = take

    def add(self, packet: Any) -> tuple[bool, None]:
        self._take(packet.sequence_number, packet.payload)
        return False, None


def hand_over(receiver: Any, take: Callable[[int, bytes], None]) -> None:
    """Let a receiver of aiortc hand each packet to `take` at once, instead of decoding it.

    Raises:
        UsageError: This version of aiortc is made differently.
    """
    _replace(receiver, JITTER_BUFFER, _Direct(take))


def use_addresses(peer: Any, addresses: Sequence[str]) -> None:
    """Let a peer connection of aiortc listen at these addresses only; before it gathers.

    Raises:
        UsageError: This version of aiortc is made differently.
    """
    ours = list(addresses)
    sections = [*(each.receiver for each in peer.getTransceivers()), peer.sctp]
    for section in filter(None, sections):
        connection = section.transport.transport.iceGatherer._connection
        gather = getattr(connection, CANDIDATES, None)

        async def at_ours(
            component: int, addresses: list[str], timeout: int = 5, gather: Any = gather
        ) -> Any:
            return await gather(component, ours, timeout)

        _replace(connection, CANDIDATES, at_ours)


def _replace(owner: object, name: str, value: object) -> None:
    if not hasattr(owner, name):
        problem = f"aiortc {version('aiortc')} has no {type(owner).__name__}.{name}"
        raise UsageError(f"{problem}; antiphon is made for aiortc 1.16")
    setattr(owner, name, value)


def _check(peer: Any) -> None:
    [audio] = peer.getTransceivers()
    if peer.sctp is None or audio.mid is None:
        raise ValueError("a section is missing")


_OPUS = re.compile(r"^a=rtpmap:(\d+) opus/48000/2\r\n", re.MULTILINE | re.IGNORECASE)


def ask_for_correction(sdp: str) -> str:
    """Ask the far side, in our answer, for mono with error correction (RFC 7587, section 6.1)."""
    found = _OPUS.search(sdp)
    if found is None:
        return sdp
    number = found.group(1)
    sdp = re.sub(rf"^a=fmtp:{number} .*\r\n", "", sdp, flags=re.MULTILINE)
    wanted = f"a=fmtp:{number} minptime=10;useinbandfec=1;stereo=0;usedtx=0\r\n"
    return sdp.replace(found.group(0), found.group(0) + wanted, 1)
