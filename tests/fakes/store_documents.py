"""Documents of a fleet, written into a store as the updater does."""

import itertools
import json
from pathlib import Path
from typing import Any

from edged.files import replace_durably
from edged.store.layout import StoreLayout

ISSUED = "2026-11-22T10:00:00Z"
REASON = "wrong on snow"


class StoreDocuments:
    """Writes documents; serials of stop documents count up from 1.

    Args:
        layout: Of the device's store.
    """

    def __init__(self, layout: StoreLayout) -> None:
        self.layout = layout
        self._serials = itertools.count(1)

    def write(self, path: Path, document: dict[str, Any] | bytes) -> None:
        """Put a document, or what is none, in place."""
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(path, document if isinstance(document, bytes) else json.dumps(document).encode())

    def stop(
        self,
        *models: str,
        action: str = "refuse",
        versions: tuple[str, ...] = (),
        serial: int | None = None,
        leases: dict[str, Any] | None = None,
    ) -> int:
        """Stop these models and no others; returns the serial."""
        serial = next(self._serials) if serial is None else serial
        stop = {"reason": REASON, "since": ISSUED, "action": action, "versions": versions}
        document = {"schema": 1, "issued": ISSUED, "serial": serial, "models": dict.fromkeys(models, stop)}
        self.write(self.layout.stop, document | {"leases": leases or {}})
        return serial

    def flags(self, **flags: dict[str, Any]) -> None:
        """Have these flags; each is a ``Flag`` document."""
        self.write(self.layout.flags, {"schema": 1, "issued": ISSUED, "flags": flags})

    def standing(self, *, seen_unix_s: float, **floors: str) -> None:
        """Say when a timestamp was seen, and what may not be activated."""
        self.write(self.layout.standing, {"schema": 1, "seen_unix_s": seen_unix_s, "floors": floors})

    def roll_out(self, **versions: str) -> None:
        """Have everybody run these versions."""
        models = {name: {"version": version} for name, version in versions.items()}
        self.write(self.layout.rollout, {"schema": 1, "issued": ISSUED, "models": models})

    def policy(self, **sections: dict[str, Any]) -> None:
        """Ask for care."""
        self.write(self.layout.policy, {"schema": 1, "issued": ISSUED, **sections})
