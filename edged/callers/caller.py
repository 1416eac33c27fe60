"""Who asks: a user, and the systemd unit its process belongs to. Pure; ``edged.callers.who`` asks the kernel."""

import re
from collections.abc import Callable
from typing import Final

_UNIT: Final = re.compile(r"[A-Za-z0-9:_.\\@-]{1,255}\.(?:service|scope)\Z")
_DELETED: Final = " (deleted)"


class Caller:
    """Who is on the other end of a connection, for as long as it lasts.

    Args:
        uid: The user.
        user: Its name, or the number as text where it has none.
        read_unit: Called once, when somebody first asks for the unit: most devices have no rule that needs it.
    """

    __slots__ = ("_is_read", "_read_unit", "_unit", "uid", "user")

    def __init__(self, *, uid: int, user: str, read_unit: Callable[[], str | None] = lambda: None) -> None:
        self.uid: Final = uid
        self.user: Final = user
        self._read_unit = read_unit
        self._is_read = False
        self._unit: str | None = None

    @property
    def unit(self) -> str | None:
        """The system unit, ``kiosk.service``; None where it cannot be known."""
        if not self._is_read:
            self._unit = self._read_unit()
            self._is_read = True
        return self._unit


def unit_of_cgroup(text: str) -> str | None:
    """Find the system unit in the contents of ``/proc/PID/cgroup`` (cgroups(7), systemd's CGROUP_DELEGATION.md).

    The unit is the first part of the path that is no slice; whatever is below it belongs to whom the unit delegated it, who may call it
    as they like. Seen from a cgroup namespace of one's own, the path begins with as many ``..`` as lead up to what both have in common.

    Returns:
        None for a process of no unit, a process that has ended, a path that starts within the reader's own unit, and cgroup v1.
    """
    path = next((line.removeprefix("0::") for line in text.splitlines() if line.startswith("0::")), "")
    if path.endswith(_DELETED):
        return None
    for part in path.split("/"):
        # A leading underscore is systemd's escape for names that the kernel could mistake for its own files.
        name = part.removeprefix("_")
        if name in {"", ".."} or name.endswith(".slice"):
            continue
        return name if _UNIT.match(name) else None
    return None
