from __future__ import annotations

import asyncio
import inspect
import json
from contextlib import asynccontextmanager

import pytest

from antiphon.audio import WIDEBAND, AudioFormat, write_wav
from antiphon.context import LLMContext, Message, ToolCall, ToolDescription, Usage
from antiphon.errors import TransportError
from antiphon.frames import Transcript, UserAudio, VoiceStopped
from antiphon.services.base import VAD, SpeechChunk, TurnDetector, TurnSoFar
from antiphon.testing import (
    Pause,
    ScriptedCaller,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedTurnDetector,
    ScriptedVAD,
    ScriptedWire,
    Speak,
    run,
    tone,
)
from antiphon.testing.conformance import (
    LLMConformance,
    STTConformance,
    TransportConformance,
    TTSConformance,
    TurnDetectorConformance,
    VADConformance,
)
from antiphon.transports.base import AudioInput, SpeechOutput
from antiphon.transports.wav import WavTransport
from antiphon.transports.websocket import WebSocketTransport

# ---- the fakes pass --------------------------------------------------------------------------


class TestScriptedVAD(VADConformance):
    def make(self):
        return ScriptedVAD()

    def speech(self):
        return tone(WIDEBAND, 1.2)


class TestScriptedVADThatAnswersLater(TestScriptedVAD):
    def make(self):
        return ScriptedVAD(delay=0.02, window=512)


class TestScriptedSTT(STTConformance):
    likeness = 1.0

    def make(self):
        return ScriptedSTT([])

    def make_for(self, texts):
        return ScriptedSTT(texts)

    def speech(self):
        return tone(WIDEBAND, 1.5), "what are your opening hours"

    def more_speech(self):
        return tone(WIDEBAND, 1.0), "on a Saturday please"


class TestScriptedSTTThatRejoins(TestScriptedSTT):
    pace = 0.0

    def make_for(self, texts):
        return ScriptedSTT(texts, rejoin=True, final_after=0.4)


class TestScriptedLLM(LLMConformance):
    def make(self):
        def reply(context):
            last = context.messages[-1].text
            if "order" in last:
                return [
                    "Let me see. ",
                    ToolCall("call-1", "order_status", {"number": 4512}),
                    Usage(),
                ]
            return "We are open from nine to six."

        return ScriptedLLM(reply)

    def tool_conversation(self):
        tool = ToolDescription("order_status", "Tells where an order is.")
        return LLMContext("", tools=[tool], messages=[Message("user", "Where is order 4512?")])


class TestScriptedTTS(TTSConformance):
    def make(self):
        return ScriptedTTS()


class TestScriptedTTSWithWordTimes(TTSConformance):
    def make(self):
        return ScriptedTTS(word_times=True, sample_rate=24_000, realtime_factor=0.5)


class TestScriptedTurnDetector(TurnDetectorConformance):
    def make(self):
        return ScriptedTurnDetector(lambda turn: 0.2 if turn.words.endswith("to") else 0.9)

    def complete(self):
        return TurnSoFar(tone(WIDEBAND, 1.0), "what are your hours", "")

    def incomplete(self):
        return TurnSoFar(tone(WIDEBAND, 1.0), "I want to talk to", "")


class FarEnd:
    def __init__(self, wire, leave):
        self.wire = wire
        self.leave = leave

    @property
    def messages(self):
        return self.wire.messages

    async def hang_up(self):
        self.leave()


class TestScriptedCaller(TransportConformance):
    @asynccontextmanager
    async def connect(self, speech):
        caller = ScriptedCaller([Speak(speech), Pause(60)])
        yield caller, FarEnd(caller.wire, caller.hang_up)


class TestScriptedCallerOnATelephone(TransportConformance):
    user_rate = 8_000

    @asynccontextmanager
    async def connect(self, speech):
        wire = ScriptedWire(AudioFormat(8_000))
        caller = ScriptedCaller([Speak(speech), Pause(60)], audio_in=AudioFormat(8_000), wire=wire)
        yield caller, FarEnd(wire, caller.hang_up)


class MemorySocket:
    """A WebSocket in memory: what the client sends is queued, what it gets is noted."""

    def __init__(self):
        self.messages = []
        self.inbox = asyncio.Queue()

    async def receive(self):
        message = await self.inbox.get()
        if message is None:
            raise TransportError("gone", "the client left", close_code=1006)
        return message

    async def send_bytes(self, data):
        self.messages.append((asyncio.get_running_loop().time(), data))

    async def send_text(self, text):
        self.messages.append((asyncio.get_running_loop().time(), json.loads(text)))

    async def close(self, code, reason):
        self.closed = (code, reason)

    async def hang_up(self):
        self.inbox.put_nowait(None)

    async def speak(self, pcm):
        for at in range(0, len(pcm), 640):
            await asyncio.sleep(0.02)
            self.inbox.put_nowait(pcm[at : at + 640])


class TestWebSocketTransport(TransportConformance):
    @asynccontextmanager
    async def connect(self, speech):
        socket = MemorySocket()
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(socket.speak(speech))
            yield WebSocketTransport(socket), socket
            speaking.cancel()
        assert socket.closed[0] in (1000, 1006)


class TestWavTransport(TransportConformance):
    hangs_up = False

    @asynccontextmanager
    async def connect(self, speech):
        transport = WavTransport(write_wav(WIDEBAND, speech), tail=10.0)
        wire = ScriptedWire()
        # The file's own ear keeps no times: what it is sent is noted on the way.
        ear = transport.output()._wire
        transport.output()._wire = Tee(wire, ear)
        yield transport, FarEnd(wire, None)


class Tee:
    def __init__(self, *wires):
        self.wires = wires

    async def send_audio(self, pcm):
        for wire in self.wires:
            await wire.send_audio(pcm)

    async def send_event(self, event):
        for wire in self.wires:
            await wire.send_event(event)


# ---- what is wrong is found ------------------------------------------------------------------
# Each service below breaks one sentence of its contract, and the suite must say so.


class Broken:
    """A suite with a service made by a function, run test by test without pytest."""

    def __init__(self, suite, make, **more):
        self.suite = type("Suite", (suite,), {"make": lambda self: make(), **more})

    def failures(self):
        found = []
        for name, test in inspect.getmembers(self.suite(), inspect.ismethod):
            if not name.startswith("test_"):
                continue
            try:
                if inspect.iscoroutinefunction(test):
                    run(test)
                else:
                    test()
            except (AssertionError, TimeoutError, BaseExceptionGroup):
                found.append(name)
        return found


VAD_SPEECH = {"speech": lambda self: tone(WIDEBAND, 1.2)}


class VADThatAnswers(VAD):
    name = "broken"

    def __init__(self, how):
        self.how = how

    def open(self):
        return self.how(ScriptedVAD(window=self.window).open())


class Swapped:
    """Answers two windows in the wrong order."""

    def __init__(self, inner):
        self.inner = inner
        self.kept = None

    def feed(self, window, answer):
        if self.kept is None:
            self.kept = (window, answer)
            asyncio.get_running_loop().call_later(0.01, self.flush)
        else:
            self.inner.feed(window, answer)
            self.flush()

    def flush(self):
        if self.kept is not None:
            kept, self.kept = self.kept, None
            self.inner.feed(*kept)

    def close(self):
        self.inner.close()


class Unclosed(Swapped):
    """Answers after it was closed."""

    def feed(self, window, answer):
        asyncio.get_running_loop().call_later(0.02, self.inner.feed, window, answer)

    def close(self):
        pass


class Percent(Swapped):
    def feed(self, window, answer):
        self.inner.feed(window, lambda p: answer(p * 100))


class Twice(Swapped):
    def feed(self, window, answer):
        self.inner.feed(window, lambda p: (answer(p), answer(p)))


class Sluggish(Swapped):
    """A voice takes ever longer to end: state of an earlier stream is kept."""

    heard = 0

    def feed(self, window, answer):
        def add(p):
            Sluggish.heard += p
            answer(min(1.0, p * 0.6 + Sluggish.heard / 1000))

        self.inner.feed(window, add)


@pytest.mark.parametrize(
    ("how", "test"),
    [
        (Swapped, "test_each_window_has_one_answer_in_order"),
        (Twice, "test_each_window_has_one_answer_in_order"),
        (Percent, "test_each_window_has_one_answer_in_order"),
        (Unclosed, "test_a_closed_stream_is_silent"),
        (Sluggish, "test_a_stream_begins_fresh"),
        (Sluggish, "test_streams_know_nothing_of_each_other"),
    ],
)
def test_a_wrong_vad_is_found(how, test):
    assert test in Broken(VADConformance, lambda: VADThatAnswers(how), **VAD_SPEECH).failures()


def test_a_deaf_vad_is_found():
    broken = Broken(VADConformance, lambda: ScriptedVAD(level=0.9), **VAD_SPEECH)
    assert broken.failures() == ["test_speech_is_voice"]


class ForgetfulSTT(ScriptedSTT):
    """Waits for the end of the audio to say anything, and says it with one number."""

    async def transcribe(self, audio):
        stops = [item async for item in audio if isinstance(item, VoiceStopped)]
        words = ["what are your opening hours" for _ in stops]
        yield Transcript(" ".join(words), True, 1)


class TaskLeavingSTT(ScriptedSTT):
    async def transcribe(self, audio):
        self.left = asyncio.get_running_loop().create_task(asyncio.sleep(100))
        async for transcript in super().transcribe(audio):
            yield transcript


class StubbornSTT(ScriptedSTT):
    """Takes its time to stop."""

    async def transcribe(self, audio):
        try:
            async for transcript in super().transcribe(audio):
                yield transcript
        finally:
            await asyncio.sleep(0.3)


class DoublingSTT(ScriptedSTT):
    """Gives the words of the first stretch again as a segment of their own."""

    async def transcribe(self, audio):
        segment = 0
        async for item in audio:
            if isinstance(item, VoiceStopped):
                segment += 1
                yield Transcript("what are your opening hours " * segment, True, segment)
            elif isinstance(item, UserAudio):
                continue


STT_SPEECH = {
    "speech": TestScriptedSTT.speech,
    "more_speech": TestScriptedSTT.more_speech,
    "patience": 5.0,
}


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (ForgetfulSTT, "test_final_words_follow_the_voice"),
        (ForgetfulSTT, "test_a_committed_turn_is_over"),
        (TaskLeavingSTT, "test_closed_it_stops_at_once"),
        (StubbornSTT, "test_cancelled_it_stops_at_once"),
        (StubbornSTT, "test_closed_it_stops_at_once"),
        (DoublingSTT, "test_nothing_is_lost_when_the_person_goes_on"),
        (DoublingSTT, "test_silence_has_an_empty_final"),
        (DoublingSTT, "test_a_committed_turn_is_over"),
    ],
)
def test_a_wrong_stt_is_found(kind, test):
    broken = Broken(STTConformance, kind, **STT_SPEECH, make_for=lambda self, texts: kind(texts))
    assert test in broken.failures()


class ScribblingLLM(ScriptedLLM):
    async def generate(self, context):
        context.append(Message("assistant", "mine"))
        yield "We are open. "
        yield "Always."


class OneGulpLLM(ScriptedLLM):
    async def generate(self, context):
        yield Usage()
        yield "We are open from nine to six, and on Saturday from ten to four."


class EmptyLLM(ScriptedLLM):
    async def generate(self, context):
        yield "Hello."
        yield ""


class StubbornLLM(ScriptedLLM):
    async def generate(self, context):
        try:
            await asyncio.sleep(0.1)
            yield "We are "
            yield "open."
        finally:
            await asyncio.sleep(0.2)


class NamelessLLM(ScriptedLLM):
    name = "service"


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (ScribblingLLM, "test_the_conversation_is_not_changed"),
        (OneGulpLLM, "test_the_answer_comes_in_pieces"),
        (EmptyLLM, "test_it_answers_in_text"),
        (OneGulpLLM, "test_usage_is_told_once_at_the_end"),
        (StubbornLLM, "test_cancelled_it_stops_at_once"),
        (StubbornLLM, "test_closed_it_stops_at_once"),
        (NamelessLLM, "test_it_has_a_name"),
    ],
)
def test_a_wrong_llm_is_found(kind, test):
    assert test in Broken(LLMConformance, lambda: kind("Hello there, friend.")).failures()


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (ToolCall("", "order_status", {}), "without an id"),
        (ToolCall("1", "order", {}), "of an unknown tool"),
        (ToolCall("1", "order_status", "4512"), "whose arguments are text"),
    ],
)
def test_a_wrong_tool_call_is_found(call, problem):
    broken = Broken(
        LLMConformance,
        lambda: ScriptedLLM(lambda context: ["Hello ", "there.", call]),
        tool_conversation=TestScriptedLLM.tool_conversation,
    )
    assert broken.failures() == ["test_a_tool_is_called"], problem


class WholeTextTTS(ScriptedTTS):
    """Waits for all text, and speaks it as one piece that ends within a sample."""

    async def synthesize(self, pieces):
        text = " ".join([piece async for piece in pieces])
        yield SpeechChunk(tone(self.audio_format, len(text) / 15) + b"\0", 0)


class EverythingTTS(ScriptedTTS):
    """Speaks signs too, whatever the text is, and gives no thought to its number."""

    async def synthesize(self, pieces):
        number = 10
        async for _ in pieces:
            number -= 1
            yield SpeechChunk(tone(self.audio_format, 1.0), number)


class StubbornTTS(ScriptedTTS):
    async def synthesize(self, pieces):
        try:
            async for chunk in super().synthesize(pieces):
                yield chunk
        finally:
            await asyncio.sleep(0.2)


class OffTheTextTTS(ScriptedTTS):
    def _words(self, piece):
        return super()._words("There are quite other words than these in here, it seems.")


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (WholeTextTTS, "test_the_first_piece_is_spoken_before_the_second_is_there"),
        (WholeTextTTS, "test_pieces_are_spoken_in_order"),
        (EverythingTTS, "test_pieces_are_spoken_in_order"),
        (EverythingTTS, "test_what_cannot_be_spoken_is_left_out"),
        (StubbornTTS, "test_cancelled_it_stops_at_once"),
        (StubbornTTS, "test_cancelled_while_it_waits_for_text_it_stops_at_once"),
        (StubbornTTS, "test_closed_it_stops_at_once"),
        (OffTheTextTTS, "test_word_times_lie_within_their_piece"),
    ],
)
def test_a_wrong_tts_is_found(kind, test):
    def make():
        return kind(word_times=kind is OffTheTextTTS)

    failures = Broken(TTSConformance, make, patience=3.0).failures()
    assert test in failures


class SureDetector(TurnDetector):
    name = "sure"

    async def score(self, turn):
        return 100.0


class StubbornDetector(ScriptedTurnDetector):
    async def score(self, turn):
        try:
            return await super().score(turn)
        except asyncio.CancelledError:
            await asyncio.sleep(0.2)
            raise


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (SureDetector, "test_answers_are_probabilities"),
        (SureDetector, "test_a_complete_turn_scores_higher"),
        (StubbornDetector, "test_a_cancelled_question_ends_at_once"),
    ],
)
def test_a_wrong_turn_detector_is_found(kind, test):
    broken = Broken(
        TurnDetectorConformance,
        kind,
        complete=TestScriptedTurnDetector.complete,
        incomplete=TestScriptedTurnDetector.incomplete,
    )
    assert test in broken.failures()


class UngatedOutput(SpeechOutput):
    """Lets sound out at once."""

    def _open(self, scope):
        scope.commit()
        return super()._open(scope)


class UnclearOutput(SpeechOutput):
    """Does not tell the far side to drop what it has."""

    def _close(self, playing):
        super()._close(playing)
        self._events.clear()


class HastyOutput(SpeechOutput):
    """Sends sound as soon as it is there."""

    async def _send_in_time(self, playing):
        self._ear = 0.0
        await super()._send_in_time(playing)


def broken_caller(*, output=SpeechOutput, take=None, hang_up=True):
    @asynccontextmanager
    async def connect(self, speech):
        caller = ScriptedCaller([Speak(speech), Pause(60)])
        caller._output = output(caller.wire, WIDEBAND)
        if take:
            caller._input.taken = 0
            caller._input.take = lambda pcm: take(caller._input, pcm)
        yield caller, FarEnd(caller.wire, caller.hang_up if hang_up else lambda: None)

    return Broken(TransportConformance, None, connect=connect, patience=3.0)


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        ({"output": UngatedOutput}, "test_what_is_not_committed_never_leaves"),
        ({"output": UnclearOutput}, "test_an_interruption_is_heard_at_once"),
        ({"output": HastyOutput}, "test_sound_leaves_at_the_pace_of_the_ear"),
        (
            {"take": lambda self, pcm: lose_some(self, pcm)},
            "test_sound_comes_in_whole_and_in_order",
        ),
        ({"hang_up": False}, "test_it_ends_when_the_far_side_hangs_up"),
    ],
)
def test_a_wrong_transport_is_found(broken, test):
    assert test in broken_caller(**broken).failures()


def lose_some(microphone, pcm):
    microphone.taken += 1
    if microphone.taken % 10:
        AudioInput.take(microphone, pcm)


def test_a_right_transport_has_no_failures():
    assert broken_caller().failures() == []
