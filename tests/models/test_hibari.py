from __future__ import annotations

import threading
from contextlib import aclosing
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio import to_float
from antiphon.errors import OptionError
from antiphon.models.hibari import HibariTTS, _Voice

RATE = 24_000
AUDIBLE = 0.003


@pytest.fixture(scope="module")
def voice():
    return _Voice()


async def pieces(*texts):
    for text in texts:
        yield text


async def speak(*texts, **options):
    async with aclosing(HibariTTS(**options).synthesize(pieces(*texts))) as stream:
        return [chunk async for chunk in stream]


def sound_of(chunks, piece):
    return to_float(b"".join(chunk.pcm for chunk in chunks if chunk.piece == piece))


def lead(sound):
    """Seconds before the first audible sample."""
    return float(np.argmax(np.abs(sound) > AUDIBLE)) / RATE


async def test_each_piece_is_spoken_in_order_and_in_small_chunks():
    chunks = await speak("We are open,", "Monday to Friday from nine to six.", "Come by!")
    assert [chunk.piece for chunk in chunks] == sorted(chunk.piece for chunk in chunks)
    assert {chunk.piece for chunk in chunks} == {0, 1, 2}
    assert all(0 < len(chunk.pcm) <= 0.2 * RATE * 2 for chunk in chunks)
    assert 1.5 < len(sound_of(chunks, 1)) / RATE < 3.5


@pytest.mark.parametrize("text", ["Hello!", "Six bikes,", "Free helmets,", "Peter paid.", "Oh"])
async def test_the_first_sound_comes_at_once(text):
    sound = sound_of(await speak(text), 0)
    assert lead(sound) <= 0.05
    assert lead(sound[::-1]) <= 0.15


async def test_pieces_are_apart_by_a_short_pause():
    for text, pause in (("We are open,", 0.2), ("We are open.", 0.4), ('"Yes!"', 0.4)):
        chunks = await speak(text, "Monday to Friday.")
        between = lead(sound_of(chunks, 0)[::-1]) + lead(sound_of(chunks, 1))
        assert pause <= between <= pause + 0.12


async def test_what_cannot_be_spoken_is_skipped_and_keeps_its_number():
    chunks = await speak("...", "Hello.", " ", "\u200b", "日本", "Bye.")
    assert {chunk.piece for chunk in chunks} == {1, 5}
    assert await speak("?!", "") == []
    assert lead(sound_of(chunks, 1)) <= 0.05, "silence of pieces that were skipped is not played"


async def test_the_same_text_gives_the_same_sound():
    assert await speak("A flat tyre costs 15 dollars.") == await speak(
        "A flat tyre costs 15 dollars."
    )


async def test_speed():
    normal, fast = await speak("Helmets are free."), await speak("Helmets are free.", speed=1.5)
    ratio = len(sound_of(normal, 0)) / len(sound_of(fast, 0))
    assert 1.3 < ratio < 1.7
    with pytest.raises(OptionError, match=r"speed=3.*0\.5 to 2"):
        HibariTTS(speed=3)
    with pytest.raises(OptionError, match="did you mean 'speed'"):
        HibariTTS(sped=1.0)


async def test_every_word_has_its_time():
    chunks = await speak("Well,", "your order 4512 ships tomorrow, I think.")
    first = next(chunk for chunk in chunks if chunk.piece == 1)
    words = first.words
    assert " ".join(word.word for word in words) == "your order 4512 ships tomorrow, I think."
    assert 0.2 <= words[0].start <= 0.25, "after the pause"
    assert all(word.start < word.end for word in words)
    assert all(one.end <= two.start for one, two in pairwise(words))
    assert words[-1].end == pytest.approx(len(sound_of(chunks, 1)) / RATE)
    spoken = {word.word: word.end - word.start for word in words}
    assert spoken["4512"] > 2 * spoken["ships"], "counted in sounds, not in letters"
    assert all(not chunk.words for chunk in chunks if chunk.piece == 1 and chunk is not first)


def test_word_times_agree_with_a_pause_that_can_be_heard(voice):
    spoken = voice.speak("It is open from nine to six today, Saturday from ten to four.", 1.0, 0.0)
    sound = np.abs(to_float(spoken.pcm))
    quiet = np.flatnonzero(np.convolve(sound, np.ones(3600), "valid") < 3600 * 0.001)
    (today,) = (word for word in spoken.words if word.word == "today,")
    pause = quiet[len(quiet) // 2] / RATE + 0.075
    assert today.end - 0.2 <= pause <= today.end + 0.4


def test_threads_do_not_disturb_each_other(voice):
    texts = ["Hello there.", "We are open, Monday to Friday.", "zxqwv blorp 4512", "Bye!"]
    alone = [voice.speak(text, 1.0, 0.0) for text in texts]
    wrong = []

    def run(shift):
        for i in range(8):
            k = (i + shift) % len(texts)
            if voice.speak(texts[k], 1.0, 0.0) != alone[k]:
                wrong.append(texts[k])

    threads = [threading.Thread(target=run, args=(shift,)) for shift in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


ODD = st.sampled_from(
    ["①", "⑵", "²", "½", "٤", "𐩃", "$5", "10am", "U.S.", "'s", "-", ".", " ", "x"]
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=12), st.lists(ODD, max_size=6).map("".join)))
def test_no_text_breaks_it(voice, text):
    spoken = voice.speak(text, 1.0, 0.0)
    assert spoken is None or (spoken.pcm and len(spoken.words) == len(text.split()))
