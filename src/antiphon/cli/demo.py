"""``antiphon demo``: the sample agent asks itself a first question, then waits for yours.

Holds the command and the order of its steps. Must not hold the call (`call`), the look (`printing`)
nor the serving (`antiphon.server`).
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.browser import open_page
from antiphon.cli.problems import Debug, explained

if TYPE_CHECKING:
    from rich.console import Console

    from antiphon.agent.agent import Agent
    from antiphon.server.options import ServerOptions

__all__ = ["HELP", "demo"]

HELP = """Talk to the sample agent: the receptionist of Harbor Bikes. Offline, without a key.

Loads the models, plays a recorded question to the agent and shows its answer and where the time \
went. Then opens a page on which you can ask yourself. Ctrl-C ends it.

[bold]Examples[/bold]

[cyan]antiphon demo[/cyan]
[cyan]antiphon demo --port 9000 --no-browser[/cyan]
"""


def demo(
    port: Annotated[
        int | None,
        typer.Option("--port", help="Port of the page; 0 for any free one.", show_default="8642"),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in your browser.")
    ] = True,
    debug: Debug = False,
) -> None:
    """Talk to the sample agent; `HELP` says it to the user."""
    with explained(debug=debug):
        from antiphon.cli.printing import make_console
        from antiphon.cli.running import run
        from antiphon.server.options import ServerOptions

        options = ServerOptions() if port is None else ServerOptions(port=port)
        console = make_console()
        run(_demo(console, options, opens_browser=browser))
        console.print("\n[dim]Goodbye.[/dim]")


async def _demo(console: Console, options: ServerOptions, *, opens_browser: bool) -> None:
    import asyncio

    from antiphon.cli.call import SAMPLE
    from antiphon.cli.loading import AgentReference
    from antiphon.cli.running import shown
    from antiphon.cli.warming import warm
    from antiphon.server import create_app, serve

    agent = AgentReference.parse(SAMPLE).load()
    console.print("[bold]The receptionist of Harbor Bikes[/bold] [dim]loads its models[/dim]\n")
    seconds = await warm(agent, console)
    console.print(f"\n[dim]Ready after {seconds:.1f} s. A recorded caller asks first.[/dim]\n")

    app = create_app(shown(lambda: agent, console), options)
    address = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        # Before the question, so that a port in use is told at once.
        group.create_task(serve(app, options, started=address.set_result), name="server")
        page = await address
        await _ask(agent, console)
        is_open = opens_browser and await open_page(page)
        console.print(f"[bold]Your turn:[/bold] {page}")
        hint = "Your browser has opened it. " if is_open else "Open it in a browser. "
        console.print(f"[dim]{hint}Programs speak to {_socket(page)}. Ctrl-C ends it.[/dim]\n")


async def _ask(agent: Agent, console: Console) -> None:
    from antiphon.cli.call import converse
    from antiphon.cli.conversation import Conversation
    from antiphon.cli.printing import Printed
    from antiphon.transports.wav import WavTransport

    question = resources.files("antiphon.cli").joinpath("assets", "question.wav").read_bytes()
    with Printed(console) as view:
        await converse(agent, WavTransport(question, tail=1.5), Conversation(view))


def _socket(page: str) -> str:
    return page.replace("http", "ws", 1) + "ws"
