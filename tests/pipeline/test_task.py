"""Start, end and cancellation: bounded, nothing lost, nothing left alive."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.errors import ModelError, RemoteError, StageError, UsageError
from antiphon.frames import Direction, End, ServiceFailed, TextDelta, TypedText
from antiphon.pipeline import (
    FrameProcessor,
    ParallelPipeline,
    Pipeline,
    PipelineParams,
    PipelineRunner,
    PipelineTask,
)
from antiphon.pipeline.offload import offload
from antiphon.testing import cancel_at_every_step


def now():
    return asyncio.get_running_loop().time()


class Pass(FrameProcessor):
    pass


class Boundary(FrameProcessor):
    """Takes `seconds` for each frame."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds

    async def process(self, frame, direction):
        if self.seconds and not isinstance(frame, End):
            await asyncio.sleep(self.seconds)
        self.push(frame, direction)


class Collect(FrameProcessor):
    def __init__(self):
        self.texts = []

    def process(self, frame, direction):
        if isinstance(frame, TypedText):
            self.texts.append(frame.text)
        self.push(frame, direction)


class Raises(FrameProcessor):
    def __init__(self, at="process"):
        self.at = at

    async def setup(self):
        if self.at == "setup":
            raise ValueError("setup")

    def process(self, frame, direction):
        if self.at == "process" and isinstance(frame, TypedText):
            raise ValueError("process")
        self.push(frame, direction)

    async def cleanup(self):
        if self.at == "cleanup":
            raise ValueError("cleanup")


# ---- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("above", [[], [Pass()], [Boundary()]], ids=["first", "inline", "boundary"])
async def test_an_error_ends_the_task_and_names_the_stage(above):
    task = PipelineTask(Pipeline([*above, Raises(), Boundary()]))
    task.queue_frame(TypedText("a"))
    with pytest.raises(StageError, match="'Raises'") as caught:
        await task.run()
    assert isinstance(caught.value.__cause__, ValueError)
    assert task.outcome == "failed"


async def test_an_error_on_the_way_up_names_the_stage_too():
    class Answer(FrameProcessor):
        def process(self, frame, direction):
            self.push(frame, direction)
            if isinstance(frame, TypedText) and direction is Direction.DOWN:
                self.push(TypedText("back"), Direction.UP)

    class Deaf(FrameProcessor):
        def process(self, frame, direction):
            if direction is Direction.UP:
                raise ValueError("up")
            self.push(frame, direction)

    task = PipelineTask(Pipeline([Deaf(), Boundary(), Answer()]))
    task.queue_frame(TypedText("a"))
    with pytest.raises(StageError, match="'Deaf'"):
        await task.run()


async def test_a_stage_that_cannot_become_ready_is_named():
    with pytest.raises(StageError, match="'Raises' raised while it was made ready"):
        await PipelineTask(Pipeline([Pass(), Raises("setup")])).run()


async def test_a_model_that_is_missing_keeps_its_own_error():
    class Needs(FrameProcessor):
        async def setup(self):
            raise ModelError("whisper", "is missing")

    with pytest.raises(ModelError, match="is missing"):
        await PipelineTask(Pipeline([Needs()])).run()


async def test_a_stage_that_is_never_ready_is_named_after_the_time_limit():
    class Never(FrameProcessor):
        async def setup(self):
            await asyncio.Event().wait()

    class Waits(FrameProcessor):
        async def setup(self):
            await asyncio.sleep(1e6)

    with pytest.raises(StageError, match=r"'Waits' was not ready within 3 s \(start_timeout\)"):
        await PipelineTask(Pipeline([Waits()]), PipelineParams(start_timeout=3)).run()
    assert now() == 3.0


async def test_an_error_while_cleaning_up_keeps_no_other_stage_from_it(caplog):
    cleaned = []

    class Cleans(FrameProcessor):
        async def cleanup(self):
            cleaned.append(self.name)

    task = PipelineTask(Pipeline([Cleans(), Raises("cleanup"), Cleans()]))
    task.end()
    await task.run()
    assert cleaned == ["Cleans", "Cleans 2"]
    assert "'Raises' failed to clean up" in caplog.text


async def test_cleanup_that_hangs_is_cut_off(caplog):
    class Hangs(FrameProcessor):
        async def cleanup(self):
            await asyncio.sleep(1e6)

    task = PipelineTask(Pipeline([Hangs()]), PipelineParams(cancel_timeout=2))
    task.end()
    await task.run()
    assert now() == 2.0


async def test_an_error_in_a_callback_ends_the_pipeline():
    class Timer(FrameProcessor):
        def started(self):
            asyncio.get_running_loop().call_later(5, self.guard, self.tick)

        def tick(self):
            raise ValueError("tick")

    with pytest.raises(StageError, match="'Timer'"):
        await PipelineTask(Pipeline([Timer()])).run()
    assert now() == 5.0


async def test_a_task_of_a_stage_that_raises_ends_the_pipeline():
    class Works(FrameProcessor):
        def started(self):
            self.start_task(self.work)

        async def work(self):
            await asyncio.sleep(1)
            raise ValueError("work")

    with pytest.raises(StageError, match="'Works'"):
        await PipelineTask(Pipeline([Boundary(), Works()])).run()


async def test_a_task_outside_of_a_running_pipeline_is_refused():
    with pytest.raises(UsageError, match="not part of a running pipeline"):
        Pass().start_task(asyncio.sleep, 1)


# ---- replies ---------------------------------------------------------------------------------


class Replying(FrameProcessor):
    """Starts `work` in reply 1."""

    def __init__(self, work):
        self.work = work
        self.failures = []

    def started(self):
        self.scope = self.task.replies.open(1)
        self.scope.start(self.work, self.scope, stage="service")

    def process(self, frame, direction):
        if isinstance(frame, ServiceFailed):
            self.failures.append((frame.service, frame.code, frame.reply))
            self.task.end()
        self.push(frame, direction)


async def test_a_provider_that_fails_fails_its_reply_and_not_the_session():
    async def work(scope):
        await asyncio.sleep(1)
        raise RemoteError("acme", "refused", status=503)

    stage = Replying(work)
    task = PipelineTask(Pipeline([stage]))
    await task.run()
    assert stage.failures == [("acme", "remote", 1)]
    assert stage.scope.closed
    assert task.outcome == "ended"


async def test_a_bug_in_a_reply_ends_the_pipeline():
    async def work(scope):
        raise KeyError("bug")

    with pytest.raises(StageError, match="'service' raised while it worked for reply 1"):
        await PipelineTask(Pipeline([Replying(work)])).run()


async def test_closing_a_reply_from_its_own_task_ends_it_at_the_next_wait():
    seen = []

    async def work(scope):
        scope.close()
        seen.append("goes on until it waits")
        await asyncio.sleep(1)
        seen.append("never")

    task = PipelineTask(Pipeline([Replying(work)]))
    asyncio.get_running_loop().call_later(5, task.end)
    await task.run()
    assert seen == ["goes on until it waits"]


async def test_a_closed_reply_takes_no_more_work():
    async def work(scope):
        scope.close()
        with pytest.raises(UsageError, match="closed"):
            scope.start(work, scope, stage="late")

    task = PipelineTask(Pipeline([Replying(work)]))
    asyncio.get_running_loop().call_later(5, task.end)
    await task.run()


async def test_the_end_waits_for_replies_and_is_bounded():
    async def work(scope):
        await asyncio.sleep(4)
        scope.close()

    task = PipelineTask(Pipeline([Replying(work)]))
    task.end()
    await task.run()
    assert (now(), task.outcome) == (4.0, "ended")

    async def endless(scope):
        await asyncio.sleep(1e6)

    task = PipelineTask(Pipeline([Replying(endless)]), PipelineParams(drain_timeout=7))
    task.end()
    await task.run()
    assert (now(), task.outcome) == (11.0, "drain timeout")


async def test_an_end_that_gets_stuck_is_bounded():
    task = PipelineTask(Pipeline([Boundary(1e6)]), PipelineParams(drain_timeout=3))
    task.queue_frame(TypedText("a"))
    task.end()
    await task.run()
    assert (now(), task.outcome) == (3.0, "drain timeout")


# ---- cancellation ----------------------------------------------------------------------------


async def test_cancel_ends_now():
    task = PipelineTask(Pipeline([Boundary(1e6)]))
    task.queue_frame(TypedText("a"))
    asyncio.get_running_loop().call_later(2, task.cancel)
    await task.run()
    assert (now(), task.outcome) == (2.0, "cancelled")


async def test_a_task_that_swallows_its_cancellation_is_named_and_cancelled_again(caplog):
    class Stubborn(FrameProcessor):
        def started(self):
            self.start_task(self.work)

        async def work(self):
            try:
                await asyncio.sleep(1e6)
            except asyncio.CancelledError:
                await asyncio.sleep(1e6)

    task = PipelineTask(Pipeline([Stubborn()]), PipelineParams(cancel_timeout=1))
    asyncio.get_running_loop().call_later(2, task.cancel)
    await task.run()
    assert now() == 3.0
    assert "'Stubborn' goes on after it was cancelled" in caplog.text


async def test_a_frame_queued_after_the_end_is_ignored():
    end = Collect()
    task = PipelineTask(Pipeline([end]))
    task.end()
    await task.run()
    task.queue_frame(TypedText("late"))
    task.end()
    task.cancel()
    assert end.texts == []


class Everything(FrameProcessor):
    """Waits in every place where a stage may."""

    queue_size = 1

    async def setup(self):
        await asyncio.sleep(1)

    def started(self):
        self.start_task(self.work)
        self.scope = self.task.replies.open(1)
        self.scope.start(self.reply, self.scope, stage="reply")

    async def work(self):
        await asyncio.sleep(3)
        await offload(sum, [1, 2])
        await asyncio.sleep(3)

    async def reply(self, scope):
        self.push(TextDelta(1, "x"))
        await asyncio.sleep(2)
        await scope.wait_progress()

    async def process(self, frame, direction):
        await asyncio.sleep(1)
        self.push(frame, direction)

    async def cleanup(self):
        await asyncio.sleep(1)


async def everything():
    """A pipeline that waits in every place where one can, run to its end."""
    stages = [Everything(), ParallelPipeline([Boundary(1)], [Boundary(2)]), Boundary(1)]
    task = PipelineTask(Pipeline(stages), PipelineParams(drain_timeout=20))
    task.queue_frames([TypedText("a"), TypedText("b"), TypedText("c"), TypedText("d")])
    task.end()
    try:
        await task.run()
    finally:
        assert task.outcome in ("cancelled", "drain timeout")


def test_cancelled_at_each_awaiting_line_it_ends_and_leaves_no_task():
    steps = cancel_at_every_step(everything, within=2.0)
    assert steps > 30


async def test_cancel_at_any_moment_leaves_no_task():
    for seconds in (0.0, 0.5, 1.0, 2.5, 4.5, 8.0, 20.5):
        task = PipelineTask(Pipeline([Everything(), Boundary(1)]), PipelineParams(drain_timeout=20))
        task.queue_frames([TypedText("a"), TypedText("b"), TypedText("c")])
        asyncio.get_running_loop().call_later(seconds, task.cancel)
        begun = now()
        await task.run()
        assert now() <= begun + seconds + 2
        assert task.outcome == "cancelled"
        assert asyncio.all_tasks() == {asyncio.current_task()}


# ---- runner ----------------------------------------------------------------------------------


async def test_a_runner_runs_several_and_an_error_in_one_ends_all():
    good = PipelineTask(Pipeline([Boundary(1e6)]))
    good.queue_frame(TypedText("a"))
    bad = PipelineTask(Pipeline([Raises()]))
    bad.queue_frame(TypedText("a"))
    with pytest.raises(StageError, match="Raises"):
        await PipelineRunner().run(good, bad)
    assert good.outcome == "cancelled"


# ---- any order of frames, boundaries, interruptions and cancellations ------------------------

kinds = st.sampled_from(["inline", "boundary", "slow", "tiny", "parallel"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("frame"), st.just(0.0)),
        st.tuples(st.just("reply frame"), st.just(0.0)),
        st.tuples(st.just("interrupt"), st.just(0.0)),
        st.tuples(st.just("wait"), st.floats(0, 3)),
    ),
    max_size=30,
)


class Tiny(Boundary):
    queue_size = 1


class Last(FrameProcessor):
    def __init__(self):
        self.kept = []
        self.of_replies = []
        self.ended = False
        self.is_started = asyncio.Event()

    def started(self):
        self.is_started.set()

    def process(self, frame, direction):
        if isinstance(frame, TypedText):
            assert not self.ended
            self.kept.append(int(frame.text))
        elif isinstance(frame, TextDelta):
            assert self.task.replies.is_live(frame) or not frame.text
            self.of_replies.append((frame.reply, int(frame.text)))
        elif isinstance(frame, End):
            self.ended = True
        self.push(frame, direction)


def build(kind):
    match kind:
        case "inline":
            return Pass()
        case "boundary":
            return Boundary()
        case "slow":
            return Boundary(0.7)
        case "tiny":
            return Tiny(0.3)
        case _:
            # Both branches hand everything on at the same pace, so that the order is defined.
            return ParallelPipeline([Boundary()], [Boundary()])


@settings(max_examples=120, deadline=None)
@given(st.lists(kinds, max_size=5), steps, st.one_of(st.none(), st.floats(0, 5)))
async def test_no_order_of_things_loses_doubles_or_reorders_what_is_no_replys(
    shape, script, cancelled_after
):
    last = Last()
    task = PipelineTask(Pipeline([*map(build, shape), last]), PipelineParams(drain_timeout=600))
    sent, reply = [], 0

    async def drive():
        nonlocal reply
        await last.is_started.wait()
        reply = 1
        task.replies.open(reply)
        for number, (step, seconds) in enumerate(script):
            match step:
                case "frame":
                    sent.append(number)
                    task.queue_frame(TypedText(str(number)))
                case "reply frame":
                    task.queue_frame(TextDelta(reply, str(number)))
                case "interrupt":
                    task.replies.get(reply).close()
                    reply += 1
                    task.replies.open(reply)
                case "wait":
                    await asyncio.sleep(seconds)
        if cancelled_after is None:
            task.replies.close_all()
            task.end()
        else:
            asyncio.get_running_loop().call_later(cancelled_after, task.cancel)

    async with asyncio.TaskGroup() as group:
        group.create_task(drive())
        await task.run()
    if cancelled_after is None:
        assert last.kept == sent
        assert last.ended
    else:
        # Cut off, but never with a gap, a double or in another order.
        assert last.kept == sent[: len(last.kept)]
    assert last.of_replies == sorted(set(last.of_replies))
    assert asyncio.all_tasks() == {asyncio.current_task()}
