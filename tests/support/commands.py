"""Commands of antiphon in processes of their own, for tests that look at them from outside."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ANTIPHON = (sys.executable, "-m", "antiphon")


def environment(**more: str) -> dict[str, str]:
    """This environment, as on a machine without a display and a terminal of 80 columns."""
    left_out = ("DISPLAY", "WAYLAND_DISPLAY", "ANTIPHON_TOKEN", "COLUMNS", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | {"PYTHONUNBUFFERED": "1", **more}


def run(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*ANTIPHON, *arguments],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=50,
    )


class Running:
    """A command that goes on, and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.printed = ""
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def wait_for(self, pattern: str, *, seconds: float = 20) -> re.Match[str]:
        """Read on until a line that was not read yet matches."""
        while True:
            try:
                line = self._lines.get(timeout=seconds)
            except queue.Empty:
                raise AssertionError(f"no {pattern!r} after:\n{self.printed}") from None
            if not line:
                raise AssertionError(f"it ended without {pattern!r}:\n{self.printed}")
            self.printed += line
            if found := re.search(pattern, line):
                return found

    def interrupt(self, *, seconds: float = 10) -> int:
        """Press Ctrl-C; gives the exit code, and what was printed to the end in `printed`."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        while line := self._lines.get(timeout=seconds):
            self.printed += line
        return code


@contextmanager
def running(*arguments: str, cwd: Path, **more: str) -> Iterator[Running]:
    """Start a command, and end it at the end of the block; stderr comes with stdout."""
    process = subprocess.Popen(
        [*ANTIPHON, *arguments],
        cwd=cwd,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield Running(process)
        finally:
            process.kill()
