"""Microseconds for a frame to pass a stage, against a direct call and an asyncio.Queue hop."""

import asyncio

from antiphon.frames import Direction, Frame, TypedText
from antiphon.pipeline import FrameProcessor, Pipeline, PipelineTask
from benchmarks.measure import interleaved, line

STAGES, FRAMES = 10, 20_000


class Pass(FrameProcessor):
    def process(self, frame: Frame, direction: Direction) -> None:
        self.push(frame, direction)


class Wait(FrameProcessor):
    async def process(self, frame: Frame, direction: Direction) -> None:
        self.push(frame, direction)


class Count(FrameProcessor):
    def __init__(self) -> None:
        self.left = 0

    def process(self, frame: Frame, direction: Direction) -> None:
        self.left -= 1
        if not self.left:
            self.task.cancel()


def through(kind: type[FrameProcessor]) -> None:
    async def run() -> None:
        count = Count()
        task = PipelineTask(Pipeline([*(kind() for _ in range(STAGES - 1)), count]))
        count.left = FRAMES
        task.queue_frames([TypedText("x")] * FRAMES)
        await task.run()

    asyncio.run(run())


def direct() -> None:
    def make(below):  # type: ignore[no-untyped-def]
        return lambda frame, direction: below(frame, direction)

    take = lambda frame, direction: None  # noqa: E731
    for _ in range(STAGES):
        take = make(take)
    frame = TypedText("x")
    for _ in range(FRAMES):
        take(frame, Direction.DOWN)


def queues() -> None:
    async def run() -> None:
        line_of = [asyncio.Queue[Frame]() for _ in range(STAGES)]
        done = asyncio.Event()
        left = FRAMES

        async def stage(index: int) -> None:
            nonlocal left
            while True:
                frame = await line_of[index].get()
                if index + 1 < STAGES:
                    line_of[index + 1].put_nowait(frame)
                else:
                    left -= 1
                    if not left:
                        done.set()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(stage(index)) for index in range(STAGES)]
            for _ in range(FRAMES):
                line_of[0].put_nowait(TypedText("x"))
            await done.wait()
            for task in tasks:
                task.cancel()

    asyncio.run(run())


def main() -> None:
    taken = interleaved(
        {
            "a direct call": direct,
            "an inline stage": lambda: through(Pass),
            "a boundary stage": lambda: through(Wait),
            "an asyncio.Queue and a task": queues,
        }
    )
    hop = {name: seconds / FRAMES / STAGES * 1e6 for name, seconds in taken.items()}
    for name, microseconds in hop.items():
        goal = "goal <= 1" if name == "an inline stage" else ""
        line(f"{name}, us per hop", f"{microseconds:.2f}", goal)
    line("inline stage / direct call", f"{hop['an inline stage'] / hop['a direct call']:.1f}")
    ratio = hop["an asyncio.Queue and a task"] / hop["an inline stage"]
    line("asyncio.Queue and task / inline stage", f"{ratio:.1f}")
