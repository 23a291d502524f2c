"""Opus by libopus: decoding with concealment and forward error correction, and encoding.

libopus is called directly, in the copy that PyAV brings (aiortc needs PyAV) or the system's:
PyAV's own decoder offers neither concealment nor error correction. Must not know RTP.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import weakref
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from antiphon.errors import OptionError, UsageError
from antiphon.options import within

__all__ = ["OpusDecoder", "OpusEncoder", "library"]

RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Hz. Source: RFC 6716, section 2."""

MOST_CONCEALED = 5
"""Packets of a gap that are made up, 100 ms: libopus has faded to silence by then."""

_LONGEST_PACKET = 0.12
"""Seconds. Source: RFC 6716, section 3.2.5."""
_LARGEST_PACKET = 1275
"""Bytes of one frame. Source: RFC 6716, section 3.2.1."""

# Source: opus_defines.h of libopus; these numbers are its stable interface.
_APPLICATION_VOIP = 2048
_SET_BITRATE, _SET_INBAND_FEC, _SET_PACKET_LOSS = 4002, 4012, 4014
_SET_DTX, _SET_SIGNAL = 4016, 4024
_SIGNAL_VOICE = 3001


@cache
def library() -> ctypes.CDLL:
    """Load libopus.

    Raises:
        UsageError: There is none.
    """
    for path in _candidates():
        try:
            return _declared(ctypes.CDLL(path))
        except OSError:
            continue
    raise UsageError("no libopus was found, which PyAV brings: pip install 'antiphon[webrtc]'")


def _candidates() -> list[str]:
    found: list[str] = []
    spec = find_spec("av")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        # Where the tools that repair wheels put libraries: on Linux and Windows, and on macOS.
        for folder in (package.parent / "av.libs", package / ".dylibs"):
            found += sorted(str(path) for path in folder.glob("*opus*"))
    system = ctypes.util.find_library("opus")
    return [*found, system] if system else found


def _declared(opus: ctypes.CDLL) -> ctypes.CDLL:
    pointer, integer, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    error = ctypes.POINTER(integer)
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "opus_decoder_create": (pointer, [integer, integer, error]),
        "opus_decoder_destroy": (None, [pointer]),
        "opus_decode": (integer, [pointer, text, ctypes.c_int32, pointer, integer, integer]),
        "opus_encoder_create": (pointer, [integer, integer, integer, error]),
        "opus_encoder_destroy": (None, [pointer]),
        "opus_encode": (integer, [pointer, text, integer, pointer, ctypes.c_int32]),
        # Variadic: on some machines only the fixed arguments may be declared.
        "opus_encoder_ctl": (integer, [pointer, integer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(opus, name, None)
        if function is None:
            raise OSError(f"no {name}")
        function.restype, function.argtypes = result, arguments
    return opus


def _check_rate(owner: str, sample_rate: int) -> None:
    if sample_rate not in RATES:
        problem = "sample_rate must be 8000, 12000, 16000, 24000 or 48000 Hz"
        raise OptionError(f"{owner}: {problem}, not {sample_rate!r}")


class OpusDecoder:
    """Decodes one stream to mono, stereo mixed down.

    Args:
        sample_rate: Of the samples that come out, in Hz; any of `RATES`, whatever was sent.

    Raises:
        OptionError: For another rate.
        UsageError: There is no libopus.
    """

    def __init__(self, sample_rate: int) -> None:
        _check_rate("OpusDecoder", sample_rate)
        self._opus = library()
        error = ctypes.c_int()
        self._state = self._opus.opus_decoder_create(sample_rate, 1, ctypes.byref(error))
        if not self._state:
            raise MemoryError("libopus could not make a decoder")
        weakref.finalize(self, self._opus.opus_decoder_destroy, self._state)
        self._room = round(_LONGEST_PACKET * sample_rate)
        self._samples = ctypes.create_string_buffer(self._room * 2)
        self._last = sample_rate // 50
        """Samples in the last packet: a lost one had as many, most likely."""

    def decode(self, packet: bytes, lost: int = 0) -> bytes:
        """Decode a packet and what was lost before it.

        The packet just before this one is restored from the copy that this one may carry; others,
        and those of which there is no copy, are made up from what was heard before.

        Args:
            packet: An Opus packet. One that cannot be decoded counts as lost too.
            lost: Packets that should have come between the last one and this one.

        Returns:
            PCM, signed 16-bit, mono.
        """
        made_up = [self._conceal() for _ in range(min(lost, MOST_CONCEALED) - 1)]
        if lost:
            made_up.append(self._run(packet, self._last, from_next=True) or self._conceal())
        pcm = self._run(packet, self._room)
        if pcm:
            self._last = len(pcm) // 2
        return b"".join((*made_up, pcm or self._conceal()))

    def _conceal(self) -> bytes:
        return self._run(None, self._last)

    def _run(self, packet: bytes | None, samples: int, *, from_next: bool = False) -> bytes:
        n_bytes = len(packet or b"")
        if packet is not None and not n_bytes:
            return b""
        decoded = self._opus.opus_decode(
            self._state, packet, n_bytes, self._samples, samples, int(from_next)
        )
        return self._samples.raw[: 2 * max(decoded, 0)]


class OpusEncoder:
    """Encodes speech, mono: with error correction inside the packets, and without pauses (DTX).

    Args:
        sample_rate: Of the samples, in Hz, one of `RATES`.
        bit_rate: Bits per second, 6000 to 128000. 28000 leaves room for error correction.
        expected_loss: Percent of packets, 0 to 50, that error correction prepares for.

    Raises:
        OptionError: For a value out of range.
        UsageError: There is no libopus.
    """

    def __init__(
        self, sample_rate: int, *, bit_rate: int = 28_000, expected_loss: int = 10
    ) -> None:
        _check_rate("OpusEncoder", sample_rate)
        within("OpusEncoder", "bit_rate", bit_rate, 6_000, 128_000, "bits per second")
        within("OpusEncoder", "expected_loss", expected_loss, 0, 50, "percent")
        self._opus = library()
        error = ctypes.c_int()
        self._state = self._opus.opus_encoder_create(
            sample_rate, 1, _APPLICATION_VOIP, ctypes.byref(error)
        )
        if not self._state:
            raise MemoryError("libopus could not make an encoder")
        weakref.finalize(self, self._opus.opus_encoder_destroy, self._state)
        for request, value in (
            (_SET_BITRATE, bit_rate),
            (_SET_INBAND_FEC, 1),
            (_SET_PACKET_LOSS, expected_loss),
            (_SET_DTX, 0),
            (_SET_SIGNAL, _SIGNAL_VOICE),
        ):
            if self._opus.opus_encoder_ctl(self._state, request, ctypes.c_int(value)):
                raise UsageError(f"libopus refuses request {request}; it is too old")
        self._n_samples = sample_rate // 50
        self._packet = ctypes.create_string_buffer(_LARGEST_PACKET)

    def encode(self, pcm: bytes) -> bytes:
        """Encode 20 ms, PCM signed 16-bit mono; less is filled up with silence.

        Raises:
            UsageError: It is more.
        """
        missing = 2 * self._n_samples - len(pcm)
        if missing < 0:
            raise UsageError(f"a packet holds {self._n_samples} samples, not {len(pcm) // 2}")
        size = self._opus.opus_encode(
            self._state, pcm + bytes(missing), self._n_samples, self._packet, _LARGEST_PACKET
        )
        assert size > 0, size
        return self._packet.raw[:size]
