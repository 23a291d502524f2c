from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from antiphon.audio.formats import WIDEBAND, AudioFormat
from antiphon.errors import OptionError, StageError, TransportError, UsageError
from antiphon.frames import (
    AgentState,
    Direction,
    Frame,
    PlaybackEnded,
    PlaybackStarted,
    ReplyFrame,
    SpeechAudio,
    SpeechEnded,
    SpeechPiece,
    StateChanged,
    TextEnded,
    UserAudio,
    WordTime,
)
from antiphon.pipeline import FrameProcessor, Pipeline, PipelineTask, ReplyScope
from antiphon.transports.base import AudioInput, SpeechOutput

PACKET = 0.02


class Wire:
    """Notes what is sent and when; `gate` can hold it up, `error` break it."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, Any]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: TransportError | None = None

    async def send_audio(self, pcm: bytes) -> None:
        await self._send(pcm)

    async def send_event(self, event: Mapping[str, Any]) -> None:
        await self._send(event)

    async def _send(self, message: Any) -> None:
        if self.error is not None:
            raise self.error
        await self.gate.wait()
        self.sent.append((asyncio.get_running_loop().time(), message))

    @property
    def sound(self) -> list[tuple[float, bytes]]:
        return [(at, message) for at, message in self.sent if isinstance(message, bytes)]

    @property
    def events(self) -> list[tuple[float, dict[str, Any]]]:
        return [(at, message) for at, message in self.sent if not isinstance(message, bytes)]


class Source(FrameProcessor):
    """Above the output: pushes what the test says, notes what comes up."""

    def __init__(self) -> None:
        self.came_up: list[tuple[float, Frame]] = []
        self.close_at_end = True
        self.ready = asyncio.Event()

    def started(self) -> None:
        self.ready.set()

    def process(self, frame: Frame, direction: Direction) -> None:
        if direction is Direction.UP:
            self.came_up.append((self.now, frame))
            if isinstance(frame, PlaybackEnded) and self.close_at_end:
                scope = self.task.replies.get(frame.reply)
                assert scope is not None
                scope.close()
        self.push(frame, direction)

    def open(self, number: int, *, commit: bool = True) -> ReplyScope:
        scope = self.task.replies.open(number)
        if commit:
            scope.commit()
        return scope

    def speak(self, reply: int, seconds: float, level: int = 1, piece: int = 0) -> None:
        pcm = level.to_bytes(2, "little") * round(seconds * 16_000)
        self.push(SpeechAudio(reply, pcm, WIDEBAND, piece))

    @property
    def played(self) -> list[tuple[float, type[Frame], int]]:
        return [
            (at, type(frame), frame.reply)
            for at, frame in self.came_up
            if isinstance(frame, ReplyFrame)
        ]


class Room:
    def __init__(self) -> None:
        self.wire = Wire()
        self.source = Source()
        self.output = SpeechOutput(self.wire, WIDEBAND)
        self.task = PipelineTask(Pipeline([self.source, self.output]))


@asynccontextmanager
async def running() -> AsyncIterator[Room]:
    room = Room()
    async with asyncio.TaskGroup() as group:
        group.create_task(room.task.run())
        await room.source.ready.wait()
        yield room
        room.task.cancel()


async def until(when: float) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(when - loop.time())


# ---- pace ------------------------------------------------------------------------------------


async def test_packets_leave_160_ms_before_their_time():
    async with running() as room:
        room.source.open(1)
        room.source.speak(1, 1.0)
        room.source.push(SpeechEnded(1))
        await until(2.0)
    times = [at for at, _ in room.wire.sound]
    # Nine at once: the ninth is to be heard at 0.16 s, and may leave 0.16 s earlier.
    assert times == pytest.approx([max(n * PACKET - 0.16, 0.0) for n in range(50)], abs=1e-6)
    assert all(len(pcm) == 640 for _, pcm in room.wire.sound)


async def test_never_more_than_200_ms_ahead_of_the_ear():
    async with running() as room:
        room.source.open(1)
        for number in range(40):
            room.source.speak(1, 0.05)
            await until((number + 1) * 0.037)  # now faster, now slower than it is heard
        await until(3.0)
    ear = 0.0
    for at, pcm in room.wire.sound:
        ear = max(ear, at) + len(pcm) / 32_000
        assert ear - at <= 0.2
    assert len(room.wire.sound) == 100


async def test_a_pause_of_the_service_moves_everything_after_it():
    async with running() as room:
        room.source.open(1)
        room.source.speak(1, 0.1)
        await until(1.0)
        room.source.speak(1, 0.2)
        room.source.push(SpeechEnded(1))
        await until(2.0)
    times = [at for at, _ in room.wire.sound]
    assert times[:5] == [0.0] * 5
    assert times[5:] == pytest.approx([1.0] * 9 + [1.02], abs=1e-6)
    assert room.source.played[-1][0] == pytest.approx(1.2, abs=1e-6)


async def test_the_last_packet_may_be_shorter():
    async with running() as room:
        room.source.open(1)
        room.source.speak(1, 0.05)
        await until(0.5)
        assert len(room.wire.sound) == 2
        room.source.push(SpeechEnded(1))
        await until(1.0)
    assert [len(pcm) for _, pcm in room.wire.sound] == [640, 640, 320]


# ---- the gate and the order ------------------------------------------------------------------


async def test_nothing_leaves_before_the_commit():
    async with running() as room:
        scope = room.source.open(1, commit=False)
        room.source.speak(1, 0.1)
        room.source.push(SpeechEnded(1))
        await until(0.7)
        assert room.wire.sent == []
        scope.commit()
        await until(1.0)
        assert [at for at, _ in room.wire.sound] == [0.7] * 5
        assert room.source.played == [
            (0.7, PlaybackStarted, 1),
            (pytest.approx(0.8, abs=1e-6), PlaybackEnded, 1),
        ]


async def test_replies_play_one_after_the_other_in_the_order_of_their_numbers():
    async with running() as room:
        room.source.open(2)
        room.source.open(1)
        room.source.push(TextEnded(1))  # it is known that there is a first one
        room.source.speak(2, 0.1, level=2)
        room.source.push(SpeechEnded(2))
        await until(0.5)
        assert room.wire.sound == []
        room.source.speak(1, 0.1, level=1)
        room.source.push(SpeechEnded(1))
        await until(1.0)
    levels = [(at, pcm[0]) for at, pcm in room.wire.sound]
    assert levels == [(0.5, 1)] * 5 + [(pytest.approx(0.6, abs=1e-6), 2)] * 5
    assert [kind for _, kind, _ in room.source.played] == [
        *(PlaybackStarted, PlaybackEnded),
        *(PlaybackStarted, PlaybackEnded),
    ]


async def test_a_reply_without_sound_has_been_played_at_once():
    async with running() as room:
        room.source.open(1)
        room.source.push(SpeechPiece(1, 0, "..."))
        room.source.push(SpeechEnded(1))
        await until(0.1)
        assert room.source.played == [(0.0, PlaybackEnded, 1)]
        assert room.wire.sent == []


async def test_a_reply_that_was_played_and_stays_open_keeps_no_other_back():
    async with running() as room:
        room.source.close_at_end = False
        first = room.source.open(1)
        room.source.speak(1, 0.1)
        room.source.push(SpeechEnded(1))
        await until(0.5)
        room.source.push(TextEnded(1))
        room.source.open(2)
        room.source.speak(2, 0.5, level=2)
        await until(0.7)
        first.close()
        await until(0.8)
        # Closing what is over says nothing about the one that plays.
        assert room.wire.events == []
        assert first.ledger.played == 1600


# ---- the account -----------------------------------------------------------------------------


@pytest.mark.parametrize("when", [0.05, 0.1, 0.33, 0.9, 0.999])
async def test_at_any_moment_the_account_is_what_the_ear_has_heard(when: float):
    async with running() as room:
        scope = room.source.open(1)
        room.source.speak(1, 1.0)
        await until(when)
        scope.close()
        assert scope.ledger.played == pytest.approx(when * 16_000, abs=1)
        await until(when + 1.0)
        # Nothing after the end changes it.
        assert scope.ledger.played == pytest.approx(when * 16_000, abs=1)


async def test_a_reply_closed_before_its_first_packet_arrived_was_not_heard():
    async with running() as room:
        scope = room.source.open(1)
        room.wire.gate.clear()
        room.source.speak(1, 1.0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        scope.close()
        room.wire.gate.set()
        await until(1.0)
        assert scope.ledger.played == 0
        # The packet that was on its way is dropped by the far side.
        assert [message for _, message in room.wire.sent][1:] == [{"type": "clear"}]
        assert room.source.played == []


async def test_pieces_are_told_when_they_start_and_accounted_for_when_played():
    async with running() as room:
        scope = room.source.open(1)
        for piece, text in enumerate(("Good morning.", "How are you?")):
            room.source.push(SpeechPiece(1, piece, text))
            room.source.speak(1, 0.5, piece=piece)
        room.source.push(SpeechEnded(1))
        await until(0.45)
        told = [(at, event["text"], event["final"]) for at, event in room.wire.events]
        assert told == [
            (0.0, "Good morning.", False),
            (pytest.approx(0.34, abs=1e-6), "How are you?", False),
        ]
        assert scope.ledger.played <= 0.45 * 16_000
        await until(0.75)
        scope.close()
        assert scope.ledger.heard() == "Good morning. How are"


async def test_words_with_times_count_from_their_middle():
    async with running() as room:
        scope = room.source.open(1)
        room.source.push(SpeechPiece(1, 0, "one two"))
        words = (WordTime("one", 0.0, 0.2), WordTime("two", 0.2, 1.0))
        room.source.push(SpeechAudio(1, bytes(32_000), WIDEBAND, 0, words))
        await until(0.5)
        scope.close()
        assert scope.ledger.heard() == "one"


async def test_the_account_drives_whoever_waits_for_progress():
    async with running() as room:
        scope = room.source.open(1)
        room.source.speak(1, 1.0)
        await scope.wait_progress()
        assert 0 < scope.ledger.played < 16_000


# ---- closing ---------------------------------------------------------------------------------


async def test_clear_overtakes_what_is_still_to_be_told():
    async with running() as room:
        scope = room.source.open(1)
        room.source.speak(1, 1.0)
        await until(0.3)
        before = len(room.wire.sent)
        room.source.push(StateChanged(AgentState.LISTENING))
        scope.close()
        await until(0.5)
        after = [message for _, message in room.wire.sent[before:]]
        assert after == [{"type": "clear"}, {"type": "state", "state": "listening"}]
        assert room.wire.events[0] == (0.3, {"type": "clear"})


async def test_no_clear_where_nothing_was_sent():
    async with running() as room:
        scope = room.source.open(1, commit=False)
        room.source.speak(1, 1.0)
        await until(0.3)
        scope.close()
        await until(0.5)
        assert room.wire.sent == []


async def test_no_clear_where_everything_was_heard():
    async with running() as room:
        room.source.open(1)
        room.source.speak(1, 0.1)
        room.source.push(SpeechEnded(1))
        await until(0.5)
        assert room.wire.events == []


async def test_after_a_barge_in_the_next_reply_starts_at_once():
    async with running() as room:
        scope = room.source.open(1)
        room.source.speak(1, 5.0)
        await until(1.0)
        scope.close()
        room.source.open(2)
        room.source.speak(2, 0.1, level=2)
        room.source.push(SpeechEnded(2))
        await until(2.0)
        second = [at for at, pcm in room.wire.sound if pcm[0] == 2]
        assert second == [1.0] * 5
        assert room.source.played[-1] == (pytest.approx(1.1, abs=1e-6), PlaybackEnded, 2)


async def test_late_sound_of_a_closed_reply_goes_nowhere():
    async with running() as room:
        scope = room.source.open(1)
        scope.close()
        room.source.speak(1, 1.0)
        room.source.push(SpeechEnded(1))
        await until(1.0)
        assert room.wire.sent == []
        assert scope.ledger.samples == 0


# ---- a far side that is slow or gone ---------------------------------------------------------


async def test_a_far_side_that_takes_nothing_ends_the_pipeline():
    room = Room()
    room.task.queue_frame(StateChanged(AgentState.LISTENING))
    room.wire.gate.clear()
    with pytest.raises(StageError) as caught:
        await room.task.run()
    assert asyncio.get_running_loop().time() == 5.0
    assert isinstance(caught.value.__cause__, TransportError)
    assert caught.value.__cause__.reason == "slow-reader"
    assert caught.value.stage == "SpeechOutput"


async def test_a_far_side_that_reads_no_events_ends_the_pipeline():
    room = Room()
    room.wire.gate.clear()
    for _ in range(1100):
        room.task.queue_frame(StateChanged(AgentState.LISTENING))
    with pytest.raises(StageError) as caught:
        await room.task.run()
    assert isinstance(caught.value.__cause__, TransportError)
    assert caught.value.__cause__.reason == "slow-reader"


async def test_a_far_side_that_is_gone_ends_the_pipeline():
    room = Room()
    room.wire.error = TransportError("gone", "closed")
    room.task.queue_frame(StateChanged(AgentState.LISTENING))
    with pytest.raises(StageError) as caught:
        await room.task.run()
    assert caught.value.__cause__ is room.wire.error


async def test_the_timeout_is_an_option_with_bounds():
    assert SpeechOutput(Wire(), WIDEBAND, send_timeout=0.5)
    with pytest.raises(OptionError, match=r"0\.1 to 60 seconds"):
        SpeechOutput(Wire(), WIDEBAND, send_timeout=5000)


async def test_the_end_plays_out_and_tells_the_rest():
    room = Room()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(room.task.run())
        await until(0.1)
        room.source.open(1)
        room.source.speak(1, 1.0)
        room.source.push(SpeechEnded(1))
        room.task.end()
        await running
        assert asyncio.get_running_loop().time() == pytest.approx(1.1, abs=1e-6)
    assert room.task.outcome == "ended"
    assert len(room.wire.sound) == 50


# ---- cancelled where it waits ----------------------------------------------------------------


def at_an_event(room: Room) -> None:
    room.wire.gate.clear()
    room.source.push(StateChanged(AgentState.LISTENING))


def at_a_packet(room: Room) -> None:
    room.wire.gate.clear()
    room.source.open(1)
    room.source.speak(1, 1.0)


def at_the_pace(room: Room) -> None:
    room.source.open(1)
    room.source.speak(1, 5.0)


def at_the_ear(room: Room) -> None:
    room.source.open(1)
    room.source.speak(1, 0.18)
    room.source.push(SpeechEnded(1))


def at_nothing(room: Room) -> None:
    pass


def at_the_service(room: Room) -> None:
    room.source.open(1)
    room.source.push(SpeechPiece(1, 0, "soon"))


@pytest.mark.parametrize(
    "place", [at_an_event, at_a_packet, at_the_pace, at_the_ear, at_nothing, at_the_service]
)
async def test_cancelled_at_each_waiting_line(place: Callable[[Room], None]):
    async with running() as room:
        place(room)
        await until(0.11)
        sent = len(room.wire.sent)
        room.task.cancel()
    assert room.task.outcome == "cancelled"
    # At most what was waiting to be told, within the second that the farewell may take.
    assert asyncio.get_running_loop().time() <= 1.11
    assert not [m for _, m in room.wire.sent[sent:] if isinstance(m, bytes)]


# ---- the input -------------------------------------------------------------------------------


async def test_sound_carries_its_position_in_samples():
    taken: list[UserAudio] = []

    class Sink(FrameProcessor):
        def process(self, frame: Frame, direction: Direction) -> None:
            if isinstance(frame, UserAudio):
                taken.append(frame)

    source = AudioInput(AudioFormat(8_000))
    task = PipelineTask(Pipeline([source, Sink()]))
    async with asyncio.TaskGroup() as group:
        group.create_task(task.run())
        await until(0.1)
        for n_bytes in (320, 2, 320):
            source.take(bytes(n_bytes))
        with pytest.raises(UsageError, match="3 bytes"):
            source.take(bytes(3))
        source.take(bytes(2))
        task.cancel()
    assert [frame.at_sample for frame in taken] == [0, 160, 161, 321]
    assert {frame.format for frame in taken} == {AudioFormat(8_000)}
    assert source.seconds == pytest.approx(322 / 8_000)
