"""``antiphon talk``: talk to an agent with this machine's microphone and loudspeaker.

Holds the command, its keys and the one session. Must not hold the look (`screen`, `printing`) nor
the devices (`antiphon.transports`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.call import SAMPLE
from antiphon.cli.problems import Debug, explained

if TYPE_CHECKING:
    from rich.console import Console

    from antiphon.agent.agent import Agent
    from antiphon.cli.conversation import Conversation
    from antiphon.cli.printing import Printed
    from antiphon.cli.screen import Screen
    from antiphon.transports.local import LocalTransport

__all__ = ["HELP", "talk"]

HELP = """Talk to an agent with this machine's microphone and loudspeaker. No browser.

While the agent is heard the microphone is silent, so that it does not interrupt itself over the \
loudspeaker. With a headset, [bold]--full-duplex[/bold] lets you interrupt it. q or Ctrl-C ends it.

Needs the library sounddevice: pip install 'antiphon\\[talk]'

[bold]Examples[/bold]

[cyan]antiphon talk[/cyan]
[cyan]antiphon talk my_agent.py --full-duplex[/cyan]
[cyan]antiphon talk --list-devices[/cyan]
"""

_AGENT = "File or module with your agent, such as my_agent.py or shop.agents:night."


def talk(
    agent: Annotated[
        str, typer.Argument(metavar="AGENT", help=_AGENT, show_default="the sample agent")
    ] = SAMPLE,
    input_device: Annotated[
        str | None,
        typer.Option("--input-device", help="Microphone: its number or a part of its name."),
    ] = None,
    output_device: Annotated[
        str | None,
        typer.Option("--output-device", help="Loudspeaker: its number or a part of its name."),
    ] = None,
    devices: Annotated[
        bool, typer.Option("--list-devices", help="Show the sound devices, and end.")
    ] = False,
    full_duplex: Annotated[
        bool, typer.Option("--full-duplex", help="Hear you while the agent speaks: for headsets.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Talk to an agent; `HELP` says it to the user."""
    with explained(debug=debug):
        if devices:
            _show_devices()
        else:
            _talk(agent, input_device, output_device, full_duplex=full_duplex)


def _talk(
    reference: str, input_device: str | None, output_device: str | None, *, full_duplex: bool
) -> None:
    from antiphon.cli.conversation import Conversation
    from antiphon.cli.loading import AgentReference
    from antiphon.cli.printing import Printed, asked_line, make_console, show_turn
    from antiphon.cli.running import run
    from antiphon.cli.screen import Screen
    from antiphon.transports.local import LocalTransport
    from antiphon.transports.portaudio import PortAudioMicrophone, PortAudioSpeaker

    agent = AgentReference.parse(reference).load()
    # Before the models are loaded: whoever has no microphone need not wait for them.
    microphone = PortAudioMicrophone(_device(input_device))
    speaker = PortAudioSpeaker(_device(output_device))
    console = make_console()
    who = "the sample agent" if reference == SAMPLE else reference
    transport = LocalTransport(microphone, speaker, full_duplex=full_duplex)
    if console.is_terminal and sys.stdin.isatty():
        view: Screen | Printed = Screen(
            console, who, lambda: (transport.level, transport.is_guarded)
        )
    else:
        view = Printed(console, live=False)
    conversation = Conversation(view)
    try:
        run(_session(agent, transport, conversation, view, console))
    finally:
        microphone.stop()
        speaker.stop()
        # The screen is gone with what was on it.
        for turn in conversation.turns if isinstance(view, Screen) else ():
            if turn.user:
                console.print(asked_line(turn))
            show_turn(console, turn)
    console.print("[dim]Goodbye.[/dim]")


async def _session(
    agent: Agent,
    transport: LocalTransport,
    conversation: Conversation,
    view: Screen | Printed,
    console: Console,
) -> None:
    from antiphon.cli.warming import warm

    await warm(agent, console)
    console.print("\n[dim]Talk. Ctrl-C ends it.[/dim]\n")
    task = agent.task(transport.input(), transport.output(), observers=[conversation])
    conversation.watch(task)
    try:
        with view, _pressed("q", task.cancel):
            await task.run()
    finally:
        conversation.close()


@contextmanager
def _pressed(key: str, act: Callable[[], None]) -> Iterator[None]:
    """Call `act` when `key` is pressed, without Enter; where that is not possible, never."""
    try:
        import termios
        import tty
    except ImportError:  # Windows: there is Ctrl-C
        yield
        return
    if not sys.stdin.isatty():
        yield
        return
    import asyncio
    import os

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    loop = asyncio.get_running_loop()

    def read() -> None:
        keys = os.read(number, 64)
        if not keys:
            # The terminal is gone; it would be readable for ever.
            loop.remove_reader(number)
        if not keys or key.encode() in keys.lower():
            act()

    tty.setcbreak(number)
    loop.add_reader(number, read)
    try:
        yield
    finally:
        loop.remove_reader(number)
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _device(given: str | None) -> int | str | None:
    return int(given) if given is not None and given.isdecimal() else given


def _show_devices() -> None:
    from rich.table import Table

    from antiphon.cli.printing import make_console
    from antiphon.transports.portaudio import list_devices

    found = list_devices()
    console = make_console()
    if not found:
        console.print("No sound devices: connect one, or give a container the sound server's.")
        raise typer.Exit(1)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("number", "name", "hears", "plays", "own rate"):
        table.add_column(column, justify="right" if column in ("number", "own rate") else "left")
    for device in found:
        hears = "default" if device.is_default_input else "yes" if device.inputs else ""
        plays = "default" if device.is_default_output else "yes" if device.outputs else ""
        table.add_row(str(device.number), device.name, hears, plays, f"{device.sample_rate} Hz")
    console.print(table)
