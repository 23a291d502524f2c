"""Opening a page for the person at this machine, where there is one.

Must never wait for a browser: a text browser would take the terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

__all__ = ["has_display", "open_page"]

_GUI = ("DISPLAY", "WAYLAND_DISPLAY")
_NOBODY = ("CI", "SSH_CONNECTION")


def has_display(
    environment: Mapping[str, str] = os.environ, *, platform: str = sys.platform
) -> bool:
    """Whether a person is likely to see a window that opens on this machine.

    Args:
        environment: Variables to look at.
        platform: As `sys.platform` names it.
    """
    if any(environment.get(name) for name in _NOBODY):
        return False
    return platform in ("win32", "darwin") or any(environment.get(name) for name in _GUI)


async def open_page(address: str) -> bool:
    """Open `address` in the person's browser, if there is a display.

    Returns:
        Whether a browser took it within two seconds.
    """
    if not has_display():
        return False

    import asyncio
    import webbrowser

    from antiphon.pipeline.offload import offload

    try:
        async with asyncio.timeout(2.0):
            return await offload(webbrowser.open, address)
    except (TimeoutError, OSError, webbrowser.Error):
        return False
