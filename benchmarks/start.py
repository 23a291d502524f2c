"""What an import costs, and a cold load of every default model."""

import json
import subprocess
import sys

from benchmarks.measure import line

IMPORT = """
import json, resource, sys
before, modules = resource.getrusage(resource.RUSAGE_SELF), len(sys.modules)
import {module}
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps([cpu, len(sys.modules) - modules]))
"""

LOAD = """
import asyncio, json, resource, time
begun = time.perf_counter()
from antiphon.cli.sample import agent
asyncio.run(agent.prewarm())
usage = resource.getrusage(resource.RUSAGE_SELF)
peak = usage.ru_maxrss / 1024
now = next(int(l.split()[1]) / 1024 for l in open("/proc/self/status") if l.startswith("VmRSS"))
print(json.dumps([time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, now, peak]))
"""


def _run(code: str) -> list[float]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _median(code: str, runs: int) -> list[float]:
    rows = sorted(_run(code) for _ in range(runs))
    return rows[len(rows) // 2]


def main() -> None:
    bare = _median(IMPORT.format(module="asyncio"), 7)
    ours = _median(IMPORT.format(module="antiphon"), 7)
    line("import antiphon, ms of CPU", f"{ours[0] * 1e3:.1f}", "goal <= 100")
    line("import antiphon, modules", f"{ours[1]:.0f}", "goal <= 250")
    line("import antiphon / import asyncio", f"{ours[0] / max(bare[0], 1e-4):.2f}")
    wall, cpu, now, peak = _median(LOAD, 5)
    line("all default models loaded and warm, s from process start", f"{wall:.2f}", "goal <= 1.5")
    line("the same, s of CPU", f"{cpu:.2f}")
    line("memory then, MB (peak)", f"{now:.0f} ({peak:.0f})", "goal <= 550")
