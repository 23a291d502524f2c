import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio import WIDEBAND, AudioFormat, read_wav, write_wav
from antiphon.audio.wave import wav_header
from antiphon.errors import OptionError, UsageError

IDENTIFIER_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    stated = len(body) if size is None else size
    return name + struct.pack("<I", stated) + body + bytes(len(body) % 2)


def fmt(tag=1, channels=1, rate=16000, bits=16, frame=None) -> bytes:
    frame = channels * bits // 8 if frame is None else frame
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits))


def extensible(tag=1, channels=1, rate=16000, bits=16, tail=IDENTIFIER_TAIL) -> bytes:
    frame = channels * bits // 8
    head = struct.pack("<HHIIHH", 0xFFFE, channels, rate, rate * frame, frame, bits)
    return chunk(b"fmt ", head + struct.pack("<HHIH", 22, bits, 0, tag) + tail)


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return chunk(b"RIFF", body, size)


def pcm_of(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


@given(
    st.sampled_from([8000, 16000, 44100]),
    st.integers(1, 4),
    st.binary(max_size=200),
)
def test_what_is_written_is_read_back_by_us_and_by_the_standard_library(rate, channels, sound):
    format = AudioFormat(rate, channels)
    pcm = sound[: len(sound) // format.bytes_per_frame * format.bytes_per_frame]
    data = write_wav(format, pcm)
    assert len(data) == 44 + len(pcm)
    assert read_wav(data) == (format, pcm)
    with wave.open(io.BytesIO(data)) as file:
        assert file.getparams()[:3] == (channels, 2, rate)
        assert file.readframes(file.getnframes()) == pcm


def test_writing_refuses_what_cannot_be_a_file():
    with pytest.raises(UsageError, match="frame of 2 channels"):
        write_wav(AudioFormat(16000, 2), b"ab")
    for n_bytes in (2**32 - 44, -2):
        with pytest.raises(UsageError, match="holds at most 4294967251 bytes"):
            wav_header(WIDEBAND, n_bytes)


@pytest.mark.parametrize("header", [fmt, extensible])
@pytest.mark.parametrize(
    ("tag", "bits", "sound", "samples"),
    [
        (1, 8, bytes((0, 127, 128, 255)), (-32768, -256, 0, 32512)),
        (1, 16, pcm_of(-32768, 0, 32767), (-32768, 0, 32767)),
        (
            1,
            24,
            bytes.fromhex("0000807f0000800000ff000080ffff7fffffffff7f"),
            (-32768, 0, 1, 1, 0, -1, 32767),
        ),
        (
            1,
            32,
            struct.pack("<5i", -(2**31), 0x7FFF, 0x8000, -0x8001, 2**31 - 1),
            (-32768, 0, 1, -1, 32767),
        ),
        (
            3,
            32,
            struct.pack("<5f", -1, 0.5, 2, float("nan"), float("-inf")),
            (-32768, 16384, 32767, 0, -32768),
        ),
    ],
)
def test_every_readable_coding_becomes_16_bits(header, tag, bits, sound, samples):
    data = riff(header(tag=tag, bits=bits), chunk(b"data", sound))
    assert read_wav(data) == (WIDEBAND, pcm_of(*samples))


def test_all_channels_are_returned():
    sound = pcm_of(*range(12))
    format, pcm = read_wav(riff(fmt(channels=6, rate=48000), chunk(b"data", sound)))
    assert format == AudioFormat(48000, 6)
    assert pcm == sound


def test_chunks_of_others_are_skipped_also_of_odd_size():
    data = riff(
        chunk(b"bext", b"abc"), fmt(), chunk(b"LIST", b"x"), chunk(b"data", b"abcd"), b"junk"
    )
    assert read_wav(data) == (WIDEBAND, b"abcd")


@pytest.mark.parametrize("riff_size", [0, 36, 0xFFFFFFFF])
@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 1000])
def test_streamed_files_are_read_to_their_end(riff_size, size):
    data = riff(fmt(), chunk(b"data", b"abcdefgh", size), size=riff_size)
    assert read_wav(data) == (WIDEBAND, b"abcdefgh")


def test_a_frame_that_the_end_cuts_is_dropped():
    assert read_wav(riff(fmt(), chunk(b"data", b"abcdef"))[:-1])[1] == b"abcd"
    stereo = riff(fmt(channels=2), chunk(b"data", b"abcdef"))
    assert read_wav(stereo)[1] == b"abcd"
    wide = riff(fmt(bits=24), chunk(b"data", bytes(7)))
    assert read_wav(wide)[1] == bytes(4)


def test_a_file_without_sound_is_read_as_such_also_with_chunks_behind():
    assert read_wav(riff(fmt(), chunk(b"data", b""))) == (WIDEBAND, b"")
    assert read_wav(riff(fmt(), chunk(b"data", b""), chunk(b"LIST", b"abcd"))) == (WIDEBAND, b"")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no WAV file"),
        (b"OggS" + bytes(60), "starts with b'OggS'"),
        (b"RIFF\0\0\0\0AVI ", "no WAV file"),
        (b"RIFF\0\0\0\0WAVE", "no 'data' chunk"),
        (riff(fmt()), "no 'data' chunk"),
        (riff(chunk(b"data", b"abcd"), fmt()), "sound comes before its format"),
        (riff(chunk(b"fmt ", bytes(14)), chunk(b"data", b"")), "14 bytes, not 16"),
        (riff(fmt(tag=7, bits=8), chunk(b"data", b"")), "coding 0x0007 with 8 bits"),
        (riff(fmt(tag=3, bits=64), chunk(b"data", b"")), "0x0003 with 64 bits"),
        (riff(fmt(tag=1, bits=12), chunk(b"data", b"")), "0x0001 with 12 bits"),
        (riff(extensible(tag=0x55), chunk(b"data", b"")), "coding 0x0055"),
        (riff(extensible(tail=bytes(14)), chunk(b"data", b"")), "no coding that we know"),
        (riff(fmt(tag=0xFFFE), chunk(b"data", b"")), "no coding that we know"),
        (riff(fmt(frame=4), chunk(b"data", b"")), "1 channels of 16 bits are no 4 bytes"),
    ],
)
def test_what_cannot_be_read_says_why(data, words):
    with pytest.raises(UsageError, match=words):
        read_wav(data)


@pytest.mark.parametrize("header", [fmt(rate=96000), fmt(channels=0), fmt(channels=33)])
def test_formats_that_we_do_not_have_are_refused(header):
    with pytest.raises(OptionError, match="outside"):
        read_wav(riff(header, chunk(b"data", b"")))


def whole_or_refused(data: bytes) -> None:
    try:
        format, pcm = read_wav(data)
    except UsageError:
        return
    assert len(pcm) % format.bytes_per_frame == 0


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(data):
    whole_or_refused(data)
    whole_or_refused(b"RIFF\0\0\0\0WAVE" + data)


@st.composite
def damaged_files(draw):
    header = draw(st.sampled_from([fmt, extensible]))(
        tag=draw(st.sampled_from([1, 3, 7])),
        channels=draw(st.integers(0, 40)),
        rate=draw(st.sampled_from([0, 8000, 48000, 2**32 // 400])),
        bits=draw(st.sampled_from([0, 8, 16, 24, 32, 64])),
    )
    size = draw(st.none() | st.integers(0, 2**32 - 1))
    other = chunk(draw(st.binary(min_size=4, max_size=4)), draw(st.binary(max_size=9)), size)
    sound = chunk(b"data", draw(st.binary(max_size=60)), draw(st.none() | st.integers(0, 99)))
    data = bytearray(riff(*draw(st.permutations([header, other, sound]))))
    for at, value in draw(
        st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=3)
    ):
        data[at] = value
    return bytes(data[: draw(st.integers(0, len(data)))])


@settings(max_examples=500)
@given(damaged_files())
def test_damaged_files_are_read_or_refused(data):
    whole_or_refused(data)
