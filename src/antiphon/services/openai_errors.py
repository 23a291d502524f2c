"""What the errors of an OpenAI-compatible server mean, and who can mend them.

Must not let through what the server or the library wrote: that may hold the key, or words of the
conversation.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from antiphon.errors import RemoteError

__all__ = ["explain"]

_CODE = re.compile(r"[a-z][a-z_.]{0,40}")
"""Codes such as "context_length_exceeded" and names of parameters; nothing else is repeated."""


def explain(
    service: str, base_url: str, model: str, error: Exception, *, has_key: bool
) -> RemoteError:
    """Make our error from one that the library `openai` raised.

    Args:
        service: Name of the service.
        base_url: Of the server.
        model: That was asked for.
        error: An `openai.OpenAIError`.
        has_key: Whether a key was sent.
    """
    import openai

    place = _public(base_url)
    if isinstance(error, openai.APIStatusError):
        status = error.status_code
        return RemoteError(
            service,
            f"{_status_problem(status, place, model, has_key=has_key)} ({_told(status, error)})",
            retryable=status in {408, 409, 429} or status >= 500,
            status=status,
            request_id=error.request_id,
        )
    if isinstance(error, openai.APIConnectionError):
        # The library says "Connection error." for all; its cause tells whether there is a server.
        if type(error.__cause__).__name__ in {"ConnectError", "ConnectTimeout"}:
            problem = f"no server answers at {place}: start llama.cpp, Ollama or vLLM there"
        else:
            problem = f"the connection to {place} broke"
        return RemoteError(service, problem, retryable=True)
    if isinstance(error, openai.APIError):
        request_id = getattr(error, "request_id", None)
        problem = f"the server reports an error within the answer ({_told(None, error)})"
        return RemoteError(service, problem, retryable=True, request_id=request_id)
    return RemoteError(service, f"the request failed ({type(error).__name__})")


def _status_problem(status: int, place: str, model: str, *, has_key: bool) -> str:
    match status:
        case 401 | 403 if has_key:
            return f"{place} refuses the key"
        case 401 | 403:
            return f"{place} wants a key: give api_key or set OPENAI_API_KEY"
        case 404:
            return f"{place} has no model {model!r}, or no chat completions under this address"
        case 429:
            return f"{place} takes no more requests now, or the account is used up"
        case _ if status >= 500:
            return f"{place} failed"
        case _:
            return f"{place} refuses the request"


def _told(status: int | None, error: Any) -> str:
    parts = [str(status)] if status is not None else []
    parts += [
        value
        for value in (error.code, error.param)
        if isinstance(value, str) and _CODE.fullmatch(value)
    ]
    return ", ".join(parts) or "no code"


def _public(base_url: str) -> str:
    """An address without the user's name and password."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
