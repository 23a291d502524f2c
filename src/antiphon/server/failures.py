"""How an error is written to the log: what, where, and nothing that a caller said.

Texts of antiphon's own errors hold no caller's words (see `antiphon.errors`); texts of others may.
"""

from __future__ import annotations

import traceback

from antiphon.errors import AntiphonError, StageError

__all__ = ["describe"]


def describe(error: BaseException) -> str:
    """Name an error and its causes, and the lines where the first one was raised.

    An error of ours that says who must do what, such as fetch a model, needs no lines.
    """
    said: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        error, text = cause, str(cause) if isinstance(cause, AntiphonError) else ""
        said.append(f"{type(cause).__name__}: {text}" if text else type(cause).__name__)
        cause = cause.__cause__
    if isinstance(error, AntiphonError) and not isinstance(error, StageError):
        return " because of ".join(said)
    lines = "".join(traceback.format_tb(error.__traceback__))
    return f"{' because of '.join(said)}\n{lines}".rstrip()
