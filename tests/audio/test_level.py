import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio import WIDEBAND, AudioFormat, LevelMeter
from antiphon.errors import OptionError, UsageError


def sine(amplitude: float, seconds: float = 0.02, rate: int = 16000) -> bytes:
    moments = np.arange(round(rate * seconds)) / rate
    return np.rint(amplitude * np.sin(2 * np.pi * 1000 * moments)).astype("<i2").tobytes()


def test_silence_and_nothing_are_the_floor():
    meter = LevelMeter(WIDEBAND)
    assert (meter.rms, meter.peak) == (-96.0, -96.0)
    meter.feed(b"")
    assert (meter.rms, meter.peak) == (-96.0, -96.0)
    meter.feed(bytes(640))
    assert (meter.rms, meter.peak) == (-96.0, -96.0)


def test_full_scale_reads_as_the_units_say():
    meter = LevelMeter(WIDEBAND)
    meter.feed(sine(32767))
    assert meter.rms == pytest.approx(-3.0106, abs=0.001)
    assert meter.peak == pytest.approx(0, abs=0.001)
    meter.reset()
    assert (meter.rms, meter.peak) == (-96.0, -96.0)
    meter.feed(np.full(320, -32768, "<i2").tobytes())
    assert (meter.rms, meter.peak) == (0.0, 0.0)


def test_the_window_slides_and_loudness_leaves_nothing_behind():
    meter = LevelMeter(WIDEBAND, window=0.1)
    meter.feed(sine(20000))
    quiet = sine(20)
    for _ in range(4):
        meter.feed(quiet)
        assert meter.peak > -5
    meter.feed(quiet)
    alone = LevelMeter(WIDEBAND)
    alone.feed(quiet)
    assert meter.rms == pytest.approx(alone.rms, abs=1e-9)
    assert meter.peak == alone.peak


def test_one_quiet_sample_in_a_long_window_is_clamped_at_the_floor():
    meter = LevelMeter(WIDEBAND)
    meter.feed(np.array([1] + [0] * 1599, "<i2").tobytes())
    assert meter.rms == -96.0
    assert meter.peak == pytest.approx(20 * math.log10(1 / 32768))


@given(
    st.lists(st.binary(max_size=300).map(lambda data: data[: len(data) // 2 * 2]), max_size=30),
    st.sampled_from([0.01, 0.02]),
)
def test_it_reads_the_newest_chunks_that_fill_the_window(pieces, window):
    meter = LevelMeter(AudioFormat(8000), window=window)
    for piece in pieces:
        meter.feed(piece)
    covered = b""
    for piece in reversed(pieces):
        if len(covered) >= 2 * 8000 * window:
            break
        covered = piece + covered
    sound = np.frombuffer(covered, "<i2").astype(float)
    rms = math.sqrt(np.mean(sound**2)) if len(sound) else 0.0
    peak = np.abs(sound).max(initial=0)
    for read, magnitude in ((meter.rms, rms), (meter.peak, peak)):
        wanted = max(-96.0, 20 * math.log10(magnitude / 32768)) if magnitude else -96.0
        assert read == pytest.approx(wanted, abs=1e-9)


def test_both_channels_count():
    meter = LevelMeter(AudioFormat(16000, 2), window=0.01)
    for _ in range(10):
        meter.feed(np.array([[0, 32767]] * 80, "<i2").tobytes())
    assert meter.rms == pytest.approx(-3.0106, abs=0.001)
    # 10 ms of stereo are 320 samples, two of these chunks: the loud ones have just left.
    for _ in range(2):
        meter.feed(bytes(320))
    assert meter.peak == -96.0


def test_wrong_use_is_refused():
    with pytest.raises(OptionError, match=r"if you meant milliseconds, write 0\.125"):
        LevelMeter(WIDEBAND, window=125)
    with pytest.raises(OptionError, match="did you mean 'window'"):
        LevelMeter(WIDEBAND, windows=0.1)
    meter = LevelMeter(AudioFormat(16000, 2))
    with pytest.raises(UsageError, match="frame of 2 channels"):
        meter.feed(b"ab")
    assert meter.peak == -96.0
