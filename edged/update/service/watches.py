"""What goes on beside a refresh: the host is asked, and what it has that is newer is looked at, without losing what the refresh does.

Two refreshes must not use the metadata at once, so how that is done depends on how far the one that runs is:

(1) before it has said ``Planned`` it is ended and begun again: it has brought nothing yet that would be lost
(2) afterwards, a light refresh runs beside it, which brings metadata and documents, and finds out which blobs are wanted now. The one
    that runs goes on as long as the blob that it obtains is among them; so a download takes its time however often something is signed.
    What else is wanted comes with the next poll, also where this one fails and waits to be tried again (``edged.update.service.poller``).

A refresh that takes what somebody brings on a stick is never ended by (2): all of that is to come in. By (1) it is ended only once for the
same timestamp of the host, because one that cannot be trusted must not keep sticks out.
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, assert_never

from edged.update.lookout.lookout import Lookout
from edged.update.protocol.messages import Fetching, Finding, Milestone, Planned, Trusted

if TYPE_CHECKING:
    from edged.ids import Digest

Look = Callable[[], Finding | None]
"""Runs a light refresh; None when it was ended itself, for something that is newer still."""


class HostWatch:
    """Watches a refresh from the host.

    Args:
        lookout: At the host.
        look: Looks at what it has.
    """

    def __init__(self, lookout: Lookout, look: Look) -> None:
        self._lookout = lookout
        self._look = look
        self._has_asked = False
        self._is_planned = False
        self._blob: Digest | None = None
        self._wanted: Collection[Digest] | None = None
        self.went_by = b""
        """The timestamp that the refresh goes by; empty while it trusts none."""

    def wait_s(self) -> float:
        """Return the seconds until the host is to be asked again, however long a look took; the refresh itself begins with asking."""
        return self._lookout.left_s() if self._has_asked else self._lookout.wait_s()

    def goes_on(self, milestone: Milestone) -> bool:
        """Take note of how far the refresh is; false when it obtains what nobody wants any more."""
        match milestone:
            case Trusted(timestamp=timestamp):
                self._lookout.trusted = self.went_by = timestamp
            case Planned():
                self._is_planned = True
            case Fetching(blob=blob):
                self._blob = blob
            case _:
                assert_never(milestone)
        return self._is_of_use()

    def is_outdated(self) -> bool:
        """Ask the host; true when the refresh is of no more use.

        Raises:
            StopAskedError: The process was told to stop.
        """
        if not self.went_by:  # it is just asking
            return False
        self._has_asked = True
        is_ahead = self._lookout.is_ahead()
        if not self._is_planned:
            return is_ahead
        if is_ahead or self._lookout.is_unseen():
            found = self._look()
            if found is not None and found.wanted is not None:
                self._wanted = found.wanted
        return not self._is_of_use()

    def _is_of_use(self) -> bool:
        return self._wanted is None or self._blob is None or self._blob in self._wanted


class StickWatch:
    """Watches a refresh from a stick.

    Args:
        lookout: At the host.
        look: Looks at what it has.
    """

    def __init__(self, lookout: Lookout, look: Look) -> None:
        self._lookout = lookout
        self._look = look
        self._is_planned = False

    def wait_s(self) -> float:
        """Return the seconds until the host is to be asked again, which goes on as before."""
        return self._lookout.left_s()

    def goes_on(self, milestone: Milestone) -> bool:
        """Take note of how far the refresh is."""
        match milestone:
            case Trusted(timestamp=timestamp):
                self._lookout.trusted = timestamp
            case Planned():
                self._is_planned = True
            case Fetching():
                pass
            case _:
                assert_never(milestone)
        return True

    def is_outdated(self) -> bool:
        """Ask the host; true when what it has is to be looked at before the stick is read on.

        Raises:
            StopAskedError: The process was told to stop.
        """
        is_ahead = self._lookout.is_ahead()
        if not self._is_planned:
            return is_ahead and self._lookout.is_unseen()
        if is_ahead or self._lookout.is_unseen():
            self._look()
        return False
