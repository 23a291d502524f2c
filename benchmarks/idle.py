"""What an idle session costs: bytes and tasks."""

import asyncio
import gc
import tracemalloc

from antiphon.agent import Agent
from antiphon.testing import ScriptedCaller, ScriptedLLM, ScriptedSTT, ScriptedTTS, ScriptedVAD
from benchmarks.measure import line

SESSIONS = 50


def scripted_agent() -> Agent:
    return Agent(
        vad=ScriptedVAD(),
        stt=ScriptedSTT("hello"),
        llm=ScriptedLLM("Hello to you."),
        tts=ScriptedTTS(),
        turn_detector=None,
    )


async def measure(agent: Agent, sessions: int) -> tuple[float, float]:
    """Bytes and tasks of each session, after two seconds of silence."""
    await agent.prewarm()
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
        for _ in range(100):
            for _, caller in running:
                caller.speak(bytes(640))
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.2)
        gc.collect()
        taken = (
            (tracemalloc.get_traced_memory()[0] - before) / sessions,
            (len(asyncio.all_tasks()) - tasks) / sessions,
        )
        for task, _ in running:
            task.cancel()
    return taken


def main() -> None:
    from antiphon.cli.sample import agent

    for name, served in (("scripted services", scripted_agent()), ("embedded models", agent)):
        asyncio.run(measure(served, 2))
        tracemalloc.start()
        size, tasks = asyncio.run(measure(served, SESSIONS))
        tracemalloc.stop()
        line(f"an idle session, {name}, KB", f"{size / 1024:.1f}", "goal <= 100")
        line("the same, tasks (its own run included)", f"{tasks:.0f}", "goal <= 6")
    line("an asyncio task that waits for an event, KB: the floor", f"{floor() / 1024:.1f}")


def floor() -> float:
    """Bytes of a bare task."""

    async def run() -> float:
        async with asyncio.TaskGroup() as group:
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            event = asyncio.Event()
            for _ in range(SESSIONS):
                group.create_task(event.wait())
            await asyncio.sleep(0)
            taken = (tracemalloc.get_traced_memory()[0] - before) / SESSIONS
            event.set()
        return taken

    tracemalloc.start()
    try:
        return asyncio.run(run())
    finally:
        tracemalloc.stop()
