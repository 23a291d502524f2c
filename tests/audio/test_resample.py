import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio import Resampler, change_rate
from antiphon.audio.resample import _tables
from antiphon.errors import OptionError, UsageError

RATES = (8000, 16000, 22050, 24000, 44100, 48000)
PAIRS = [(a, b) for a in RATES for b in RATES if a != b]
DOWN = [(a, b) for a, b in PAIRS if a > b]
UP = [(a, b) for a, b in PAIRS if a < b]
AMPLITUDE = 30000


def tone(frequency, rate, seconds, amplitude=AMPLITUDE):
    moments = np.arange(round(rate * seconds)) / rate
    return np.rint(amplitude * np.sin(2 * np.pi * frequency * moments)).astype("<i2").tobytes()


def after_onset(pcm, rate):
    """The steady part, from 10 ms on: an onset is a click, which has all frequencies."""
    return np.frombuffer(pcm, "<i2")[rate // 100 :].astype(float)


def fit(samples, frequency, rate, begin=0.0):
    """Amplitude and phase of a sine at `frequency`, and what is left when it is taken out.

    `begin` is the moment of the first sample, in seconds.
    """
    angle = 2 * np.pi * frequency * (begin + np.arange(len(samples)) / rate)
    waves = np.stack((np.sin(angle), np.cos(angle)), axis=1)
    (sine, cosine), *_ = np.linalg.lstsq(waves, samples, rcond=None)
    return math.hypot(sine, cosine), math.atan2(cosine, sine), samples - waves @ (sine, cosine)


def decibels(samples, amplitude=AMPLITUDE):
    """Power of `samples` relative to a sine of `amplitude`."""
    return 10 * math.log10(np.mean(np.square(samples)) / (amplitude**2 / 2) + 1e-20)


@pytest.mark.parametrize(("source", "target"), DOWN)
def test_tones_above_the_new_nyquist_frequency_leave_no_alias(source, target):
    # Stops short of the old Nyquist frequency, where samples hold no sine any more.
    for frequency in np.linspace(target / 2, source / 2 * 0.999, 25):
        sound = Resampler(source, target).feed(tone(frequency, source, 0.11))
        assert decibels(after_onset(sound, target)) < -80, frequency


@pytest.mark.parametrize(("source", "target"), UP)
def test_tones_leave_no_image_above_the_old_nyquist_frequency(source, target):
    for frequency in np.linspace(50, source / 2 * 0.99, 25):
        sound = Resampler(source, target).feed(tone(frequency, source, 0.11))
        _, _, rest = fit(after_onset(sound, target), frequency, target)
        assert decibels(rest) < -80, frequency


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_passband_is_flat_and_late_by_the_declared_delay(source, target):
    resampler = Resampler(source, target)
    assert 0 < resampler.group_delay <= 0.003
    for part in (0.02, 0.2, 0.5, 0.8, 0.85):
        frequency = part * min(source, target) / 2
        resampler.reset()
        sound = resampler.feed(tone(frequency, source, 0.11))
        begin = target // 100 / target - resampler.group_delay
        amplitude, phase, rest = fit(after_onset(sound, target), frequency, target, begin)
        assert abs(20 * math.log10(amplitude / AMPLITUDE)) < 0.11, frequency
        # In time: under 1 us.
        assert abs(phase) / (2 * np.pi * frequency) < 1e-6, frequency
        assert decibels(rest) < -80, frequency


def chunks_of(pcm, sizes):
    """Cut `pcm` into chunks of `sizes` samples, over and over, then the rest."""
    chunks, at = [], 0
    for size in sizes:
        chunks.append(pcm[2 * at : 2 * (at + size)])
        at += size
    return [*chunks, pcm[2 * at :]]


@settings(deadline=None)
@given(
    st.sampled_from([*PAIRS, (16000, 16000), (8000, 11025), (10007, 20014)]),
    st.integers(0, 2**32 - 1),
    st.lists(st.one_of(st.integers(0, 3), st.integers(0, 900)), max_size=12),
)
def test_the_output_does_not_depend_on_the_cuts_and_nothing_is_held_back(pair, seed, sizes):
    source, target = pair
    count = sum(sizes) + 50
    noise = np.random.default_rng(seed).integers(-32768, 32768, count).astype("<i2").tobytes()
    whole, cut = Resampler(source, target), Resampler(source, target)
    sound, fed = b"", 0
    for chunk in chunks_of(noise, sizes):
        sound += cut.feed(chunk)
        fed += len(chunk) // 2
        assert len(sound) // 2 == math.ceil(fed * target / source)
    assert sound == whole.feed(noise)
    assert cut.flush() == whole.flush()


@pytest.mark.parametrize(("source", "target"), [(44100, 16000), (8000, 22050)])
def test_one_sample_at_a_time_gives_the_same_bits(source, target):
    noise = np.random.default_rng(7).integers(-9000, 9000, 700).astype("<i2").tobytes()
    single = Resampler(source, target)
    by_ones = b"".join(single.feed(noise[at : at + 2]) for at in range(0, len(noise), 2))
    assert by_ones == Resampler(source, target).feed(noise)


@pytest.mark.parametrize(("source", "target"), [(44100, 16000), (16000, 44100), (24000, 22050)])
def test_minutes_bring_no_drift(source, target):
    resampler = Resampler(source, target)
    second = tone(100, source, 1.0)  # whole periods: seconds join without a step
    total = 0
    for _ in range(180):
        sound = resampler.feed(second)
        total += len(sound) // 2
    assert total == 180 * target
    begin = 179.0 - resampler.group_delay
    _, phase, rest = fit(np.frombuffer(sound, "<i2").astype(float), 100, target, begin)
    assert abs(phase) / (2 * np.pi * 100) < 1e-6
    assert decibels(rest) < -80


def test_a_long_chunk_is_the_same_as_many():
    long = np.random.default_rng(3).integers(-9000, 9000, 40000).astype("<i2").tobytes()
    one, many = Resampler(24000, 16000), Resampler(24000, 16000)
    pieces = [many.feed(long[at : at + 960]) for at in range(0, len(long), 960)]
    assert one.feed(long) == b"".join(pieces)


@pytest.mark.parametrize(("source", "target"), [*PAIRS, (48000, 11025)])
def test_sums_are_exact_in_double_precision(source, target):
    """The reason why cuts cannot matter: all sums stay whole and under 2**53 steps."""
    weights = _tables(source, target).weights * 2.0**30
    assert np.array_equal(weights, np.rint(weights))
    assert np.abs(weights).sum(axis=2).max() * 32768 < 2**53


def test_sound_over_full_scale_is_clipped_not_wrapped():
    square = np.where(np.arange(1600) // 8 % 2, 32767, -32768).astype("<i2")
    up = np.frombuffer(Resampler(8000, 16000).feed(square.tobytes()), "<i2")
    assert up.max() == 32767
    assert up.min() == -32768
    # Overshoots lie where the square is flat: no neighbour may flip its sign.
    inside = up.reshape(-1, 16)[4:]
    signs = np.sign(inside.astype(int))
    assert np.all(np.abs(np.diff(signs, axis=1)).sum(axis=1) <= 2)


def test_quiet_sound_is_rounded_not_cut_off():
    sound = Resampler(16000, 24000).feed(tone(1000, 16000, 1.0, amplitude=3))
    amplitude, *_ = fit(after_onset(sound, 24000), 1000, 24000)
    assert amplitude == pytest.approx(3, abs=0.15)  # cutting off takes away half a step


def test_the_same_rate_passes_the_bytes_through():
    resampler = Resampler(16000, 16000)
    assert resampler.feed(b"abcd") == b"abcd"
    assert resampler.flush() == b""
    assert resampler.group_delay == 0.0
    resampler.reset()
    with pytest.raises(UsageError):
        resampler.feed(b"abc")


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_flushing_gives_the_end_of_the_sound_and_starts_anew(source, target):
    click = np.zeros(source // 50, "<i2")
    click[-1] = 30000
    resampler = Resampler(source, target)
    before = resampler.feed(click.tobytes())
    rest = resampler.flush()
    assert abs(len(rest) / 2 - resampler.group_delay * target) < 1 + target / source
    largest = np.argmax(np.abs(np.frombuffer(before + rest, "<i2").astype(int)))
    moment = (len(click) - 1) / source + resampler.group_delay
    assert abs(largest / target - moment) <= 1 / min(source, target)
    assert resampler.feed(click.tobytes()) == before


def test_a_reset_stream_starts_anew():
    noise = np.random.default_rng(5).integers(-9000, 9000, 333).astype("<i2").tobytes()
    resampler = Resampler(22050, 16000)
    first = resampler.feed(noise)
    resampler.reset()
    assert resampler.feed(noise) == first


def test_a_cut_sample_is_refused_and_the_stream_goes_on():
    resampler, other = Resampler(8000, 16000), Resampler(8000, 16000)
    for each in (resampler, other):
        each.feed(tone(440, 8000, 0.02))
    with pytest.raises(UsageError, match="end within a sample"):
        resampler.feed(b"abc")
    assert resampler.feed(tone(440, 8000, 0.02)) == other.feed(tone(440, 8000, 0.02))


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ((4000, 16000), "from_rate=4000 is outside"),
        ((16000, 96000), "to_rate=96000 is outside"),
        ((16000.0, 8000), "from_rate must be a whole number"),
        ((8000, 8001), "8000:8001, and terms above 1280"),
        ((47999, 48000), "usual rates"),
    ],
)
def test_rates_that_cannot_work_are_refused(rates, words):
    with pytest.raises(OptionError, match=words):
        Resampler(*rates)


def test_streams_of_one_pair_share_one_table_and_the_cache_is_bounded():
    first, second = Resampler(24000, 16000), Resampler(24000, 16000)
    assert first._tables is second._tables
    assert (first.from_rate, first.to_rate) == (24000, 16000)
    assert _tables.cache_info().maxsize == 64
    with pytest.raises(ValueError, match="read-only"):
        first._tables.weights[0] = 1


@pytest.mark.parametrize(("source", "target"), [*PAIRS, (16000, 16000)])
@pytest.mark.parametrize("count", [0, 1, 333, 5001])
def test_a_whole_recording_keeps_its_length_and_place(source, target, count):
    sound = tone(440, source, count / source)
    changed = change_rate(sound, source, target)
    assert len(changed) == 2 * round(count * target / source)
    if count < 5000:
        return
    middle = after_onset(changed, target)[: -target // 100]
    _, phase, rest = fit(middle, 440, target, target // 100 / target)
    assert abs(phase) / (2 * np.pi * 440) * target <= 0.51
    assert decibels(rest) < -80
