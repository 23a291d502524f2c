"""Shared by benchmarks: a server in a process of its own, and its CPU."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

SERVE = """
from antiphon.server.app import create_app
from antiphon.server.options import ServerOptions
from antiphon.server.serving import run
{agent}
options = ServerOptions(port={port}, max_sessions=1000)
run(create_app(agent.task, options, prewarm=agent.prewarm), options)
"""


@contextlib.contextmanager
def server(agent: str) -> Iterator[tuple[int, int]]:
    """Serve the agent that the code `agent` makes; gives the port and the process's number."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = SERVE.format(agent=agent, port=port)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    try:
        _wait_ready(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def _wait_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            sys.exit("the server ended before it was ready")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1)
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
        else:
            return
    sys.exit("the server did not become ready")


def wait_port(port: int) -> None:
    """Wait until something listens."""
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
