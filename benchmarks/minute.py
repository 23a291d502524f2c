"""CPU of one minute of conversation in virtual time."""

from antiphon.agent import Agent
from antiphon.testing import (
    Pause,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedTurnDetector,
    ScriptedVAD,
    Speak,
    call,
    run,
)
from benchmarks.measure import interleaved, line


async def conversation() -> tuple[object, ...]:
    agent = Agent(
        vad=ScriptedVAD(),
        stt=ScriptedSTT("what are your opening hours on a saturday"),
        llm=ScriptedLLM("We are open from ten to four. Come and see us, there is room to park."),
        tts=ScriptedTTS(),
        turn_detector=ScriptedTurnDetector(0.9),
    )
    # Ten turns; the fourth and the eighth interrupt the agent.
    script = []
    for turn in range(10):
        script += [Speak(1.5), Pause(2.0 if turn in (2, 6) else 4.5)]
    record = await call(agent, [*script, Pause(5.0)])
    assert len(record.turns) == 10, record
    return record.events


def minute() -> None:
    run(conversation())


def empty() -> None:
    """The floor: the loop alone, with as many timers as packets come and go in a minute."""
    import asyncio

    async def packets() -> None:
        for _ in range(6000):
            await asyncio.sleep(0.02)

    run(packets())


def main() -> None:
    taken = interleaved({"minute": minute, "empty": empty}, rounds=5)
    line(
        "a virtual minute of conversation, ms of CPU", f"{taken['minute'] * 1e3:.0f}", "goal <= 100"
    )
    line("the same / the loop with 6000 timers alone", f"{taken['minute'] / taken['empty']:.1f}")
    same = run(conversation()) == run(conversation())
    line("two runs give the same trace", "yes" if same else "NO")
