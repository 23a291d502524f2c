import asyncio
import signal

import pytest

from antiphon.errors import StageError
from antiphon.frames import TypedText
from antiphon.pipeline import FrameProcessor, Pipeline, PipelineRunner, PipelineTask


class Slow(FrameProcessor):
    async def process(self, frame, direction):
        if isinstance(frame, TypedText):
            await asyncio.sleep(10)
        self.push(frame, direction)


class Raises(FrameProcessor):
    def process(self, frame, direction):
        raise ValueError("x")


def slow():
    task = PipelineTask(Pipeline([Slow()]))
    task.queue_frame(TypedText("a"))
    return task


def send_after(seconds, number):
    loop = asyncio.get_running_loop()
    loop.call_later(seconds, loop.deliver_signal, number)


async def test_the_first_signal_lets_what_was_begun_be_finished():
    task = slow()
    send_after(2, signal.SIGINT)
    await PipelineRunner().run(task)
    assert (asyncio.get_running_loop().time(), task.outcome) == (10.0, "ended")


async def test_the_second_signal_ends_at_once():
    tasks = [slow(), slow()]
    send_after(2, signal.SIGTERM)
    send_after(3, signal.SIGINT)
    await PipelineRunner().run(*tasks)
    assert asyncio.get_running_loop().time() == 3.0
    assert [task.outcome for task in tasks] == ["cancelled", "cancelled"]


async def test_without_signals_it_leaves_them_alone():
    task = slow()
    task.end()
    await PipelineRunner(handle_signals=False).run(task)
    assert task.outcome == "ended"


async def test_two_errors_are_both_told():
    tasks = []
    for _ in range(2):
        task = PipelineTask(Pipeline([Raises()]))
        task.queue_frame(TypedText("a"))
        tasks.append(task)
    with pytest.raises(ExceptionGroup) as caught:
        await PipelineRunner().run(*tasks)
    assert [type(error) for error in caught.value.exceptions] == [StageError, StageError]
