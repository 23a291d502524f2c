from __future__ import annotations

import asyncio

import pytest

from antiphon import Pipeline, PipelineParams, Tool
from antiphon.audio import AudioFormat, read_wav
from antiphon.context import Usage
from antiphon.errors import ModelError, OptionError, RemoteError, StageError
from antiphon.frames import TurnMeasured, UsageReported
from antiphon.pipeline import PipelineTask
from antiphon.testing import (
    Listen,
    Pause,
    ScriptedCaller,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedTurnDetector,
    ScriptedVAD,
    ScriptedWire,
    Speak,
    Write,
    call,
)

ONE_TURN = [Pause(1.0), Speak(1.0), Listen()]


async def nothing(arguments):
    return ""


# ---- what it is made of ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"instruction": "Be kind."}, "did you mean 'instructions'"),
        ({"tts": "hibarri"}, "no tts service is called 'hibarri'; did you mean 'hibari'"),
        ({"turn_detector": "smart_turn"}, "did you mean 'smart-turn'"),
        ({"llm": ScriptedVAD()}, "is no LLM"),
        ({"stt": ScriptedTTS()}, "is no STT"),
        ({"tts": None}, "tts=None is no TTS"),
    ],
)
def test_what_cannot_work_is_refused_with_what_would(make_agent, options, problem):
    with pytest.raises(OptionError, match=problem):
        make_agent(**options)


def test_two_tools_of_one_name_are_refused(make_agent):
    tools = [Tool(name="look", description="Looks.", run=nothing) for _ in range(2)]
    with pytest.raises(OptionError, match="same name"):
        make_agent(tools=tools)


def test_its_stages_stand_in_the_order_of_the_sound(make_agent):
    agent = make_agent()
    described = Pipeline(agent.stages()).describe()
    assert described.splitlines() == [
        "VoiceActivity (inline)",
        "SpeechToText (inline)",
        "Floor (inline)",
        "LanguageModel (inline)",
        "TextToSpeech (inline)",
    ]


def test_a_conversation_knows_the_instructions_and_the_tools(make_agent):
    schema = {"type": "object", "properties": {"number": {"type": "integer"}}}
    tool = Tool(name="look", description="Looks.", run=nothing, parameters=schema)
    context = make_agent(instructions="Be kind.", tools=[tool]).new_context()
    assert context.instructions == "Be kind."
    (told,) = context.tools
    assert (told.name, told.description, told.parameters) == ("look", "Looks.", schema)
    assert not context.messages


# ---- becoming ready --------------------------------------------------------------------------


class Loading(ScriptedTTS):
    """Takes a while to become ready, or fails to."""

    def __init__(self, seconds, error=None):
        super().__init__()
        self.seconds = seconds
        self.error = error

    async def prewarm(self):
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error


class LoadingSTT(ScriptedSTT):
    prewarm = Loading.prewarm
    seconds, error = 3.0, None


async def test_everything_is_made_ready_at_once(make_agent):
    await make_agent(tts=Loading(2.0), stt=LoadingSTT("hello")).prewarm()
    assert asyncio.get_running_loop().time() == 3.0


@pytest.mark.parametrize("error", [ModelError("voice", "is missing"), RemoteError("v", "refuses")])
async def test_what_cannot_become_ready_says_so(make_agent, error):
    with pytest.raises(type(error)) as caught:
        await make_agent(tts=Loading(1.0, error), stt=LoadingSTT("hello")).prewarm()
    assert caught.value is error


async def test_a_call_begins_when_everything_is_ready(make_agent):
    agent = make_agent(tts=Loading(2.0), greeting="Hello there")
    record = await call(agent, [Listen()])
    assert record.agent_spans == ((0.12, pytest.approx(0.8533, abs=1e-3)),)
    assert asyncio.get_running_loop().time() == pytest.approx(2.0 + record.seconds)


async def test_a_call_without_its_models_does_not_begin(make_agent):
    with pytest.raises(ModelError, match="is missing"):
        await call(make_agent(tts=Loading(1.0, ModelError("voice", "is missing"))), ONE_TURN)


async def test_what_takes_too_long_to_become_ready_is_named(make_agent):
    params = PipelineParams(start_timeout=1.0)
    with pytest.raises(StageError, match=r"'TextToSpeech' was not ready within 1 s"):
        await call(make_agent(tts=Loading(2.0)), ONE_TURN, params=params)


# ---- sessions --------------------------------------------------------------------------------


async def test_one_agent_serves_many_calls_at_once(make_agent, said):
    agent = make_agent(
        stt=ScriptedSTT(["my first question", "my second question"], final_after=0.05),
        llm=ScriptedLLM(lambda context: f"This is answer {len(context.messages)}."),
    )
    script = [Pause(0.5), Speak(1.0), Listen(), Speak(0.8), Listen()]
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(call(agent, [Pause(n / 10), *script])) for n in range(20)]
    alone = await call(agent, script)
    for number, task in enumerate(calls):
        record = task.result()
        assert said(record.messages) == said(alone.messages)
        assert record.response_times == alone.response_times
        assert record.caller_spans[0] == (round(0.5 + number / 10, 9), round(1.5 + number / 10, 9))


async def test_a_failing_call_leaves_the_others_alone(make_agent):
    agent = make_agent()
    agent.llm = ScriptedLLM(lambda context: KeyError() if len(context.messages) > 1 else "Yes")
    again = [*ONE_TURN, Speak(1.0), Listen()]
    agent.stt = ScriptedSTT(["hello", "hello"], final_after=0.05)

    async def failing():
        with pytest.raises(StageError):
            await call(agent, again)

    async with asyncio.TaskGroup() as group:
        good = group.create_task(call(agent, [Pause(3.0), *ONE_TURN]))
        group.create_task(failing())
    assert good.result().outcome == "ended"
    assert len(good.result().agent_spans) == 1


async def test_a_telephone_line(make_agent, said):
    # 8 kHz both ways: resamplers stand where the rates meet, and hold 3 ms back at most.
    agent = make_agent()
    wire = ScriptedWire(AudioFormat(8_000))
    caller = ScriptedCaller(ONE_TURN, audio_in=AudioFormat(8_000), wire=wire)
    pipeline = Pipeline([caller.input(), *agent.stages(), caller.output()])
    assert "Resample user audio 8 kHz mono s16le to 16 kHz mono s16le" in pipeline.describe()
    assert "Resample speech 16 kHz mono s16le to 8 kHz mono s16le" in pipeline.describe()
    record = await call(agent, ScriptedCaller(ONE_TURN, audio_in=AudioFormat(8_000), wire=wire))
    (response,) = record.response_times
    assert response == pytest.approx(0.52, abs=0.025)
    assert said(record.messages)[1] == ("assistant", "Yes, we are open now")
    sound_format, pcm = read_wav(record.recording())
    assert sound_format == AudioFormat(8_000, channels=2)
    assert sound_format.seconds(len(pcm)) == pytest.approx(record.seconds, abs=1e-3)


async def test_rates_left_open_are_those_of_the_params(make_agent):
    params = PipelineParams(audio_in_sample_rate=8_000, audio_out_sample_rate=24_000)
    record = await call(make_agent(), ONE_TURN, params=params)
    sound_format, _ = read_wav(record.recording())
    assert sound_format.sample_rate == 8_000
    assert record.agent_spans[0][1] - record.agent_spans[0][0] == pytest.approx(2.0, abs=0.01)


# ---- what is measured ------------------------------------------------------------------------


async def test_the_waterfall_names_every_part_and_sums_to_the_wait(make_agent):
    record = await call(make_agent(), ONE_TURN)
    ((at, measured),) = record.frames_of(TurnMeasured)
    assert (at, measured.turn) == (2.52, 1)
    parts = [(p.name, round(p.seconds, 9), p.owner) for p in measured.parts]
    assert parts == [
        ("voice detection", 0.1, "vad"),
        ("turn score", 0.03, "scripted-turn"),
        ("transcript", 0.02, "scripted-stt"),
        ("turn decision", 0.05, "turn policy"),
        ("first token", 0.2, "scripted-llm"),
        ("first sound", 0.12, "scripted-tts"),
    ]
    assert all(part.setting for part in measured.parts)
    assert (round(sum(part.seconds for part in measured.parts), 9),) == record.response_times


@pytest.mark.parametrize("tokens_per_second", [7.0, 30.0, 1000.0])
@pytest.mark.parametrize("final_after", [0.0, 0.4])
@pytest.mark.parametrize("probability", [0.3, 1.0])
async def test_the_parts_of_any_turn_sum_to_its_wait(
    make_agent, tokens_per_second, final_after, probability
):
    agent = make_agent(
        stt=ScriptedSTT(["one thing", "and another"], final_after=final_after),
        llm=ScriptedLLM("Well, that depends on the day.", tokens_per_second=tokens_per_second),
        turn_detector=ScriptedTurnDetector(probability),
    )
    record = await call(agent, [*ONE_TURN, Speak(0.7), Listen()])
    sums = [round(sum(part.seconds for part in turn.parts), 9) for turn in record.turns]
    assert len(sums) == 2
    assert sums == pytest.approx(record.response_times, abs=2e-9)


async def test_a_typed_turn_is_measured_from_its_text(make_agent):
    record = await call(make_agent([]), [Pause(1.0), Write("hello"), Listen()])
    (measured,) = record.turns
    assert [part.name for part in measured.parts] == ["first token", "first sound"]
    assert sum(part.seconds for part in measured.parts) == pytest.approx(0.32)


async def test_each_turn_is_measured_once(make_agent):
    agent = make_agent(["one", "two"], ["Yes", "No"])
    record = await call(agent, [*ONE_TURN, Speak(1.0), Listen()])
    assert [turn.turn for turn in record.turns] == [1, 2]
    told = [event for _, event in record.events_of("metrics")]
    assert [event["voice_to_voice_ms"] for event in told] == [520.0, 520.0]
    assert [sum(part["ms"] for part in event["parts"]) for event in told] == [520.0, 520.0]


async def test_measuring_can_be_left_out(make_agent):
    record = await call(make_agent(), ONE_TURN, params=PipelineParams(enable_metrics=False))
    assert not record.turns
    assert not record.events_of("metrics")


@pytest.mark.parametrize("enabled", [False, True])
async def test_usage_is_told_if_asked_for(make_agent, enabled):
    params = PipelineParams(enable_usage_metrics=enabled)
    reply = ["Yes, we are open now", Usage(input_tokens=30, output_tokens=5)]
    record = await call(make_agent(replies=[reply]), ONE_TURN, params=params)
    told = [(frame.service, frame.usage) for _, frame in record.frames_of(UsageReported)]
    assert told == enabled * [
        ("scripted-llm", Usage(input_tokens=30, output_tokens=5)),
        ("scripted-tts", Usage(characters=20, estimated=True)),
    ]


# ---- what it costs ---------------------------------------------------------------------------


async def test_a_quiet_minute_costs_a_turn_of_the_loop_for_each_packet(make_agent):
    loop = asyncio.get_running_loop()
    before = loop.statistics().iterations
    await call(make_agent([]), [Pause(60.0)])
    packets = 60 * 50
    assert loop.statistics().iterations - before < 3.1 * packets


async def test_an_idle_session_has_few_tasks(make_agent):
    caller = ScriptedCaller()
    agent = make_agent()
    task = PipelineTask(Pipeline([caller.input(), *agent.stages(), caller.output()]))
    before = len(asyncio.all_tasks())
    async with asyncio.TaskGroup() as group:
        group.create_task(task.run())
        await asyncio.sleep(1.0)
        assert len(asyncio.all_tasks()) - before <= 6
        assert task.statistics().queued == {}
        caller.hang_up()
    assert task.outcome == "cancelled"
