"""``antiphon call``: play a recorded caller to an agent, and show what became of it.

Holds the command and the one call. Must not hold the look (`printing`) nor the file's format.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.problems import Debug, explained
from antiphon.errors import UsageError

if TYPE_CHECKING:
    from antiphon.agent.agent import Agent
    from antiphon.cli.conversation import Conversation
    from antiphon.transports.wav import WavTransport

__all__ = ["HELP", "SAMPLE", "call", "converse"]

SAMPLE = "antiphon.cli.sample"
"""The agent that answers when none is named."""

HELP = """Play a WAV file to an agent as if somebody were calling.

Prints what was said and, for each answer, where the time went until it was heard. The file is \
played in real time; with [bold]--fast[/bold] the call runs in virtual time, as fast as this \
machine computes, and the times stay true. Ctrl-C ends the call; what was recorded until then is \
kept.

[bold]Examples[/bold]

[cyan]antiphon call question.wav --out conversation.wav[/cyan]
[cyan]antiphon call question.wav --agent my_agent.py --fast --json[/cyan]
"""


def call(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="WAV file with what the caller says.")
    ],
    agent: Annotated[
        str,
        typer.Option(
            "--agent", "-a", help="File or module with your agent.", show_default="the sample agent"
        ),
    ] = SAMPLE,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Write a stereo recording here: caller left, agent right."
        ),
    ] = None,
    channel: Annotated[
        int, typer.Option("--channel", help="The caller's channel in the file, counted from 0.")
    ] = 0,
    fast: Annotated[
        bool, typer.Option("--fast", help="As fast as this machine can, in virtual time.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
    tail: Annotated[
        float, typer.Option("--tail", help="Seconds of quiet after which the call is over.")
    ] = 2.0,
    debug: Debug = False,
) -> None:
    """Play a WAV file to an agent; `HELP` says it to the user."""
    with explained(debug=debug):
        answered = _call(file, agent, out, channel, tail, fast=fast, as_json=as_json)
    if not answered:
        raise typer.Exit(1)


def _call(
    file: Path,
    reference: str,
    out: Path | None,
    channel: int,
    tail: float,
    *,
    fast: bool,
    as_json: bool,
) -> bool:
    """Make the call and report it.

    Returns:
        Whether it went well: nothing failed, or there was an answer all the same.
    """
    from antiphon.cli.conversation import Conversation, turn_as_json
    from antiphon.cli.loading import AgentReference
    from antiphon.cli.printing import Failures, Printed, make_console

    transport, seconds = _transport(file, channel, tail)
    _check_writable(out)
    console = make_console(stderr=as_json)
    is_whole = False
    with ExitStack() as stack:
        if as_json:
            # An agent's author may print; stdout holds one JSON object and nothing else.
            stack.enter_context(redirect_stdout(sys.stderr))
        agent = AgentReference.parse(reference).load()
        view = Failures(console) if as_json else Printed(console, live=not fast)
        if isinstance(view, Printed):
            who = "the sample agent" if reference == SAMPLE else reference
            console.print(f"[dim]{file.name}, {seconds:.1f} s, calls {who}[/dim]\n")
            stack.enter_context(view)
        conversation = Conversation(view)
        with suppress(KeyboardInterrupt):
            _run(agent, transport, conversation, fast=fast)
            is_whole = True
    if as_json:
        typer.echo(json.dumps({"turns": [turn_as_json(turn) for turn in conversation.turns]}))
    if out is not None:
        _write(out, transport.recording())
        console.print(f"[dim]recorded {out}: caller left, agent right[/dim]")
    if not is_whole:
        raise KeyboardInterrupt
    if not conversation.turns and not conversation.problems:
        console.print("No speech was heard.")
    return not conversation.problems or any(turn.agent for turn in conversation.turns)


def _run(agent: Agent, transport: WavTransport, conversation: Conversation, *, fast: bool) -> None:
    made = converse(agent, transport, conversation)
    if fast:
        from antiphon.testing.virtual_time import run

        run(made, charge_executor=True)
    else:
        import asyncio

        asyncio.run(made)


async def converse(agent: Agent, transport: WavTransport, conversation: Conversation) -> None:
    """Make one call. When cancelled it ends at once, and what was heard until then is told.

    Args:
        agent: Who answers.
        transport: Who calls; a new one.
        conversation: Is told of it; a new one.

    Raises:
        AntiphonError: The call could not be made.
    """
    # All models side by side; the stages would otherwise wait for one another.
    await agent.prewarm()
    task = agent.task(transport.input(), transport.output(), observers=[conversation])
    conversation.watch(task)
    try:
        await task.run()
    finally:
        conversation.close()


# ---- files ------------------------------------------------------------------------------------


def _transport(file: Path, channel: int, tail: float) -> tuple[WavTransport, float]:
    """The transport that plays `file`, and the seconds that it has."""
    from antiphon.audio.wave import read_wav
    from antiphon.transports.wav import WavTransport

    try:
        audio = file.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"there is no file {file}") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    try:
        audio_format, pcm = read_wav(audio)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
    if not 0 <= channel < audio_format.channels:
        has = (
            "one channel, 0"
            if audio_format.channels == 1
            else f"channels 0 to {audio_format.channels - 1}"
        )
        raise UsageError(f"{file} has {has}: there is no channel {channel}")
    seconds = audio_format.seconds(len(pcm))
    longest = max(600.0, 2 * seconds)
    return WavTransport(audio, channel=channel, tail=tail, max_seconds=longest), seconds


def _check_writable(out: Path | None) -> None:
    """Find out before the call, not after it."""
    import os

    if out is None:
        return
    if out.is_dir():
        raise UsageError(f"{out} is a folder: name a file for the recording")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent} for the recording")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise UsageError(f"{out} cannot be written here")


def _write(out: Path, recording: bytes) -> None:
    try:
        out.write_bytes(recording)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}") from error
