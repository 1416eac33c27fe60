"""Errors as messages of the tensor socket: the words of the problem bodies on HTTP, with the same statuses. Pure."""

from typing import Final

from edged.errors import EdgedError, QuotaError, TensorError, UnavailableError
from edged.statuses import status_of
from edged.tensor_socket import Error

MAX_TEXT: Final = 1000
"""Characters of a message or a hint; in UTF-8 they stay below the protocol's limit."""


class RoomError(TensorError):
    """An output does not fit into the room that its caller gave it."""

    def __init__(self, name: str, *, output: int, room_bytes: int, needed_bytes: int) -> None:
        super().__init__(
            f"output {name} has {needed_bytes} bytes, its room {room_bytes}",
            hint="Give it more room, in a connection with more memory if need be.",
        )
        self.output = output
        """The number it was wanted by."""
        self.needed_bytes = needed_bytes


def refusal(
    error: EdgedError, *, request: int = 0, is_closing: bool = False, retry_after_ms: int | None = None
) -> Error:
    """Describe an error.

    Args:
        error: What went wrong.
        request: Whose; 0 where it is about the connection.
        is_closing: The connection ends with it.
        retry_after_ms: When to ask again; None takes what the error says.
    """
    if retry_after_ms is None:
        retry_after_ms = 1000 * error.retry_after_s if isinstance(error, UnavailableError | QuotaError) else 0
    return Error(
        request=request,
        is_closing=is_closing,
        status=status_of(error),
        code=error.code,
        message=printable(error.message),
        hint=printable(error.hint),
        retry_after_ms=retry_after_ms,
        output=error.output if isinstance(error, RoomError) else None,
        needed_bytes=error.needed_bytes if isinstance(error, RoomError) else 0,
    )


def printable(text: str) -> str:
    """Return a text that is short enough and can be written as UTF-8."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()
