"""What can go wrong with an endpoint, as its requests tell it on."""

from edged.offload.messages import Trouble


class TroubleError(Exception):
    """No usable answer.

    Args:
        trouble: Which kind.
        message: One sentence without anything of the request or of the answer.
        retry_after_s: As the endpoint asks for.
    """

    def __init__(self, trouble: Trouble, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.trouble = trouble
        self.retry_after_s = retry_after_s
