"""Whatever a caller does: no word is lost, and the conversation is what was heard."""

from __future__ import annotations

import asyncio
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon import Agent, PipelineParams, Tool, TurnOptions
from antiphon.context import ToolCall
from antiphon.frames import AgentText, PlaybackStarted, SpeechPiece, ToolCallEnded, VoiceStarted
from antiphon.testing import (
    HangUp,
    Pause,
    ScriptedCaller,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedTurnDetector,
    ScriptedVAD,
    Speak,
    Write,
    call,
    cancel_at_every_step,
    run,
)

packets = st.integers(1, 120).map(lambda count: count / 50)
steps = st.one_of(
    st.builds(Speak, packets),
    st.builds(Pause, packets),
    st.just("write"),
)
agents = st.fixed_dictionaries(
    {
        "rejoin": st.booleans(),
        "final_after": st.sampled_from([0.0, 0.05, 0.5, 1.3, 1.7]),
        "interim_every": st.sampled_from([0.0, 0.1, 0.3]),
        "probabilities": st.lists(st.sampled_from([0.0, 0.5, 0.9, 1.0]), min_size=1, max_size=5),
        "tools": st.booleans(),
        "max_user_turn": st.sampled_from([1.0, 60.0]),
        "reply_words": st.integers(0, 12),
        "first_token": st.sampled_from([0.0, 0.2, 0.7]),
        "greeting": st.sampled_from(["", "Welcome to the shop"]),
    }
)


class Shop:
    """An agent whose every word is known, wherever it turns up."""

    def __init__(self, options):
        self.options = options
        self.functions_run = 0
        self.replies = 0
        self.spoken = [" ".join(f"s{number}{at}" for at in "abcdefgh") for number in range(200)]
        self.agent = Agent(
            vad=ScriptedVAD(),
            stt=ScriptedSTT(
                self.spoken,
                final_after=options["final_after"],
                interim_every=options["interim_every"],
                rejoin=options["rejoin"],
            ),
            llm=ScriptedLLM(self.reply, first_token=options["first_token"]),
            tts=ScriptedTTS(word_times=True),
            turn_detector=ScriptedTurnDetector(self.probability),
            tools=[Tool(name="look", description="Looks.", run=self.look, timeout=5.0)],
            turns=TurnOptions(max_user_turn=options["max_user_turn"]),
            greeting=options["greeting"],
        )

    def probability(self, turn):
        known = self.options["probabilities"]
        return known[len(self.agent.turn_detector.asked) % len(known)]

    def reply(self, context):
        self.replies += 1
        number = self.replies
        words = [f"r{number}w{index} " for index in range(self.options["reply_words"])]
        if self.options["tools"] and number % 2 and context.messages[-1].role == "user":
            return [*words[:2], ToolCall(f"call-{number}", "look", {})]
        return words

    async def look(self, arguments):
        await asyncio.sleep(0.4)
        self.functions_run += 1
        return "Seen."


def words_of(messages, role):
    return [word for m in messages if m.role == role and not m.calls for word in m.text.split()]


def heard_words(record, wire, seconds_more):
    """Words of each reply whose middle the far ear reached, by the reply's number.

    Worked out from what came over the wire: a word's time follows from its place in the text.
    """
    starts = [(at, frame.reply) for at, frame in record.frames_of(PlaybackStarted)]
    heard = {}
    for index, (began, reply) in enumerate(starts):
        ends = starts[index + 1][0] if index + 1 < len(starts) else float("inf")
        mine = [pcm for at, pcm in wire.heard(record.seconds) if began <= at < ends]
        position = sum(map(len, mine)) / 32_000 + seconds_more
        words = heard[reply] = []
        for _, frame in record.frames_of(SpeechPiece):
            if frame.reply == reply:
                words += [
                    match.group()
                    for match in re.finditer(r"\S+", frame.text)
                    if (match.start() + match.end()) / 2 / 15 <= position
                ]
                position -= len(frame.text) / 15
    return heard


def check_heard(record, wire):
    """The conversation holds the words that were heard, to a hundredth of a second."""
    entered = {
        frame.reply: frame.text.split() for _, frame in record.frames_of(AgentText) if frame.final
    }
    least, most = heard_words(record, wire, -0.01), heard_words(record, wire, 0.01)
    for reply in most:
        words = entered.get(reply, [])
        assert least[reply] == words[: len(least[reply])], f"reply {reply}\n{record}"
        assert words == most[reply][: len(words)], f"reply {reply}\n{record}"
    told = [word for _, words in sorted(entered.items()) for word in words]
    assert told == words_of(record.messages, "assistant"), f"entered otherwise\n{record}"


def check(shop, record, written):
    """What must hold at the end of any call that was not cut off."""
    assert record.outcome == "ended"
    assert not record.events_of("error")
    stretches = len(record.times_of(VoiceStarted))
    said = " ".join([*shop.spoken[:stretches], *written]).split()
    entered = words_of(record.messages, "user")
    assert sorted(entered) == sorted(said), f"lost or doubled\n{record}"
    spoken = [word for word in entered if word.startswith("s")]
    assert spoken == [word for word in said if word.startswith("s")], f"out of order\n{record}"
    assert all(request.ended != "running" for request in shop.agent.llm.requests)
    assert all(speech.ended != "running" for speech in shop.agent.tts.speeches)
    results = [message for message in record.messages if message.role == "tool"]
    assert len(results) == shop.functions_run == len(record.frames_of(ToolCallEnded))


async def one_call(options, script, interruptible):
    shop = Shop(options)
    script, written = list(script), []
    for index, step in enumerate(script):
        if step == "write":
            written.append(f"t{index}")
            script[index] = Write(written[-1])
    params = PipelineParams(allow_interruptions=interruptible)
    # Long enough for whatever was begun.
    caller = ScriptedCaller([*script, Pause(20.0)])
    record = await call(shop.agent, caller, params=params)
    check(shop, record, written)
    check_heard(record, caller.wire)
    return str(record)


@settings(max_examples=40, deadline=None)
@given(agents, st.lists(steps, max_size=12), st.booleans())
def test_no_word_is_lost_whatever_the_caller_does(options, script, interruptible):
    first = run(lambda: one_call(options, script, interruptible))
    again = run(lambda: one_call(options, script, interruptible))
    assert first == again


async def cut_off_call(options, script):
    shop = Shop(options)
    steps = [Write("t") if step == "write" else step for step in script]
    caller = ScriptedCaller([*steps, HangUp()])
    record = await call(shop.agent, caller)
    assert record.outcome == "cancelled"
    check_heard(record, caller.wire)
    entered = [word for word in words_of(record.messages, "user") if word != "t"]
    assert len(set(entered)) == len(entered), f"doubled\n{record}"
    assert all(request.ended != "running" for request in shop.agent.llm.requests)
    assert all(speech.ended != "running" for speech in shop.agent.tts.speeches)
    return str(record)


@settings(max_examples=60, deadline=None)
@given(agents, st.lists(steps, max_size=8))
def test_hanging_up_at_any_time_keeps_what_was_heard(options, script):
    assert run(lambda: cut_off_call(options, script)) == run(lambda: cut_off_call(options, script))


def test_a_call_may_be_cancelled_at_each_of_its_awaiting_lines():
    # A greeting that is interrupted, a function, words before it, a person who goes on.
    options = {
        "rejoin": True,
        "final_after": 0.02,
        "interim_every": 0.1,
        "probabilities": [1.0],
        "tools": True,
        "max_user_turn": 60.0,
        "reply_words": 3,
        "first_token": 0.05,
        "greeting": "Welcome",
    }
    script = [Pause(0.3), Speak(0.3), Pause(0.3), Speak(0.1), Pause(0.8), Write("t"), Pause(0.5)]
    ended = 0

    async def scenario():
        nonlocal ended
        shop = Shop(options)
        context = shop.agent.new_context()
        caller = ScriptedCaller(script)
        try:
            record = await call(shop.agent, caller, context=context)
            assert record.outcome == "ended"
            ended += 1
        finally:
            assert all(request.ended != "running" for request in shop.agent.llm.requests)
            assert all(speech.ended != "running" for speech in shop.agent.tts.speeches)
            results = [message for message in context.messages if message.role == "tool"]
            assert len(results) == shop.functions_run
            entered = words_of(context.messages, "user")
            assert len(set(entered)) == len(entered)

    assert cancel_at_every_step(scenario, within=0.0) > 200
    # The last of its lines may be another task's, at which the call itself is over.
    assert ended in (1, 2)
