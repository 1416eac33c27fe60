"""Which variants have been passed over for so long that what was measured of their runs does not count any more. Pure.

A variant that takes too long while the device is hot is not chosen, and what is not chosen is not measured again: one hot afternoon would
count against it for ever. So once others of its version have run in its place for ``FORGOTTEN_AFTER_S``, its manifest counts again, and
it may show how long it takes now.
"""

from collections.abc import Collection
from typing import Final

from edged.ids import Digest

FORGOTTEN_AFTER_S: Final = 3600.0

Key = tuple[Digest, str]
"""A version, and the id of a variant of it."""


class PassedOver:
    """Remembers since when others of its version have run in the place of each variant."""

    def __init__(self) -> None:
        self._since_s: dict[Key, float] = {}

    def look(self, ran: Collection[Key], known: Collection[Key], *, now_s: float) -> list[Key]:
        """Take note of what ran since the last look; returns those whose time is over, which begins anew for them.

        Args:
            ran: Variants that did.
            known: Every variant of which something is known.
            now_s: Monotonic.
        """
        versions = {digest for digest, _ in ran}
        self._since_s = {key: since_s for key, since_s in self._since_s.items() if key in known and key not in ran}
        passed = [key for key in known if key[0] in versions and key not in ran]
        over = [key for key in passed if now_s - self._since_s.setdefault(key, now_s) >= FORGOTTEN_AFTER_S]
        for key in over:
            del self._since_s[key]
        return over
