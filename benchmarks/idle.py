"""What an idle session costs: bytes and tasks."""

import asyncio
import gc
import tracemalloc

from antiphon.agent import Agent
from antiphon.testing import ScriptedCaller, ScriptedLLM, ScriptedSTT, ScriptedTTS, ScriptedVAD
from benchmarks.measure import line

SESSIONS = 100


def scripted_agent() -> Agent:
    return Agent(
        vad=ScriptedVAD(),
        stt=ScriptedSTT("hello"),
        llm=ScriptedLLM("Hello to you."),
        tts=ScriptedTTS(),
        turn_detector=None,
    )


async def measure(sessions: int) -> tuple[float, float]:
    """Bytes and tasks of each session, after a second of silence."""
    agent = scripted_agent()
    async with asyncio.TaskGroup() as group:
        gc.collect()
        before, tasks = tracemalloc.get_traced_memory()[0], len(asyncio.all_tasks())
        running = []
        for _ in range(sessions):
            caller = ScriptedCaller()
            task = agent.task(caller.input(), caller.output())
            running.append((task, caller))
            group.create_task(task.run())
        await asyncio.sleep(0.1)
        for _ in range(50):
            for _, caller in running:
                caller.speak(bytes(640))
            await asyncio.sleep(0)
        gc.collect()
        taken = (
            (tracemalloc.get_traced_memory()[0] - before) / sessions,
            (len(asyncio.all_tasks()) - tasks) / sessions,
        )
        for task, _ in running:
            task.cancel()
    return taken


def main() -> None:
    asyncio.run(measure(2))
    tracemalloc.start()
    size, tasks = asyncio.run(measure(SESSIONS))
    tracemalloc.stop()
    line("an idle session, KB", f"{size / 1024:.1f}", "goal <= 100")
    line("an idle session, tasks (its own run included)", f"{tasks:.0f}", "goal <= 6")
