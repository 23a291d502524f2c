from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio.formats import AudioFormat
from antiphon.errors import StageError, TransportError
from antiphon.frames import Direction, Frame, UserAudio
from antiphon.pipeline import FrameProcessor, Pipeline, PipelineTask
from antiphon.transports.base import SpeechOutput
from antiphon.transports.line import LineOptions
from antiphon.transports.websocket import WebSocketTransport
from support.memory import MemorySocket
from support.parrot import Parrot, tone

MIC = AudioFormat(16_000)
PACKET = tone(MIC, 0.02, level=1)
LOUD = tone(MIC, 0.02, level=0x7070)


class Call:
    """A parrot on a socket in memory."""

    def __init__(self, parrot: Parrot, options: LineOptions | None) -> None:
        self.socket = MemorySocket()
        self.parrot = parrot
        self.options = options
        self.transport: WebSocketTransport | None = None
        self.task: PipelineTask | None = None
        self.error: BaseException | None = None
        self.over_at: float | None = None

    async def run(self) -> None:
        try:
            self.transport = await WebSocketTransport.open(self.socket, self.options, session="abc")
            above, below = self.transport.input(), self.transport.output()
            self.task = self.parrot.task_between(above, below)
            await self.task.run()
        except (TransportError, StageError) as error:
            self.error = error
        finally:
            self.over_at = asyncio.get_running_loop().time()

    @property
    def reason(self) -> str:
        assert self.socket.closed is not None
        return self.socket.closed[2].partition(":")[0]

    @property
    def code(self) -> int:
        assert self.socket.closed is not None
        return self.socket.closed[1]


@asynccontextmanager
async def calling(
    parrot: Parrot | None = None, options: LineOptions | None = None, first: Any = b""
) -> AsyncIterator[Call]:
    """A call whose first message is there already; at the end the client leaves."""
    call = Call(parrot or Parrot(), options)
    if first is not None:
        call.socket.say(first)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(call.run())
        await asyncio.sleep(0)
        yield call
        call.socket.leave()
        await task


async def until(when: float) -> None:
    await asyncio.sleep(when - asyncio.get_running_loop().time())


async def stream(call: Call, seconds: float, packet: bytes = PACKET) -> None:
    """Send packets in real time, beginning now."""
    begins = asyncio.get_running_loop().time()
    for n in range(round(seconds / 0.02)):
        await until(begins + n * 0.02)
        call.socket.say(packet)


# ---- the first message -----------------------------------------------------------------------


async def test_the_defaults_hold_when_the_client_says_nothing_first():
    async with calling(Parrot(greeting="hello"), first=None) as call:
        await until(0.7)
        assert call.socket.events[0] == (
            0.5,
            {
                "type": "started",
                "session": "abc",
                "sample_rate": 16_000,
                "agent_sample_rate": 16_000,
            },
        )
        assert call.socket.sound[0][0] == 0.5


async def test_a_first_binary_message_is_sound():
    async with calling(first=PACKET) as call:
        await until(0.1)
        assert bytes(call.parrot.audio) == PACKET
        assert call.socket.events[0][0] == 0.0


async def test_a_first_text_message_is_text():
    async with calling(first={"type": "text", "text": "hello"}) as call:
        await until(0.1)
        assert call.parrot.typed == ["hello"]


async def test_a_first_message_that_means_nothing_is_answered():
    async with calling(first="{") as call:
        await until(0.1)
        [error] = call.socket.of_type("error")
        assert error["code"] == "bad-message"
        assert call.socket.closed is None


async def test_start_sets_both_rates():
    start = {"type": "start", "sample_rate": 8_000, "agent_sample_rate": 48_000}
    async with calling(first=start) as call:
        await until(0.1)
        call.socket.say(tone(AudioFormat(8_000), 1.0))
        call.socket.say({"type": "text", "text": "x"})
        await until(1.0)
        [started] = call.socket.of_type("started")
        assert (started["sample_rate"], started["agent_sample_rate"]) == (8_000, 48_000)
        assert {len(pcm) for _, pcm in call.socket.sound} == {2 * 960}
        assert call.transport is not None
        assert call.transport.input().user_audio_made == AudioFormat(8_000)
        # The parrot is between, and was given no resampler: it takes any rate.
        assert len(call.parrot.audio) >= 2 * 8_000


@pytest.mark.parametrize("rate", [4_000, 96_000, "16000"])
async def test_a_rate_that_cannot_be_served_is_refused(rate: object):
    async with calling(first={"type": "start", "sample_rate": rate}) as call:
        await until(0.1)
        assert (call.code, call.reason) == (1003, "unsupported-rate")
        [error] = call.socket.of_type("error")
        assert error["code"] == "unsupported-rate"
        assert "8000 to 48000" in error["message"]
        assert isinstance(call.error, TransportError)


async def test_a_late_start_with_other_rates_would_turn_sound_to_noise():
    async with calling(first=PACKET) as call:
        call.socket.say({"type": "start", "sample_rate": 8_000})
        await until(0.1)
        assert (call.code, call.reason) == (1008, "late-start")


async def test_a_late_start_with_the_rates_that_hold_changes_nothing():
    async with calling(first=PACKET) as call:
        call.socket.say({"type": "start", "sample_rate": 16_000})
        await until(0.1)
        assert call.socket.closed is None
        assert call.socket.of_type("error") == []


async def test_a_client_that_leaves_before_it_said_anything():
    async with calling(first=None) as call:
        await until(0.1)
        call.socket.leave()
        await until(0.2)
        assert isinstance(call.error, TransportError)
        assert call.error.reason == "gone"
        assert call.over_at == 0.1


# ---- sound in --------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 700), min_size=1, max_size=20))
async def test_no_byte_of_sound_is_lost_wherever_messages_are_cut(cuts: list[int]):
    sent = bytes(range(256)) * 60
    async with calling() as call:
        position = 0
        for size in cuts:
            call.socket.say(sent[position : position + size])
            position += size
        await until(0.1)
        whole = position - position % 2
        assert bytes(call.parrot.audio[:whole]) == sent[:whole]
        assert len(call.parrot.audio) == whole
        assert call.socket.of_type("error") == []


async def test_silence_takes_the_place_of_sound_that_stops():
    async with calling(first=PACKET) as call:
        await stream(call, 0.5)
        await until(10.0)
        positions = call.parrot.positions
        # The stream's position keeps up with the clock until 2.5 s after the sound.
        assert positions[26:38] == [(pytest.approx(0.77), n * 320) for n in range(26, 38)]
        assert positions[38] == (pytest.approx(0.78), 38 * 320)
        assert positions[-1] == (pytest.approx(3.02), 150 * 320)
        assert not any(call.parrot.audio[26 * 640 :])
        call.socket.say(PACKET)
        await until(10.1)
        assert call.parrot.positions[-1] == (10.0, 151 * 320)


async def test_one_second_messages_in_real_time_are_not_chopped():
    async with calling(first=None) as call:
        for n in range(5):
            await until(1.0 + n)
            call.socket.say(tone(MIC, 1.0))
        await until(5.9)
        assert bytes(call.parrot.audio) == tone(MIC, 5.0)


# ---- text in ---------------------------------------------------------------------------------


async def test_typed_text_is_answered_with_sound_in_time():
    async with calling(first={"type": "text", "text": "one two"}) as call:
        await until(3.0)
        assert len(call.socket.sound) == 50
        assert [event["text"] for event in call.socket.of_type("transcript")] == [
            *("one", "two", "one two"),
        ]
        assert call.parrot.heard == ["one two"]


@given(st.lists(st.text() | st.binary(max_size=100), max_size=15))
async def test_nothing_that_a_client_says_ends_its_session_at_once(messages: list[str | bytes]):
    known = ('"end"', '"start"', '"text"')
    messages = [m for m in messages if isinstance(m, bytes) or not any(k in m for k in known)]
    async with calling() as call:
        for message in messages:
            call.socket.say(message)
        call.socket.say({"type": "text", "text": "still there?"})
        await until(0.1)
        assert call.parrot.typed == ["still there?"]
        texts = sum(isinstance(message, str) for message in messages)
        assert len(call.socket.of_type("error")) == texts
        assert call.socket.closed is None


async def test_twenty_bad_messages_are_enough():
    async with calling() as call:
        for _ in range(25):
            call.socket.say("[]")
        await until(0.1)
        assert (call.code, call.reason) == (1008, "bad-messages")
        assert [error["code"] for error in call.socket.of_type("error")] == [
            *["bad-message"] * 20,
            "bad-messages",
        ]


async def test_end_lets_the_agent_finish():
    async with calling(first={"type": "text", "text": "one two"}) as call:
        call.socket.say(PACKET)
        await until(0.2)
        call.socket.say({"type": "end"})
        call.socket.say({"type": "end"})
        call.socket.say({"type": "text", "text": "too late"})
        await stream(call, 0.5)
        await until(2.0)
        assert call.socket.closed == (
            pytest.approx(1.0),
            1000,
            "end: the conversation is over",
        )
        assert call.parrot.heard == ["one two"]
        assert call.parrot.typed == ["one two"]
        # Neither sound nor silence in its place is heard after the end, and there is one end.
        assert call.parrot.audio == PACKET
        assert call.parrot.ends == 1
        assert call.socket.of_type("error") == []
        assert call.task is not None
        assert call.task.outcome == "ended"


# ---- barge-in --------------------------------------------------------------------------------


async def test_speaking_over_the_agent_clears_what_was_not_played():
    async with calling(first={"type": "text", "text": "one two three four"}) as call:
        await until(0.75)
        call.socket.say(LOUD)
        await until(3.0)
        assert (0.75, {"type": "clear"}) in call.socket.events
        assert call.socket.sound[-1][0] <= 0.75
        assert call.parrot.heard == ["one two"]
        last = call.socket.of_type("transcript")[-1]
        assert (last["text"], last["interrupted"]) == ("one two", True)


# ---- limits ----------------------------------------------------------------------------------


async def test_sound_ten_times_faster_than_real_time():
    async with calling() as call:
        for n in range(300):
            await until(n * 0.002)
            call.socket.say(PACKET)
        assert (call.code, call.reason) == (1008, "audio-rate")
        assert call.over_at == pytest.approx(0.33, abs=0.01)


async def test_too_many_texts():
    async with calling(options=LineOptions(max_texts=5)) as call:
        for n in range(7):
            call.socket.say({"type": "text", "text": f"{n}"})
        await until(0.1)
        assert (call.code, call.reason) == (1008, "text-rate")


async def test_a_message_of_ten_megabytes():
    async with calling() as call:
        call.socket.say(bytes(10_000_000))
        await until(0.1)
        assert (call.code, call.reason) == (1009, "message-too-big")
        assert call.parrot.audio == b""


async def test_a_minute_without_a_word():
    async with calling(Parrot(greeting="hello"), first=None) as call:
        await until(100.0)
        assert call.socket.closed == (
            60.5,
            1000,
            "idle: neither sound nor text came for 60 s",
        )
        assert call.socket.of_type("error")[-1]["code"] == "idle"


async def test_a_minute_of_silence_that_is_sent_is_no_idleness():
    async with calling() as call:
        await stream(call, 61.0, bytes(640))
        assert call.socket.closed is None


async def test_a_session_that_lasts_too_long():
    async with calling(options=LineOptions(max_session=10.0)) as call:
        await stream(call, 11.0)
        assert (call.code, call.reason) == (1000, "session-length")
        assert call.over_at == 10.0


async def test_listening_to_a_long_answer_is_no_idleness():
    parrot = Parrot(pace=90.0)
    async with calling(parrot, first={"type": "text", "text": "long"}) as call:
        await until(95.0)
        assert parrot.heard == ["long"]
        assert call.socket.closed is None


# ---- a line that fails -----------------------------------------------------------------------


@pytest.mark.parametrize("when", [0.1, 0.3, 0.75])
async def test_a_client_that_leaves_in_the_middle_of_a_reply(when: float):
    async with calling(first={"type": "text", "text": "one two"}) as call:
        await until(when)
        call.socket.leave()
        await until(when + 0.001)
        assert call.over_at == when
        assert call.task is not None
        assert call.task.outcome == "cancelled"
        # The context has what was heard: words of 0.5 s each count from their middle.
        assert call.parrot.heard == [{0.1: "", 0.3: "one", 0.75: "one two"}[when]]


async def test_a_client_that_never_reads():
    async with calling(first={"type": "text", "text": "one two"}) as call:
        call.socket.reading.clear()
        await until(8.0)
        assert call.over_at == 6.0  # five seconds for a message, one for the farewell
        assert call.transport is not None
        assert call.transport.ending is not None
        assert call.transport.ending.reason == "slow-reader"
        assert call.socket.sent == []


async def test_a_client_that_reads_no_events():
    async with calling(options=LineOptions(send_timeout=60)) as call:
        await until(0.1)
        call.socket.reading.clear()
        assert call.transport is not None
        output = call.transport.output()
        assert isinstance(output, SpeechOutput)
        for n in range(1002):
            output.tell({"type": "tool", "n": n})
        await until(3.0)
        assert call.transport.ending is not None
        assert call.transport.ending.reason == "slow-reader"
        assert call.over_at == 1.1


async def test_an_agent_that_fails_says_so_and_names_no_inside():
    async with calling(first={"type": "text", "text": "raise"}) as call:
        await until(0.1)
        assert (call.code, call.reason) == (1011, "internal-error")
        assert isinstance(call.error, StageError)
        assert "parrot" not in call.socket.closed[2]


async def test_an_agent_that_cannot_keep_up_is_told_to_the_client():
    class Stuck(FrameProcessor):
        async def process(self, frame: Frame, direction: Direction) -> None:
            if isinstance(frame, UserAudio):
                await asyncio.Event().wait()
            self.push(frame, direction)

    socket = MemorySocket()
    socket.say(PACKET)
    transport = await WebSocketTransport.open(socket)
    task = PipelineTask(Pipeline([transport.input(), Stuck(), transport.output()]))
    async with asyncio.TaskGroup() as group:
        group.create_task(task.run())
        for n in range(1, 1000):
            await until(n * 0.02)
            socket.say(PACKET)
    assert socket.closed is not None
    assert socket.closed[1] == 1013
    assert socket.closed[2].startswith("overloaded: ")
    assert socket.closed[0] == pytest.approx(64 * 0.02 + 10.0, abs=0.03)


async def test_hang_up_before_the_pipeline_runs():
    socket = MemorySocket()
    socket.say(b"")
    transport = await WebSocketTransport.open(socket)
    transport.hang_up(TransportError("shutdown", "the server is shutting down", close_code=1001))
    parrot = Parrot(greeting="hello")
    await parrot.task_between(transport.input(), transport.output()).run()
    assert socket.closed == (0.0, 1001, "shutdown: the server is shutting down")
    assert socket.sound == []


async def test_a_long_reason_is_cut_to_what_a_frame_holds():
    socket = MemorySocket()
    await WebSocketTransport(socket).close(TransportError("long", "ü" * 100))
    assert socket.closed is not None
    assert len(socket.closed[2].encode()) <= 123


# ---- cancelled where it waits ----------------------------------------------------------------


async def nothing(call: Call) -> None:
    await until(0.2)


async def in_a_reply(call: Call) -> None:
    call.socket.say({"type": "text", "text": "one two"})
    await until(0.6)


async def while_sending(call: Call) -> None:
    call.socket.reading.clear()
    call.socket.say({"type": "text", "text": "one two"})
    await until(0.6)


async def with_silence(call: Call) -> None:
    call.socket.say(PACKET)
    await until(0.9)


@pytest.mark.parametrize("first", [None, b""])
@pytest.mark.parametrize("scene", [nothing, in_a_reply, while_sending, with_silence])
async def test_cancelled_at_each_waiting_line(
    scene: Callable[[Call], Awaitable[None]], first: bytes | None
):
    call = Call(Parrot(), None)
    if first is not None:
        call.socket.say(first)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(call.run())
        await scene(call)
        task.cancel()
        await asyncio.sleep(0)
    # At most a second for what is left to say and a second to close.
    assert call.over_at is not None
    assert call.over_at <= 0.9 + 2.0
