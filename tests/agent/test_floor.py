from __future__ import annotations

import pytest

from antiphon import PipelineParams, TurnOptions
from antiphon.audio import WIDEBAND
from antiphon.context import LLMContext, Message
from antiphon.frames import (
    AgentState,
    PlaybackEnded,
    PlaybackStarted,
    ReplyRequested,
    StateChanged,
    Transcript,
    TurnCommitted,
    VoiceStarted,
    VoiceStopped,
)
from antiphon.testing import (
    Listen,
    Pause,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTurnDetector,
    Speak,
    Write,
    call,
)
from antiphon.turns.endpointing import graded_wait

# Unless a test says otherwise, the person speaks from 1.0 to 2.0 s; see conftest for the clock.
ONE_TURN = [Pause(1.0), Speak(1.0), Listen()]


# ---- one turn --------------------------------------------------------------------------------


async def test_one_turn_from_voice_to_voice(make_agent, said):
    agent = make_agent()
    record = await call(agent, ONE_TURN)
    assert record.times_of(VoiceStarted) == (1.08,)
    assert record.times_of(VoiceStopped) == (2.1,)
    assert [at for at, words in record.frames_of(Transcript) if words.final] == [2.15]
    assert record.times_of(TurnCommitted) == (2.2,)
    assert record.times_of(ReplyRequested) == (2.2,)
    assert record.times_of(PlaybackStarted) == (2.52,)
    assert record.times_of(PlaybackEnded) == (4.52,)
    assert record.agent_spans == ((2.52, 4.52),)
    assert record.response_times == (0.52,)
    assert record.outcome == "ended"
    assert said(record.messages) == [
        ("user", "what are your hours"),
        ("assistant", "Yes, we are open now"),
    ]


async def test_states_follow_the_floor(make_agent):
    record = await call(make_agent(), ONE_TURN)
    assert [(at, frame.state) for at, frame in record.frames_of(StateChanged)] == [
        (2.2, AgentState.THINKING),
        (2.52, AgentState.SPEAKING),
        (4.52, AgentState.LISTENING),
    ]


async def test_the_far_side_is_told_in_order(make_agent):
    record = await call(make_agent(), ONE_TURN)
    told = [(at, e["role"], e["text"], e["final"]) for at, e in record.events_of("transcript")]
    assert told == [
        (1.3, "user", "what", False),
        (1.6, "user", "what are", False),
        (1.9, "user", "what are your", False),
        (2.15, "user", "what are your hours", False),
        (2.2, "user", "what are your hours", True),
        (2.52, "agent", "Yes, we are open now", False),
        (4.52, "agent", "Yes, we are open now", True),
    ]
    assert not record.events_of("clear")
    assert not record.events_of("error")


@pytest.mark.parametrize("probability", [1.0, 0.9, 0.5, 0.1, 0.0])
async def test_the_wait_follows_the_score(make_agent, probability):
    agent = make_agent(turn_detector=ScriptedTurnDetector(probability))
    record = await call(agent, ONE_TURN)
    wait = graded_wait(TurnOptions(), probability, "what are your hours")
    assert record.times_of(TurnCommitted) == (round(2.0 + wait, 9),)
    assert record.response_times == (pytest.approx(wait + 0.32, abs=2e-9),)


async def test_a_dangling_word_waits_longer(make_agent):
    record = await call(make_agent(["I want to"]), ONE_TURN)
    wait = graded_wait(TurnOptions(), 1.0, "I want to")
    assert wait > 0.9
    assert record.times_of(TurnCommitted) == (round(2.0 + wait, 9),)


async def test_without_a_detector_silence_decides(make_agent):
    record = await call(make_agent(turn_detector=None), ONE_TURN)
    assert record.times_of(TurnCommitted) == (2.7,)


@pytest.mark.parametrize(("delay", "taken"), [(0.1, 2.2), (0.15, 2.25), (1.05, 3.15), (2.0, 3.2)])
async def test_a_slow_score_is_waited_for_up_to_the_longest_wait(make_agent, delay, taken):
    agent = make_agent(turn_detector=ScriptedTurnDetector(1.0, delay=delay))
    record = await call(agent, ONE_TURN)
    assert record.times_of(TurnCommitted) == (taken,)


@pytest.mark.parametrize(("final_after", "taken"), [(0.1, 2.2), (0.3, 2.4), (1.0, 3.1)])
async def test_final_words_are_waited_for(make_agent, final_after, taken):
    stt = ScriptedSTT(["what are your hours"], final_after=final_after, interim_every=0)
    record = await call(make_agent(stt=stt), ONE_TURN)
    assert record.times_of(TurnCommitted) == (taken,)


async def test_when_words_take_too_long_those_that_are_there_count(make_agent, said):
    stt = ScriptedSTT(["what are your hours today"], final_after=30.0)
    agent = make_agent(stt=stt, llm=ScriptedLLM(["Nine to six.", "Today as well."]))
    record = await call(agent, [*ONE_TURN])
    # The final words come 30 s late; what they say beyond the answered ones is answered too.
    assert record.times_of(TurnCommitted) == (3.2, 32.3)
    assert said(record.messages) == [
        ("user", "what are your"),
        ("assistant", "Nine to six."),
        ("user", "hours today"),
        ("assistant", "Today as well."),
    ]


async def test_the_end_waits_until_what_was_said_is_answered(make_agent, said):
    agent = make_agent(["what are your hours"], ["Nine to six."])
    record = await call(agent, [Pause(1.0), Speak(1.0)])
    assert record.outcome == "ended"
    assert said(record.messages) == [
        ("user", "what are your hours"),
        ("assistant", "Nine to six."),
    ]


async def test_the_detector_is_given_the_turn(make_agent):
    detector = ScriptedTurnDetector([1.0, 1.0])
    words = ["what are your hours", "and on Sunday"]
    agent = make_agent(words, ["Nine to six.", "We are closed."], turn_detector=detector)
    await call(agent, [*ONE_TURN, Speak(0.6), Listen()])
    first, second = detector.asked
    assert (first.words, first.asked) == ("what are your", "")
    assert (second.words, second.asked) == ("and on", "Nine to six.")
    # 0.3 s before the voice was told, the voice, and the 0.1 s of silence that ended it.
    assert WIDEBAND.seconds(len(first.pcm)) == pytest.approx(0.3 + 1.0 - 0.08 + 0.1)
    assert WIDEBAND.seconds(len(second.pcm)) == pytest.approx(0.3 + 0.6 - 0.08 + 0.1)


async def test_several_turns(make_agent, said):
    words = ["hello", "what are your hours", "thanks"]
    agent = make_agent(words, ["Good day to you", "Nine to six", "Goodbye"])
    record = await call(agent, [s for _ in words for s in (Pause(0.5), Speak(0.8), Listen())])
    assert record.response_times == (0.52, 0.52, 0.52)
    assert said(record.messages) == [
        ("user", "hello"),
        ("assistant", "Good day to you"),
        ("user", "what are your hours"),
        ("assistant", "Nine to six"),
        ("user", "thanks"),
        ("assistant", "Goodbye"),
    ]
    # Each request saw the conversation as it then was.
    assert [len(request.context.messages) for request in agent.llm.requests] == [1, 3, 5]


async def test_a_conversation_goes_on(make_agent, said):
    context = LLMContext("Be kind.", messages=[Message("user", "hi"), Message("assistant", "Hi!")])
    record = await call(make_agent(), ONE_TURN, context=context)
    assert said(record.messages)[:2] == [("user", "hi"), ("assistant", "Hi!")]
    assert len(record.messages) == 4


# ---- no turn ---------------------------------------------------------------------------------


async def test_silence_is_not_answered(make_agent):
    agent = make_agent([])
    record = await call(agent, [Pause(60)])
    assert record.frames == ((60.0, record.frames[0][1]),)
    assert not record.messages
    assert not agent.llm.requests


@pytest.mark.parametrize("words", [None, ""])
async def test_a_voice_without_words_is_not_answered(make_agent, words):
    agent = make_agent([words])
    record = await call(agent, [Pause(1.0), Speak(1.0), Pause(5.0)])
    assert not record.messages
    assert not agent.llm.requests
    assert not record.times_of(StateChanged)


async def test_a_click_is_no_voice(make_agent):
    record = await call(make_agent([]), [Pause(1.0), Speak(0.06), Pause(3.0)])
    assert not record.times_of(VoiceStarted)
    assert not record.messages


async def test_after_noise_the_next_turn_is_answered_as_ever(make_agent, said):
    agent = make_agent(["", "hello"])
    record = await call(agent, [Pause(1.0), Speak(0.4), Pause(2.0), Speak(1.0), Listen()])
    assert record.response_times == (0.52,)
    assert said(record.messages)[0] == ("user", "hello")


# ---- a turn in several stretches -------------------------------------------------------------


@pytest.mark.parametrize("rejoin", [False, True])
async def test_two_stretches_are_one_turn(make_agent, said, rejoin):
    stt = ScriptedSTT(["what are", "your hours"], final_after=0.05, rejoin=rejoin)
    detector = ScriptedTurnDetector([0.1, 1.0])
    agent = make_agent(stt=stt, turn_detector=detector)
    script = [Pause(1.0), Speak(0.5), Pause(0.5), Speak(0.5), Listen()]
    record = await call(agent, script)
    assert record.caller_spans == ((1.0, 1.5), (2.0, 2.5))
    assert record.times_of(TurnCommitted) == (2.7,)
    assert said(record.messages) == [
        ("user", "what are your hours"),
        ("assistant", "Yes, we are open now"),
    ]
    assert len(detector.asked) == 2


async def test_a_score_for_an_older_pause_is_not_used(make_agent):
    # The first score, a yes, comes 0.3 s into a pause that is over by then.
    detector = ScriptedTurnDetector([1.0, 0.5], delay=0.2)
    agent = make_agent(["what are", "your hours"], turn_detector=detector)
    script = [Pause(1.0), Speak(0.5), Pause(0.14), Speak(0.5), Listen()]
    record = await call(agent, script)
    wait = graded_wait(TurnOptions(), 0.5, "what are your hours")
    assert record.times_of(TurnCommitted) == (round(2.14 + wait, 9),)


@pytest.mark.parametrize("rejoin", [False, True])
async def test_a_person_who_goes_on_before_the_reply_is_heard_is_heard_out(
    make_agent, said, rejoin
):
    # Committed at 1.7, the reply would be heard at 2.02; the voice goes on at 1.8.
    stt = ScriptedSTT(["what are your hours", "on Sunday"], final_after=0.05, rejoin=rejoin)
    agent = make_agent(replies=["Nine to six", "We are closed then"], stt=stt)
    script = [Pause(1.0), Speak(0.5), Pause(0.3), Speak(0.5), Listen()]
    record = await call(agent, script)
    assert record.times_of(TurnCommitted) == (1.7, 2.5)
    assert record.agent_spans == ((2.82, 4.62),)
    assert said(record.messages) == [
        ("user", "what are your hours on Sunday"),
        ("assistant", "We are closed then"),
    ]
    dropped, kept = agent.llm.requests
    assert (dropped.ended, dropped.ended_at) == ("cancelled", 1.88)
    assert said(dropped.context.messages) == [("user", "what are your hours")]
    assert said(kept.context.messages) == [("user", "what are your hours on Sunday")]
    assert not record.events_of("clear")


async def test_the_speech_of_a_dropped_reply_is_stopped_too(make_agent):
    # The voice goes on at 1.92, when the first reply is being turned into speech.
    agent = make_agent(["what are your hours", "on Sunday"], ["Nine to six", "We are closed then"])
    record = await call(agent, [Pause(1.0), Speak(0.5), Pause(0.42), Speak(0.5), Listen()])
    assert [speech.ended for speech in agent.tts.speeches] == ["cancelled", "complete"]
    assert agent.tts.speeches[0].ended_at == 2.0
    assert len(record.agent_spans) == 1


async def test_a_voice_as_the_reply_begins_is_an_interruption(make_agent, said):
    # The first sound leaves at 2.02; the voice goes on at 2.0 and is told at 2.08.
    agent = make_agent(["what are your hours", "on Sunday"], ["Nine to six", "We are closed then"])
    record = await call(agent, [Pause(1.0), Speak(0.5), Pause(0.5), Speak(0.5), Listen()])
    assert record.agent_spans[0] == (2.02, 2.2)
    assert said(record.messages)[0] == ("user", "what are your hours")
    assert said(record.messages)[-2:] == [
        ("user", "on Sunday"),
        ("assistant", "We are closed then"),
    ]


async def test_late_words_open_a_turn(make_agent, said):
    # No word within 1.2 s of silence: the turn is given up at 3.2, and the words come at 3.6.
    stt = ScriptedSTT(["what are your hours"], final_after=1.5, interim_every=0)
    record = await call(make_agent(stt=stt), ONE_TURN)
    assert record.times_of(TurnCommitted) == (3.8,)
    assert said(record.messages)[0] == ("user", "what are your hours")


async def test_late_words_that_say_more_make_the_reply_again(make_agent, said):
    # Answered at 3.2 on interim words; the final ones come at 3.4, before anything is heard.
    stt = ScriptedSTT(["what are your hours today"], final_after=1.3)
    agent = make_agent(replies=["Nine to six", "Ten to four today"], stt=stt)
    record = await call(agent, ONE_TURN)
    assert said(record.messages) == [
        ("user", "what are your hours today"),
        ("assistant", "Ten to four today"),
    ]
    assert record.agent_spans == ((3.72, 5.42),)
    assert agent.llm.requests[0].ended == "cancelled"


async def test_a_voice_without_a_pause_is_answered_at_last(make_agent, said):
    words = [f"word{number}" for number in range(40)]
    agent = make_agent([" ".join(words)], ["I see", "Go on"], turns=TurnOptions(max_user_turn=5.0))
    record = await call(agent, [Pause(1.0), Speak(5.5), Listen(silence=2.0)])
    # What was understood by 6.0 is answered; the rest waits until the agent has spoken, and is
    # then scored again.
    assert record.times_of(TurnCommitted) == (6.0, 6.85)
    assert said(record.messages) == [
        ("user", " ".join(words[:16])),
        ("assistant", "I see"),
        ("user", " ".join(words[16:])),
        ("assistant", "Go on"),
    ]


# ---- typed text ------------------------------------------------------------------------------


async def test_typed_text_is_a_turn(make_agent, said):
    record = await call(make_agent([]), [Pause(1.0), Write("when are you open"), Listen()])
    assert record.times_of(TurnCommitted) == (1.0,)
    assert record.agent_spans == ((1.32, 3.32),)
    assert said(record.messages)[0] == ("user", "when are you open")


async def test_blank_text_is_no_turn(make_agent):
    record = await call(make_agent([]), [Write("  \n"), Pause(2.0)])
    assert not record.messages


async def test_typed_text_while_the_person_speaks(make_agent, said):
    # Written at 1.5: it is answered at once; the voice that goes on joins it unheard.
    agent = make_agent(["what are your hours"], ["Yes", "Nine to six"])
    script = [Pause(1.0), Speak(0.5), Write("hello"), Speak(0.5), Listen()]
    record = await call(agent, script)
    assert record.times_of(TurnCommitted)[0] == 1.5
    heard = " ".join(text for role, text in said(record.messages) if role == "user")
    assert sorted(heard.split()) == ["are", "hello", "hours", "what", "your"]


async def test_typed_text_in_a_pause_joins_what_was_said(make_agent, said):
    agent = make_agent(["what are your hours"], turn_detector=ScriptedTurnDetector(0.0))
    record = await call(agent, [Pause(1.0), Speak(1.0), Pause(0.5), Write("on Sunday"), Listen()])
    assert record.times_of(TurnCommitted) == (2.5,)
    assert said(record.messages)[0] == ("user", "what are your hours on Sunday")


async def test_typed_text_before_the_reply_is_heard_joins_the_turn(make_agent, said):
    agent = make_agent(replies=["Nine to six", "We are closed then"])
    record = await call(agent, [Pause(1.0), Speak(1.0), Pause(0.3), Write("on Sunday"), Listen()])
    assert record.times_of(TurnCommitted) == (2.2, 2.3)
    assert record.agent_spans == ((2.62, 4.42),)
    assert said(record.messages) == [
        ("user", "what are your hours on Sunday"),
        ("assistant", "We are closed then"),
    ]


async def test_typed_text_stops_the_agent_at_once(make_agent, said):
    agent = make_agent(replies=["Yes, we are open now", "We are closed then"])
    record = await call(agent, [Pause(1.0), Speak(1.0), Pause(1.72), Write("on Sunday"), Listen()])
    assert record.agent_spans[0] == (2.52, 3.72)
    assert said(record.messages) == [
        ("user", "what are your hours"),
        ("assistant", "Yes, we are -"),
        ("user", "on Sunday"),
        ("assistant", "We are closed then"),
    ]


async def test_typed_text_waits_where_nothing_may_interrupt(make_agent, said):
    agent = make_agent(replies=["Yes, we are open now", "We are closed then"])
    script = [Pause(1.0), Speak(1.0), Pause(1.72), Write("on Sunday"), Listen(silence=2.0)]
    record = await call(agent, script, params=PipelineParams(allow_interruptions=False))
    assert record.agent_spans[0] == (2.52, 4.52)
    assert [text for _, text in said(record.messages)] == [
        "what are your hours",
        "Yes, we are open now",
        "on Sunday",
        "We are closed then",
    ]


# ---- the agent speaks first ------------------------------------------------------------------


async def test_a_greeting_is_said_first(make_agent, said):
    agent = make_agent(greeting="Hello there")
    record = await call(agent, [Listen(), Speak(1.0), Listen()])
    assert record.agent_spans[0] == (0.12, 1.22)
    assert said(record.messages) == [
        ("assistant", "Hello there"),
        ("user", "what are your hours"),
        ("assistant", "Yes, we are open now"),
    ]
    assert [len(r.context.messages) for r in agent.llm.requests] == [2]


async def test_a_greeting_is_no_measured_turn(make_agent):
    record = await call(make_agent([], greeting="Hello there"), [Listen()])
    assert not record.turns


async def test_a_greeting_can_be_interrupted(make_agent, said):
    agent = make_agent(greeting="Hello there, how are you")
    record = await call(agent, [Pause(0.62), Speak(1.0), Listen()])
    assert record.agent_spans[0] == (0.12, 0.82)
    assert said(record.messages)[0] == ("assistant", "Hello -")


async def test_a_person_who_speaks_before_the_greeting_is_heard_first(make_agent, said):
    agent = make_agent(greeting="Hello there", llm=ScriptedLLM([["Nine to six"]]))
    agent.tts._first_audio = 1.0
    record = await call(agent, [Pause(0.2), Speak(0.5), Listen()])
    assert said(record.messages) == [
        ("user", "what are your hours"),
        ("assistant", "Nine to six"),
    ]
