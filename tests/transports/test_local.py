from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from antiphon.audio.formats import WIDEBAND, AudioFormat
from antiphon.errors import TransportError
from antiphon.frames import TypedText
from antiphon.transports import local
from antiphon.transports.local import LocalTransport
from support.parrot import Parrot, tone

PACKET = 0.02


def ignore(*args: object) -> None:
    """Before the device is started."""


class MemoryMicrophone:
    """Hears `level` all the time, paced by the loop's clock, until it is unplugged or stopped."""

    def __init__(self, audio_format: AudioFormat = WIDEBAND, *, level: int = 0x1070) -> None:
        self.format = audio_format
        self.level = level
        self.is_running = False
        self.stops = 0
        self.heard: Callable[[bytes], None] = ignore
        self.lost: Callable[[str], None] = ignore
        self.problem: TransportError | None = None

    def start(self, heard: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        if self.problem is not None:
            raise self.problem
        self.heard, self.lost, self.is_running = heard, lost, True
        asyncio.get_running_loop().call_later(PACKET, self.tick)

    def tick(self) -> None:
        if self.is_running:
            self.heard(tone(self.format, PACKET, self.level))
            asyncio.get_running_loop().call_later(PACKET, self.tick)

    def stop(self) -> None:
        self.is_running = False
        self.stops += 1


class MemorySpeaker:
    """Pulls in real time; notes when something was to be heard."""

    def __init__(self, audio_format: AudioFormat = WIDEBAND, *, latency: float = 0.0) -> None:
        self.format = audio_format
        self.latency = latency
        self.is_running = False
        self.stops = 0
        self.loud: list[float] = []
        self.pull: Callable[[int], bytes] = bytes
        self.lost: Callable[[str], None] = ignore

    def start(self, pull: Callable[[int], bytes], lost: Callable[[str], None]) -> None:
        self.pull, self.lost, self.is_running = pull, lost, True
        asyncio.get_running_loop().call_later(PACKET, self.tick)

    def tick(self) -> None:
        if self.is_running:
            loop = asyncio.get_running_loop()
            size = self.format.n_bytes(PACKET)
            pcm = self.pull(size)
            assert len(pcm) == size
            if any(pcm):
                self.loud.append(loop.time())
            loop.call_later(PACKET, self.tick)

    def stop(self) -> None:
        self.is_running = False
        self.stops += 1


class Call:
    """A parrot between two devices in memory; `say` and `at` are by the loop's time."""

    def __init__(self, *, full_duplex: bool = False, rate: int = 16_000, latency: float = 0.0):
        self.microphone = MemoryMicrophone(AudioFormat(rate))
        self.speaker = MemorySpeaker(AudioFormat(rate), latency=latency)
        self.transport = LocalTransport(self.microphone, self.speaker, full_duplex=full_duplex)
        self.parrot = Parrot(pace=0.5)
        self.task = self.parrot.task_between(self.transport.input(), self.transport.output())

    def say(self, text: str, at: float) -> None:
        asyncio.get_running_loop().call_later(at, self.task.queue_frame, TypedText(text))

    def at(self, seconds: float, act: Callable[..., object], *args: object) -> None:
        asyncio.get_running_loop().call_later(seconds, act, *args)

    async def run(self, seconds: float) -> None:
        self.at(seconds, self.task.end)
        await self.task.run()


def loud_spans(pcm: bytes) -> list[tuple[float, float]]:
    """Where the person's sound is no silence, in seconds; packets are whole."""
    size, spans = WIDEBAND.n_bytes(PACKET), []
    for n in range(0, len(pcm), size):
        if any(pcm[n : n + size]):
            begin, end = n / 32_000, n / 32_000 + PACKET
            if spans and spans[-1][1] == pytest.approx(begin):
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((begin, end))
    return spans


async def test_sound_of_the_microphone_comes_whole_and_in_order():
    call = Call()
    await call.run(1.01)
    assert bytes(call.parrot.audio) == tone(WIDEBAND, 1.0, 0x1070)
    assert [at for at, _ in call.parrot.positions] == pytest.approx([n / 50 for n in range(1, 51)])


async def test_while_the_agent_is_heard_and_a_quarter_second_after_it_hears_silence():
    call = Call()
    call.say("one two", at=1.001)
    await call.run(4.0)
    # It speaks from 1.001 to 2.001; packets that began before 2.251 may hold its echo.
    (before, after) = loud_spans(bytes(call.parrot.audio))
    assert before == (0.0, pytest.approx(1.0))
    assert after[0] == pytest.approx(2.26)
    assert call.parrot.heard == ["one two"]
    assert call.transport.is_guarded is False


async def test_the_guard_waits_for_the_latency_of_the_device():
    call = Call(latency=0.3)
    call.say("one two", at=1.001)
    await call.run(4.0)
    assert loud_spans(bytes(call.parrot.audio))[1][0] == pytest.approx(2.56)


async def test_in_full_duplex_the_person_interrupts_and_the_device_is_silent_at_once():
    call = Call(full_duplex=True)
    call.microphone.level = 0
    call.say("one two three", at=0.001)
    call.at(0.7, setattr, call.microphone, "level", 0x1070)
    await call.run(2.0)
    (heard,) = call.parrot.heard
    assert heard == "one two"  # the second word had begun
    # Loud from 0.72 on: the packet that is being pulled is the last one.
    assert max(call.speaker.loud) <= 0.72 + PACKET + 1e-6
    assert len(loud_spans(bytes(call.parrot.audio))) == 1


async def test_devices_at_their_own_rate_get_and_give_that_rate():
    call = Call(rate=44_100, full_duplex=True)
    call.microphone.level = 0
    call.say("one two", at=0.0)
    await call.run(2.0)
    assert call.parrot.heard == ["one two"]
    assert len(call.speaker.loud) == pytest.approx(50, abs=1)
    assert call.transport.input().user_audio_made == AudioFormat(44_100)


async def test_both_devices_are_let_go_at_the_end():
    call = Call()
    await call.run(0.5)
    assert (call.microphone.stops, call.speaker.stops) == (1, 1)
    call.microphone.heard(bytes(640))  # a last word from its thread harms nobody
    call.microphone.lost("late")


@pytest.mark.parametrize(
    ("device", "text"),
    [
        ("microphone", r"the microphone stopped \(the system ended it\): is it unplugged"),
        ("speaker", r"the loudspeaker stopped \(the system ended it\): is it unplugged"),
    ],
)
async def test_a_device_that_ends_by_itself_ends_the_session_and_says_so(device, text):
    call = Call()
    call.at(0.5, lambda: getattr(call, device).lost("the system ended it"))
    with pytest.raises(TransportError, match=text) as caught:
        await call.run(9.0)
    assert caught.value.reason == "device-lost"
    assert asyncio.get_running_loop().time() == pytest.approx(0.5)
    assert (call.microphone.stops, call.speaker.stops) == (1, 1)


async def test_a_microphone_that_falls_silent_for_good_is_gone_after_three_seconds():
    call = Call()
    call.at(1.01, call.microphone.stop)
    with pytest.raises(TransportError, match="no sound came for 3 s"):
        await call.run(9.0)
    assert asyncio.get_running_loop().time() == pytest.approx(4.0)


async def test_a_speaker_that_takes_nothing_any_more_ends_the_session():
    call = Call()
    call.at(0.5, call.speaker.stop)
    call.say("one two three four five six seven eight", at=1.0)
    with pytest.raises(TransportError, match="the loudspeaker has played nothing for 2 s"):
        await call.run(20.0)
    # 0.16 s ahead, two seconds fit.
    assert asyncio.get_running_loop().time() == pytest.approx(2.84, abs=0.05)


async def test_a_device_that_does_not_start_ends_the_session_with_its_own_error():
    call = Call()
    call.microphone.problem = TransportError("device", "the microphone does not start: busy")
    with pytest.raises(TransportError, match="does not start: busy"):
        await call.run(1.0)
    assert call.speaker.stops == 1


async def test_when_the_loop_stands_still_the_oldest_packets_are_dropped_and_counted(monkeypatch):
    monkeypatch.setattr(local, "MOST_WAITING", 10)
    call = Call()
    call.microphone.is_running = False

    def flood() -> None:
        call.microphone.is_running = False
        for n in range(25):
            call.microphone.heard(tone(WIDEBAND, PACKET, n + 1))

    call.at(0.011, flood)
    await call.run(1.0)
    assert call.transport.lost_packets == 15
    assert bytes(call.parrot.audio[:2]) == (16).to_bytes(2, "little")
    assert len(call.parrot.audio) == 10 * 640


@pytest.mark.real_time
async def test_packets_from_another_thread_arrive():
    call = Call()

    def from_thread() -> None:
        call.microphone.is_running = False
        thread = threading.Thread(
            target=lambda: [call.microphone.heard(bytes([n, 0] * 320)) for n in range(1, 6)]
        )
        thread.start()
        thread.join()

    call.at(0.001, from_thread)
    await call.run(0.2)
    assert list(call.parrot.audio[::640]) == [1, 2, 3, 4, 5]


async def test_the_level_is_that_of_the_room_even_while_the_agent_does_not_hear_it():
    call = Call()
    seen = []
    call.say("one two", at=0.5)
    call.at(1.0, lambda: seen.append((call.transport.level, call.transport.is_guarded)))
    await call.run(1.5)
    ((level, is_guarded),) = seen
    assert is_guarded
    assert level == pytest.approx(-17.8, abs=0.1)  # 0x1070 of 32768
