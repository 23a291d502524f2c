"""The table, row by row where a row means something, and the invariants over any order of
events."""

import inspect
import re

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from antiphon.frames import (
    PlaybackEnded,
    PlaybackStarted,
    Transcript,
    TurnScored,
    TypedText,
    VoiceStarted,
    VoiceStopped,
)
from antiphon.turns.endpointing import TurnOptions
from antiphon.turns.events import EVENTS, ReplyFailed, SayRequested, ToolEnded, ToolStarted
from antiphon.turns.machine import TABLE, TIMERS, TurnMachine
from antiphon.turns.orders import (
    AskCompleteness,
    CancelReply,
    CommitReply,
    CommitTurn,
    FinishReply,
    ReportStuck,
    StartReply,
    StopReply,
    WithdrawTurn,
)
from antiphon.turns.state import Phase

ON, OFF = VoiceStarted(0), VoiceStopped(0)


def said(text, segment=1, final=True):
    return Transcript(text, final, segment)


def machine(*steps, **options) -> TurnMachine:
    """A machine after (event, now) steps."""
    made = TurnMachine(TurnOptions(**options))
    for event, now in steps:
        made.feed(event, now)
    return made


def thinking(**options):
    """The turn "hello" is committed at 1.2 s."""
    made = machine(
        (ON, 0.0), (OFF, 1.0), (said("hello"), 1.1), (TurnScored(1, 1.0), 1.15), **options
    )
    assert made.tick(1.2) == (CommitTurn(1, "hello"), StartReply(1), CommitReply(1))
    return made


def speaking(**options):
    made = thinking(**options)
    made.feed(PlaybackStarted(1), 1.5)
    assert made.phase is Phase.SPEAKING
    return made


# ---- the table -------------------------------------------------------------------------------


def test_every_pair_is_thought_of():
    assert set(TABLE) == set(Phase)
    for phase, rows in TABLE.items():
        assert set(rows) == set(EVENTS), phase


def test_every_action_says_what_it_means():
    actions = {row.action for rows in TABLE.values() for row in rows.values()}
    actions |= {action for action, _ in TIMERS.values()}
    assert all(inspect.getdoc(action) for action in actions)


# ---- end of turn -----------------------------------------------------------------------------


def test_a_pause_is_asked_about_once():
    made = machine((ON, 0.0))
    assert made.feed(OFF, 1.0) == (AskCompleteness(1),)


def test_a_sure_turn_is_taken_after_the_shortest_wait():
    made = machine((ON, 0.0), (OFF, 1.0), (said("hello"), 1.1), (TurnScored(1, 1.0), 1.15))
    assert made.deadline == 1.2
    assert made.tick(1.19) == ()
    assert made.tick(1.2) == (CommitTurn(1, "hello"), StartReply(1), CommitReply(1))


def test_silence_counts_from_the_last_voice_not_from_its_report():
    made = machine((ON, 0.0), (VoiceStopped(0, silence=0.1), 1.0), (said("hello"), 1.05))
    made.feed(TurnScored(1, 1.0), 1.05)
    assert made.deadline == 1.0 - 0.1 + 0.2


def test_a_doubtful_turn_waits_longer_but_never_more_than_the_longest():
    made = machine((ON, 0.0), (OFF, 1.0), (said("hello"), 1.1), (TurnScored(1, 0.0), 1.15))
    assert made.deadline == 2.2


def test_without_an_answer_it_waits_as_long_as_for_a_doubtful_turn():
    assert machine((ON, 0.0), (OFF, 1.0), (said("hello"), 1.1)).deadline == 2.2


def test_without_a_detector_silence_decides():
    made = machine((ON, 0.0), (OFF, 1.0), (said("hello"), 1.1), (TurnScored(1, None), 1.15))
    assert made.deadline == 1.7


def test_words_that_come_after_the_wait_are_answered_at_once():
    made = machine((ON, 0.0), (OFF, 1.0), (TurnScored(1, 1.0), 1.1))
    assert made.deadline == 2.2
    assert made.feed(said("hello"), 1.5)[0] == CommitTurn(1, "hello")


def test_words_that_never_come_are_given_up_for_the_interim_ones():
    made = machine((ON, 0.0), (said("hello", final=False), 0.5), (OFF, 1.0))
    made.feed(TurnScored(1, 1.0), 1.1)
    assert made.tick(2.2)[0] == CommitTurn(1, "hello")


def test_a_voice_without_words_is_noise():
    made = machine((ON, 0.0), (OFF, 1.0), (said(""), 1.1), (TurnScored(1, 1.0), 1.15))
    assert made.tick(1.2) == ()
    assert made.phase is Phase.LISTENING
    assert made.deadline is None


def test_a_stale_score_changes_nothing():
    made = machine((ON, 0.0), (OFF, 1.0), (ON, 1.1), (OFF, 2.0), (said("hello"), 2.05))
    before = made.state
    assert made.feed(TurnScored(1, 1.0), 2.1) == ()
    assert made.state == before


def test_going_on_within_the_pause_replaces_the_words_of_the_segment():
    made = machine((ON, 0.0), (OFF, 1.0), (said("hello"), 1.1), (ON, 1.15), (OFF, 2.0))
    made.feed(said("hello there"), 2.1)
    made.feed(TurnScored(2, 1.0), 2.15)
    assert made.tick(2.2)[0] == CommitTurn(1, "hello there")


def test_segments_are_joined_in_their_order():
    made = machine((ON, 0.0), (said("two", 2), 0.5), (said("one", 1), 0.6), (OFF, 1.0))
    made.feed(said("two", 2), 1.1)
    made.feed(TurnScored(1, 1.0), 1.15)
    assert made.tick(1.2)[0] == CommitTurn(1, "one two")


def test_a_voice_without_a_pause_is_answered_in_the_end():
    made = machine((ON, 0.0), (said("on and on", final=False), 30.0))
    assert made.deadline == 60.0
    assert made.tick(60.0)[0] == CommitTurn(1, "on and on")


def test_noise_without_a_pause_changes_nothing():
    made = machine((ON, 0.0))
    assert made.tick(60.0) == ()
    assert (made.phase, made.deadline) == (Phase.HEARING, 120.0)


def test_late_words_open_a_turn():
    made = machine()
    assert made.feed(said("hello"), 5.0) == (AskCompleteness(1),)
    made.feed(TurnScored(1, 1.0), 5.1)
    assert made.tick(5.2)[0] == CommitTurn(1, "hello")


# ---- before the reply is heard ---------------------------------------------------------------


def test_going_on_before_anything_was_heard_drops_the_reply_and_joins_the_words():
    made = thinking()
    assert made.feed(ON, 1.3) == (CancelReply(1), WithdrawTurn(1))
    made.feed(OFF, 2.0)
    made.feed(said("and goodbye", 2), 2.1)
    made.feed(TurnScored(2, 1.0), 2.15)
    orders = made.tick(2.2)
    assert orders == (CommitTurn(2, "hello and goodbye"), StartReply(2), CommitReply(2))


def test_more_words_before_anything_was_heard_make_the_reply_again():
    made = thinking()
    orders = made.feed(said("hello there"), 1.3)
    assert orders == (
        CancelReply(1),
        WithdrawTurn(1),
        CommitTurn(2, "hello there"),
        StartReply(2),
        CommitReply(2),
    )


def test_the_same_words_again_change_nothing():
    made = thinking()
    assert made.feed(said("Hello."), 1.3) == ()
    assert made.phase is Phase.THINKING


def test_a_reply_without_a_sound_is_given_up_and_reported():
    made = thinking()
    assert made.deadline == 1.2 + 15
    assert made.tick(16.2) == (CancelReply(1), ReportStuck(1))
    assert made.phase is Phase.LISTENING


def test_a_function_may_take_its_time():
    made = thinking()
    made.feed(ToolStarted(1), 1.3)
    assert made.deadline is None
    made.feed(ToolEnded(1), 60.0)
    assert made.deadline == 75.0


def test_a_failed_reply_gives_the_floor_back():
    made = thinking()
    assert made.feed(ReplyFailed(1), 1.3) == (FinishReply(1),)
    assert made.phase is Phase.LISTENING


# ---- while the agent speaks ------------------------------------------------------------------


def test_enough_voice_stops_the_agent():
    made = speaking()
    assert made.feed(VoiceStarted(0, late=0.064), 3.0) == ()
    assert made.deadline == pytest.approx(3.0 - 0.064 + 0.2)
    assert made.tick(3.136) == (StopReply(1),)
    assert made.phase is Phase.HEARING


def test_a_cough_does_not():
    made = speaking()
    made.feed(ON, 3.0)
    made.feed(VoiceStopped(0, silence=0.1), 3.15)
    assert (made.phase, made.deadline) == (Phase.SPEAKING, None)


def test_without_interruptions_words_are_kept_and_answered_after():
    made = speaking(allow_interruptions=False)
    made.feed(ON, 3.0)
    assert made.deadline is None
    made.feed(OFF, 4.0)
    made.feed(said("wait", 2), 4.1)
    # The pause is older than the longest wait by then.
    orders = made.feed(PlaybackEnded(1), 6.0)
    assert orders[0] == FinishReply(1)
    assert orders[-3:] == (CommitTurn(2, "wait"), StartReply(2), CommitReply(2))


def test_the_end_of_playing_gives_the_floor_back():
    made = speaking()
    assert made.feed(PlaybackEnded(1), 4.0) == (FinishReply(1),)
    assert (made.phase, made.deadline) == (Phase.LISTENING, None)


def test_a_correction_of_answered_words_asks_nothing_new():
    made = speaking()
    made.feed(said("Hallo."), 2.0)
    made.feed(said("hello there"), 2.1)
    assert [s.text for s in made.state.pending] == ["there"]


def test_an_old_reply_changes_nothing():
    made = speaking()
    before = made.state
    for event in (PlaybackEnded(0), PlaybackStarted(0), ReplyFailed(0), ToolStarted(0)):
        assert made.feed(event, 9.0) == ()
    assert made.state == before


# ---- typed text and given texts --------------------------------------------------------------


def test_typed_text_is_answered_at_once():
    assert machine().feed(TypedText("hi"), 1.0)[0] == CommitTurn(1, "hi")


def test_typed_text_stops_the_agent():
    orders = speaking().feed(TypedText("stop"), 3.0)
    assert orders == (StopReply(1), CommitTurn(2, "stop"), StartReply(2), CommitReply(2))


def test_typed_text_joins_what_was_not_answered():
    made = thinking()
    orders = made.feed(TypedText("please"), 1.3)
    assert orders[:3] == (CancelReply(1), WithdrawTurn(1), CommitTurn(2, "hello please"))


def test_a_greeting_is_said_at_once_and_a_second_text_after_it():
    made = machine()
    assert made.feed(SayRequested("hello"), 0.0) == (StartReply(1, "hello"), CommitReply(1))
    assert made.feed(SayRequested("again"), 0.1) == ()
    made.feed(PlaybackStarted(1), 0.2)
    orders = made.feed(PlaybackEnded(1), 1.0)
    assert orders == (FinishReply(1), StartReply(2, "again"), CommitReply(2))


def test_a_person_who_speaks_first_is_not_greeted_over():
    made = machine((SayRequested("hello", is_greeting=True), 0.0))
    assert made.feed(ON, 0.1) == (CancelReply(1),)
    assert made.phase is Phase.HEARING
    made.feed(OFF, 1.0)
    made.feed(said("hi"), 1.1)
    made.feed(TurnScored(1, 1.0), 1.15)
    assert made.tick(1.2) == (CommitTurn(1, "hi"), StartReply(2), CommitReply(2))
    assert made.feed(ReplyFailed(2), 1.3) == (FinishReply(2),)


def test_a_noise_does_not_cost_the_greeting():
    made = machine((SayRequested("hello", is_greeting=True), 0.0), (ON, 0.1), (OFF, 0.3))
    made.feed(said(""), 0.4)
    assert made.feed(TurnScored(1, 1.0), 0.5) == (StartReply(2, "hello"), CommitReply(2))


def test_what_is_no_greeting_is_said_after_the_answer():
    made = machine((SayRequested("your taxi is here"), 0.0), (TypedText("hi"), 0.1))
    assert made.state.reply == 2
    orders = made.feed(ReplyFailed(2), 0.2)
    assert orders == (FinishReply(2), StartReply(3, "your taxi is here"), CommitReply(3))


# ---- any order of events ---------------------------------------------------------------------


class Floor(RuleBasedStateMachine):
    """Everything that a shell may tell the machine, in any order, and what must always hold."""

    def __init__(self):
        super().__init__()
        self.machine = TurnMachine(TurnOptions(allow_interruptions=self.allowed))
        self.now = 0.0
        self.live = None
        self.audible = False
        self.voice = False
        self.segment = 0
        self.heard: dict[int, str] = {}
        self.typed: list[str] = []
        self.turn_text = ""
        self.answered: list[str] = []

    allowed = True

    def obey(self, orders):
        for order in orders:
            match order:
                case CommitTurn(text=text):
                    assert text.strip(), "answers nothing"
                    self.turn_text = text
                    self.answered.append(text)
                case WithdrawTurn():
                    assert not self.audible, "takes back what was answered aloud"
                    self.answered.pop()
                case StartReply(reply=reply):
                    assert self.live is None, "two replies at once"
                    self.live, self.audible = reply, False
                case CommitReply(reply=reply):
                    assert reply == self.live
                case CancelReply(reply=reply):
                    assert reply == self.live
                    assert not self.audible
                    self.live = None
                case StopReply(reply=reply):
                    assert reply == self.live
                    assert self.audible
                    assert self.allowed, "stopped although nobody may interrupt"
                    self.live = None
                case FinishReply(reply=reply):
                    assert reply == self.live
                    self.live = None

    def feed(self, event):
        phase = self.machine.phase
        orders = self.machine.feed(event, self.now)
        allowed = TABLE[phase][type(event)].leads_to
        for source in tuple(allowed):
            if source in TIMERS:
                allowed = allowed | TIMERS[source][1]
        assert self.machine.phase in allowed, (phase, event, self.machine.phase)
        self.obey(orders)

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds):
        end = self.now + seconds
        while (due := self.machine.deadline) is not None and due <= end:
            self.now = max(due, self.now)
            phase = self.machine.phase
            self.obey(self.machine.tick(self.now))
            assert self.machine.phase in TIMERS[phase][1]
            after = self.machine.deadline
            assert after is None or after > due, "the timer spins"
        self.now = end

    @rule(late=st.floats(0, 0.2))
    def voice_starts(self, late):
        if not self.voice:
            self.voice = True
            self.segment += 1
        self.feed(VoiceStarted(0, late))

    @rule(silence=st.floats(0, 0.2))
    def voice_stops(self, silence):
        self.voice = False
        self.feed(VoiceStopped(0, silence))

    @precondition(lambda self: self.segment)
    @rule(final=st.booleans(), word=st.sampled_from(["yes", "no", "to", "blue"]))
    def words_come(self, final, word):
        # A segment's words grow; no two segments share a word, so that none can be mistaken.
        known = self.heard.get(self.segment, "")
        fresh = f"{word}{self.segment}x{len(known.split())}"
        self.heard[self.segment] = f"{known} {fresh}".strip()
        self.feed(Transcript(self.heard[self.segment], final, self.segment))

    @precondition(lambda self: self.segment)
    @rule()
    def final_words_repeat(self):
        text = self.heard.get(self.segment, "")
        self.feed(Transcript(text, True, self.segment))

    @rule(probability=st.one_of(st.none(), st.floats(0, 1)), back=st.integers(0, 2))
    def score(self, probability, back):
        self.feed(TurnScored(self.machine.state.pause - back, probability))

    @rule()
    def types(self):
        word = f"typed{len(self.typed)}"
        self.typed.append(word)
        self.feed(TypedText(word))

    @rule(is_greeting=st.booleans())
    def say(self, is_greeting):
        self.feed(SayRequested("welcome", is_greeting))

    @precondition(lambda self: self.live is not None and not self.audible)
    @rule()
    def playback_starts(self):
        self.audible = True
        self.feed(PlaybackStarted(self.live))

    @precondition(lambda self: self.live is not None)
    @rule(kind=st.sampled_from([PlaybackEnded, ReplyFailed]))
    def reply_ends(self, kind):
        self.feed(kind(self.live))

    @precondition(lambda self: self.live is not None)
    @rule(kind=st.sampled_from([ToolStarted, ToolEnded]))
    def tool(self, kind):
        self.feed(kind(self.live))

    @rule(
        back=st.integers(1, 3),
        kind=st.sampled_from([PlaybackStarted, PlaybackEnded, ReplyFailed, ToolStarted, ToolEnded]),
    )
    def stale_reply(self, back, kind):
        before = self.machine.state
        due = before.deadline
        if due is not None and due <= self.now:
            return
        assert self.machine.feed(kind(before.reply - back), self.now) == ()
        assert self.machine.state == before

    @invariant()
    def no_word_is_lost_and_none_is_answered_twice(self):
        waiting = [segment.text for segment in self.machine.state.pending]
        words = " ".join([*self.answered, *waiting]).split()
        expected = " ".join([*self.heard.values(), *self.typed]).split()
        assert sorted(words) == sorted(expected)

    @invariant()
    def the_phase_agrees_with_what_is_live(self):
        is_live = self.machine.phase in (Phase.THINKING, Phase.SPEAKING)
        assert is_live == (self.live is not None)
        assert (self.machine.phase is Phase.SPEAKING) == (is_live and self.audible)

    @invariant()
    def never_deaf_and_never_stuck(self):
        state = self.machine.state
        match state.phase:
            case Phase.LISTENING:
                assert not state.pending
                assert not state.script
                assert state.deadline is None
            case Phase.HEARING | Phase.SETTLING:
                assert state.deadline is not None
            case Phase.THINKING:
                assert state.deadline is not None or state.tools


class FloorWithoutInterruptions(Floor):
    allowed = False


TestFloor = Floor.TestCase
TestFloor.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestFloorWithoutInterruptions = FloorWithoutInterruptions.TestCase
TestFloorWithoutInterruptions.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)


def test_the_module_does_no_io():
    source = inspect.getsource(inspect.getmodule(TurnMachine))
    assert not re.search(r"\b(asyncio|time|logging|socket)\b\.", source)
