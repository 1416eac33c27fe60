"""Users whose requests on the tensor socket end workers: after the second one they have to rest. Pure.

On HTTP a request that ended two workers is known by its bytes (``edged.daemon.serving.poison``). Nobody reads the bytes here, so the user
is refused instead, for this version of the model and this socket only.
"""

from typing import Final

MOST_STRIKES: Final = 2
MOST_KNOWN: Final = 256
"""Users and versions that are remembered; the oldest are forgotten."""

Key = tuple[int, str, str]
"""User id, model, version."""


class Strikes:
    """Who ended workers lately.

    Args:
        rest_s: How long that is remembered.
    """

    def __init__(self, *, rest_s: float) -> None:
        self._rest_s = rest_s
        self._known: dict[Key, list[float]] = {}

    def add(self, key: Key, now_s: float) -> None:
        """Note that a request of this user was under way in a worker that ended.

        Args:
            key: Whose, and of what.
            now_s: Monotonic seconds.
        """
        self._known[key] = [*self._known.pop(key, []), now_s][-MOST_STRIKES:]
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def rest_s(self, key: Key, now_s: float) -> float:
        """Return for how many seconds this user is refused; 0 when it is not."""
        struck = self._known.get(key, [])
        if struck and struck[-1] + self._rest_s <= now_s:
            del self._known[key]
            return 0.0
        return struck[-1] + self._rest_s - now_s if len(struck) >= MOST_STRIKES else 0.0
