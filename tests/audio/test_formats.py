import subprocess
import sys
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from antiphon.audio import (
    TELEPHONE,
    WIDEBAND,
    AudioFormat,
    mix_down,
    pick_channel,
    to_float,
    to_pcm,
)
from antiphon.errors import OptionError, UsageError

whole_pcm = st.binary(max_size=400).map(lambda data: data[: len(data) // 2 * 2])


def pcm_of(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


def test_importing_the_audio_ground_loads_no_numpy_and_nothing_impure():
    code = "import sys, antiphon.audio; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "antiphon.audio.resample" in loaded
    assert {"numpy", "asyncio", "logging", "antiphon.pipeline"}.isdisjoint(loaded)


def test_a_format_knows_sizes_and_durations():
    stereo = AudioFormat(48000, 2)
    assert (WIDEBAND.bytes_per_frame, stereo.bytes_per_frame) == (2, 4)
    assert WIDEBAND.samples(640) == 320
    assert stereo.samples(640) == 160
    assert WIDEBAND.seconds(640) == 0.02
    assert TELEPHONE.n_bytes(0.02) == 320
    assert AudioFormat(44100).n_bytes(0.0101) == 2 * 445
    assert stereo.n_bytes(0) == 0


@given(st.integers(0, 10**9), st.sampled_from([8000, 22050, 44100]), st.integers(1, 3))
def test_bytes_to_seconds_and_back_is_exact(frames, rate, channels):
    format = AudioFormat(rate, channels)
    n_bytes = frames * format.bytes_per_frame
    assert format.n_bytes(format.seconds(n_bytes)) == n_bytes


@pytest.mark.parametrize(
    ("format", "name"),
    [
        (WIDEBAND, "16 kHz mono s16le"),
        (AudioFormat(44100, 2), "44.1 kHz stereo s16le"),
        (AudioFormat(22050, 6), "22.05 kHz 6-channel s16le"),
    ],
)
def test_a_format_reads_like_words(format, name):
    assert str(format) == name


def test_a_format_is_a_value():
    assert AudioFormat(16000) == WIDEBAND
    assert len({AudioFormat(16000), WIDEBAND, TELEPHONE}) == 2
    with pytest.raises(FrozenInstanceError):
        WIDEBAND.sample_rate = 8000


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 32000, 44100, 48000])
def test_usual_rates_are_accepted(rate):
    assert AudioFormat(rate).sample_rate == rate


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sample_rate": 16}, "outside 8000 to 48000 Hz"),
        ({"sample_rate": 48001}, "outside"),
        ({"sample_rate": 16000.0}, "whole number"),
        ({"sample_rate": "16000"}, "must be a number"),
        ({"sample_rate": 16000, "channels": 0}, "outside 1 to 32"),
        ({"sample_rate": 16000, "channels": 33}, "outside 1 to 32"),
        ({"sample_rate": 16000, "channels": True}, "must be a number"),
        ({"sample_rate": 16000, "channels": 1.0}, "whole number"),
        ({"sample_rate": 16000, "sample_type": "f32"}, "'s16le'"),
        ({"sampel_rate": 16000}, "did you mean 'sample_rate'"),
    ],
)
def test_a_wrong_format_fails_where_it_is_made(options, words):
    with pytest.raises(OptionError, match=words):
        AudioFormat(**options)


def test_counts_that_cut_a_frame_are_refused():
    with pytest.raises(UsageError, match="6 bytes are no whole number of 4-byte frames"):
        AudioFormat(16000, 2).samples(6)
    with pytest.raises(UsageError):
        WIDEBAND.seconds(-2)
    with pytest.raises(UsageError, match="-1"):
        WIDEBAND.n_bytes(-1)


@given(whole_pcm)
def test_floats_hold_every_sample_exactly(pcm):
    floats = to_float(pcm)
    assert floats.dtype == np.float32
    assert np.all(np.abs(floats) <= 1)
    assert to_pcm(floats) == pcm


def test_floats_can_be_changed_in_place():
    floats = to_float(pcm_of(100, 200))
    floats *= 2
    assert to_pcm(floats) == pcm_of(200, 400)


def test_floats_are_rounded_and_clipped_and_nan_is_silence():
    step = 1 / 32768
    loud = [0.4 * step, 0.6 * step, -0.6 * step, 1.0, 1.5, -1.5, np.inf, -np.inf, np.nan]
    wanted = pcm_of(0, 1, -1, 32767, 32767, -32768, 32767, -32768, 0)
    for kind in (np.float32, np.float64):
        assert to_pcm(np.array(loud, kind)) == wanted


def test_a_clipped_chunk_leaves_the_array_that_was_given_unchanged():
    given_floats = np.array([2.0, -2.0], np.float32)
    to_pcm(given_floats)
    assert given_floats.tolist() == [2.0, -2.0]


@given(st_numpy.arrays(np.float32, st.integers(0, 50)))
def test_any_floats_become_samples_without_a_warning(samples):
    assert len(to_pcm(samples)) == 2 * len(samples)


def test_channels_side_by_side_are_interleaved():
    assert to_pcm(np.array([[0.5, -0.5], [0.25, 0]])) == pcm_of(16384, -16384, 8192, 0)


def test_integers_are_not_taken_for_floats():
    with pytest.raises(UsageError, match="int16"):
        to_pcm(np.array([1000, 2000], np.int16))


def test_mixing_down_averages():
    assert mix_down(pcm_of(100, 300, -100, -300), 2) == pcm_of(200, -200)
    assert mix_down(pcm_of(32767, 32767, -32768, -32768), 2) == pcm_of(32767, -32768)
    assert mix_down(pcm_of(1, 2, 4), 3) == pcm_of(2)
    assert mix_down(pcm_of(1, 2, 3), 1) == pcm_of(1, 2, 3)


@given(whole_pcm, st.integers(1, 5))
def test_a_picked_channel_is_the_one_that_was_put_in(pcm, channels):
    mono = np.frombuffer(pcm, "<i2")
    frames = np.zeros((len(mono), channels), "<i2")
    frames[:, channels - 1] = mono
    sound = frames.tobytes()
    assert pick_channel(sound, channels, channels - 1) == pcm
    if channels > 1:
        assert pick_channel(sound, channels, 0) == bytes(len(pcm))


def test_a_channel_that_is_not_there_is_refused():
    for index in (2, -1):
        with pytest.raises(UsageError, match="0 to 1"):
            pick_channel(pcm_of(1, 2), 2, index)
    for call in (lambda: mix_down(b"", 0), lambda: pick_channel(b"", 0, 0)):
        with pytest.raises(UsageError, match="not 0"):
            call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: to_float(b"abc"), "3 bytes of s16le sound end within a sample"),
        (lambda: mix_down(b"ab", 2), "end within a frame of 2 channels"),
        (lambda: pick_channel(b"abcdef", 2, 0), "multiple of 4 bytes"),
    ],
)
def test_bytes_that_cut_a_sample_are_refused(call, words):
    with pytest.raises(UsageError, match=words):
        call()
