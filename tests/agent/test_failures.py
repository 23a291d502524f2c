from __future__ import annotations

import asyncio

import pytest

from antiphon import PipelineParams, TurnOptions
from antiphon.errors import ModelError, RemoteError, StageError, TransportError
from antiphon.frames import AgentState, PlaybackEnded, ServiceFailed, StateChanged, TurnCommitted
from antiphon.testing import (
    Listen,
    Pause,
    ScriptedCaller,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedTurnDetector,
    ScriptedWire,
    Speak,
    Write,
    call,
)

# The person speaks from 1.0 to 2.0 s, and again at 4.0; see conftest for the clock.
TWO_TURNS = [Pause(1.0), Speak(1.0), Pause(2.0), Speak(1.0), Listen()]
WORDS = ["what are your hours", "hello"]
AGAIN = ("user", "hello"), ("assistant", "Good day")


def lost(service, retryable=False):
    return RemoteError(service, "it is gone", retryable=retryable)


# ---- the language model ----------------------------------------------------------------------


@pytest.mark.parametrize("error", [lost("the cloud"), ModelError("tiny", "is damaged")])
async def test_a_model_that_fails_is_told_and_the_session_goes_on(make_agent, said, error):
    agent = make_agent(WORDS, llm=ScriptedLLM([error, ["Good day"]]))
    record = await call(agent, TWO_TURNS)
    ((at, failed),) = record.frames_of(ServiceFailed)
    assert at == 2.4
    assert (failed.code, failed.problem, failed.reply) == (error.code, str(error), 1)
    ((at, told),) = record.events_of("error")
    assert (at, told) == (2.4, {"type": "error", "code": error.code, "message": str(error)})
    assert said(record.messages) == [("user", "what are your hours"), *AGAIN]
    states = [frame.state for _, frame in record.frames_of(StateChanged)]
    assert states[:2] == [AgentState.THINKING, AgentState.LISTENING]
    assert record.response_times == (0.52,)


async def test_a_model_that_fails_midway_keeps_what_was_heard(make_agent, said):
    # It fails 1.0 s after its first sentence began to be heard.
    reply = ["Yes, we are open now. ", "And on ", 1.12, lost("the cloud")]
    agent = make_agent(WORDS, llm=ScriptedLLM([reply, ["Good day"]]))
    record = await call(agent, TWO_TURNS)
    assert record.agent_spans[0] == (2.52, 3.52)
    assert [at for at, _ in record.events_of("clear")] == [3.52]
    assert said(record.messages)[:2] == [
        ("user", "what are your hours"),
        ("assistant", "Yes, we are"),
    ]
    assert said(record.messages)[2:] == [*AGAIN]


@pytest.mark.parametrize("reply", [[], [""], ["   "], ["...  ", "!"], ["\n\n"]])
async def test_an_empty_reply_gives_the_floor_back(make_agent, said, reply):
    agent = make_agent(WORDS, [reply, "Good day"])
    record = await call(agent, TWO_TURNS)
    assert record.times_of(PlaybackEnded)[0] == pytest.approx(2.4)
    assert not record.events_of("error")
    assert said(record.messages)[-2:] == [*AGAIN]
    assert len(record.agent_spans) == 1


async def test_a_reply_that_is_never_heard_is_given_up(make_agent, said):
    agent = make_agent(
        WORDS, [[60.0, "Too late"], "Good day"], turns=TurnOptions(reply_timeout=1.5)
    )
    record = await call(agent, TWO_TURNS)
    ((at, failed),) = record.frames_of(ServiceFailed)
    assert (at, failed.code) == (3.7, "no-answer")
    assert "TurnOptions.reply_timeout" in failed.problem
    assert agent.llm.requests[0].ended == "cancelled"
    assert said(record.messages) == [("user", "what are your hours"), *AGAIN]


async def test_a_bug_in_a_service_ends_the_session_and_names_it(make_agent):
    agent = make_agent(llm=ScriptedLLM([KeyError("oh")]))
    with pytest.raises(StageError, match="scripted-llm") as caught:
        await call(agent, TWO_TURNS)
    assert isinstance(caught.value.__cause__, KeyError)
    assert "user: what are your hours" in "".join(caught.value.__notes__)


# ---- the voice -------------------------------------------------------------------------------


async def test_a_voice_that_fails_is_told_and_the_session_goes_on(make_agent, said):
    tts = ScriptedTTS(characters_per_second=10, failures={1: lost("the voice")})
    record = await call(make_agent(WORDS, ["Yes", "Good day"], tts=tts), TWO_TURNS)
    ((at, failed),) = record.frames_of(ServiceFailed)
    assert (at, failed.service, failed.reply) == (2.52, "the voice", 1)
    assert said(record.messages) == [("user", "what are your hours"), *AGAIN]


class TalkingIntoTheVoid(ScriptedTTS):
    """Waits for ever in the place of the first sound."""

    def __init__(self, **options):
        super().__init__(first_audio=600.0, **options)


async def test_a_voice_that_never_sounds_is_given_up(make_agent, said):
    agent = make_agent(tts=TalkingIntoTheVoid(), turns=TurnOptions(reply_timeout=5.0))
    record = await call(agent, [Pause(1.0), Speak(1.0), Pause(10.0)])
    ((at, failed),) = record.frames_of(ServiceFailed)
    assert (at, failed.code) == (7.2, "no-answer")
    assert agent.tts.speeches[0].ended == "cancelled"
    assert not record.agent_spans


async def test_speech_is_not_made_far_ahead_of_what_is_heard(make_agent):
    # A minute of text, made a hundred times faster than it is heard: what waits is thrown away
    # when the person interrupts, so only 10 s and the piece under way are made.
    reply = "This is a sentence of forty characters. " * 15
    tts = ScriptedTTS(characters_per_second=10, realtime_factor=100)
    agent = make_agent(WORDS, [reply, "Good day"], tts=tts)
    await call(agent, [Pause(1.0), Speak(1.0), Pause(6.0), Speak(1.0), Listen()])
    heard = 8.2 - 2.52
    made = tts.speeches[0].samples / 16_000
    assert heard + 10.0 < made < heard + 10.0 + 4.0


# ---- the ears --------------------------------------------------------------------------------


async def test_hearing_that_fails_starts_again(make_agent, said):
    stt = ScriptedSTT([lost("the ears", retryable=True), "hello"], final_after=0.05)
    record = await call(make_agent(replies=["Good day"], stt=stt), TWO_TURNS)
    ((at, failed),) = record.frames_of(ServiceFailed)
    assert (at, failed.service, failed.reply) == (2.15, "scripted-stt", None)
    assert said(record.messages) == [*AGAIN]


async def test_words_are_heard_after_hearing_started_again(make_agent, said):
    # The service counts its segments from 1 again: its words are new all the same.
    failing = [*WORDS[:1], lost("the ears", retryable=True), "hello"]
    stt = ScriptedSTT(failing, final_after=0.05)
    script = [*TWO_TURNS[:-1], Pause(2.0), Speak(1.0), Listen()]
    record = await call(make_agent(replies=["Yes", "Good day"], stt=stt), script)
    assert said(record.messages)[-2:] == [*AGAIN]


class NobodyThere(ScriptedSTT):
    """Fails, or stops, as soon as it is asked; never waits."""

    def __init__(self, error=None):
        super().__init__([])
        self.error = error
        self.tries: list[float] = []

    async def transcribe(self, audio):
        self.tries.append(asyncio.get_running_loop().time())
        if self.error is not None:
            raise self.error
        return
        yield


@pytest.mark.parametrize("error", [None, lost("the ears", retryable=True)])
async def test_hearing_that_keeps_failing_is_tried_ever_more_rarely(make_agent, error):
    stt = NobodyThere(error)
    record = await call(make_agent(stt=stt), [Pause(30.0)])
    assert stt.tries == [0.0, 0.0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 23.75, 30.0]
    # To stop once the sound has ended is no failure.
    assert len(record.events_of("error")) == len(stt.tries) - (error is None)
    assert record.outcome == "ended"


async def test_sound_that_came_while_hearing_was_away_is_heard_after_all(make_agent, said):
    class Away(ScriptedSTT):
        async def transcribe(self, audio):
            if asyncio.get_running_loop().time() < 1.5:
                raise lost("the ears", retryable=True)
            async for transcript in super().transcribe(audio):
                yield transcript

    # The voice began at 1.0, in the middle of the wait for the try at 1.75.
    stt = Away(["hello"], final_after=0.05)
    record = await call(
        make_agent(replies=["Good day"], stt=stt), [Pause(1.0), Speak(1.0), Listen()]
    )
    assert said(record.messages) == [*AGAIN]


async def test_hearing_that_is_gone_for_good_leaves_typing(make_agent, said):
    stt = ScriptedSTT([ModelError("ears", "is missing")], final_after=0.05)
    agent = make_agent(replies=["Good day"], stt=stt)
    record = await call(agent, [*TWO_TURNS[:-1], Write("hello"), Listen()])
    assert len(record.frames_of(ServiceFailed)) == 1
    assert said(record.messages) == [*AGAIN]
    assert record.outcome == "ended"


class Deaf(ScriptedSTT):
    """Takes nothing."""

    async def transcribe(self, audio):
        await asyncio.sleep(50.0)
        async for transcript in super().transcribe(audio):
            yield transcript


async def test_hearing_that_falls_behind_is_told_and_keeps_the_edges_of_the_voice(make_agent, said):
    # 30 s of sound wait at most. What is spoken at 45 s is heard when it listens at last.
    stt = Deaf(["hello"], final_after=0.05)
    agent = make_agent(replies=["Good day"], stt=stt)
    record = await call(agent, [Pause(45.0), Speak(1.0), Pause(20.0)])
    ((at, failed),) = record.frames_of(ServiceFailed)
    assert at == 30.02
    assert "reads sound too slowly" in failed.problem
    assert said(record.messages) == [*AGAIN]


# ---- the turn detector -----------------------------------------------------------------------


async def test_a_detector_that_fails_leaves_it_to_silence(make_agent, said):
    detector = ScriptedTurnDetector([lost("the judge"), 1.0])
    record = await call(make_agent(WORDS, ["Yes", "Good day"], turn_detector=detector), TWO_TURNS)
    ((at, failed),) = record.frames_of(ServiceFailed)
    assert (at, failed.service, failed.reply) == (2.13, "scripted-turn", None)
    wait = TurnOptions().unscored_wait
    assert record.times_of(TurnCommitted) == (2.0 + wait, 5.2)


# ---- the pipeline ----------------------------------------------------------------------------


async def test_a_line_that_is_lost_ends_the_session(make_agent):
    # The first thing that is sent after it was lost: the first word, at 1.3 s.
    caller = ScriptedCaller(TWO_TURNS, wire=ScriptedWire(lost_after=1.2))
    with pytest.raises(StageError, match="SpeechOutput") as caught:
        await call(make_agent(WORDS), caller)
    assert isinstance(caught.value.__cause__, TransportError)


async def test_a_reply_that_does_not_end_is_cut_at_the_end_of_the_drain(make_agent, said):
    tts = ScriptedTTS(characters_per_second=10, word_times=True)
    agent = make_agent(replies=["word " * 200], tts=tts)
    params = PipelineParams(drain_timeout=2.0)
    record = await call(agent, [Pause(1.0), Speak(1.0), Pause(1.0)], params=params)
    assert record.outcome == "drain timeout"
    assert record.seconds == 5.0
    (role, text) = said(record.messages)[1]
    assert (role, text) == ("assistant", "word word word word word -")


async def test_an_agent_that_never_speaks_makes_the_caller_give_up(make_agent):
    agent = make_agent(replies=[[600.0]], turns=TurnOptions(reply_timeout=300))
    with pytest.raises(AssertionError, match=r"the caller gave up: 0.00 s .* within 4 s") as caught:
        await call(agent, [Pause(1.0), Speak(1.0), Listen(patience=4.0)])
    assert "[thinking]" in str(caught.value)
