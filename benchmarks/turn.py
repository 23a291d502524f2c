"""What the framework itself adds to a turn: every service answers at once."""

import asyncio
import statistics
import time

from antiphon.agent import Agent
from antiphon.frames import PlaybackStarted, TypedText
from antiphon.pipeline.observers import Observer
from antiphon.testing import ScriptedCaller, ScriptedLLM, ScriptedSTT, ScriptedTTS, ScriptedVAD
from benchmarks.measure import line

TURNS = 100


class Heard(Observer):
    frames = (PlaybackStarted,)

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def on_frame(self, *_: object) -> None:
        self.event.set()


async def turns() -> list[tuple[float, float]]:
    """Wall and CPU seconds from the last word to the first sound that leaves, for each turn."""
    agent = Agent(
        vad=ScriptedVAD(),
        stt=ScriptedSTT("hello"),
        llm=ScriptedLLM("Hello to you, and welcome. ", first_token=0, tokens_per_second=1e6),
        tts=ScriptedTTS(first_audio=0, realtime_factor=1e6, characters_per_second=500),
        turn_detector=None,
    )
    caller, heard, taken = ScriptedCaller(), Heard(), []
    task = agent.task(caller.input(), caller.output(), observers=[heard])
    async with asyncio.TaskGroup() as group:
        group.create_task(task.run())
        await asyncio.sleep(0.1)
        for _ in range(TURNS):
            heard.event.clear()
            wall, cpu = time.perf_counter(), time.process_time()
            task.queue_frame(TypedText("hello"))
            await heard.event.wait()
            taken.append((time.perf_counter() - wall, time.process_time() - cpu))
            await asyncio.sleep(0.08)
        task.cancel()
    return taken


async def queue_floor() -> float:
    """CPU of one frame through eight asyncio queues, each with its task: the usual design."""
    queues = [asyncio.Queue[int]() for _ in range(9)]

    async def stage(index: int) -> None:
        while True:
            queues[index + 1].put_nowait(await queues[index].get())

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stage(index)) for index in range(8)]
        times = []
        for _ in range(TURNS):
            begun = time.process_time()
            queues[0].put_nowait(1)
            await queues[8].get()
            times.append(time.process_time() - begun)
        for task in tasks:
            task.cancel()
    return statistics.median(times)


def main() -> None:
    taken = asyncio.run(turns())
    floor = asyncio.run(queue_floor())
    wall = statistics.median(t[0] for t in taken) * 1e3
    cpu = statistics.median(t[1] for t in taken) * 1e3
    line("last word to first sound, ms", f"{wall:.2f}", "goal <= 2")
    line("the same, ms of CPU", f"{cpu:.2f}")
    line("the same / one frame through 8 asyncio queues", f"{cpu / (floor * 1e3):.1f}")
