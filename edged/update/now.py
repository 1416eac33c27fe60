"""What time it is, for judging expiry on a device whose clock may be wrong."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edged.clock import Clock, trusted_unix_s
from edged.codec import decode_json
from edged.errors import EdgedError
from edged.files import read_limited
from edged.ops.rollout import MAX_ROLLOUT_BYTES, Rollout
from edged.store.layout import StoreLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The best known time.

    Args:
        clock: The system's clock.
        package: A file of this package; packaging dates it with the build.
        layout: The store, whose rollout document carries a signed time.
    """

    clock: Clock
    package: Path
    layout: StoreLayout

    def unix_s(self) -> float:
        """Return Unix seconds, never before the build of the package or the newest signed time."""
        return trusted_unix_s(
            system_s=self.clock.unix_s(), built_s=self.package.stat().st_mtime, signed_s=self._signed_s()
        )

    def _signed_s(self) -> float:
        try:
            data = read_limited(self.layout.rollout, max_bytes=MAX_ROLLOUT_BYTES)
            issued = decode_json(Rollout, data, source=str(self.layout.rollout)).issued
            return datetime.strptime(issued, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        except (EdgedError, OSError, ValueError):  # none yet, or damaged: then it vouches for no time
            return 0.0
