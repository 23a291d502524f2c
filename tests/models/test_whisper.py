"""Whisper as a service: real speech in, transcripts out."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from antiphon.audio import WIDEBAND, AudioFormat
from antiphon.errors import ModelError, OptionError, UsageError
from antiphon.frames import Transcript, TurnCommitted, UserAudio, VoiceStarted, VoiceStopped
from antiphon.models.store import Store
from antiphon.models.whisper import WhisperSTT
from antiphon.testing.conformance import STTConformance
from support.spelling import overlap, words
from support.spoken import RATE, noise, said, silence

OPEN = "What time do you open on Saturday?"
TIRE = "How much does it cost to repair a flat tire?"


class TestConformance(STTConformance):
    def make(self):
        return WhisperSTT()

    def speech(self):
        return said(OPEN), OPEN

    def more_speech(self):
        return said(TIRE), TIRE


class Caller:
    """One session's sound in packets of 20 ms, with the edges of its voice.

    Args:
        pace: Seconds of the loop for each packet.
    """

    def __init__(self, *, pace=0.02):
        self.pace = pace
        self.position = 0
        self.pending = []

    def sound(self, pcm):
        for begin in range(0, len(pcm), 640):
            self.pending.append(UserAudio(pcm[begin : begin + 640], WIDEBAND, self.position))
            self.position += len(pcm[begin : begin + 640]) // 2

    def say(self, pcm, *, stops=True):
        start = self.position
        self.sound(pcm[:2048])
        self.pending.append(VoiceStarted(start, 0.064))
        self.sound(pcm[2048:])
        stop = self.position
        if stops:
            self.sound(silence(0.1))
            self.pending.append(VoiceStopped(stop, 0.1))

    def wait(self, seconds):
        self.sound(silence(seconds))

    def commit(self):
        self.pending.append(TurnCommitted("", 1))

    async def audio(self):
        for item in self.pending:
            yield item
            if isinstance(item, UserAudio) and self.pace is not None:
                await asyncio.sleep(self.pace)


async def listen(caller, **options):
    async with aclosing(WhisperSTT(**options).transcribe(caller.audio())) as stream:
        return [transcript async for transcript in stream]


def finals(transcripts):
    return [told for told in transcripts if told.final]


async def test_words_come_while_somebody_speaks():
    caller = Caller()
    caller.wait(0.5)
    caller.say(said(TIRE))
    caller.wait(0.5)
    told = await listen(caller)
    assert [transcript.final for transcript in told] == [False] * (len(told) - 1) + [True]
    assert len(told) >= 4
    assert overlap(told[-1].text, TIRE) > 0.85
    assert words(told[1].text)[:3] == words(TIRE)[:3]


async def test_without_interims_only_the_final_comes():
    caller = Caller()
    caller.say(said(TIRE))
    assert [told.final for told in await listen(caller, interim=False)] == [True]


async def test_a_longer_period_and_no_share_of_the_processor_give_fewer_interims():
    async def count(**options):
        caller = Caller()
        caller.say(said(TIRE), stops=False)
        return len(await listen(caller, **options))

    often, seldom = await count(interim_period=0.2), await count(interim_period=5.0)
    assert often > seldom
    assert await count(interim_cpu=0.0) == 1


@pytest.mark.parametrize("sound", [silence(1.5), noise(1.5), noise(1.5, 0.2)])
async def test_a_voice_without_words_has_an_empty_final(sound):
    caller = Caller()
    caller.say(sound)
    assert await listen(caller) == [Transcript("", True, 1)]


async def test_without_a_voice_nothing_is_said():
    caller = Caller(pace=None)
    caller.sound(said(OPEN))
    caller.wait(5)
    assert await listen(caller) == []


async def test_after_a_short_pause_the_final_is_replaced():
    caller = Caller()
    caller.say(said("I would like to book,"))
    caller.wait(0.8)
    caller.say(said("a table for two people on Friday."))
    told = finals(await listen(caller))
    assert [transcript.segment for transcript in told] == [1, 1]
    assert overlap(told[0].text, "I would like to book") > 0.75
    assert overlap(told[1].text, "I would like to book a table for two people on Friday.") > 0.75


async def test_a_committed_turn_is_over():
    caller = Caller()
    caller.say(said(OPEN))
    caller.commit()
    caller.wait(0.3)
    caller.say(said(TIRE))
    told = finals(await listen(caller))
    assert [transcript.segment for transcript in told] == [1, 2]
    assert overlap(told[0].text, OPEN) > 0.85
    assert overlap(told[1].text, TIRE) > 0.85


async def test_forty_seconds_without_a_pause_are_not_lost():
    bikes = (
        ("red", "ten"),
        ("blue", "twenty"),
        ("green", "thirty"),
        ("old", "five"),
        ("new", "two"),
    )
    text = " ".join(
        f"The {kind} bicycle costs {price} dollars a day, and the helmet is free with every rental, "
        f"if you bring the {kind} one back on the next morning."
        for kind, price in bikes
    )
    caller = Caller()
    caller.say(said(text))
    assert caller.position > 30 * RATE
    told = finals(await listen(caller, interim=False))
    assert len(told) >= 2
    assert [transcript.segment for transcript in told] == list(range(1, len(told) + 1))
    assert overlap(" ".join(transcript.text for transcript in told), text) > 0.85


async def test_the_end_of_the_sound_ends_the_words():
    caller = Caller(pace=None)
    caller.say(said(OPEN), stops=False)
    told = await listen(caller)
    assert overlap(told[-1].text, OPEN) > 0.85
    assert told[-1].final


@pytest.mark.real_time
async def test_a_final_does_not_wait_for_the_interim_of_another_session():
    stt = WhisperSTT()
    await stt.prewarm()
    caller = Caller(pace=None)
    caller.say(said(OPEN))
    with stt._shared.loaded._interim:
        told = await listen(caller)
    assert [transcript.final for transcript in told] == [True]
    assert overlap(told[-1].text, OPEN) > 0.85


@pytest.mark.real_time
async def test_sessions_in_threads_do_not_mix():
    texts = [OPEN, TIRE, "My order number is four five one two.", "Do you repair electric bikes?"]
    async with asyncio.TaskGroup() as tasks:
        sessions = []
        for text in texts:
            caller = Caller(pace=0.001)
            caller.say(said(text))
            sessions.append(tasks.create_task(listen(caller)))
    for text, session in zip(texts, sessions, strict=True):
        heard = finals(session.result())[-1].text.replace("4512", "4 5 1 2")
        assert overlap(heard, text) > 0.8


async def test_it_can_be_cancelled_wherever_it_waits():
    """After any number of turns of the loop, with readings under way or not, nothing is left."""
    await WhisperSTT().prewarm()
    for turns in range(60):
        caller = Caller(pace=0.0)
        caller.say(said("Stop."))
        caller.commit()
        caller.say(said("Stop."), stops=False)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(listen(caller))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
        assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("count", range(4))
async def test_it_can_be_closed_after_any_transcript(count):
    caller = Caller()
    caller.say(said(TIRE))
    caller.wait(2)
    stream = WhisperSTT().transcribe(caller.audio())
    for _ in range(count):
        await anext(stream)
    await stream.aclose()
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.real_time
async def test_closed_while_a_thread_reads_it_does_not_wait_for_it():
    stt = WhisperSTT()
    await stt.prewarm()
    caller = Caller(pace=None)
    caller.say(said(TIRE))
    loop = asyncio.get_running_loop()
    began = loop.time()
    # Reading takes 50 ms or more.
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.005):
            await listen(caller, interim=False)
    assert loop.time() - began < 0.03


class LineLost(Exception):
    pass


async def test_an_error_of_the_sound_is_raised_as_it_is():
    async def audio():
        yield UserAudio(silence(0.1), WIDEBAND, 0)
        raise LineLost

    with pytest.raises(LineLost):
        _ = [told async for told in WhisperSTT().transcribe(audio())]


async def test_other_formats_are_refused():
    async def audio():
        yield UserAudio(b"", AudioFormat(8000), 0)

    with pytest.raises(UsageError, match="16 kHz mono"):
        _ = [told async for told in WhisperSTT().transcribe(audio())]


async def test_missing_files_are_told_with_the_way_to_get_them(tmp_path):
    stt = WhisperSTT(store=Store(tmp_path))
    with pytest.raises(ModelError, match=r"antiphon models pull whisper-tiny\.en"):
        await stt.prewarm()
    with pytest.raises(ModelError):
        await anext(stt.transcribe(Caller().audio()))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "tiny"}, "'tiny.en'"),
        ({"language": "de"}, 'model="base"'),
        ({"model": "base", "language": "german"}, "'de'"),
        ({"interim_period": 500}, "milliseconds"),
        ({"interim_cpu": 25}, "0 to 1"),
        ({"threads": 0}, "1 to 8"),
        ({"interims": False}, "did you mean 'interim'"),
    ],
)
def test_wrong_options_are_refused(options, told):
    with pytest.raises(OptionError, match=told):
        WhisperSTT(**options)


def test_its_name_tells_the_model():
    assert WhisperSTT().name == "whisper/tiny.en"
    assert WhisperSTT(model="base", language="de").name == "whisper/base"
