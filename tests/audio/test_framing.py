import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio import Framer, Windows, to_float
from antiphon.errors import UsageError

chunks = st.lists(st.binary(max_size=70), max_size=20)


@given(chunks, st.integers(1, 40))
def test_frames_are_the_stream_in_equal_pieces(pieces, size):
    framer = Framer(size)
    frames = []
    for number, piece in enumerate(pieces):
        frames += framer.feed(piece)
        fed = sum(map(len, pieces[: number + 1]))
        assert framer.pending == fed % size
    assert all(len(frame) == size for frame in frames)
    assert b"".join(frames) + framer.flush(pad=False) == b"".join(pieces)
    assert framer.pending == 0


def test_a_frame_leaves_as_soon_as_it_is_whole():
    framer = Framer(4)
    assert framer.frame_bytes == 4
    assert framer.feed(b"abc") == []
    assert framer.feed(b"d") == [b"abcd"]
    assert framer.feed(b"efghijklm") == [b"efgh", b"ijkl"]
    assert framer.pending == 1


def test_the_last_frame_is_padded_with_silence():
    framer = Framer(4)
    framer.feed(b"ab")
    assert framer.flush() == b"ab\0\0"
    assert framer.flush() == b""
    mu_law = Framer(3, silence=0xFF)
    mu_law.feed(b"a")
    assert mu_law.flush() == b"a\xff\xff"


def test_a_frame_of_no_bytes_and_a_silence_that_is_no_byte_are_refused():
    with pytest.raises(UsageError, match="not 0"):
        Framer(0)
    for silence in (-1, 256):
        with pytest.raises(UsageError, match="one byte"):
            Framer(4, silence=silence)


@given(chunks, st.integers(1, 30))
def test_windows_are_the_stream_in_equal_pieces_with_places(pieces, size):
    windows = Windows(size)
    assert windows.size == size
    stream = b""
    for piece in pieces:
        pcm = piece[: len(piece) // 2 * 2]
        stream += pcm
        whole = to_float(stream)
        given_before = windows.position
        for number, window in enumerate(windows.feed(pcm)):
            begin = given_before + number * size
            assert window.dtype == np.float32
            assert np.array_equal(window, whole[begin : begin + size])
        assert windows.samples_seen == len(whole)
        assert windows.position == len(whole) // size * size


def test_twenty_millisecond_chunks_fill_the_detectors_windows():
    windows = Windows(512)
    counts = [len(windows.feed(bytes(640))) for _ in range(8)]
    assert counts == [0, 1, 0, 1, 1, 0, 1, 1]
    assert windows.samples_seen == windows.position == 2560


def test_after_a_break_a_new_window_starts_where_the_stream_is():
    windows = Windows(4)
    windows.feed(np.array([1, 2, 3], "<i2").tobytes())
    windows.reset()
    assert windows.samples_seen == windows.position == 3
    (window,) = windows.feed(np.array([4, 5, 6, 7], "<i2").tobytes())
    assert (window * 32768).tolist() == [4, 5, 6, 7]
    assert windows.position == 7


def test_windows_refuse_what_cuts_a_sample_and_stay_as_they_were():
    with pytest.raises(UsageError, match="not 0"):
        Windows(0)
    windows = Windows(2)
    windows.feed(b"ab")
    with pytest.raises(UsageError, match="end within a sample"):
        windows.feed(b"abc")
    assert windows.samples_seen == 1
