"""How the resampler's filter was found, run again: its numbers are made, not chosen."""

import numpy as np

from antiphon.audio import resample

PASS_EDGE = 0.425  # 0.85 of the Nyquist frequency, in cycles per sample of the lower rate
STOP_EDGE = 0.5
PASS_RIPPLE = 0.0115  # 0.1 dB
STOP_LEVEL = 10 ** (-86 / 20)


def spectrum(order, frequencies):
    """Spectrum of cos(pi * order * u / half) for |u| <= half, at each frequency: a matrix."""
    half = resample._HALF_LENGTH
    own = order / (2 * half)

    def lobe(frequency):
        return half * np.sinc(2 * half * frequency)

    apart = frequencies[:, None] - own
    return lobe(apart) + lobe(frequencies[:, None] + own)


ORDER = np.arange(len(resample._SERIES)) + 0.5


def test_the_filter_is_the_minimax_fit():
    """Lawson's method: least squares, with weights that grow where the error is largest."""
    passing = np.linspace(0, PASS_EDGE, 160)
    stopping = STOP_EDGE + 3.5 * np.linspace(0, 1, 900) ** 1.5
    frequencies = np.concatenate((passing, stopping))
    wanted = np.where(frequencies <= PASS_EDGE, 1.0, 0.0)
    allowed = np.where(frequencies <= PASS_EDGE, PASS_RIPPLE, STOP_LEVEL)
    matrix = spectrum(ORDER, frequencies)
    weights = np.ones_like(frequencies)
    least = np.inf
    for _ in range(150):
        scale = np.sqrt(weights) / allowed
        series, *_ = np.linalg.lstsq(matrix * scale[:, None], wanted * scale, rcond=1e-13)
        error = np.abs(matrix @ series - wanted) / allowed
        if error.max() < least:
            least, best = error.max(), series
        weights = weights * error / error.max() + 1e-12
        weights /= weights.sum()
    assert least < 1.01
    np.testing.assert_allclose(resample._SERIES, best, atol=1e-8)


def test_the_filter_keeps_its_promise_at_all_frequencies():
    frequencies = np.linspace(0, 12, 24001)
    level = 20 * np.log10(np.abs(spectrum(ORDER, frequencies) @ resample._SERIES) + 1e-12)
    assert np.abs(level[frequencies <= PASS_EDGE]).max() < 0.11
    assert level[frequencies >= STOP_EDGE].max() < -85.8
