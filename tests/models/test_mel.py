"""The spectrogram against the definition, written out slowly in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.models.mel import HOP, MELS, WINDOW, energies, features, log_mel
from support.spoken import floats, noise, said


def hertz(mel):
    return 1000 * 6.4 ** ((mel - 15) / 27) if mel >= 15 else mel * 200 / 3


def slow_filters():
    """Slaney's triangles of equal area, bin by bin."""
    top = 15 + 27 * math.log(8) / math.log(6.4)
    points = [hertz(top * number / (MELS + 1)) for number in range(MELS + 2)]
    filters = np.zeros((MELS, WINDOW // 2 + 1))
    for number in range(MELS):
        low, middle, high = points[number : number + 3]
        for bin_number in range(WINDOW // 2 + 1):
            frequency = bin_number * 40.0
            rising = (frequency - low) / (middle - low)
            falling = (high - frequency) / (high - middle)
            filters[number, bin_number] = max(0, min(rising, falling)) * 2 / (high - low)
    return filters


def slow_energies(samples):
    samples = samples.astype(np.float64)
    time = np.arange(WINDOW)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / WINDOW)
    turns = np.exp(-2j * np.pi * np.outer(np.arange(WINDOW // 2 + 1), time) / WINDOW)
    filters = slow_filters()
    found = []
    for begin in range(0, len(samples) - WINDOW + 1, HOP):
        power = np.abs(turns @ (samples[begin : begin + WINDOW] * window)) ** 2
        found.append(np.log10(np.maximum(filters @ power, 1e-10)))
    return np.array(found).T


@pytest.mark.parametrize("kind", ["speech", "noise", "silence"])
def test_energies_are_those_of_the_definition(kind):
    pcm = {"speech": lambda: said("The quick brown fox."), "noise": lambda: noise(0.7, 0.3)}
    samples = floats(pcm.get(kind, lambda: bytes(8000))())
    slow = slow_energies(samples)
    fast = energies(samples)
    assert fast.dtype == np.float32
    assert fast.shape == slow.shape
    # 60 dB below the loudest frame, single precision still has two digits of the energy.
    heard = slow > slow.max() - 6
    assert np.abs(fast - slow)[heard].max() < 1e-3


def test_a_tone_is_in_its_band():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    middles = [hertz((15 + 27 * math.log(8) / math.log(6.4)) * n / 81) for n in range(1, 81)]
    loudest = energies(tone).mean(axis=1).argmax()
    assert abs(middles[loudest] - 1000) < 45


@given(st.integers(0, 3000), st.integers(0, 2000))
@settings(deadline=None, max_examples=50)
def test_frames_do_not_depend_on_what_comes_after(length, more):
    samples = floats(noise(0.4, 0.1))[: length + more]
    whole = energies(samples)
    part = energies(samples[:length])
    assert part.shape[1] == max(0, (length - WINDOW) // HOP + 1)
    np.testing.assert_allclose(whole[:, : part.shape[1]], part, atol=1e-5)


def test_features_span_eight_decades_and_end_in_silence():
    logarithms = np.full((MELS, 3), -9.0, np.float32)
    logarithms[5, 1] = 2.0
    made = features(logarithms, 5)
    assert made.shape == (MELS, 5)
    assert made[5, 1] == pytest.approx((2.0 + 4) / 4)
    assert made[0, 0] == made[0, 4] == pytest.approx((2.0 - 8 + 4) / 4)


def test_features_of_silence_are_silent():
    made = features(energies(np.zeros(1600, np.float32)), 20)
    assert np.all(made == made[0, 0])
    assert made[0, 0] == pytest.approx((-10 + 4) / 4)


def test_log_mel_mirrors_both_ends():
    samples = floats(noise(1.0, 0.1))
    mirrored = np.concatenate([samples[200:0:-1], samples, samples[-2:-202:-1]])
    expected = slow_energies(mirrored)[:, :100]
    expected = (np.maximum(expected, expected.max() - 8) + 4) / 4
    np.testing.assert_allclose(log_mel(samples), expected, atol=1e-4)
