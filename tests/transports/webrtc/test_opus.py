from __future__ import annotations

import numpy as np
import pytest

from antiphon.errors import OptionError, UsageError
from antiphon.transports.webrtc.opus import OpusDecoder, OpusEncoder, library

try:
    library()
except UsageError:
    pytest.skip("libopus is not on this machine", allow_module_level=True)

RATE = 16_000


def speech_like(seconds: float) -> np.ndarray:
    """Voiced sound whose pitch and loudness move: what error correction is made for."""
    at = np.arange(round(seconds * RATE)) / RATE
    pitch = 2 * np.pi * (140 * at + 3 * np.sin(2 * np.pi * 2.5 * at))
    wave = sum(np.sin(n * pitch) / n for n in range(1, 12))
    return (4000 * wave * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * at))).astype(np.int16)


def packets(wave: np.ndarray, **options: int) -> list[bytes]:
    encoder = OpusEncoder(RATE, **options)
    return [encoder.encode(wave[n : n + 320].tobytes()) for n in range(0, len(wave), 320)]


def decoded(coded: list[bytes], missing: int = -1, *, keep: bool = True) -> np.ndarray:
    decoder = OpusDecoder(RATE)
    pcm = b""
    for n, packet in enumerate(coded):
        if n == missing:
            continue
        pcm += decoder.decode(packet, 1 if keep and n == missing + 1 and missing >= 0 else 0)
    return np.frombuffer(pcm, np.int16).astype(float)


def test_speech_survives_with_its_loudness_at_the_bit_rate_asked_for():
    wave = speech_like(2.0)
    coded = packets(wave)
    heard = decoded(coded)
    assert len(heard) == len(wave)
    assert 0.9 < np.sqrt(np.mean(heard**2)) / np.sqrt(np.mean(wave.astype(float) ** 2)) < 1.1
    assert 20_000 < 8 * sum(map(len, coded)) / 2.0 < 36_000


def test_silence_is_sent_too():
    coded = packets(np.zeros(RATE, np.int16))
    assert min(map(len, coded)) > 2  # a DTX packet has one or two bytes


def test_a_lost_packet_is_restored_from_the_next_one():
    wave = speech_like(2.0)
    whole = decoded(packets(wave, expected_loss=20))
    restored = decoded(packets(wave, expected_loss=20), missing=50)
    assert len(restored) == len(whole)
    place = slice(50 * 320, 51 * 320)
    likeness = np.corrcoef(whole[place], restored[place])[0, 1]
    assert likeness > 0.9
    # And the sound after it is as if nothing had happened.
    assert np.corrcoef(whole[54 * 320 :], restored[54 * 320 :])[0, 1] > 0.99


def test_a_long_gap_is_bridged_for_100_ms():
    coded = packets(speech_like(1.0))
    decoder = OpusDecoder(RATE)
    for packet in coded[:20]:
        decoder.decode(packet)
    assert len(decoder.decode(coded[45], lost=25)) == 2 * 320 * (5 + 1)


@pytest.mark.parametrize("garbage", [b"", b"\xff\xff\xff", bytes(1500)])
def test_a_packet_that_is_no_opus_counts_as_lost(garbage: bytes):
    decoder = OpusDecoder(RATE)
    decoder.decode(packets(speech_like(0.02))[0])
    assert len(decoder.decode(garbage)) % 640 == 0
    assert len(decoder.decode(packets(speech_like(0.02))[0])) == 640


def test_a_short_end_is_filled_up_and_a_long_packet_refused():
    encoder = OpusEncoder(24_000)
    assert len(OpusDecoder(RATE).decode(encoder.encode(bytes(10)))) == 640
    with pytest.raises(UsageError, match="480 samples"):
        encoder.encode(bytes(962))


def test_other_rates_are_refused():
    with pytest.raises(OptionError, match="sample_rate"):
        OpusEncoder(44_100)
    with pytest.raises(OptionError, match="sample_rate"):
        OpusDecoder(11_025)
