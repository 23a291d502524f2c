"""Who may come in: the checks of a request's headers before anything else is done with it.

Pure functions from headers to an answer. Must not hold the capacity (see `sessions`).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from antiphon.server.options import ServerOptions, is_loopback

__all__ = ["Refusal", "check_client", "check_host"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused.

    Attributes:
        status: HTTP status.
        code: Short and stable.
        message: What the person who runs the client or the server can do.
        headers: To be sent with it.
    """

    status: int
    code: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()


def check_host(headers: Mapping[str, str], options: ServerOptions) -> Refusal | None:
    """Refuse a request whose Host names another server, where this one has no token.

    A page anywhere can point its own name at this machine (DNS rebinding) and would then be of the
    same origin; its requests carry that name.
    """
    host = _split(f"//{headers.get('host', '')}").hostname or ""
    known = {_split(origin).hostname for origin in options.allowed_origins}
    if not is_loopback(options.host) or is_loopback(host) or host in known:
        return None
    message = "open this server as http://localhost, or name the host in allowed_origins"
    return Refusal(403, "host", message)


def check_client(
    headers: Mapping[str, str], query: Mapping[str, str], options: ServerOptions
) -> Refusal | None:
    """Refuse a page of another server, and whoever does not have the token."""
    origin = headers.get("origin")
    if origin is not None and not _is_own(origin, headers.get("host", ""), options):
        message = "this page's origin is not in the server's allowed_origins"
        return Refusal(403, "origin", message)
    if options.token is None:
        return None
    scheme, _, shown = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        shown = query.get("token", "")
    if hmac.compare_digest(shown.encode(errors="replace"), options.token.encode()):
        return None
    message = "show the server's token: ?token=... or Authorization: Bearer ..."
    return Refusal(401, "token", message, (("WWW-Authenticate", "Bearer"),))


def _is_own(origin: str, host: str, options: ServerOptions) -> bool:
    if origin.lower() in {allowed.lower() for allowed in options.allowed_origins}:
        return True
    parts = _split(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower() != ""


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # brackets that do not match
        return urlsplit("")
