from __future__ import annotations

import math

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from antiphon.errors import OptionError, TransportError
from antiphon.transports.line import PACKET, Line, LineOptions

DEFAULTS = LineOptions()


def refusal(call, *args) -> TransportError:
    with pytest.raises(TransportError) as caught:
        call(*args)
    return caught.value


def run_to(line: Line, end: float, *, is_busy: bool = False) -> list[tuple[float, int]]:
    """Call `tick` at each deadline until `end`."""
    silences = []
    while line.deadline <= end:
        now = line.deadline
        count = line.tick(now, is_busy=is_busy)
        if count:
            silences.append((round(now, 6), count))
    return silences


def test_sound_at_real_time_goes_on_for_ever():
    line = Line(LineOptions(max_session=604_800), 0.0)
    for n in range(100_000):
        line.take_sound(0.02, n * 0.02)


def test_sound_may_be_three_seconds_ahead_and_no_more():
    line = Line(DEFAULTS, 10.0)
    line.take_sound(3.0, 10.0)
    error = refusal(line.take_sound, 0.02, 10.0)
    assert (error.reason, error.close_code) == ("audio-rate", 1008)
    assert "real time" in str(error)


def test_ten_times_real_time_is_noticed_within_a_third_of_a_second():
    line = Line(DEFAULTS, 0.0)
    for n in range(1000):
        try:
            line.take_sound(0.02, n * 0.002)
        except TransportError:
            break
    assert n * 0.002 == pytest.approx(3.0 / 9, abs=0.01)


def test_sound_that_a_stalled_network_kept_back_may_come_at_once():
    line = Line(DEFAULTS, 0.0)
    for n in range(50):
        line.take_sound(0.02, n * 0.02)
    line.take_sound(20.0, 21.0)
    line.take_sound(0.02, 21.02)


def test_sound_that_came_late_at_once_does_not_keep_silence_back_for_long():
    line = Line(DEFAULTS, 0.0)
    line.take_sound(20.0, 20.0)
    assert run_to(line, 23.24) == []
    assert run_to(line, 23.255) == [(23.25, 12)]


def test_text_messages_fifty_at_once_and_fifty_a_second():
    line = Line(DEFAULTS, 0.0)
    for _ in range(50):
        line.take_text(5.0)
    for n in range(1, 500):
        line.take_text(5.0 + n / 50)
    error = refusal(line.take_text, 5.0 + 499 / 50)
    assert (error.reason, error.close_code) == ("text-rate", 1008)


def test_messages_of_any_kind_are_counted():
    line = Line(DEFAULTS, 0.0)
    for n in range(2000):
        line.take_message(2, n / 375)
    error = refusal(lambda: [line.take_message(0, 6.0) for _ in range(40_000)])
    assert error.reason == "message-rate"


def test_a_message_too_big():
    line = Line(DEFAULTS, 0.0)
    line.take_message(65_536, 0.0)
    error = refusal(line.take_message, 65_537, 0.0)
    assert (error.reason, error.close_code) == ("message-too-big", 1009)


def test_the_twentieth_bad_message_is_the_last():
    line = Line(DEFAULTS, 0.0)
    for _ in range(19):
        line.take_bad()
    error = refusal(line.take_bad)
    assert (error.reason, error.close_code) == ("bad-messages", 1008)


def test_idle_after_a_minute_of_neither_sound_nor_text():
    line = Line(DEFAULTS, 0.0)
    line.take_text(7.0)
    assert line.deadline == 67.0
    assert line.tick(66.9, is_busy=False) == 0
    with pytest.raises(TransportError) as caught:
        line.tick(67.0, is_busy=False)
    assert (caught.value.reason, caught.value.close_code) == ("idle", 1000)


def test_who_listens_to_the_agent_is_not_idle():
    line = Line(DEFAULTS, 0.0)
    assert run_to(line, 200.0, is_busy=True) == []
    assert line.deadline == 240.0


def test_a_session_ends_after_an_hour_whatever_happens():
    line = Line(DEFAULTS, 100.0)
    for n in range(3599):
        line.take_sound(1.0, 100.0 + n)
    with pytest.raises(TransportError) as caught:
        line.tick(3700.0, is_busy=True)
    assert (caught.value.reason, caught.value.close_code) == ("session-length", 1000)


def test_silence_follows_sound_at_the_pace_of_time():
    line = Line(DEFAULTS, 0.0)
    line.take_sound(0.02, 0.0)
    silences = run_to(line, 50.0)
    # What the wait swallowed comes first; then one packet each 20 ms; 2.5 s in all.
    assert silences[0] == (0.27, 12)
    assert silences[1:3] == [(0.28, 1), (0.3, 1)]
    assert sum(count for _, count in silences) == 125
    assert silences[-1][0] == pytest.approx(0.02 + 2.5)


def test_silence_waits_for_the_end_of_a_long_message():
    line = Line(DEFAULTS, 0.0)
    line.take_sound(1.0, 0.0)
    line.take_sound(1.0, 1.0)
    assert run_to(line, 2.249) == []
    assert run_to(line, 2.251) == [(2.25, 12)]


def test_silence_stops_when_sound_comes_and_follows_it_anew():
    line = Line(DEFAULTS, 0.0)
    line.take_sound(0.02, 0.0)
    run_to(line, 1.0)
    line.take_sound(0.02, 1.0)
    assert run_to(line, 1.26) == []
    assert run_to(line, 1.27) == [(1.27, 12)]


def test_no_silence_before_any_sound():
    line = Line(DEFAULTS, 0.0)
    line.take_text(0.0)
    assert run_to(line, 59.9) == []


def test_no_silence_if_it_is_switched_off():
    line = Line(LineOptions(silence_for=0.0), 0.0)
    line.take_sound(0.02, 0.0)
    assert run_to(line, 59.9) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_idle", 0), ("max_message", 10), ("silence_after", 250), ("max_texts", math.nan)],
)
def test_options_are_checked(name: str, value: float):
    with pytest.raises(OptionError, match=name):
        LineOptions(**{name: value})


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(OptionError, match="max_idle"):
        LineOptions(max_idel=3)


class Lines(RuleBasedStateMachine):
    """Whatever comes, a tick at the deadline gets on, and silence never outruns time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.endings: set[tuple[str, int]] = set()
        self.call()

    def call(self) -> None:
        self.line = Line(LineOptions(max_session=100.0, max_idle=20.0), self.now)
        self.over = False
        self.sound_until = 0.0
        self.silence = 0

    @precondition(lambda self: self.over)
    @rule()
    def call_again(self) -> None:
        self.call()

    def attempt(self, call, *args) -> None:
        try:
            call(*args)
        except TransportError as error:
            self.endings.add((error.reason, error.close_code))
            self.over = True

    @precondition(lambda self: not self.over)
    @rule(seconds=st.floats(0, 2), gap=st.floats(0, 5))
    def sound(self, seconds: float, gap: float) -> None:
        self.wait(gap)
        self.sound_until = max(self.sound_until, self.now) + seconds
        self.silence = 0
        self.attempt(self.line.take_sound, seconds, self.now)

    @precondition(lambda self: not self.over)
    @rule(gap=st.floats(0, 5))
    def text(self, gap: float) -> None:
        self.wait(gap)
        self.attempt(self.line.take_text, self.now)

    @precondition(lambda self: not self.over)
    @rule(seconds=st.floats(0, 30), is_busy=st.booleans())
    def wait(self, seconds: float, is_busy: bool = False) -> None:
        end = self.now + seconds
        while not self.over and self.line.deadline <= end:
            now = max(self.line.deadline, self.now)
            before = self.line.deadline
            self.now = now
            try:
                count = self.line.tick(now, is_busy=is_busy)
            except TransportError as error:
                self.endings.add((error.reason, error.close_code))
                self.over = True
                return
            assert count >= 0
            assert count or is_busy
            self.silence += count
            assert self.line.deadline > before
        self.now = end

    @invariant()
    def it_ends_for_known_reasons(self) -> None:
        assert self.endings <= {
            *(("audio-rate", 1008), ("text-rate", 1008)),
            *(("idle", 1000), ("session-length", 1000)),
        }

    @invariant()
    def silence_fills_only_what_has_passed(self) -> None:
        assert self.silence <= 125
        if self.silence:
            # The line bounds how far sound reaches into the future, so it may begin earlier.
            assert self.silence * PACKET <= self.now + 3.0 - min(self.sound_until, self.now) + 1e-6


TestLines = Lines.TestCase
