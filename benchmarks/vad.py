"""CPU for each window of the voice detector, at 1, 8, 32 and 64 calls."""

import asyncio

import numpy as np

from antiphon.models.silero import SileroVAD
from antiphon.models.store import Store
from benchmarks.measure import interleaved, line

WINDOWS = 200


def batched(vad: SileroVAD, calls: int) -> None:
    async def run() -> None:
        await vad.prewarm()
        sound = np.random.default_rng(0).normal(0, 0.1, (WINDOWS, 512)).astype(np.float32)
        streams = [vad.open() for _ in range(calls)]
        left = WINDOWS // calls * calls
        done = asyncio.Event()

        def answer(probability: float) -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set()

        for index in range(WINDOWS // calls):
            for stream in streams:
                stream.feed(sound[index], answer)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await done.wait()
        for stream in streams:
            stream.close()

    asyncio.run(run())


def alone() -> None:
    """The floor: the bare model, one window at a time, as every peer runs it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = SESSION.setdefault(
        "session",
        onnxruntime.InferenceSession(str(Store().path("silero-vad", "silero_vad.onnx")), options),
    )
    state, rate = np.zeros((2, 1, 128), np.float32), np.array(16000, np.int64)
    window = np.zeros((1, 576), np.float32)
    for _ in range(WINDOWS):
        _, state = session.run(None, {"input": window, "state": state, "sr": rate})


SESSION: dict[str, object] = {}


def main() -> None:
    vad = SileroVAD()
    works = {str(calls): (lambda calls=calls: batched(vad, calls)) for calls in (1, 8, 32, 64)}
    taken = interleaved({**works, "alone": alone}, rounds=9)
    for calls in (1, 8, 32, 64):
        windows = WINDOWS // calls * calls
        goal = "goal <= 60" if calls == 32 else ""
        line(f"{calls} calls, us per window", f"{taken[str(calls)] / windows * 1e6:.0f}", goal)
    line("the bare model, one window at a time, us", f"{taken['alone'] / WINDOWS * 1e6:.0f}")
    ratio = (taken["32"] / (WINDOWS // 32 * 32)) / (taken["alone"] / WINDOWS)
    line("32 calls / the bare model", f"{ratio:.2f}")
