"""How many bytes bundles may cost: in one refresh, and in any 24 hours. Pure.

Counted are the bytes of bodies, as they come. No more is asked for than may come, in whole chunks; a host that sends more all the same is
cut off, and then a limit is passed by what was on its way. Documents and metadata count as well and are never refused. A limit below
``LEAST_BYTES``, with which nothing would ever be complete, counts as that.

The day's bytes lie in a ledger on the disk (``edged.update.traffic.ledger``). They are taken from it in advance, in portions: a process
that is killed has paid for what it did not get, and never the other way round.
"""

from typing import Final, Protocol

from edged.update.protocol.phases import Cause, Deferred

WORTHWHILE_BYTES: Final = 1 << 20
"""One chunk, as the publisher's tool cuts files."""
LEAST_BYTES: Final = 2 << 20
"""One chunk, and room for the metadata."""
PORTIONS: Final = 32
"""A day's limit is taken in so many portions: each costs a write that is made durable."""


class PutOffError(Exception):
    """Bundles have to wait. No failure of anything: they go on by themselves.

    Args:
        cause: Why.
    """

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause: Cause = cause


class Ledger(Protocol):
    """What was fetched in the last 24 hours; ``edged.update.traffic.ledger.LedgerFile``."""

    def spent_bytes(self) -> int:
        """Return how many bytes were taken in the last 24 hours."""
        ...

    def free_in_s(self, wanted: int, *, limit: int) -> float:
        """Return after how many seconds so many bytes, not more than the limit, may be fetched."""
        ...

    def take(self, size: int) -> None:
        """Write down that some bytes are going to be fetched.

        Raises:
            StoreError: The disk refused.
        """
        ...

    def give_back(self, size: int) -> None:
        """Write down that some of what was taken last was not fetched.

        Raises:
            StoreError: The disk refused.
        """
        ...


def counted_limit(configured: int) -> int | None:
    """Return what a configured limit counts as; None when there is none."""
    return max(configured, LEAST_BYTES) if configured else None


class Budget:
    """The limits of one refresh.

    Args:
        max_bytes: As configured, of this refresh.
        max_bytes_per_day: As configured, of any 24 hours.
        ledger: Of the latter; not touched when there is no such limit.
    """

    def __init__(self, *, max_bytes: int, max_bytes_per_day: int, ledger: Ledger) -> None:
        self._left = counted_limit(max_bytes)
        self._per_day = counted_limit(max_bytes_per_day)
        self._ledger = ledger
        self._taken = 0

    def allowance(self) -> int | None:
        """Return how many bytes may be asked for at once, a whole number of chunks; None when there is no limit.

        Raises:
            PutOffError: Not even one chunk.
        """
        left: list[int] = []
        if self._left is not None:
            left.append(_whole_chunks(self._left, "max-bytes"))
        if self._per_day is not None:
            free = self._per_day - self._ledger.spent_bytes() + self._taken
            left.append(_whole_chunks(free, "max-bytes-per-day"))
        return min(left, default=None)

    def spend(self, size: int, *, is_binding: bool) -> None:
        """Take note of bytes that came.

        Args:
            size: How many.
            is_binding: Whether a limit may end what they belong to.

        Raises:
            PutOffError: A limit is reached, and binding.
            StoreError: The ledger cannot be written.
        """
        if self._left is not None:
            self._left -= size
            if is_binding and self._left < 0:
                raise PutOffError("max-bytes")
        if self._per_day is not None:
            self._spend_today(size, self._per_day, is_binding=is_binding)

    def describe(self, cause: Cause, *, now_unix_s: float) -> Deferred:
        """Say for people which limit is reached, and until when.

        Args:
            cause: The limit.
            now_unix_s: The time to count from.
        """
        if cause == "max-bytes-per-day" and self._per_day is not None:
            until = now_unix_s + self._ledger.free_in_s(WORTHWHILE_BYTES, limit=self._per_day)
            message = f"{self._per_day} bytes were fetched within 24 hours, as many as update.max_bytes_per_day allows"
            return Deferred(cause=cause, message=message, until=until)
        message = "as many bytes were fetched as update.max_bytes allows at a time; the rest comes with the next poll"
        return Deferred(cause=cause, message=message)

    def close(self) -> None:
        """Give back what was taken from the ledger and not spent.

        Raises:
            StoreError: The ledger cannot be written.
        """
        if self._taken:
            self._ledger.give_back(self._taken)
            self._taken = 0

    def _spend_today(self, size: int, limit: int, *, is_binding: bool) -> None:
        if size > self._taken:
            free = limit - self._ledger.spent_bytes()
            portion = max(size - self._taken, min(limit // PORTIONS, free))
            self._ledger.take(portion)
            self._taken += portion
            if is_binding and portion > free:
                self._taken -= size
                raise PutOffError("max-bytes-per-day")
        self._taken -= size


def _whole_chunks(size: int, cause: Cause) -> int:
    if size < WORTHWHILE_BYTES:
        raise PutOffError(cause)
    return size - size % WORTHWHILE_BYTES
