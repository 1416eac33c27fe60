"""What is said about an exception that nobody foresaw: everything to the journal, an identifier to the caller."""

import logging
import uuid
from typing import Final

from edged.api.http.problems import ProblemDetails, for_bug

LOG: Final = logging.getLogger(__name__)
MAX_PATH_LENGTH: Final = 256


def report_bug(error: Exception, path: str, **facts: object) -> ProblemDetails:
    """Write an exception to the journal, and return what the caller is told.

    Args:
        error: The exception.
        path: Of the request.
        facts: Fields of the journal's entry.
    """
    request_id = uuid.uuid4().hex
    fields = {"request": request_id, "path": path[:MAX_PATH_LENGTH], **facts}
    LOG.error("Request failed", exc_info=error, extra={"edged_fields": fields})
    return for_bug(request_id)
