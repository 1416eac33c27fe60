"""Whoever wants to know how the requests of a served model end."""

from typing import Protocol

from edged.runtime.calls import Outcome, Request


class Onlooker(Protocol):
    """Is told of every request that was taken, when it ends."""

    def finished(self, request: Request, outcome: Outcome) -> None:
        """Take note of a request right before its caller is told; whoever wants its memory for longer holds it. Must not raise."""
        ...
