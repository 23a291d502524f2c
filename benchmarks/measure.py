"""Shared by benchmarks: CPU time of a piece of work, and medians of interleaved runs."""

import statistics
import time
from collections.abc import Callable


def cpu(work: Callable[[], object]) -> float:
    """Seconds of this process's CPU that `work` takes."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def interleaved(works: dict[str, Callable[[], object]], rounds: int = 7) -> dict[str, float]:
    """Median CPU seconds of each, taken in turn so that a noisy moment hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            taken[name].append(cpu(work))
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def line(name: str, value: str, goal: str = "") -> None:
    print(f"  {name:<58} {value:>16}   {goal}")
