"""Every error of antiphon, by who must act.

    AntiphonError
    ├── UsageError        the caller of the library: a wrong option, a wrong order of calls
    │   └── OptionError   an option that does not exist or has a wrong value; names the nearest
    ├── StageError        the author of a stage: its code raised; names the stage
    ├── ModelError        the owner of this machine: model files are missing or damaged
    ├── RemoteError       a provider: refused, failed, too slow
    └── TransportError    the line to the person: lost, too slow, not understood

Holds the classes and nothing that waits. Must not hold a caller's words, names or numbers, nor
secrets: an error's text goes to logs.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "AntiphonError",
    "ModelError",
    "OptionError",
    "RemoteError",
    "StageError",
    "TransportError",
    "UsageError",
    "unknown_option",
]


class AntiphonError(Exception):
    """Base of all errors that antiphon raises.

    Attributes:
        code: Short and stable, for logs and clients, such as ``"option"``.
    """

    code = "error"


class UsageError(AntiphonError):
    """The caller of the library must mend something; the text says what and how."""

    code = "usage"


class OptionError(UsageError, ValueError):
    """An option does not exist, or its value cannot work."""

    code = "option"


class StageError(AntiphonError):
    """A stage of the pipeline raised. The original error is the ``__cause__``.

    Attributes:
        stage: Name of the stage, as `Pipeline.describe` prints it.
    """

    code = "stage"

    def __init__(self, stage: str, doing: str = "raised") -> None:
        super().__init__(f"stage {stage!r} {doing}")
        self.stage = stage


class ModelError(AntiphonError):
    """A model's files are missing, damaged or cannot be loaded on this machine.

    Attributes:
        model: Name in the manifest.
    """

    code = "model"

    def __init__(self, model: str, problem: str) -> None:
        super().__init__(f"model {model!r}: {problem}")
        self.model = model


class RemoteError(AntiphonError):
    """A provider refused or failed.

    Attributes:
        service: Name of the service.
        retryable: The same request may succeed later.
        status: Its HTTP or close code, if it gave one.
        request_id: The provider's own id of the request, if it gave one.
    """

    code = "remote"

    def __init__(
        self,
        service: str,
        problem: str,
        *,
        retryable: bool = False,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{service}: {problem}")
        self.service = service
        self.retryable = retryable
        self.status = status
        self.request_id = request_id


class TransportError(AntiphonError):
    """The line to the person failed, or what came over it cannot be used.

    Attributes:
        reason: Short and stable, told to the far side, such as ``"message-too-big"``.
        close_code: WebSocket close code (RFC 6455, section 7.4), where the wire has one.
    """

    code = "transport"

    def __init__(self, reason: str, problem: str, *, close_code: int = 1008) -> None:
        super().__init__(problem)
        self.reason = reason
        self.close_code = close_code


def unknown_option(owner: str, name: str, known: Iterable[str]) -> OptionError:
    """Make the error for an option that `owner` does not have.

    Args:
        owner: What was being made, such as ``"PipelineParams"``.
        name: The name that was given.
        known: The names that exist.

    Returns:
        An error that names the nearest option, or all of them if none is near.
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
    return OptionError(f"{owner} has no option {name!r}; {hint}")
