"""The public model hub as the second source of model files.

Holds one download over HTTPS by the standard library. Must not hold which files exist (`manifest`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

from antiphon.errors import RemoteError
from antiphon.models.manifest import HubFile

__all__ = ["blocks"]

_BLOCK = 1 << 18
"""Bytes that are read at a time."""

_TIMEOUT = 30.0
"""Seconds without a byte after which the hub is given up."""


def blocks(file: HubFile) -> Iterator[bytes]:
    """Download a file block by block. Blocks the thread.

    The hub is the one named by ``HF_ENDPOINT``, as for the hub's own client.

    Raises:
        RemoteError: The hub cannot be reached, refused, or stopped on the way.
    """
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    if urlsplit(hub).scheme not in ("https", "http"):
        raise RemoteError("hub", "HF_ENDPOINT must begin with https://")
    place = f"{quote(file.repository)}/resolve/{quote(file.revision)}/{quote(file.path)}"
    try:
        with urlopen(f"{hub.rstrip('/')}/{place}", timeout=_TIMEOUT) as answer:
            while block := answer.read(_BLOCK):
                yield block
    except HTTPError as error:
        # Closed here, since the answer of a refusal holds the connection.
        error.close()
        raise RemoteError(
            "hub",
            f"refused {file.path} of {file.repository} with status {error.code}",
            retryable=error.code >= 500 or error.code == 429,
            status=error.code,
        ) from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise RemoteError("hub", f"no connection: {reason}", retryable=True) from error
