"""What time it is, for judging expiry on a device whose clock may be wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from edged.clock import Clock, trusted_unix_s
from edged.errors import StoreError
from edged.files import read_limited
from edged.ops.flags import MAX_FLAGS_BYTES
from edged.ops.policy import MAX_POLICY_BYTES
from edged.ops.rollout import MAX_ROLLOUT_BYTES
from edged.ops.segments import Issued
from edged.ops.stop import MAX_STOP_BYTES
from edged.store.layout import StoreLayout
from edged.update.protocol.phases import TimeSource

_NO_DOCUMENT: Final = (StoreError, OSError, msgspec.DecodeError, ValueError, RecursionError)


class _Dated(msgspec.Struct):
    issued: Issued


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A time, and what told it."""

    unix_s: float
    source: TimeSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The best known time.

    Args:
        clock: The system's clock.
        package: A file of this package; packaging dates it with the build.
        layout: The store, whose signed documents carry the time at which each was issued.
    """

    clock: Clock
    package: Path
    layout: StoreLayout

    def unix_s(self) -> float:
        """Return Unix seconds, never before the build of the package or the newest signed time."""
        return self.read().unix_s

    def read(self) -> Reading:
        """Return the same, and what told it."""
        system_s, built_s = self.clock.unix_s(), self.package.stat().st_mtime
        signed_s = max(self._signed_s(), default=0.0)
        now_s = trusted_unix_s(system_s=system_s, built_s=built_s, signed_s=signed_s)
        if now_s == system_s:
            return Reading(unix_s=now_s, source="system")
        return Reading(unix_s=now_s, source="signed" if now_s == signed_s else "package")

    def _signed_s(self) -> Iterator[float]:
        documents = (
            (self.layout.rollout, MAX_ROLLOUT_BYTES),
            (self.layout.flags, MAX_FLAGS_BYTES),
            (self.layout.policy, MAX_POLICY_BYTES),
            (self.layout.stop, MAX_STOP_BYTES),
        )
        for path, max_bytes in documents:
            try:
                dated = msgspec.json.decode(read_limited(path, max_bytes=max_bytes), type=_Dated)
                yield unix_s_of(dated.issued)
            except _NO_DOCUMENT:  # none yet, or damaged: then it vouches for no time
                continue


def unix_s_of(issued: str) -> float:
    """Return the Unix seconds of a time in a signed document.

    Raises:
        ValueError: There is no such day or hour.
    """
    return datetime.strptime(issued, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
