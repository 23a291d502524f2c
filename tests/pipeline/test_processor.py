import pytest

from antiphon.audio.formats import AudioFormat
from antiphon.errors import OptionError, StageError, UsageError
from antiphon.frames import Direction, End, Frame, SpeechAudio, TextDelta, TypedText, UserAudio
from antiphon.pipeline import (
    FrameProcessor,
    Full,
    Observer,
    ParallelPipeline,
    Pipeline,
    PipelineParams,
    PipelineTask,
)

NARROW, WIDE = AudioFormat(8000), AudioFormat(16000)


class Collect(FrameProcessor):
    """Keeps what passes."""

    def __init__(self):
        self.frames = []

    def process(self, frame, direction):
        if not isinstance(frame, End):
            self.frames.append(frame)
        self.push(frame, direction)

    @property
    def texts(self):
        return [frame.text for frame in self.frames]


class Shout(FrameProcessor):
    def process(self, frame, direction):
        if isinstance(frame, TypedText):
            frame = TypedText(frame.text.upper())
        self.push(frame, direction)


class Wait(FrameProcessor):
    """A boundary."""

    async def process(self, frame, direction):
        self.push(frame, direction)


class FanOut(FrameProcessor):
    """Says everything twice, once each way."""

    def process(self, frame, direction):
        self.push(frame, direction)
        if isinstance(frame, TypedText) and direction is Direction.DOWN:
            self.push(TypedText(frame.text + "!"))
            self.push(TypedText("heard " + frame.text), Direction.UP)


async def run(stages, frames, params=None, observers=()):
    task = PipelineTask(Pipeline(stages), params, observers=observers)
    task.queue_frames(frames)
    task.end()
    await task.run()
    return task


def words(*texts):
    return [TypedText(text) for text in texts]


# ---- order and linking -----------------------------------------------------------------------


async def test_frames_pass_inline_and_boundary_stages_in_order():
    end = Collect()
    task = await run([Shout(), Wait(), Shout(), Wait(), end], words("a", "b", "c"))
    assert end.texts == ["A", "B", "C"]
    assert task.outcome == "ended"


async def test_an_inline_chain_takes_no_loop_iteration():
    end = Collect()
    task = PipelineTask(Pipeline([Shout(), Shout(), end]))
    seen = []

    class Ask(FrameProcessor):
        def started(self):
            self.push(TypedText("now"))
            seen.extend(end.texts)

    task = PipelineTask(Pipeline([Ask(), Shout(), end]))
    task.end()
    await task.run()
    assert seen == ["NOW"]


async def test_a_processor_may_fan_out_and_talk_back():
    top, end = Collect(), Collect()
    await run([top, Wait(), FanOut(), end], words("a"))
    assert end.texts == ["a", "a!"]
    assert top.texts == ["a", "heard a"]


async def test_branches_each_take_every_frame_and_what_both_hand_on_leaves_once():
    left, right, end = Collect(), Collect(), Collect()
    await run([ParallelPipeline([left], [Wait(), FanOut(), right]), end], words("a", "b"))
    assert left.texts == ["a", "b"]
    assert right.texts == ["a", "a!", "b", "b!"]
    assert sorted(end.texts) == ["a", "a!", "b", "b!"]


async def test_frames_from_below_go_up_through_every_branch_once():
    class Answer(FrameProcessor):
        def process(self, frame, direction):
            self.push(frame, direction)
            if isinstance(frame, TypedText) and direction is Direction.DOWN:
                self.push(TypedText("back"), Direction.UP)

    top, left, right = Collect(), Collect(), Collect()
    await run([top, ParallelPipeline([left], [right]), Answer()], words("a"))
    assert top.texts == ["a", "back"]
    assert left.texts == right.texts == ["a", "back"]


def test_a_pipeline_in_a_list_is_its_stages():
    inner = Pipeline([Shout(), Wait()])
    outer = Pipeline([Collect(), inner, Collect()])
    assert [stage.name for stage in outer.stages] == ["Collect", "Shout", "Wait", "Collect 2"]


def test_describe_shows_queues_and_branches():
    text = Pipeline([Shout(), ParallelPipeline([Wait()], [Shout()])]).describe()
    assert text.splitlines() == [
        "Shout (inline)",
        "ParallelPipeline (inline)",
        "  Wait (queue of 64, when full: wait)",
        "  Shout 2 (inline)",
    ]


def test_what_is_no_stage_is_refused():
    with pytest.raises(OptionError, match=r"write Shout\(\.\.\.\)"):
        Pipeline([Shout])
    with pytest.raises(OptionError, match="str is no stage"):
        Pipeline(["deepgram"])
    with pytest.raises(OptionError, match="two lists"):
        ParallelPipeline([Shout()])


async def test_a_stage_cannot_be_part_of_two_pipelines():
    stage = Shout()
    await run([stage], [])
    with pytest.raises(UsageError, match="another pipeline"):
        await run([stage], [])


async def test_a_task_runs_once():
    task = await run([Shout()], [])
    with pytest.raises(UsageError, match="runs once"):
        await task.run()


# ---- options ---------------------------------------------------------------------------------


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(OptionError, match="did you mean 'allow_interruptions'"):
        PipelineParams(allow_interruption=True)


def test_a_strategy_that_does_not_exist():
    with pytest.raises(OptionError, match="'vad'"):
        PipelineParams(interruption_strategy="psychic")


def test_all_options_of_the_guide_are_taken():
    params = PipelineParams(
        allow_interruptions=False,
        interruption_strategy="vad",
        enable_metrics=False,
        enable_usage_metrics=True,
        audio_in_sample_rate=8000,
        audio_out_sample_rate=24000,
    )
    assert params.audio_out_sample_rate == 24000


# ---- formats ---------------------------------------------------------------------------------


class Microphone(FrameProcessor):
    user_audio_made = NARROW


class Voice(FrameProcessor):
    speech_made = AudioFormat(24000)


class Ear(Collect):
    user_audio_needed = WIDE
    speech_needed = NARROW


async def test_a_visible_resampler_joins_neighbours_that_differ_in_rate():
    ear = Ear()
    stages = [Microphone(), Voice(), ear]
    pipeline = Pipeline(stages)
    assert [stage.name for stage in pipeline.stages][2:4] == [
        "Resample user audio 8 kHz mono s16le to 16 kHz mono s16le",
        "Resample speech 24 kHz mono s16le to 8 kHz mono s16le",
    ]
    task = PipelineTask(pipeline)
    task.queue_frames([UserAudio(bytes(320), NARROW, 0), UserAudio(bytes(320), NARROW, 160)])
    task.end()
    await task.run()
    assert [(len(f.pcm), f.format, f.at_sample) for f in ear.frames] == [
        (640, WIDE, 0),
        (640, WIDE, 320),
    ]


def test_without_resampling_neighbours_that_differ_are_an_error():
    with pytest.raises(OptionError, match="'Ear' takes 16 kHz mono s16le but is given 8 kHz"):
        Pipeline([Microphone(), Ear()], resample=False)


def test_channels_cannot_be_resampled():
    class Stereo(FrameProcessor):
        user_audio_made = AudioFormat(16000, channels=2)

    with pytest.raises(OptionError, match="only mono"):
        Pipeline([Stereo(), Ear()])


def test_branches_must_agree_on_what_they_give():
    class Studio(FrameProcessor):
        user_audio_made = WIDE

    with pytest.raises(OptionError, match="branches of ParallelPipeline give different user_audio"):
        Pipeline([ParallelPipeline([Microphone()], [Studio()])])


# ---- observers -------------------------------------------------------------------------------


async def test_an_observer_is_told_of_what_it_asked_for():
    class Watch(Observer):
        stages = frozenset({"Shout 2"})
        frames = (TypedText,)

        def __init__(self):
            self.seen = []

        def on_frame(self, frame, direction, into, now):
            self.seen.append((frame.text, direction, into, now))

    watch = Watch()
    await run([Shout(), Wait(), Shout(), Wait()], words("a"), observers=[watch])
    assert watch.seen == [("A", Direction.DOWN, "Shout 2", 0.0)]


async def test_where_nobody_watches_a_link_is_the_plain_call():
    first, second = Shout(), Shout()
    await run([first, second], [])
    assert first._take_down == second.process


# ---- full queues -----------------------------------------------------------------------------


class Slow(FrameProcessor):
    queue_size = 2

    def __init__(self):
        self.done = []

    async def process(self, frame, direction):
        import asyncio

        if not isinstance(frame, End):
            await asyncio.sleep(1)
            self.done.append(frame)
        self.push(frame, direction)


async def test_full_wait_holds_the_boundary_above_back():
    slow, depths = Slow(), []

    class Depth(Wait):
        async def process(self, frame, direction):
            self.push(frame, direction)
            depths.append(self.task.statistics().queued["Slow"])

    await run([Depth(), slow], words(*"abcdefgh"))
    assert [frame.text for frame in slow.done] == list("abcdefgh")
    assert max(depths) == 2


async def test_full_fail_ends_the_pipeline_and_names_the_stage():
    class Strict(Slow):
        when_full = Full.FAIL

    with pytest.raises(StageError, match="'Strict' has a full queue of 2"):
        await run([Strict()], words(*"abcdefgh"))


async def test_full_drop_oldest_drops_only_what_may_be_dropped_and_counts_it():
    class Live(Slow):
        when_full = Full.DROP_OLDEST
        drops = (UserAudio,)

    live = Live()
    sound = [UserAudio(bytes(2), WIDE, n) for n in range(5)]
    task = await run([live], [*sound, TypedText("kept")])
    kept = [f.at_sample if isinstance(f, UserAudio) else f.text for f in live.done]
    assert kept[-1] == "kept"
    assert len(kept) < 6
    assert kept[:-1] == sorted(kept[:-1])
    assert task.statistics().dropped["Live"] == 6 - len(kept)


# ---- replies ---------------------------------------------------------------------------------


async def test_a_frame_of_a_closed_reply_is_dropped_and_its_work_cancelled():
    import asyncio

    loop = asyncio.get_running_loop()
    ended = []

    class Work(FrameProcessor):
        async def process(self, frame, direction):
            if isinstance(frame, TextDelta):
                try:
                    await asyncio.sleep(10)
                finally:
                    ended.append((frame.text, loop.time()))
            self.push(frame, direction)

    class Begin(FrameProcessor):
        def started(self):
            self.task.replies.open(1)
            self.push(TextDelta(1, "one"))
            self.push(TextDelta(1, "two"))
            self.push(TypedText("kept"))
            loop.call_later(3, self.task.replies.get(1).close)

    end = Collect()
    await run([Begin(), Work(), end], [])
    assert ended == [("one", 3.0)]
    assert end.texts == ["kept"]


async def test_speech_is_resampled_from_silence_for_each_reply():
    class Begin(FrameProcessor):
        speech_made = AudioFormat(24000)

        def started(self):
            loud = b"\xff\x7f" * 480
            for reply in (1, 2):
                self.task.replies.open(reply)
                self.push(SpeechAudio(reply, loud, AudioFormat(24000), 0))
                self.task.replies.get(reply).close()

    class Far(Collect):
        speech_needed = WIDE

    far = Far()
    await run([Begin(), far], [])
    assert [len(frame.pcm) for frame in far.frames] == [640, 640]
    assert far.frames[0].pcm == far.frames[1].pcm


def test_frames_are_values():
    frame: Frame = TypedText("a")
    with pytest.raises(AttributeError):
        frame.text = "b"
    assert frame == TypedText("a")
    assert hash(frame) == hash(TypedText("a"))
