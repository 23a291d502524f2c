"""Voice to voice of the sample agent over its WebSocket, 20 questions, from outside."""

import asyncio
import json
import statistics
import time

import numpy as np

from antiphon.audio.formats import to_pcm
from antiphon.audio.resample import change_rate
from antiphon.turns.endpointing import TurnOptions
from benchmarks.measure import line
from benchmarks.server import server

QUESTIONS = (
    "What are your opening hours?",
    "When are you open on Saturday?",
    "Are you open on Sunday?",
    "Where can I find you?",
    "What is your address?",
    "How much does it cost to fix a flat tire?",
    "How long does it take to repair a flat tire?",
    "How much is a tune-up?",
    "How long does a tune-up take?",
    "How much does it cost to rent an electric bike?",
    "What does a city bike cost per day?",
    "Do I need to pay for a helmet?",
    "Are helmets included?",
    "Can I get a refund?",
    "How long do I have to return a bike?",
    "Where is order four five one two?",
    "When do you close on Friday?",
    "Can I rent a bike from you?",
    "Do you repair flat tires?",
    "What time do you open in the morning?",
)

AGENT = "from antiphon.cli.sample import agent"


def speak(text: str) -> bytes:
    """The question in the embedded voice, 16 kHz, cut after its last loud sample."""
    from hibari import Hibari

    voice = VOICE.setdefault("voice", Hibari(threads=1))
    pcm = change_rate(to_pcm(np.asarray(voice(text), np.float32)), 24_000, 16_000)
    samples = np.frombuffer(pcm, "<i2")
    loud = np.flatnonzero(np.abs(samples) > 300)
    return samples[: loud[-1] + 1].tobytes()


VOICE: dict[str, object] = {}


async def ask(socket, question: bytes) -> tuple[float, dict[str, object], str]:  # type: ignore[no-untyped-def]
    """Seconds from the question's end to the answer's first sound, its metrics and its text."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    times: dict[str, float] = {}
    told: dict[str, object] = {}
    answer = ""

    async def microphone() -> None:
        begun, sent = loop.time(), 0
        sound = question + bytes(-len(question) % 640)
        while not ended.is_set():
            packet = sound[sent : sent + 640] or bytes(640)
            # A packet leaves when its last sample was spoken.
            sent += 640
            await asyncio.sleep(max(begun + sent / 32_000 - loop.time(), 0))
            await socket.send(packet)
        times["ended"] = begun + len(question) / 32_000

    async with asyncio.TaskGroup() as group:
        group.create_task(microphone())
        async for message in socket:
            if isinstance(message, bytes):
                times.setdefault("heard", loop.time())
                continue
            event = json.loads(message)
            if event["type"] == "metrics":
                told = event
            if event["type"] == "transcript" and event["role"] == "agent" and event["final"]:
                answer = event["text"]
                break
        ended.set()
    return times["heard"] - times["ended"], told, answer


async def converse(port: int) -> list[tuple[float, dict[str, object], str]]:
    from websockets.asyncio.client import connect

    sounds = [speak(question) for question in QUESTIONS]
    taken = []
    async with connect(f"ws://127.0.0.1:{port}/ws", compression=None) as socket:
        for question, sound in zip(QUESTIONS, sounds, strict=True):
            async with asyncio.timeout(30):
                seconds, told, answer = await ask(socket, sound)
            print(f"    {seconds * 1e3:5.0f} ms  {question}  ->  {answer}")
            taken.append((seconds, told, answer))
            await asyncio.sleep(0.5)
    return taken


def first_clause() -> float:
    """Seconds that the bare voice takes for a first clause, median of nine."""
    taken = []
    for _ in range(10):
        begun = time.perf_counter()
        VOICE["voice"]("We are open Monday to Friday from nine to six,")  # type: ignore[operator]
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


def main() -> None:
    with server(AGENT) as (port, _):
        taken = asyncio.run(converse(port))
    times = sorted(seconds for seconds, _, _ in taken)
    line("voice to voice, median ms", f"{statistics.median(times) * 1e3:.0f}", "goal <= 500")
    line("the same, p90 ms", f"{times[len(times) * 9 // 10 - 1] * 1e3:.0f}")
    parts: dict[str, list[float]] = {}
    for _, told, _ in taken:
        for part in told.get("parts", []):  # type: ignore[attr-defined]
            parts.setdefault(f"{part['name']} ({part['owner']})", []).append(part["ms"])
    for name, values in parts.items():
        line(f"  of it {name}, median ms of {len(values)}", f"{statistics.median(values):.0f}")
    floor = TurnOptions().min_wait + first_clause()
    line("the shortest wait and the voice's first clause alone, ms", f"{floor * 1e3:.0f}")
    line("voice to voice / these two alone", f"{statistics.median(times) / floor:.2f}")
