import sys
import warnings

import numpy as np
import pytest

from antiphon.audio import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from antiphon.errors import UsageError

EVERY_SAMPLE = np.arange(65536, dtype="<u2").tobytes()
EVERY_CODE = bytes(range(256))


def samples_of(pcm: bytes) -> list[int]:
    return np.frombuffer(pcm, "<i2").tolist()


def pcm_of(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="audioop left the library in 3.13")
def test_every_value_is_the_same_as_the_standard_librarys():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop

    assert ulaw_encode(EVERY_SAMPLE) == audioop.lin2ulaw(EVERY_SAMPLE, 2)
    assert ulaw_decode(EVERY_CODE) == audioop.ulaw2lin(EVERY_CODE, 2)
    assert alaw_encode(EVERY_SAMPLE) == audioop.lin2alaw(EVERY_SAMPLE, 2)
    assert alaw_decode(EVERY_CODE) == audioop.alaw2lin(EVERY_CODE, 2)


# Tables 2a and 2b of ITU-T G.711: decoder output values, in 14-bit units, at the segments' edges.
@pytest.mark.parametrize(
    ("code", "units"),
    [
        (0x80, 8031),
        (0x8F, 4191),
        (0x9F, 2079),
        (0xAF, 1023),
        (0xBF, 495),
        (0xCF, 231),
        (0xDF, 99),
        (0xEF, 33),
        (0xFE, 2),
        (0xFF, 0),
    ],
)
def test_mu_law_has_the_values_of_the_standard(code, units):
    assert samples_of(ulaw_decode(bytes((code, code & 0x7F)))) == [4 * units, -4 * units]


# Tables 1a and 1b: numbers and decoder output values, in 13-bit units; even bits are inverted.
@pytest.mark.parametrize(
    ("number", "units"),
    [(128, 4032), (112, 2016), (96, 1008), (80, 504), (64, 252), (48, 126), (32, 63), (1, 1)],
)
def test_a_law_has_the_values_of_the_standard(number, units):
    code = (number - 1 | 0x80) ^ 0x55
    assert samples_of(alaw_decode(bytes((code, code ^ 0x80)))) == [8 * units, -8 * units]


def test_silence_has_the_codes_that_lines_idle_on():
    assert ulaw_encode(pcm_of(0)) == b"\xff"
    assert alaw_encode(pcm_of(0)) == b"\xd5"


@pytest.mark.parametrize(
    ("encode", "decode", "doubles"),
    [(ulaw_encode, ulaw_decode, {0x7F}), (alaw_encode, alaw_decode, set())],
)
def test_codes_survive_the_way_through_samples(encode, decode, doubles):
    # mu-law has two zeros; the negative one comes back as the positive one.
    for code in EVERY_CODE:
        back = encode(decode(bytes((code,))))[0]
        assert back == (0xFF if code in doubles else code)


@pytest.mark.parametrize(
    ("encode", "decode", "smallest"),
    [(ulaw_encode, ulaw_decode, 8), (alaw_encode, alaw_decode, 16)],
)
def test_the_error_is_bounded_by_the_step(encode, decode, smallest):
    sound = np.frombuffer(EVERY_SAMPLE, "<i2").astype(int)
    error = np.abs(np.frombuffer(decode(encode(EVERY_SAMPLE)), "<i2") - sound)
    # Steps are a 16th of their segment: the error is under a 32nd of the value, or half of the
    # smallest step; and what clips is over the largest value, within half of the largest step.
    assert np.all(error <= np.maximum(np.abs(sound) / 32 + 8, smallest))
    assert error.max() <= 1024 // 2 + 132


@pytest.mark.parametrize("encode", [ulaw_encode, alaw_encode])
def test_samples_that_are_cut_are_refused(encode):
    assert encode(b"") == b""
    with pytest.raises(UsageError, match="end within a sample"):
        encode(b"abc")
