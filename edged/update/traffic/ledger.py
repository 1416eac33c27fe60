"""The bytes of the last 24 hours, in a file that survives reboots and clocks that are wrong.

How long ago bytes were fetched is what counts, so that is what the file says, together with when it was written: by the wall clock, and
by the clock that counts from boot. After a reboot only the wall clock can tell how long that is, but it is at least as long as the device
runs again; within one boot the wall clock is not believed, however much somebody sets it. So a wrong clock can free a day's budget early
only on a device that is rebooted, once each time.

Two refreshes may write it at once (``edged.update.service.watches``), so whoever changes it locks its directory.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from edged.clock import read_boot_id
from edged.codec import Document, decode_json, encode_canonical
from edged.errors import EdgedError
from edged.files import read_limited, replace_durably
from edged.store.disk import disk_errors

LOG = logging.getLogger(__name__)

DAY_S: Final = 86_400.0
BUCKET_S: Final = 3600.0
"""Bytes of so long a time are one entry, which counts until the last of them are a day old."""
MAX_LEDGER_BYTES: Final = 1 << 16


class Spent(Document, frozen=True, kw_only=True):
    """Bytes that were fetched."""

    first_age_s: float
    last_age_s: float
    size: int


class LedgerDocument(Document, frozen=True, kw_only=True):
    """``ledger.json`` of the store; ages are those at the time when it was written."""

    schema: Literal[1] = 1
    boot: str
    """The kernel's ID of that boot."""
    booted_s: float
    """Seconds since then."""
    unix_s: float
    spent: tuple[Spent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Now, on both clocks."""

    boot: str
    booted_s: float
    unix_s: float


def read_moment(unix_s: float) -> Moment:
    """Return the present moment.

    Args:
        unix_s: The wall clock, as far as it is trusted.
    """
    return Moment(boot=read_boot_id(), booted_s=time.clock_gettime(time.CLOCK_BOOTTIME), unix_s=unix_s)


class LedgerFile:
    """The file; fulfils ``edged.update.traffic.budget.Ledger``.

    Args:
        path: Where it lies.
        now: Returns the present moment.
    """

    def __init__(self, path: Path, now: Callable[[], Moment]) -> None:
        self._path = path
        self._now = now

    def spent_bytes(self) -> int:
        """Return how many bytes were taken in the last 24 hours."""
        return sum(entry.size for entry in self._read(self._now()))

    def take(self, size: int) -> None:
        """Write down that some bytes are going to be fetched.

        Raises:
            StoreError: The disk refused.
        """
        now = self._now()
        with self._locked():
            spent = self._read(now)
            if spent and spent[-1].first_age_s < BUCKET_S:
                newest = spent.pop()
                spent.append(Spent(first_age_s=newest.first_age_s, last_age_s=0.0, size=newest.size + size))
            else:
                spent.append(Spent(first_age_s=0.0, last_age_s=0.0, size=size))
            self._write(now, spent)

    def give_back(self, size: int) -> None:
        """Write down that some of what was taken last was not fetched.

        Raises:
            StoreError: The disk refused.
        """
        now = self._now()
        with self._locked():
            spent = self._read(now)
            while spent and size > 0:
                newest = spent.pop()
                if newest.size > size:
                    spent.append(
                        Spent(first_age_s=newest.first_age_s, last_age_s=newest.last_age_s, size=newest.size - size)
                    )
                size -= newest.size
            self._write(now, spent)

    def free_in_s(self, wanted: int, *, limit: int) -> float:
        """Return after how many seconds so many bytes may be fetched.

        Args:
            wanted: Not more than the limit.
            limit: Of a day.
        """
        spent = self._read(self._now())
        over = sum(entry.size for entry in spent) + wanted - limit
        for entry in spent:
            if over <= 0:
                break
            over -= entry.size
            if over <= 0:
                return DAY_S - entry.last_age_s
        return 0.0

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with disk_errors(f"locking {self._path.parent}"):
            descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError:
                os.close(descriptor)
                raise
        try:
            yield
        finally:
            os.close(descriptor)

    def _read(self, now: Moment) -> list[Spent]:
        """Return what counts today, oldest first, with its present ages."""
        try:
            known = decode_json(
                LedgerDocument, read_limited(self._path, max_bytes=MAX_LEDGER_BYTES), source=str(self._path)
            )
        except FileNotFoundError:
            return []
        except (EdgedError, OSError) as exc:
            LOG.warning("what was fetched today is forgotten: %s", exc)
            return []
        elapsed_s = _elapsed_s(known, now)
        aged = [
            Spent(first_age_s=entry.first_age_s + elapsed_s, last_age_s=entry.last_age_s + elapsed_s, size=entry.size)
            for entry in known.spent
        ]
        return [entry for entry in aged if entry.last_age_s < DAY_S]

    def _write(self, now: Moment, spent: Sequence[Spent]) -> None:
        document = LedgerDocument(boot=now.boot, booted_s=now.booted_s, unix_s=now.unix_s, spent=tuple(spent))
        with disk_errors(f"writing {self._path}"):
            replace_durably(self._path, encode_canonical(document))


def _elapsed_s(known: LedgerDocument, now: Moment) -> float:
    """Return how long ago a document was written, or what is certain of that."""
    if known.boot == now.boot:
        return max(0.0, now.booted_s - known.booted_s)
    return max(now.booted_s, now.unix_s - known.unix_s)
