from __future__ import annotations

import pytest

from antiphon import PipelineParams, TurnOptions
from antiphon.frames import AgentText, SpeechAudio, TurnCommitted
from antiphon.pipeline import Observer
from antiphon.testing import (
    HangUp,
    Listen,
    Pause,
    ScriptedCaller,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedWire,
    Speak,
    call,
)

# The person speaks from 1.0 to 2.0 s and the agent from 2.52 on; see conftest for the clock.
# TurnOptions.barge_in_voice is 0.2 s.
REPLIES = ["Yes, we are open now", "We are closed then"]
WORDS = ["what are your hours", "and on Sunday"]


def interrupted_after(heard: float, voice: float = 1.0):
    """The person speaks over the agent, which was heard for so long."""
    return [Pause(1.0), Speak(1.0), Pause(0.52 + heard), Speak(voice), Listen()]


async def test_the_agent_stops_after_a_fifth_of_a_second_of_voice(make_agent, said):
    agent = make_agent(WORDS, REPLIES)
    record = await call(agent, interrupted_after(1.0))
    assert record.caller_spans[1] == (3.52, 4.52)
    assert record.agent_spans[0] == (2.52, 3.72)
    assert [at for at, _ in record.events_of("clear")] == [3.72]
    assert said(record.messages) == [
        ("user", "what are your hours"),
        ("assistant", "Yes, we are -"),
        ("user", "and on Sunday"),
        ("assistant", "We are closed then"),
    ]


async def test_everything_of_the_reply_ends_at_that_instant(make_agent):
    # A long reply, still being written and spoken when it is cut.
    text = " ".join(f"Sentence {number} of many." for number in range(50))
    llm = ScriptedLLM([text, ["Fine"]], tokens_per_second=10)
    agent = make_agent(WORDS, llm=llm)
    record = await call(agent, [Pause(1.0), Speak(1.0), Pause(3.0), Speak(1.0), Listen()])
    stopped = 5.2
    assert record.agent_spans[0][1] == stopped
    assert (llm.requests[0].ended, llm.requests[0].ended_at) == ("cancelled", stopped)
    speech = agent.tts.speeches[0]
    assert (speech.ended, speech.ended_at) == ("cancelled", stopped)


class Late(Observer):
    """Notes sound of a reply that comes after it was cut."""

    frames = (SpeechAudio, AgentText)

    def __init__(self):
        self.cut: set[int] = set()
        self.late: list[float] = []

    def on_frame(self, frame, direction, into, now):
        if isinstance(frame, AgentText) and frame.final:
            self.cut.add(frame.reply)
        elif isinstance(frame, SpeechAudio) and frame.reply in self.cut:
            self.late.append(now)


async def test_no_sound_of_a_cut_reply_is_made(make_agent):
    late = Late()
    agent = make_agent(WORDS, ["word " * 100, "Fine"], tts=ScriptedTTS(realtime_factor=1.5))
    record = await call(agent, interrupted_after(1.0), observers=[late])
    assert record.agent_spans[0][1] == 3.72
    assert late.cut == {1, 2}
    assert not late.late


@pytest.mark.parametrize(
    ("heard", "words"),
    [
        # The cut comes 0.2 s later, at a tenth of a second for each of the 20 characters; a word
        # counts from its middle on.
        (0.1, "Yes, -"),
        (0.3, "Yes, -"),
        (0.5, "Yes, we -"),
        (0.7, "Yes, we -"),
        (0.9, "Yes, we are -"),
        (1.1, "Yes, we are -"),
        (1.3, "Yes, we are open -"),
        (1.7, "Yes, we are open now -"),
    ],
)
@pytest.mark.parametrize("word_times", [False, True])
async def test_the_context_holds_the_words_that_were_heard(
    make_agent, said, heard, words, word_times
):
    tts = ScriptedTTS(characters_per_second=10, word_times=word_times)
    agent = make_agent(WORDS, REPLIES, tts=tts)
    record = await call(agent, interrupted_after(heard))
    assert record.agent_spans[0] == (2.52, round(2.52 + heard + 0.2, 9))
    assert said(record.messages)[1] == ("assistant", words)
    # What the model is asked next holds the same.
    assert said(agent.llm.requests[1].context.messages)[1] == ("assistant", words)
    # And so does what the far side is told.
    (told,) = [line for line in record.lines if line.interrupted]
    assert told.text + " -" == words


async def test_what_the_far_ear_had_waiting_does_not_count_as_heard(make_agent, said):
    # 0.16 s of sound are at the far side, unheard, when the clear arrives.
    agent = make_agent(WORDS, REPLIES)
    caller = ScriptedCaller(interrupted_after(1.0))
    await call(agent, caller)
    sent = sum(len(pcm) for at, pcm in caller.wire.packets if at < 3.72) / 32_000
    heard = len(caller.wire.heard_audio(3.72)) / 32_000
    assert heard == pytest.approx(1.2)
    assert sent == pytest.approx(1.36)


async def test_a_voice_shorter_than_that_changes_nothing(make_agent, said):
    agent = make_agent(["what are your hours", ""], REPLIES[:1])
    record = await call(agent, [Pause(1.0), Speak(1.0), Pause(1.52), Speak(0.08), Listen()])
    assert record.agent_spans == ((2.52, 4.52),)
    assert not record.events_of("clear")
    assert said(record.messages)[1] == ("assistant", "Yes, we are open now")


async def test_short_words_over_the_agent_are_answered_after_it(make_agent, said):
    agent = make_agent(["what are your hours", "thanks"], REPLIES)
    record = await call(
        agent, [Pause(1.0), Speak(1.0), Pause(1.52), Speak(0.08), Listen(silence=1.0)]
    )
    assert record.agent_spans[0] == (2.52, 4.52)
    # Once the agent has spoken, the pause is scored again.
    assert record.times_of(TurnCommitted) == (2.2, 4.55)
    assert [text for _, text in said(record.messages)] == [
        "what are your hours",
        "Yes, we are open now",
        "thanks",
        "We are closed then",
    ]


@pytest.mark.parametrize("voice", [0.0, 0.1, 0.5, 1.0])
async def test_how_much_voice_it_takes_is_an_option(make_agent, voice):
    agent = make_agent(WORDS, REPLIES, turns=TurnOptions(barge_in_voice=voice))
    record = await call(agent, interrupted_after(0.5, voice=1.5))
    # Never before the detector is sure of the voice, 0.08 s after its start.
    assert record.agent_spans[0] == (2.52, round(3.02 + max(voice, 0.08), 9))


@pytest.mark.parametrize("where", ["params", "turns"])
async def test_an_agent_that_may_not_be_interrupted(make_agent, said, where):
    allowed = {"allow_interruptions": False}
    agent = make_agent(
        WORDS, REPLIES, **{"turns": TurnOptions(**allowed)} if where == "turns" else {}
    )
    params = PipelineParams(**allowed) if where == "params" else None
    script = [*interrupted_after(0.5, voice=0.5)[:-1], Listen(silence=1.0)]
    record = await call(agent, script, params=params)
    assert record.agent_spans == ((2.52, 4.52), (4.87, 6.67))
    assert not record.events_of("clear")
    # The words spoken from 3.02 to 3.52 are answered when the agent has finished.
    assert record.times_of(TurnCommitted) == (2.2, 4.55)
    assert [text for _, text in said(record.messages)] == [
        "what are your hours",
        "Yes, we are open now",
        "and on Sunday",
        "We are closed then",
    ]


async def test_a_voice_that_outlasts_such_an_agent_is_heard_out(make_agent, said):
    agent = make_agent(WORDS, REPLIES)
    params = PipelineParams(allow_interruptions=False)
    record = await call(agent, interrupted_after(1.5, voice=1.0), params=params)
    assert record.caller_spans[1] == (4.02, 5.02)
    assert record.agent_spans == ((2.52, 4.52), (5.54, 7.34))
    assert said(record.messages)[2] == ("user", "and on Sunday")


async def test_an_interruption_that_was_noise(make_agent, said):
    # It stops the agent all the same; nothing is answered, and the next turn is.
    words = ["what are your hours", "", "hello"]
    agent = make_agent(words, REPLIES)
    record = await call(
        agent, [Pause(1.0), Speak(1.0), Pause(1.52), Speak(0.4), Pause(2.0), Speak(1.0), Listen()]
    )
    assert record.agent_spans[0] == (2.52, 3.72)
    assert [text for _, text in said(record.messages)] == [
        "what are your hours",
        "Yes, we are -",
        "hello",
        "We are closed then",
    ]


async def test_an_interruption_as_the_last_sound_plays(make_agent, said):
    # All is sent, the ear still has 0.1 s to go: the clear cuts even that.
    agent = make_agent(WORDS, REPLIES)
    record = await call(agent, interrupted_after(1.7))
    assert record.agent_spans[0] == (2.52, 4.42)
    assert [at for at, _ in record.events_of("clear")] == [4.42]


async def test_an_interruption_of_an_interruption(make_agent, said):
    words = ["one", "two", "three"]
    agent = make_agent(words, ["Yes, we are open now", "We are closed then", "Fine"])
    script = [Pause(1.0), Speak(1.0), Listen(1.0), Speak(1.0), Listen(1.0), Speak(1.0), Listen()]
    record = await call(agent, script)
    assert [text for _, text in said(record.messages)] == [
        "one",
        "Yes, we are -",
        "two",
        "We are closed -",
        "three",
        "Fine",
    ]
    assert len(record.events_of("clear")) == 2


async def test_words_that_come_before_the_interruption_are_part_of_it(make_agent, said):
    stt = ScriptedSTT(["what are your hours", "stop please"], final_after=0.05, interim_every=0.1)
    agent = make_agent(replies=REPLIES, stt=stt)
    record = await call(agent, interrupted_after(1.0, voice=0.6))
    assert said(record.messages)[2] == ("user", "stop please")
    assert record.times_of(TurnCommitted)[1] == 4.32


# ---- the line --------------------------------------------------------------------------------


async def test_hanging_up_keeps_what_was_heard(make_agent, said):
    record = await call(make_agent(), [Pause(1.0), Speak(1.0), Pause(1.72), HangUp()])
    assert record.outcome == "cancelled"
    assert record.seconds == 3.72
    assert record.agent_spans == ((2.52, 3.72),)
    assert said(record.messages)[1] == ("assistant", "Yes, we are -")


async def test_hanging_up_before_the_reply_is_heard(make_agent, said):
    agent = make_agent()
    record = await call(agent, [Pause(1.0), Speak(1.0), Pause(0.44), HangUp()])
    assert record.outcome == "cancelled"
    assert said(record.messages) == [("user", "what are your hours")]
    assert agent.tts.speeches[0].ended == "cancelled"


async def test_the_end_lets_the_reply_be_heard(make_agent, said):
    # The script ends while the agent speaks.
    record = await call(make_agent(), [Pause(1.0), Speak(1.0), Pause(1.0)])
    assert record.outcome == "ended"
    assert record.seconds == 4.52
    assert record.agent_spans == ((2.52, 4.52),)
    assert said(record.messages)[1] == ("assistant", "Yes, we are open now")


async def test_a_reader_that_is_slow_hears_all_the_same(make_agent, said):
    wire = ScriptedWire(send_delay=0.015)
    caller = ScriptedCaller([Pause(1.0), Speak(1.0), Listen()], wire=wire)
    record = await call(make_agent(), caller)
    assert sum(end - start for start, end in record.agent_spans) == pytest.approx(2.0)
    assert said(record.messages)[1] == ("assistant", "Yes, we are open now")
