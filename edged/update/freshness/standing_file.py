"""Keep ``standing.json`` of the store: when the repository was last seen to be fresh, and the floors of its models.

The updater's process writes it while no refresh runs, and a refresh before it has planned what to bring
(``edged.update.protocol.messages.Planned``): never two at once. It is written rarely, because each time costs a flash memory some life: at
once when a floor rises, otherwise every ``REFRESHED_EVERY_S`` at most.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from edged.codec import decode_json, encode_canonical
from edged.errors import EdgedError, StoreError
from edged.files import read_limited
from edged.ids import ModelName, Version
from edged.ops.standing import MAX_STANDING_BYTES, REFRESHED_EVERY_S, Standing
from edged.store.disk import install_document

LOG = logging.getLogger(__name__)


class StandingFile:
    """The document on the disk.

    Args:
        path: Where it lies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def floors(self) -> dict[ModelName, Version]:
        """Return the lowest version of each model that may be activated."""
        return {ModelName(model): Version.parse(text) for model, text in self._read().floors.items()}

    def saw_fresh(self, now_unix_s: float) -> None:
        """Take note that the host has shown a fresh timestamp just now; a disk that refuses is only worth a line in the journal.

        Args:
            now_unix_s: The time that expiry is judged by.
        """
        try:
            self.keep(now_unix_s, {})
        except StoreError as exc:
            LOG.warning("%s", exc)

    def keep(self, now_unix_s: float, floors: Mapping[ModelName, Version]) -> None:
        """Take note of that time, and of floors, which rise and never fall.

        Args:
            now_unix_s: The time that expiry is judged by.
            floors: As the models' roles have them now.

        Raises:
            StoreError: The disk refused.
        """
        before = self._read()
        stated = {str(model): str(floor) for model, floor in floors.items()}
        after = Standing(seen_unix_s=now_unix_s, floors=stated).above(before)
        # A clock that went back is told at once: by a time in the future, the repository would look fresh for as long as that.
        if after.floors != before.floors or not 0 <= now_unix_s - before.seen_unix_s < REFRESHED_EVERY_S:
            install_document(self._path, encode_canonical(after))

    def _read(self) -> Standing:
        try:
            return decode_json(Standing, read_limited(self._path, max_bytes=MAX_STANDING_BYTES), source=str(self._path))
        except FileNotFoundError:
            pass
        except (EdgedError, OSError) as exc:
            LOG.warning("what is known of the repository is lost and found anew: %s", exc)
        return Standing(seen_unix_s=0.0)
