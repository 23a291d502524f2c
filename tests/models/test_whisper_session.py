"""What becomes of sound, edges and readings that come in any order.

The sound says what time it is: each tenth of a second holds its own number, from 1 on. The reader,
a stand-in for Whisper, tells the numbers that it was given; when it has done so is up to the test.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio import WIDEBAND, AudioFormat
from antiphon.errors import UsageError
from antiphon.frames import TurnCommitted, UserAudio, VoiceStarted, VoiceStopped
from antiphon.models.whisper_engine import Reading, settled_frames
from antiphon.models.whisper_segments import Interims
from antiphon.models.whisper_session import WhisperSession

TENTH = 1600


class Reader:
    is_busy = False

    def __init__(self):
        self.refuses = False
        self.is_deaf = False

    def read(self, known, pcm, prompt):
        numbers = np.unique(np.frombuffer(pcm, "<i2"))
        text = "" if self.is_deaf else " ".join(str(number) for number in numbers if number)
        return Reading(text, settled_frames())

    def read_interim(self, known, pcm, prompt):
        return None if self.refuses else self.read(known, pcm, prompt)


@dataclass(eq=False)
class Begun:
    """A reading that a thread works on."""

    future: asyncio.Future
    work: tuple

    def end(self):
        function, *arguments = self.work
        if not self.future.cancelled():
            self.future.set_result(function(*arguments))


class Room:
    """A session, and everything that happens around it."""

    def __init__(self, *, period=0.5, cpu=1.0, is_still=False):
        self.reader = Reader()
        self.begun = []
        self.session = WhisperSession(self.reader, (), Interims(period, cpu), start=self.start)
        self.position = 0
        self.voiced = set()
        self.is_on = False
        # Whether silence is silent; else it has numbers, so that one sees what was read of it.
        self.is_still = is_still
        self.told = []

    def start(self, *work):
        begun = Begun(asyncio.get_running_loop().create_future(), work)
        self.begun.append(begun)
        return begun.future

    def sound(self, tenths):
        first = self.position // TENTH + 1
        numbers = np.repeat(np.arange(first, first + tenths, dtype="<i2"), TENTH)
        if self.is_on:
            self.voiced.update(range(first, first + tenths))
        elif self.is_still:
            numbers[:] = 0
        self.session.hear(UserAudio(numbers.tobytes(), WIDEBAND, self.position))
        self.position += tenths * TENTH

    def start_voice(self):
        """The detector is sure a tenth later; that one is sound already."""
        if not self.is_on:
            self.is_on = True
            self.sound(1)
            self.session.hear(VoiceStarted(self.position - TENTH, 0.1))

    def stop_voice(self):
        if self.is_on:
            self.is_on = False
            self.sound(1)
            self.session.hear(VoiceStopped(self.position - TENTH, 0.1))

    def commit(self):
        self.session.hear(TurnCommitted("", 1))

    async def end_reading(self, number=0):
        """The reader finishes one; then whoever waits for it runs."""
        if self.begun:
            self.begun.pop(number % len(self.begun)).end()
            await asyncio.sleep(0)

    async def end_readings(self):
        while self.begun:
            await self.end_reading()

    def take(self):
        words = self.session._words
        while words.said:
            self.told.append(words.said.popleft())

    async def finish(self):
        self.session.finish()
        self.take()
        await self.end_readings()
        self.take()
        assert await self.session.next() is None

    def finals(self):
        return [told for told in self.told if told.final]

    def last_words(self):
        """The numbers in the last final of each segment."""
        last = {final.segment: final.text for final in self.finals()}
        return [[int(word) for word in last[number].split()] for number in sorted(last)]


async def test_a_voice_is_read_with_what_lies_around_it():
    room = Room(cpu=0.0)
    room.sound(20)
    room.start_voice()
    room.sound(9)
    room.stop_voice()
    room.sound(3)
    await room.end_readings()
    room.take()
    # Voice from 2.0 to 3.0 s; 0.3 s before it, 0.1 s after it.
    assert room.last_words() == [list(range(18, 32))]
    assert [told.final for told in room.told] == [True]


async def test_interims_come_before_the_final_and_only_with_new_words():
    room = Room()
    room.start_voice()
    for _ in range(12):
        room.sound(1)
        await room.end_readings()
        room.take()
    room.stop_voice()
    await room.end_readings()
    room.take()
    assert [told.final for told in room.told] == [False, False, True]
    assert all(len(one.text) < len(two.text) for one, two in pairwise(room.told))


async def test_interims_that_nobody_takes_are_replaced():
    room = Room()
    room.start_voice()
    for _ in range(30):
        room.sound(1)
        await room.end_readings()
    assert len(room.session._words.said) == 1


async def test_a_final_does_not_wait_for_an_interim():
    room = Room()
    room.start_voice()
    room.sound(7)
    room.stop_voice()
    assert len(room.begun) == 2
    await room.end_reading(1)
    room.take()
    assert [told.final for told in room.told] == [True]
    await room.end_readings()
    room.take()
    assert len(room.told) == 1


async def test_an_interim_that_heard_it_all_becomes_the_final():
    room = Room(period=0.8)
    room.start_voice()
    room.sound(6)
    # The interim begins in the tenth which the detector then takes for silence.
    room.stop_voice()
    assert len(room.begun) == 1
    await room.end_readings()
    room.take()
    assert [told.final for told in room.told] == [True]


async def test_so_does_one_that_was_read_already():
    room = Room(period=0.8)
    room.start_voice()
    room.sound(6)
    room.is_on = False
    room.sound(1)
    await room.end_readings()
    room.session.hear(VoiceStopped(room.position - TENTH, 0.1))
    assert not room.begun
    room.take()
    assert [told.final for told in room.told] == [False, True]


@pytest.mark.parametrize("what", ["refuses", "is_deaf"])
async def test_but_not_if_it_found_no_place_or_no_words(what):
    room = Room(period=0.8)
    room.start_voice()
    room.sound(6)
    room.stop_voice()
    setattr(room.reader, what, True)
    await room.end_reading()
    setattr(room.reader, what, False)
    room.take()
    assert room.told == []
    await room.end_reading()
    room.take()
    assert room.last_words() == [list(range(1, 9))]


async def test_after_a_short_pause_the_segment_goes_on():
    room = Room(cpu=0.0)
    room.start_voice()
    room.sound(9)
    room.stop_voice()
    await room.end_readings()
    room.sound(5)
    room.start_voice()
    room.sound(9)
    room.stop_voice()
    await room.end_readings()
    room.take()
    assert [told.segment for told in room.told] == [1, 1]
    assert [told.final for told in room.told] == [True, True]
    assert room.last_words() == [list(range(1, 28))]


async def test_if_it_goes_on_before_the_final_was_read_that_comes_as_an_interim():
    room = Room(cpu=0.0)
    room.start_voice()
    room.sound(9)
    room.stop_voice()
    room.start_voice()
    await room.end_readings()
    room.take()
    assert [(told.final, told.segment) for told in room.told] == [(False, 1)]
    room.stop_voice()
    await room.end_readings()
    room.take()
    assert room.told[-1].final
    assert room.last_words() == [list(range(1, 14))]


@pytest.mark.parametrize("tenths", [14, 40])
async def test_after_a_long_pause_a_new_segment_begins(tenths):
    room = Room(cpu=0.0)
    for _ in range(2):
        room.start_voice()
        room.sound(4)
        room.stop_voice()
        await room.end_readings()
        room.sound(tenths)
    room.take()
    assert [told.segment for told in room.told] == [1, 2]


async def test_a_long_segment_does_not_go_on_either():
    room = Room(cpu=0.0)
    for _ in range(2):
        room.start_voice()
        room.sound(125)
        room.stop_voice()
        await room.end_readings()
    room.take()
    assert [told.segment for told in room.told] == [1, 2]


async def test_a_committed_turn_is_not_joined():
    room = Room(cpu=0.0)
    room.start_voice()
    room.sound(4)
    room.stop_voice()
    await room.end_readings()
    room.commit()
    room.start_voice()
    room.stop_voice()
    await room.end_readings()
    room.take()
    assert [told.segment for told in room.told] == [1, 2]
    assert room.last_words() == [[1, 2, 3, 4, 5, 6], [6, 7, 8]]


@pytest.mark.parametrize("is_read", [True, False])
async def test_a_turn_committed_when_the_voice_is_on_again_splits_the_segment(is_read):
    room = Room(cpu=0.0)
    room.start_voice()
    room.sound(4)
    room.stop_voice()
    room.sound(5)
    if is_read:
        await room.end_readings()
    room.start_voice()
    room.sound(2)
    room.commit()
    room.sound(2)
    room.stop_voice()
    await room.end_readings()
    room.take()
    assert [told.segment for told in room.told] == [1, 2]
    assert room.last_words() == [[1, 2, 3, 4, 5, 6], list(range(9, 18))]


async def test_a_commit_before_the_first_pause_takes_nothing_away():
    room = Room(cpu=0.0)
    room.start_voice()
    room.sound(4)
    room.commit()
    room.sound(4)
    room.stop_voice()
    await room.end_readings()
    room.take()
    assert room.last_words() == [list(range(1, 11))]


async def test_a_final_that_was_late_does_not_come_after_a_newer_one():
    room = Room(cpu=0.0)
    for _ in range(2):
        room.start_voice()
        room.sound(4)
        room.stop_voice()
        room.commit()
    await room.end_reading(1)
    room.take()
    assert room.told == []
    await room.end_reading(0)
    room.take()
    assert [told.segment for told in room.told] == [1, 2]


async def test_when_it_becomes_quiet_the_words_are_read_before_the_voice_stops():
    room = Room(period=5.0, is_still=True)
    room.start_voice()
    room.sound(8)
    assert room.begun == []
    room.is_on = False
    room.sound(1)
    await room.end_readings()
    # A slow detector: it counts one more tenth as voice.
    room.sound(1)
    room.session.hear(VoiceStopped(room.position - TENTH, 0.1))
    room.take()
    assert [told.final for told in room.told] == [False, True]
    assert room.last_words() == [list(range(1, 10))]


async def test_but_not_if_something_was_said_since():
    room = Room(period=5.0, is_still=True)
    room.start_voice()
    room.sound(8)
    room.is_on = False
    room.sound(1)
    await room.end_readings()
    room.is_on = True
    room.sound(1)
    room.stop_voice()
    await room.end_readings()
    room.take()
    assert room.last_words() == [[*range(1, 10), 11]]


async def test_nor_if_the_voice_went_on_after_a_pause():
    room = Room(period=5.0, is_still=True)
    room.start_voice()
    room.sound(8)
    room.stop_voice()
    await room.end_readings()
    # So short that the detector is sure of it when it is over.
    room.start_voice()
    room.stop_voice()
    await room.end_readings()
    room.take()
    assert room.last_words() == [[*range(1, 10), 11]]


async def test_sound_is_kept_until_its_final_was_read():
    room = Room(period=0.8)
    room.start_voice()
    room.sound(6)
    room.stop_voice()
    room.reader.refuses = True
    room.commit()
    for _ in range(40):
        room.sound(1)
    await room.end_readings()
    room.take()
    assert room.last_words() == [list(range(1, 9))]


async def test_words_that_were_final_are_not_lost_to_a_cough():
    room = Room(cpu=0.0)
    room.start_voice()
    room.sound(4)
    room.stop_voice()
    await room.end_readings()
    room.start_voice()
    room.stop_voice()
    room.reader.is_deaf = True
    await room.end_readings()
    room.take()
    assert [told.text for told in room.told] == ["1 2 3 4 5 6"] * 2


async def test_a_voice_without_words_has_an_empty_final():
    room = Room()
    room.reader.is_deaf = True
    room.start_voice()
    room.sound(12)
    room.stop_voice()
    await room.end_readings()
    room.take()
    assert [(told.text, told.final) for told in room.told] == [("", True)]


async def test_somebody_who_never_pauses_is_read_in_parts():
    room = Room(cpu=0.0)
    room.start_voice()
    for _ in range(120):
        room.sound(5)
    room.stop_voice()
    await room.finish()
    assert len(room.last_words()) >= 3
    assert set().union(*room.last_words()) == set(range(1, 603))


async def test_a_part_has_no_words_of_the_next_though_interims_had_them():
    room = Room()
    room.start_voice()
    for _ in range(60):
        room.sound(5)
        await room.end_readings()
    room.stop_voice()
    await room.finish()
    first, second = room.last_words()
    assert len(set(first) & set(second)) <= 2


async def test_sound_in_one_piece_is_read_like_sound_in_many():
    whole, parts = Room(cpu=0.0), Room(cpu=0.0)
    for room in (whole, parts):
        room.start_voice()
    whole.sound(700)
    for _ in range(700):
        parts.sound(1)
    for room in (whole, parts):
        room.stop_voice()
        await room.finish()
    assert set().union(*whole.last_words()) == set().union(*parts.last_words())
    assert all(len(words) < 280 for words in whole.last_words())


async def test_in_silence_little_is_kept():
    room = Room()
    room.start_voice()
    room.sound(20)
    room.stop_voice()
    await room.end_readings()
    for _ in range(600):
        room.sound(1)
    assert len(room.session._sound._pcm) <= 2 * 1.5 * 16_000


async def test_edges_without_sense_change_nothing():
    room = Room(cpu=0.0)
    room.session.hear(VoiceStopped(0))
    room.commit()
    room.start_voice()
    room.session.hear(VoiceStarted(0))
    room.sound(3)
    room.stop_voice()
    room.session.hear(VoiceStopped(room.position))
    await room.finish()
    assert [told.segment for told in room.told] == [1]
    assert room.last_words() == [list(range(1, 6))]


async def test_a_closed_session_hears_no_reading():
    room = Room()
    room.start_voice()
    room.sound(7)
    room.stop_voice()
    begun = list(room.begun)
    room.session.close()
    assert all(reading.future.cancelled() for reading in begun)
    await asyncio.sleep(0)
    room.take()
    assert room.told == []


async def test_a_reader_that_fails_ends_the_session():
    room = Room(cpu=0.0)
    room.start_voice()
    room.stop_voice()
    error = RuntimeError("out of memory")
    room.begun.pop().future.set_exception(error)
    assert await room.session.next() is None
    assert room.session.failure is error


async def test_other_formats_are_refused():
    with pytest.raises(UsageError, match="16 kHz mono"):
        Room().session.hear(UserAudio(b"", AudioFormat(8000), 0))


STEPS = st.one_of(
    st.tuples(st.just("sound"), st.sampled_from([1, 2, 5, 13, 40, 130])),
    st.tuples(
        st.sampled_from(["start_voice", "stop_voice", "start_voice", "stop_voice", "commit"])
    ),
    st.tuples(st.just("end_reading"), st.integers(0, 3)),
    st.tuples(st.just("refuse"), st.booleans()),
)


@given(
    st.lists(STEPS, max_size=80),
    st.sampled_from([0.2, 0.5, 2.0]),
    st.sampled_from([0.0, 1.0]),
    st.booleans(),
)
@settings(deadline=None, max_examples=200)
async def test_whatever_happens_no_voice_is_lost_and_no_word_comes_twice(
    steps, period, cpu, is_still
):
    room = Room(period=period, cpu=cpu, is_still=is_still)
    for name, *arguments in steps:
        if name == "refuse":
            room.reader.refuses = arguments[0]
            continue
        result = getattr(room, name)(*arguments)
        if result is not None:
            await result
        room.take()
    await room.finish()

    numbers = [told.segment for told in room.told]
    assert numbers == sorted(numbers)
    for segment in set(numbers):
        own = [told for told in room.told if told.segment == segment]
        assert own[-1].final, "an interim came after the last final"
        finals = [set(told.text.split()) for told in own if told.final]
        assert all(one <= two for one, two in pairwise(finals)), "a later final lost words"
    heard = [set(words) for words in room.last_words()]
    assert room.voiced <= set().union(*heard)
    # At a border, a tenth may lie on both sides: the one that was cut, and the one after the voice.
    assert all(len(one & two) <= 2 for one, two in pairwise(heard))
