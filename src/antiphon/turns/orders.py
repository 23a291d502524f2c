"""What the turn machine orders; the shell carries it out at once and in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "AskCompleteness",
    "CancelReply",
    "CommitReply",
    "CommitTurn",
    "FinishReply",
    "Order",
    "ReportStuck",
    "StartReply",
    "StopReply",
    "WithdrawTurn",
]


@dataclass(frozen=True, slots=True)
class AskCompleteness:
    """Ask the turn detectors about this pause; answer with `TurnScored`."""

    pause: int


@dataclass(frozen=True, slots=True)
class CommitTurn:
    """The person's turn is over: enter `text` in the conversation."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class WithdrawTurn:
    """The person goes on: take their last turn out of the conversation again."""

    turn: int


@dataclass(frozen=True, slots=True)
class StartReply:
    """Open the scope of this reply and begin to make it; its sound waits at the gate.

    Attributes:
        reply: Its number.
        script: Say exactly this; None: answer the conversation.
        speculative: The turn is not committed yet; the reply may be cancelled unheard.
    """

    reply: int
    script: str | None = None
    speculative: bool = False


@dataclass(frozen=True, slots=True)
class CommitReply:
    """Open the gate for the sound of this reply."""

    reply: int


@dataclass(frozen=True, slots=True)
class CancelReply:
    """Close the scope of this reply, of which nothing was heard."""

    reply: int


@dataclass(frozen=True, slots=True)
class StopReply:
    """Close the scope of this reply, which is being heard: the person interrupts."""

    reply: int


@dataclass(frozen=True, slots=True)
class FinishReply:
    """This reply was played to its end, or failed; close its scope."""

    reply: int


@dataclass(frozen=True, slots=True)
class ReportStuck:
    """This reply made no sound in time and was cancelled: tell the person's side."""

    reply: int


Order: TypeAlias = (
    AskCompleteness
    | CommitTurn
    | WithdrawTurn
    | StartReply
    | CommitReply
    | CancelReply
    | StopReply
    | FinishReply
    | ReportStuck
)
