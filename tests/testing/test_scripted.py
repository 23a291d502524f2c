from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from antiphon import Agent
from antiphon.audio import TELEPHONE, WIDEBAND, AudioFormat, read_wav, to_float
from antiphon.context import LLMContext, Message, ToolCall
from antiphon.errors import OptionError, RemoteError, StageError, TransportError, UsageError
from antiphon.frames import (
    Direction,
    Frame,
    Transcript,
    TurnCommitted,
    TypedText,
    UserAudio,
    VoiceStarted,
    VoiceStopped,
)
from antiphon.pipeline import FrameProcessor, Pipeline, PipelineTask
from antiphon.services.base import TurnSoFar
from antiphon.testing import (
    HangUp,
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
    tone,
)
from antiphon.testing.script import Script


def now():
    return asyncio.get_running_loop().time()


async def collect(stream):
    """Everything that a stream gives, with the time of each."""
    async with aclosing(stream) as outputs:
        return [(now(), output) async for output in outputs]


# ---- the script ------------------------------------------------------------------------------


def test_a_script_ends_with_an_error_that_says_who_asked_too_often():
    script = Script("ScriptedLLM", "a reply", ["one", "two"])
    assert [script.next(), script.next()] == ["one", "two"]
    with pytest.raises(UsageError, match=r"ScriptedLLM has 2 items, .* a reply for the 3\. time"):
        script.next()


def test_a_constant_never_ends():
    script = Script("ScriptedLLM", "a reply", constant="one")
    assert [script.next() for _ in range(100)] == ["one"] * 100


def test_a_fresh_script_begins_again():
    script = Script("x", "y", ["one", "two"])
    script.next()
    assert script.fresh().next() == "one"
    assert script.fresh(after=1).next() == "two"
    assert script.next() == "two"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: ScriptedVAD(levl=0.1), "did you mean 'level'"),
        (lambda: ScriptedVAD(delay=20), "if you meant milliseconds, write 0.02"),
        (lambda: ScriptedSTT(final=1), "did you mean 'final_after'"),
        (lambda: ScriptedLLM(tokens_per_second=0), "tokens_per_second=0 is outside"),
        (lambda: ScriptedTTS(realtime_factr=5), "did you mean 'realtime_factor'"),
        (lambda: ScriptedTurnDetector([0.5, 1.5]), "probabilities=1.5 is outside"),
        (lambda: ScriptedTurnDetector(-1), "probabilities=-1 is outside"),
        (lambda: ScriptedCaller(["hello"]), "a script is made of Speak"),
        (lambda: ScriptedWire(send_dely=1), "did you mean 'send_delay'"),
    ],
)
def test_what_cannot_work_is_refused(make, problem):
    with pytest.raises(OptionError, match=problem):
        make()


# ---- sound -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 24_000, 44_100, 48_000])
def test_a_tone_has_its_length_its_level_and_its_pitch(rate):
    samples = to_float(tone(AudioFormat(rate), 1.0, level=0.5))
    assert len(samples) == rate
    assert np.max(np.abs(samples)) == pytest.approx(0.5, abs=0.01)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) == 200
    # One line and nothing else: no click where a period was joined to the next.
    assert np.sum(np.delete(spectrum, 200) ** 2) < 1e-6 * spectrum[200] ** 2


# ---- voice detector --------------------------------------------------------------------------


async def test_the_vad_hears_what_is_not_silent():
    vad = ScriptedVAD(level=0.1)
    answers: list[float] = []
    stream = vad.open()
    for level in (0.0, 0.05, 0.13, 0.15, 0.5):  # a sine's rms is its peak by the root of two
        stream.feed(to_float(tone(WIDEBAND, 0.02, level=level or 1e-9)), answers.append)
    assert answers == [0.0, 0.0, 0.0, 1.0, 1.0]


async def test_the_vad_takes_its_time():
    answers: list[float] = []
    stream = ScriptedVAD(delay=0.03).open()
    window = to_float(tone(WIDEBAND, 0.02))
    stream.feed(window, lambda probability: answers.append(now()))
    await asyncio.sleep(0.01)
    stream.feed(window, lambda probability: answers.append(now()))
    assert not answers
    await asyncio.sleep(1.0)
    assert answers == [0.03, 0.04]


# ---- speech to text --------------------------------------------------------------------------


def packet(position):
    return UserAudio(tone(WIDEBAND, 0.02), WIDEBAND, position)


async def voices(*items):
    """Stretches of voice of so many seconds, told 0.08 s late; other items as they stand."""
    position = 0
    for item in items:
        if not isinstance(item, float):
            yield item
            continue
        started = False
        for index in range(round((item + 0.1) * 50)):
            await asyncio.sleep(0.02)
            yield packet(position)
            position += 320
            if index == 3:
                started = True
                yield VoiceStarted(position, 0.08)
        assert started
        yield VoiceStopped(position, 0.1)


async def test_words_come_one_by_one_and_all_at_the_end():
    stt = ScriptedSTT(["what are your hours"], final_after=0.2, interim_every=0.25)
    assert await collect(stt.transcribe(voices(1.0))) == [
        (0.26, Transcript("what", False, 1)),
        (0.5, Transcript("what are", False, 1)),
        (0.76, Transcript("what are your", False, 1)),
        (1.0, Transcript("what are your hours", False, 1)),
        (1.3, Transcript("what are your hours", True, 1)),
    ]


async def test_interim_words_can_be_left_out():
    stt = ScriptedSTT(["what are your hours"], interim_every=0)
    ((_, only),) = await collect(stt.transcribe(voices(1.0)))
    assert only == Transcript("what are your hours", True, 1)


def finals(heard):
    return [(t.segment, t.text) for _, t in heard if t.final]


@pytest.mark.parametrize(
    ("rejoin", "items", "expected"),
    [
        (False, (1.0, 1.0), [(1, "one"), (2, "two")]),
        (True, (1.0, 1.0), [(1, "one"), (1, "one two")]),
        (True, (1.0, TurnCommitted("one", 1), 1.0), [(1, "one"), (2, "two")]),
        (True, (1.0, 1.0, TurnCommitted("", 1), 1.0), [(1, "one"), (1, "one two"), (2, "three")]),
    ],
)
async def test_stretches_are_segments_or_are_joined(rejoin, items, expected):
    stt = ScriptedSTT(["one", "two", "three"], interim_every=0, rejoin=rejoin)
    assert finals(await collect(stt.transcribe(voices(*items)))) == expected


async def test_a_turn_that_is_committed_within_the_voice_splits_its_words():
    async def audio():
        yield VoiceStarted(0, 0.0)
        for index in range(50):  # a second, two words of which are told
            yield packet(320 * index)
        yield TurnCommitted("a b", 1)
        for index in range(50, 100):
            yield packet(320 * index)
        yield VoiceStopped(0, 0.1)

    stt = ScriptedSTT(["a b c d e"], interim_every=0.4)
    heard = [t for _, t in await collect(stt.transcribe(audio()))]
    assert [(t.segment, t.text) for t in heard] == [
        (1, "a"),
        (1, "a b"),
        (2, "c"),
        (2, "c d"),
        (2, "c d e"),
        (2, "c d e"),
    ]


async def test_each_session_reads_the_texts_from_the_start():
    stt = ScriptedSTT(["one", "two"], interim_every=0)
    for _ in range(2):
        assert finals(await collect(stt.transcribe(voices(0.5, 0.5)))) == [(1, "one"), (2, "two")]


async def test_no_words_and_words_that_never_come():
    stt = ScriptedSTT(["", None, "three"], interim_every=0)
    heard = await collect(stt.transcribe(voices(0.5, 0.5, 0.5)))
    assert finals(heard) == [(1, ""), (3, "three")]


async def test_after_a_failure_the_next_session_reads_on():
    error = RemoteError("the ears", "are gone", retryable=True)
    stt = ScriptedSTT(["one", error, "three"], interim_every=0)
    with pytest.raises(RemoteError) as caught:
        await collect(stt.transcribe(voices(0.5, 0.5)))
    assert caught.value is error
    assert finals(await collect(stt.transcribe(voices(0.5)))) == [(1, "three")]


async def test_a_stretch_that_nobody_foresaw_is_an_error():
    with pytest.raises(UsageError, match=r"the words of a stretch of voice for the 2\. time"):
        await collect(ScriptedSTT(["one"]).transcribe(voices(0.5, 0.5)))


# ---- language model --------------------------------------------------------------------------

ASKED = LLMContext("Be kind.", messages=[Message("user", "hello")])


async def test_tokens_come_at_their_pace():
    llm = ScriptedLLM(["We are\nopen."], first_token=0.3, tokens_per_second=20)
    assert await collect(llm.generate(ASKED)) == [(0.3, "We"), (0.35, " are"), (0.4, "\nopen.")]
    (request,) = llm.requests
    assert request.context is ASKED
    assert (request.given, request.ended) == (["We", " are", "\nopen."], "complete")
    assert (request.began_at, request.ended_at) == (0.0, 0.4)


async def test_a_list_comes_as_it_stands_and_a_number_is_a_pause():
    made = ToolCall("1", "look", {})
    llm = ScriptedLLM([["We are ", 0.5, "open.", made]], first_token=0.1)
    assert await collect(llm.generate(ASKED)) == [(0.1, "We are "), (0.6, "open."), (0.6, made)]


async def test_a_failure_is_noted():
    error = RemoteError("llm", "is gone")
    llm = ScriptedLLM([error, ["We ", error]])
    for _ in range(2):
        with pytest.raises(RemoteError):
            await collect(llm.generate(ASKED))
    assert [(r.ended, r.given) for r in llm.requests] == [("failed", []), ("failed", ["We "])]


async def test_a_cancellation_is_noted_with_its_token():
    llm = ScriptedLLM("one two three four", first_token=0.1, tokens_per_second=10)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.25):
            await collect(llm.generate(ASKED))
    stream = llm.generate(ASKED)
    await anext(stream)
    await stream.aclose()
    assert [r.ended for r in llm.requests] == ["cancelled", "cancelled"]
    assert [r.given for r in llm.requests] == [["one", " two"], ["one"]]
    assert [r.ended_at for r in llm.requests] == [0.25, 0.35]


async def test_a_function_may_answer():
    llm = ScriptedLLM(lambda context: f"You said {context.messages[-1].text}.")
    assert "".join(text for _, text in await collect(llm.generate(ASKED))) == "You said hello."


# ---- text to speech --------------------------------------------------------------------------


async def pieces(*texts, pause=0.0):
    for text in texts:
        yield text
        await asyncio.sleep(pause)


async def test_the_length_of_speech_follows_its_text():
    tts = ScriptedTTS(characters_per_second=10, chunk=0.5)
    heard = await collect(tts.synthesize(pieces("twelve signs", "five.")))
    assert [(at, c.piece, WIDEBAND.seconds(len(c.pcm))) for at, c in heard] == [
        (0.12, 0, 0.5),
        (0.22, 0, 0.5),
        (0.32, 0, 0.2),
        (0.32, 1, 0.5),
    ]
    (speech,) = tts.speeches
    assert (speech.pieces, speech.samples) == (["twelve signs", "five."], 27_200)
    assert speech.ended == "complete"


async def test_first_sound_and_speed_are_options():
    tts = ScriptedTTS(first_audio=0.4, realtime_factor=2, chunk=0.1, sample_rate=24_000)
    heard = await collect(tts.synthesize(pieces("abc")))
    assert [at for at, _ in heard] == [0.4, 0.45]
    assert sum(len(chunk.pcm) for _, chunk in heard) == 2 * 24_000 * 3 / 15


async def test_words_have_times_if_asked_for():
    tts = ScriptedTTS(characters_per_second=10, word_times=True, chunk=0.1)
    heard = await collect(tts.synthesize(pieces("We are  open.")))
    (words, *others) = [chunk.words for _, chunk in heard]
    assert [(w.word, w.start, w.end) for w in words] == [
        ("We", 0.0, 0.2),
        ("are", 0.3, 0.6),
        ("open.", 0.8, 1.3),
    ]
    assert not any(others)


async def test_a_speech_may_fail_and_the_next_not():
    error = RemoteError("tts", "is gone")
    tts = ScriptedTTS(failures={2: error})
    await collect(tts.synthesize(pieces("One.")))
    with pytest.raises(RemoteError):
        await collect(tts.synthesize(pieces("Two.")))
    await collect(tts.synthesize(pieces("Three.")))
    assert [speech.ended for speech in tts.speeches] == ["complete", "failed", "complete"]
    assert tts.speeches[1].samples == 0


# ---- turn detector ---------------------------------------------------------------------------


async def test_probabilities_come_in_order_after_their_delay():
    error = RemoteError("turn", "is gone")
    detector = ScriptedTurnDetector([0.2, error, 1.0], delay=0.1)
    turn = TurnSoFar(b"", "what", "")
    assert await detector.score(turn) == 0.2
    with pytest.raises(RemoteError):
        await detector.score(turn)
    assert await detector.score(turn) == 1.0
    assert now() == pytest.approx(0.3)
    assert detector.asked == [turn] * 3
    with pytest.raises(UsageError, match=r"a probability for the 4\. time"):
        await detector.score(turn)


# ---- the wire --------------------------------------------------------------------------------


async def test_the_ear_plays_packets_one_after_the_other_but_not_before_they_came():
    wire = ScriptedWire()
    for _ in range(3):
        await wire.send_audio(tone(WIDEBAND, 0.1))
    assert wire.spans() == ((0.0, 0.3),)
    await asyncio.sleep(0.5)
    await wire.send_audio(tone(WIDEBAND, 0.1))
    assert wire.spans() == ((0.0, 0.3), (0.5, 0.6))
    assert wire.seconds_heard(0.55) == pytest.approx(0.35)
    assert [at for at, _ in wire.packets] == [0.0, 0.0, 0.0, 0.5]


async def test_a_clear_drops_what_was_not_played():
    wire = ScriptedWire()
    sounds = [tone(WIDEBAND, 0.2, level=level) for level in (0.1, 0.2, 0.3)]
    for sound in sounds:
        await wire.send_audio(sound)
    await asyncio.sleep(0.3)
    await wire.send_event({"type": "clear"})
    assert wire.spans() == ((0.0, 0.3),)
    assert wire.heard_audio() == sounds[0] + sounds[1][:3200]
    assert wire.silent_since(0.5) == pytest.approx(0.2)
    await wire.send_audio(sounds[2])
    assert wire.heard_audio() == sounds[0] + sounds[1][:3200] + sounds[2]


async def test_what_was_heard_by_a_time():
    wire = ScriptedWire(TELEPHONE)
    sound = tone(TELEPHONE, 1.0)
    await wire.send_audio(sound)
    assert wire.heard_audio(0.25) == sound[:4000]
    assert wire.heard(0.25) == [(0.0, sound[:4000])]
    assert wire.spans(0.25) == ((0.0, 0.25),)


async def test_sending_may_take_time_and_the_line_may_be_lost():
    wire = ScriptedWire(send_delay=0.1, lost_after=0.25)
    await wire.send_audio(b"")
    await wire.send_event({"type": "state"})
    assert now() == 0.2
    with pytest.raises(TransportError) as caught:
        await wire.send_event({"type": "state"})
    assert caught.value.reason == "gone"
    assert wire.messages == [(0.1, b""), (0.2, {"type": "state"})]


# ---- the caller ------------------------------------------------------------------------------


class Noting(FrameProcessor):
    def __init__(self):
        self.came: list[tuple[float, Frame]] = []

    def process(self, frame, direction):
        if direction is Direction.DOWN:
            self.came.append((round(self.now, 9), frame))
        self.push(frame, direction)


async def heard_from(script, **options):
    """What a pipeline takes from a caller, with times."""
    caller, noting = ScriptedCaller(script, **options), Noting()
    task = PipelineTask(Pipeline([caller.input(), noting, caller.output()]))
    await task.run()
    return task.outcome, noting.came


async def test_a_microphone_sends_each_packet_when_it_was_spoken():
    _, came = await heard_from([Pause(0.04), Speak(0.04), Pause(0.02)])
    sounds = [(at, frame.at_sample, any(frame.pcm)) for at, frame in came[:-1]]
    assert sounds == [
        (0.02, 0, False),
        (0.04, 320, False),
        (0.06, 640, True),
        (0.08, 960, True),
        (0.1, 1280, False),
    ]


async def test_sounds_that_are_no_whole_packets_are_joined():
    sound = bytes(range(100)) * 2
    _, came = await heard_from([Speak(sound), Speak(0.03), Pause(0.001), Write("now")])
    audio = [frame for _, frame in came if isinstance(frame, UserAudio)]
    assert {len(frame.pcm) for frame in audio} == {640}
    whole = b"".join(frame.pcm for frame in audio)
    assert whole == (sound + tone(WIDEBAND, 0.03)).ljust(len(whole), b"\0")
    # Text follows at the next whole packet: 0.00625 s, 0.03 s and 0.001 s of sound before it.
    assert [at for at, frame in came if isinstance(frame, TypedText)] == [0.04]


async def test_a_script_that_ends_lets_the_pipeline_finish_and_hanging_up_does_not():
    assert (await heard_from([Pause(0.1)]))[0] == "ended"
    assert (await heard_from([Pause(0.1), HangUp(), Pause(99)]))[0] == "cancelled"
    assert now() == pytest.approx(0.2)


async def test_a_telephone_caller():
    _, came = await heard_from([Speak(0.04)], audio_in=TELEPHONE)
    assert [frame.format for _, frame in came[:-1]] == [TELEPHONE, TELEPHONE]
    assert [frame.at_sample for _, frame in came[:-1]] == [0, 160]


async def test_a_caller_without_a_script_is_led_by_hand():
    caller, noting = ScriptedCaller(), Noting()
    task = PipelineTask(Pipeline([caller.input(), noting, caller.output()]))
    async with asyncio.TaskGroup() as group:
        group.create_task(task.run())
        await asyncio.sleep(3.0)
        caller.speak(tone(WIDEBAND, 0.1))
        caller.write("hello")
        await asyncio.sleep(1.0)
        caller.hang_up()
    assert [at for at, _ in noting.came] == [3.0, 3.0]
    assert task.outcome == "cancelled"


# ---- the call --------------------------------------------------------------------------------


def agent(**options):
    services = {
        "llm": ScriptedLLM("We are open from nine to six.", tokens_per_second=50),
        "stt": ScriptedSTT("what are your hours"),
        "tts": ScriptedTTS(characters_per_second=10),
        "vad": ScriptedVAD(),
        "turn_detector": ScriptedTurnDetector(1.0),
    }
    return Agent(**{**services, **options})


async def test_listening_ends_when_the_agent_is_quiet():
    record = await call(agent(), [Speak(1.0), Listen(silence=0.3)])
    ((start, end),) = record.agent_spans
    assert record.seconds == pytest.approx(end + 0.3, abs=0.02)
    assert end - start == pytest.approx(2.9)


async def test_listening_may_end_while_the_agent_speaks():
    record = await call(agent(), [Speak(1.0), Listen(0.5), HangUp()])
    ((start, end),) = record.agent_spans
    assert end == record.seconds == pytest.approx(start + 0.5, abs=0.02)


async def test_listening_counts_from_when_it_begins():
    record = await call(agent(), [Speak(1.0), Listen(0.5), Listen(0.5), HangUp()])
    ((start, end),) = record.agent_spans
    assert end - start == pytest.approx(1.0, abs=0.02)


async def test_the_record_tells_the_call():
    record = await call(agent(), [Pause(0.5), Speak(1.0), Listen(), Speak(0.5), Listen(0.5)])
    first = record.agent_spans[0]
    assert record.caller_spans[0] == (0.5, 1.5)
    assert record.response_times == (round(first[0] - 1.5, 9), record.response_times[1])
    assert [(line.role, line.text) for line in record.lines] == [
        ("user", "what are your hours"),
        ("agent", "We are open from nine to six."),
    ] * 2
    assert [message.role for message in record.messages] == ["user", "assistant"] * 2
    assert len(record.turns) == 2
    assert record.times_of(VoiceStarted) == (0.58, pytest.approx(first[1] + 0.6, abs=0.02))
    text = str(record)
    assert "0.500  caller speaks until 1.500" in text
    assert "agent: We are open from nine to six." in text
    assert text.endswith("ended")


async def test_an_agent_that_speaks_over_the_person_gives_no_response_time():
    talkative = agent(greeting="Good day to you.", stt=ScriptedSTT(""))
    record = await call(talkative, [Pause(0.3), Speak(0.08), Pause(3.0)])
    assert len(record.agent_spans) == len(record.caller_spans) == 1
    assert record.response_times == ()


async def test_the_recording_has_both_on_one_clock(tmp_path: Path):
    record = await call(agent(), [Pause(0.5), Speak(1.0), Listen(0.5), Speak(1.0), Listen(0.2)])
    sound_format, pcm = read_wav(record.recording())
    assert sound_format == AudioFormat(16_000, channels=2)
    tracks = to_float(pcm).reshape(-1, 2)
    assert len(tracks) == round(record.seconds * 16_000)
    for track, spans in zip(tracks.T, (record.caller_spans, record.agent_spans), strict=True):
        expected = np.zeros(len(track), bool)
        for start, end in spans:
            expected[round(start * 16_000) : round(end * 16_000)] = True
        loud = np.abs(track) > 0
        # A sine passes zero twice in 5 ms, so compare a little more coarsely than samples.
        blocks = len(track) // 160
        sounding = loud[: blocks * 160].reshape(blocks, 160).any(axis=1)
        wanted = expected[: blocks * 160].reshape(blocks, 160).any(axis=1)
        assert np.count_nonzero(sounding != wanted) <= 2 * len(spans)


async def test_a_stage_that_fails_tells_what_was_said():
    with pytest.raises(StageError) as caught:
        await call(agent(llm=ScriptedLLM([])), [Speak(1.0), Listen()])
    assert "user: what are your hours" in "".join(caught.value.__notes__)
    assert isinstance(caught.value.__cause__, UsageError)


async def test_an_observer_of_the_test_is_asked_too():
    from antiphon.pipeline import Observer

    class Counting(Observer):
        frames = (TurnCommitted,)
        stages = frozenset({"LanguageModel"})
        seen = 0

        def on_frame(self, frame, direction, into, now):
            Counting.seen += 1

    await call(agent(), [Speak(1.0), Listen()], observers=[Counting()])
    assert Counting.seen == 1


@pytest.mark.real_time
async def test_a_call_takes_real_time_on_a_real_loop():
    script = [Speak(0.3), Listen(0.2), HangUp()]
    fast = agent(
        llm=ScriptedLLM("Yes.", first_token=0.05),
        tts=ScriptedTTS(first_audio=0.05),
        stt=ScriptedSTT("x"),
    )
    began = now()
    record = await call(fast, script)
    assert now() - began == pytest.approx(record.seconds, abs=0.2)
    assert 0.8 < record.seconds < 3.0
    assert record.lines[0].text == "x"
