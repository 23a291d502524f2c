"""Speech for the tests of the models: the embedded voice, at 16 kHz."""

from __future__ import annotations

from functools import cache

from hibari import Hibari

from antiphon.audio import change_rate, to_float, to_pcm

RATE = 16_000


@cache
def _voice():
    return Hibari(threads=1)


@cache
def said(text):
    """Mono s16le at 16 kHz, with nothing but the sound."""
    return change_rate(to_pcm(_voice()(text)), 24_000, RATE)


def silence(seconds):
    return bytes(2 * round(seconds * RATE))


def noise(seconds, level=0.02, seed=0):
    import numpy as np

    generator = np.random.default_rng(seed)
    return to_pcm(generator.standard_normal(round(seconds * RATE)) * level)


def floats(pcm):
    return to_float(pcm)
