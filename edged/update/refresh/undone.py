"""What a refresh could not do, and which part of it is told. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from edged.errors import EdgedError
from edged.update.protocol.messages import Failure, failure_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """A bundle or a document that could not be brought in."""

    subject: str
    """``MODEL VERSION``, or the path of a document."""
    error: EdgedError
    is_for_publisher: bool
    """It stays as it is until something else is signed."""


def choose_failure(undone: Sequence[Undone]) -> Failure | None:
    """Choose the failure that is told: the first that this device or the network may mend, else the first."""
    if not undone:
        return None
    mendable = [one for one in undone if not one.is_for_publisher]
    chosen = (mendable or undone)[0]
    return failure_of(chosen.error, subject=chosen.subject, is_for_publisher=not mendable)
