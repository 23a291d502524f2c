"""``antiphon serve`` and ``antiphon dev``: an agent behind its page and its WebSocket.

Holds the two commands and their options. Must not hold the serving (`antiphon.server`) nor how a
file is loaded anew (`reloading`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.call import SAMPLE
from antiphon.cli.problems import Debug, explained
from antiphon.errors import OptionError, UsageError

if TYPE_CHECKING:
    from antiphon.server.options import ServerOptions

__all__ = ["DEV_HELP", "SERVE_HELP", "dev", "serve"]

SERVE_HELP = """Serve an agent to browsers and programs.

The page is at /, the WebSocket at /ws; /healthz and /readyz are for who watches the server. \
Other machines reach it only with [bold]--host[/bold] and a token. \
Ctrl-C or SIGTERM ends the sessions, each told so, and then the server.

[bold]Examples[/bold]

[cyan]antiphon serve my_agent.py[/cyan]
[cyan]ANTIPHON_TOKEN=… antiphon serve my_agent.py --host 0.0.0.0 --max-sessions 50[/cyan]
"""

DEV_HELP = """Serve your agent while you write it: saved changes count for the next session.

Sessions that are going on keep the agent they began with. A mistake in the file is shown, and the \
last agent that worked stays. What is said is printed here.

[bold]Examples[/bold]

[cyan]antiphon dev my_agent.py[/cyan]
[cyan]antiphon dev my_agent.py:night_shift --port 9000[/cyan]
"""

_WHO = "Who may come in"

_AGENT = "File or module with your agent, such as my_agent.py or shop.agents:night."

Port = Annotated[
    int | None,
    typer.Option("--port", help="To listen on; 0 for any free one.", show_default="8642"),
]


def serve(
    agent: Annotated[
        str, typer.Argument(metavar="AGENT", help=_AGENT, show_default="the sample agent")
    ] = SAMPLE,
    port: Port = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on.", rich_help_panel=_WHO)
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            help="What a client must show, 16 characters or more.",
            envvar="ANTIPHON_TOKEN",
            rich_help_panel=_WHO,
        ),
    ] = None,
    origins: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin",
            help="Origin of another server's pages that may connect, such as https://example.com.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    max_sessions: Annotated[
        int, typer.Option("--max-sessions", help="At once; the next one is told to come later.")
    ] = 10,
    drain: Annotated[
        float, typer.Option("--drain", help="Seconds that sessions may go on after Ctrl-C.")
    ] = 0.0,
    debug: Debug = False,
) -> None:
    """Serve an agent; `SERVE_HELP` says it to the user."""
    with explained(debug=debug):
        from antiphon.server.options import ServerOptions

        try:
            options = ServerOptions(
                host=host,
                port=ServerOptions.port if port is None else port,
                token=token,
                allowed_origins=tuple(origins or ()),
                max_sessions=max_sessions,
                drain_seconds=drain,
            )
        except OptionError as error:
            if token or "needs a token" not in str(error):
                raise
            raise UsageError(f"{error} and give it with --token or ANTIPHON_TOKEN") from error
        _serve(agent, options)


def _serve(reference: str, options: ServerOptions) -> None:
    import logging

    from antiphon import server
    from antiphon.cli.loading import AgentReference
    from antiphon.cli.printing import make_console
    from antiphon.cli.running import run

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    agent = AgentReference.parse(reference).load()
    app = server.create_app(agent.task, options, prewarm=agent.prewarm)
    console = make_console()

    def started(address: str) -> None:
        shown = f"{address}?token=…" if options.token else address
        console.print(f"[bold]Serving[/bold] {shown}  [dim]Ctrl-C ends it.[/dim]")

    run(server.serve(app, options, started=started))


def dev(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help=_AGENT)],
    port: Port = None,
    debug: Debug = False,
) -> None:
    """Serve an agent while it is written; `DEV_HELP` says it to the user."""
    with explained(debug=debug):
        from antiphon.server.options import ServerOptions

        _dev(agent, ServerOptions() if port is None else ServerOptions(port=port))


def _dev(reference: str, options: ServerOptions) -> None:
    import sys

    from antiphon.cli.loading import AgentReference
    from antiphon.cli.printing import make_console
    from antiphon.cli.reloading import Reloading
    from antiphon.cli.running import run

    # A cache of a neighbour's code could be taken for newer than a change within one second.
    sys.dont_write_bytecode = True
    run(Reloading(AgentReference.parse(reference), make_console()).serve(options))
