"""When interims are due, and how sound is kept."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.models.whisper_segments import InterimClock, Interims, Sound
from support.spoken import RATE, noise, silence

LOUD, LOW = noise(0.1, 0.1), noise(0.1, 0.001)


def due(clock, sound, pcm):
    sound.add(pcm)
    return clock.is_due(sound)


def listen(clock, sound, kinds, *, cost=0.0):
    """Seconds at which an interim is read, in sound of 0.1 s pieces: L loud, . quiet."""
    times = []
    for kind in kinds:
        if due(clock, sound, LOUD if kind == "L" else LOW):
            times.append(round(sound.end / RATE, 1))
            clock.begun(sound.end)
            clock.took(cost)
    return times


def test_interims_come_once_in_a_period():
    assert listen(InterimClock(Interims(0.5, 1.0), 0), Sound(), "L" * 16) == [0.5, 1.0, 1.5]


def test_and_when_it_becomes_quiet():
    times = listen(InterimClock(Interims(0.5, 1.0), 0), Sound(), "LLLLLLL..LLL")
    assert times == [0.5, 0.8]


def test_also_right_after_another_but_once_in_a_pause():
    times = listen(InterimClock(Interims(0.5, 1.0), 0), Sound(), "LLLLL...LL.LLL")
    assert times == [0.5, 0.6, 1.1]


@pytest.mark.parametrize("cost", [0.05, 0.1, 0.3])
def test_they_stay_within_their_share(cost):
    times = listen(InterimClock(Interims(0.2, 0.25), 0), Sound(), "L" * 100, cost=cost)
    assert cost * len(times) / 10 <= 0.25
    if cost > 0.05:
        # And they use it.
        assert cost * len(times) / 10 >= 0.2


def test_without_a_share_there_are_none():
    assert InterimClock(Interims(0.2, 0.0), 0).is_off


def test_one_that_found_no_place_is_tried_again_soon():
    clock, sound = InterimClock(Interims(0.5, 1.0), 0), Sound()
    listen(clock, sound, "LLLLL")
    clock.refused(sound.end)
    assert listen(clock, sound, "LL") == [0.6]


def test_the_voice_ended_where_it_became_quiet_but_not_long_before():
    clock, sound = InterimClock(Interims(0.5, 1.0), 0), Sound()
    listen(clock, sound, "LLLL.")
    second = RATE
    assert clock.voice_end(round(0.45 * second)) == round(0.4 * second)
    assert clock.voice_end(round(0.3 * second)) == round(0.3 * second)
    # A bang must not make all that follows count as quiet.
    assert clock.voice_end(2 * second) == round(1.88 * second)


def test_sound_is_kept_by_position():
    sound = Sound()
    for number in range(10):
        sound.add(np.full(100, number, "<i2").tobytes())
    sound.forget(250)
    sound.forget(100)
    assert (sound.begin, sound.end) == (250, 1000)
    kept = np.frombuffer(sound.pcm(0, 2000), "<i2")
    assert len(kept) == 750
    assert kept[0] == 2
    assert list(np.frombuffer(sound.pcm(399, 401), "<i2")) == [3, 4]


def test_the_quietest_place_is_found():
    sound = Sound()
    sound.add(silence(0.3) + noise(1.0, 0.1) + noise(0.2, 0.001) + noise(1.0, 0.1))
    assert sound.quietest(2 * RATE) == pytest.approx(1.4 * RATE, abs=0.1 * RATE)


def test_of_no_sound_the_end_is_the_quietest_place():
    assert Sound().quietest(100) == 0
    assert Sound().level(100) == 0.0
