"""Silero VAD: what it hears, and that calls which share a batch do not notice it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio import Windows
from antiphon.errors import ModelError, OptionError, UsageError
from antiphon.models.manifest import MANIFEST, Manifest, Model, ModelFile
from antiphon.models.silero import SileroVAD
from antiphon.models.store import Store
from antiphon.testing import run
from antiphon.testing.conformance import VADConformance
from support.spoken import noise, said, silence


class TestConformance(VADConformance):
    def make(self):
        return SileroVAD()

    def speech(self):
        return said("What are your opening hours on Saturday, please?")


def windows(pcm):
    return Windows(512).feed(pcm)


async def ready(**options):
    vad = SileroVAD(**options)
    await vad.prewarm()
    return vad


class Line:
    """One call that is fed windows and notes what it is told."""

    def __init__(self, vad):
        self.stream = vad.open()
        self.heard = []
        self.times = []

    def feed(self, window):
        self.stream.feed(window, self.hear)

    def hear(self, probability):
        self.heard.append(probability)
        self.times.append(asyncio.get_running_loop().time())


async def alone(pcm):
    """The probabilities of a call that is by itself, window by window."""
    line = Line(await ready())
    for window in windows(pcm):
        line.feed(window)
        await asyncio.sleep(0.032)
    line.stream.close()
    return line.heard


SENTENCES = [
    "What are your opening hours?",
    "I would like to rent an electric bike tomorrow.",
    "No, thank you.",
    "My order number is four five one two.",
    "Hello, are you still there?",
]


async def test_speech_is_heard_and_silence_and_noise_are_not():
    speech = await alone(silence(0.3) + said(SENTENCES[1]) + silence(0.5))
    assert max(speech[:8]) < 0.3
    assert np.mean(np.array(speech[12:-25]) > 0.5) > 0.8
    assert max(speech[-6:]) < 0.3
    assert max(await alone(silence(2))) < 0.2
    assert max(await alone(noise(2))) < 0.3


async def test_in_a_batch_each_call_hears_what_it_hears_alone():
    sounds = [said(SENTENCES[n % 5]) + noise(0.5 + 0.1 * n, seed=n) for n in range(9)]
    apart = [await alone(pcm) for pcm in sounds]
    vad = await ready()
    lines = [Line(vad) for _ in sounds]
    cut = [windows(pcm) for pcm in sounds]
    for number in range(max(map(len, cut))):
        for line, own in zip(lines, cut, strict=True):
            if number < len(own):
                line.feed(own[number])
        await asyncio.sleep(0.032)
    for line, own in zip(lines, apart, strict=True):
        line.stream.close()
        assert len(line.heard) == len(own)
        assert np.abs(np.array(line.heard) - own).max() < 1e-5


@given(st.data())
@settings(deadline=None, max_examples=25)
async def test_any_order_of_feeding_opening_and_closing_gives_the_same(data):
    """Windows late, early, several at once; calls that come and go: nobody's answers change."""
    count = data.draw(st.integers(1, 6))
    cut = [windows(said(SENTENCES[n % 5]))[:12] for n in range(count)]
    expected = [await alone(said(SENTENCES[n % 5])[: 12 * 1024]) for n in range(min(count, 5))]
    vad = await ready(gather=data.draw(st.sampled_from([0.0, 0.008, 0.03])))
    lines = {}
    fed = [0] * count
    closed = {}
    steps = st.tuples(st.integers(0, count - 1), st.sampled_from(["feed", "feed", "wait", "close"]))
    for number, step in data.draw(st.lists(steps, max_size=60)):
        if step == "wait":
            await asyncio.sleep(data.draw(st.sampled_from([0, 0.003, 0.05])))
        elif number in closed:
            continue
        elif step == "close" and number in lines:
            lines[number].stream.close()
            closed[number] = len(lines[number].heard)
        elif step == "feed" and fed[number] < 12:
            if number not in lines:
                lines[number] = Line(vad)
            lines[number].feed(cut[number][fed[number]])
            fed[number] += 1
    await asyncio.sleep(0.05)
    for number, line in lines.items():
        line.stream.close()
        told = closed.get(number, fed[number])
        assert len(line.heard) == told
        np.testing.assert_allclose(line.heard, expected[number % 5][:told], atol=1e-5)


async def test_one_or_two_calls_do_not_wait_for_others():
    vad = await ready()
    one, two = Line(vad), Line(vad)
    one.feed(windows(silence(0.032))[0])
    await asyncio.sleep(0.001)
    assert one.times == [0.0]
    assert two.times == []
    one.stream.close()
    two.stream.close()


async def test_more_calls_are_gathered():
    vad = await ready(gather=0.01)
    lines = [Line(vad) for _ in range(4)]
    window = windows(silence(0.032))[0]
    for line in lines[:3]:
        line.feed(window)
        await asyncio.sleep(0.002)
    await asyncio.sleep(0.1)
    assert [line.times for line in lines] == [[0.01], [0.01], [0.01], []]
    began = asyncio.get_running_loop().time()
    for line in lines:
        line.feed(window)
    await asyncio.sleep(0.001)
    # All have one: nobody is left to wait for.
    assert [line.times[-1] for line in lines] == [began] * 4
    for line in lines:
        line.stream.close()


async def test_when_the_last_one_missing_hangs_up_the_others_are_answered():
    vad = await ready(gather=0.03)
    lines = [Line(vad) for _ in range(4)]
    for line in lines[:3]:
        line.feed(windows(silence(0.032))[0])
    lines[3].stream.close()
    await asyncio.sleep(0.001)
    assert [len(line.heard) for line in lines] == [1, 1, 1, 0]
    for line in lines:
        line.stream.close()


async def test_a_hundred_and_fifty_calls_take_three_runs_and_let_others_in_between():
    vad = await ready()
    lines = [Line(vad) for _ in range(150)]
    loop = asyncio.get_running_loop()
    seen = []

    def look():
        seen.append(sum(len(line.heard) for line in lines))
        if seen[-1] < 150:
            loop.call_soon(look)

    for line in lines:
        line.feed(windows(silence(0.032))[0])
    loop.call_soon(look)
    await asyncio.sleep(0.05)
    assert seen == [64, 128, 150]
    for line in lines:
        line.stream.close()


async def test_who_feeds_a_minute_at_once_gets_every_answer_in_order():
    pcm = said(SENTENCES[1])
    expected = await alone(pcm)
    line = Line(await ready())
    for window in windows(pcm):
        line.feed(window)
    assert len(line.heard) == len(expected) - 32
    await asyncio.sleep(0.05)
    np.testing.assert_allclose(line.heard, expected, atol=1e-5)
    line.stream.close()


async def test_closed_in_an_answer_a_call_hears_no_more():
    vad = await ready()
    lines = [Line(vad) for _ in range(2)]
    for line in lines:
        line.hear = lambda probability: [other.stream.close() for other in lines]
        line.feed(windows(silence(0.032))[0])
    calls = []
    for line in lines:
        line.stream.feed(windows(silence(0.032))[0], calls.append)
    await asyncio.sleep(0.1)
    assert calls == []


async def test_an_error_of_one_call_is_reported_and_harms_no_other():
    vad = await ready()
    broken, sound = vad.open(), Line(vad)
    reported = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: reported.append(context["exception"]))
    error = ValueError("mine")

    def refuse(probability):
        raise error

    broken.feed(windows(silence(0.032))[0], refuse)
    sound.feed(windows(silence(0.032))[0])
    await asyncio.sleep(0.01)
    assert reported == [error]
    assert len(sound.heard) == 1
    broken.close()
    sound.stream.close()


def test_two_loops_share_the_model_and_nothing_else():
    pcm = said(SENTENCES[0])
    first = run(lambda: alone(pcm))

    async def leave_one_waiting():
        vad = await ready()
        line, *_ = [Line(vad) for _ in range(3)]
        line.feed(windows(pcm)[0])
        return vad, line

    vad, left = run(leave_one_waiting)
    np.testing.assert_allclose(run(lambda: alone(pcm)), first, atol=1e-6)
    assert left.heard == []
    # Nor is the loop that ended without a word kept.
    assert not vad._shared.loaded.batches


async def test_the_last_call_leaves_nothing_behind():
    vad = await ready()
    engine = vad._shared.loaded
    before = len(engine.batches)
    line = Line(vad)
    other = Line(SileroVAD())
    assert len(engine.batches) == before + 1
    line.feed(windows(silence(0.032))[0])
    line.stream.close()
    other.stream.close()
    assert len(engine.batches) == before


async def test_before_it_is_loaded_it_says_so(tmp_path):
    with pytest.raises(UsageError, match="prewarm"):
        SileroVAD(store=Store(tmp_path)).open()


async def test_a_missing_file_is_told_with_the_way_to_get_it(tmp_path):
    with pytest.raises(ModelError, match="antiphon models pull silero-vad"):
        await SileroVAD(store=Store(tmp_path)).prewarm()


async def test_a_file_that_is_no_model_is_told(tmp_path):
    import hashlib

    content = b"this is no model"
    file = ModelFile("silero_vad.onnx", hashlib.sha256(content).hexdigest(), len(content), ())
    own = Manifest((Model("silero-vad", "test", "MIT", (file,)),))
    (tmp_path / "silero-vad").mkdir()
    (tmp_path / "silero-vad" / file.name).write_bytes(content)
    vad = SileroVAD(store=Store(tmp_path, manifest=own))
    with pytest.raises(ModelError, match="antiphon models pull --verify silero-vad"):
        await vad.prewarm()
    # The user's own model is not disturbed.
    await SileroVAD(store=Store(manifest=MANIFEST)).prewarm()


def test_options_are_checked():
    with pytest.raises(OptionError, match="milliseconds"):
        SileroVAD(gather=8)
    with pytest.raises(OptionError, match="did you mean 'gather'"):
        SileroVAD(gathers=0.01)
