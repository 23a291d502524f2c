from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio.formats import WIDEBAND
from antiphon.errors import OptionError, TransportError
from antiphon.transports.devices import EchoGuard, PlaybackQueue

PACKET = 0.02


def test_before_the_agent_has_spoken_the_microphone_is_heard():
    assert not EchoGuard().hears_agent(PACKET, 0.0)


def test_the_guard_closes_with_the_first_sound_and_opens_a_quarter_second_after_the_last():
    guard = EchoGuard()
    guard.play(1.0, 10.0)
    assert guard.hears_agent(PACKET, 10.0)
    assert guard.hears_agent(PACKET, 11.25)
    # A packet that ends at 11.269 began at 11.249, within the tail.
    assert guard.hears_agent(PACKET, 11.269)
    assert not guard.hears_agent(PACKET, 11.271)


def test_sound_that_waits_behind_other_sound_is_heard_after_it():
    guard = EchoGuard(tail=0.0)
    for _ in range(5):
        guard.play(0.2, 3.0)
    assert guard.hears_agent(PACKET, 4.019)
    assert not guard.hears_agent(PACKET, 4.021)


def test_after_a_pause_sound_is_heard_from_when_it_came():
    guard = EchoGuard(tail=0.1)
    guard.play(0.2, 1.0)
    guard.play(0.2, 2.0)
    assert not guard.hears_agent(PACKET, 2.4)
    assert guard.hears_agent(PACKET, 2.3)


def test_the_latency_of_the_device_is_waited_for():
    guard = EchoGuard(latency=0.5)
    guard.play(0.2, 1.0)
    assert guard.hears_agent(PACKET, 1.96)
    assert not guard.hears_agent(PACKET, 1.98)


def test_what_is_cleared_is_not_waited_for_but_for_the_device():
    guard = EchoGuard(latency=0.1, tail=0.25)
    guard.play(5.0, 1.0)
    guard.clear(2.0)
    assert guard.hears_agent(PACKET, 2.36)
    assert not guard.hears_agent(PACKET, 2.38)


def test_clearing_nothing_closes_nothing():
    guard = EchoGuard()
    guard.clear(1.0)
    assert not guard.hears_agent(PACKET, 1.0)
    guard.play(0.1, 1.0)
    guard.clear(9.0)
    assert not guard.hears_agent(PACKET, 2.0)


@given(
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1)), min_size=1, max_size=20),
    st.floats(0, 0.5),
)
def test_the_guard_is_closed_for_as_long_as_any_sound_is_heard(steps, latency):
    guard, now, heard_until = EchoGuard(latency=latency), 0.0, 0.0
    for pause, seconds in steps:
        now += pause
        guard.play(seconds, now)
        heard_until = max(now + latency, heard_until) + seconds
    assert guard.hears_agent(PACKET, heard_until + 0.24)
    assert not guard.hears_agent(PACKET, heard_until + 0.25 + PACKET + 1e-6)


def test_options_out_of_range():
    with pytest.raises(OptionError, match="tail=250 is outside 0 to 10 seconds"):
        EchoGuard(tail=250)


def test_the_queue_gives_exactly_what_is_asked_for():
    queue = PlaybackQueue(WIDEBAND)
    queue.put(b"\1\1" * 4)
    assert queue.pull(4) == b"\1\1" * 2
    assert queue.pull(8) == b"\1\1" * 2 + bytes(4)
    queue.put(b"\2\2")
    queue.clear()
    assert queue.pull(2) == bytes(2)


def test_a_queue_that_nobody_pulls_is_refused_sound_after_two_seconds():
    queue = PlaybackQueue(WIDEBAND)
    queue.put(bytes(WIDEBAND.n_bytes(2.0)))
    with pytest.raises(TransportError, match="has played nothing for 2 s: is it unplugged"):
        queue.put(bytes(2))
    queue.pull(2)
    queue.put(bytes(2))
