from __future__ import annotations

import asyncio

import numpy as np
import pytest

from antiphon.audio.formats import WIDEBAND, AudioFormat
from antiphon.audio.wave import read_wav, write_wav
from antiphon.errors import OptionError, UsageError
from antiphon.frames import AgentState, Direction, Frame, StateChanged, UserAudio
from antiphon.pipeline import FrameProcessor, Pipeline, PipelineTask
from antiphon.transports.wav import WavTransport
from support.parrot import Parrot, tone

MIC = AudioFormat(16_000)


class Listener(Parrot):
    """A parrot that answers `delay` seconds after loud sound has ended, or is told what it said."""

    def __init__(self, *, delay: float = 0.3, pace: float = 0.5, answer: str = "one two") -> None:
        super().__init__(pace=pace)
        self.delay = delay
        self.answer = answer
        self.was_loud = False

    def process(self, frame: Frame, direction: Direction) -> None:
        super().process(frame, direction)
        if isinstance(frame, UserAudio):
            is_loud = max(frame.pcm) > 100
            if self.was_loud and not is_loud:
                self.start_task(self.reply)
            self.was_loud = is_loud

    async def reply(self) -> None:
        await asyncio.sleep(self.delay)
        self.say(self.answer)


def loud(seconds: float, audio_format: AudioFormat = MIC) -> bytes:
    return tone(audio_format, seconds, level=0x1070)


async def call(transport: WavTransport, parrot: Parrot) -> None:
    await parrot.task_between(transport.input(), transport.output()).run()


def channels(wav: bytes) -> tuple[AudioFormat, np.ndarray, np.ndarray]:
    audio_format, pcm = read_wav(wav)
    samples = np.frombuffer(pcm, "<i2").reshape(-1, 2)
    return audio_format, samples[:, 0], samples[:, 1]


def spans(samples: np.ndarray, rate: int = 16_000) -> list[tuple[float, float]]:
    """Where there is sound, in seconds."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], samples != 0, [0]))))
    return [(float(a) / rate, float(b) / rate) for a, b in edges.reshape(-1, 2)]


async def test_a_question_is_answered_and_recorded_on_one_clock():
    transport = WavTransport(write_wav(MIC, loud(1.0)))
    await call(transport, parrot := Listener())
    assert parrot.heard == ["one two"]
    audio_format, left, right = channels(transport.recording())
    assert audio_format == AudioFormat(16_000, channels=2)
    assert spans(left) == [(0.0, 1.0)]
    # Silence is known at 1.02 s, when its first packet has been spoken; the answer takes 0.3 s.
    assert spans(right) == [(pytest.approx(1.32), pytest.approx(2.32))]
    # Two seconds after the last word was heard, the call is over.
    assert asyncio.get_running_loop().time() == pytest.approx(4.34, abs=0.021)
    assert len(left) == len(right) == pytest.approx(4.34 * 16_000, abs=330)


async def test_packets_come_when_they_have_been_spoken():
    transport = WavTransport(write_wav(MIC, loud(0.5)))
    await call(transport, parrot := Parrot())
    assert parrot.positions[:3] == [
        (pytest.approx(0.02), 0),
        (pytest.approx(0.04), 320),
        (pytest.approx(0.06), 640),
    ]
    assert all(at == pytest.approx(n / 16_000 + 0.02) for at, n in parrot.positions)
    assert bytes(parrot.audio[:16_000]) == loud(0.5)
    assert not any(parrot.audio[16_000:])


async def test_one_channel_of_a_stereo_file():
    frames = np.zeros((16_000, 2), "<i2")
    frames[:, 1] = 0x1070
    wav = write_wav(AudioFormat(16_000, channels=2), frames.tobytes())
    await call(WavTransport(wav, channel=1), heard := Parrot())
    assert bytes(heard.audio[:32_000]) == loud(1.0)
    await call(WavTransport(wav), heard := Parrot())
    assert not any(heard.audio)


async def test_a_file_of_another_rate_is_recorded_at_the_agents():
    telephone = AudioFormat(8_000)
    transport = WavTransport(write_wav(telephone, loud(1.0, telephone)), sample_rate=24_000)
    assert transport.input().user_audio_made == telephone
    assert transport.output().speech_needed == AudioFormat(24_000)
    await call(transport, Listener())
    audio_format, left, right = channels(transport.recording())
    assert audio_format.sample_rate == 24_000
    assert np.abs(left[2_400:21_600] - 0x1070).max() < 50
    assert not left[25_000:].any()
    assert np.median(right[right != 0]) == pytest.approx(1000, rel=0.012)  # 0.1 dB


async def test_a_barge_in_cuts_the_recording_where_it_was_cut():
    # The answer to the first second begins at 1.32 s; the caller speaks again at 2.0 s.
    file = loud(1.0) + bytes(32_000) + loud(1.0)
    transport = WavTransport(write_wav(MIC, file))
    await call(transport, parrot := Listener(answer="one two three"))
    _, left, right = channels(transport.recording())
    assert spans(left) == [(0.0, 1.0), (2.0, 3.0)]
    first, second = spans(right)
    assert first == (pytest.approx(1.32), pytest.approx(2.02))
    assert second == (pytest.approx(3.32), pytest.approx(4.82))
    assert parrot.heard == ["one two", "one two three"]
    cleared = [event.at for event in transport.events if event.event["type"] == "clear"]
    assert cleared == [pytest.approx(2.02)]


async def test_events_carry_their_times():
    transport = WavTransport(write_wav(MIC, loud(1.0)))
    await asyncio.sleep(5.0)  # the loop's clock is not the file's
    await call(transport, Listener())
    told = [(event.at, event.event["text"], event.event["final"]) for event in transport.events]
    assert told == [
        (pytest.approx(1.32), "one", False),
        (pytest.approx(1.66), "two", False),
        (pytest.approx(2.32), "one two", True),
    ]


@pytest.mark.parametrize("delay", [0.0, 1.2, 1.9])
async def test_a_turn_that_is_still_being_decided_is_answered(delay: float):
    transport = WavTransport(write_wav(MIC, loud(1.0)))
    await call(transport, parrot := Listener(delay=delay))
    assert parrot.heard == ["one two"]


async def test_an_agent_that_thinks_for_long_is_waited_for():
    class Thinker(Listener):
        async def reply(self) -> None:
            scope = self.scope = self.task.replies.open(1)
            self.push(StateChanged(AgentState.THINKING))
            await asyncio.sleep(7.0)
            scope.close()
            self.scope = None
            self.said = 1
            self.say("done")

    transport = WavTransport(write_wav(MIC, loud(1.0)))
    await call(transport, parrot := Thinker())
    assert parrot.heard == ["done"]


async def test_a_caller_whom_nobody_answers():
    transport = WavTransport(write_wav(MIC, bytes(32_000)), tail=3.0)
    await call(transport, Parrot())
    assert asyncio.get_running_loop().time() == pytest.approx(4.0, abs=0.021)
    assert transport.events == []
    _, left, right = channels(transport.recording())
    assert not left.any()
    assert not right.any()


async def test_max_seconds_ends_an_agent_that_never_stops():
    class Endless(Parrot):
        def stop(self, *, interrupted: bool) -> None:
            super().stop(interrupted=interrupted)
            if not interrupted:
                self.say("and on")

    transport = WavTransport(write_wav(MIC, bytes(320)), max_seconds=10.0)
    await call(transport, Endless(greeting="on"))
    assert asyncio.get_running_loop().time() == pytest.approx(10.0, abs=0.021)
    _, _, right = channels(transport.recording())
    assert len(right) / 16_000 == pytest.approx(10.0, abs=0.021)


async def test_a_minute_of_silence_ends_without_a_reply():
    transport = WavTransport(write_wav(MIC, bytes(60 * 32_000)))
    await call(transport, parrot := Parrot())
    assert parrot.heard == []
    assert asyncio.get_running_loop().time() == pytest.approx(62.0, abs=0.021)


async def test_an_empty_file_is_a_call_too():
    transport = WavTransport(write_wav(MIC, b""))
    await call(transport, parrot := Parrot(greeting="hello"))
    assert parrot.heard == ["hello"]


async def test_a_slow_stage_holds_the_file_up_and_nothing_is_lost():
    class Slow(FrameProcessor):
        async def process(self, frame: Frame, direction: Direction) -> None:
            if isinstance(frame, UserAudio):
                await asyncio.sleep(0.03)
            self.push(frame, direction)

    transport = WavTransport(write_wav(MIC, loud(3.0)))
    stages = [transport.input(), Slow(), parrot := Parrot(), transport.output()]
    await PipelineTask(Pipeline(stages)).run()
    assert bytes(parrot.audio[: 3 * 32_000]) == loud(3.0)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"channel": 1}, "channels 0 to 0"),
        ({"channel": -1}, "channels 0 to 0"),
        ({"tail": 0.5}, "1.5 to 60 seconds"),
        ({"tail": 2000}, "write 2"),
        ({"max_seconds": 0}, "max_seconds"),
        ({"chanel": 0}, "did you mean 'channel'"),
        ({"sample_rate": 4_000}, "8000 to 48000"),
    ],
)
def test_options_are_checked(options: dict[str, float], problem: str):
    with pytest.raises(OptionError, match=problem):
        WavTransport(write_wav(MIC, bytes(320)), **options)


def test_what_is_no_wav_file():
    with pytest.raises(UsageError, match="no WAV file"):
        WavTransport(b"ID3...")


async def test_cancelled_in_the_middle():
    transport = WavTransport(write_wav(WIDEBAND, loud(1.0)))
    task = Listener().task_between(transport.input(), transport.output())
    async with asyncio.TaskGroup() as group:
        group.create_task(task.run())
        await asyncio.sleep(1.5)
        task.cancel()
    assert task.outcome == "cancelled"
    _, left, right = channels(transport.recording())
    assert len(left) / 16_000 == pytest.approx(1.5, abs=0.021)
    assert spans(right) == [(pytest.approx(1.32), pytest.approx(1.5))]
