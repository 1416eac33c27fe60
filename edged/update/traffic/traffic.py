"""What comes over the network in one refresh: how much of it there may be, and how fast it comes."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from edged.clock import Clock
from edged.update.origins.origin import Origin, Stream
from edged.update.traffic.budget import Budget
from edged.update.traffic.meter import Meter


class Traffic:
    """Told every byte that comes; ``edged.update.origins.fetcher.Host`` and other origins tell it.

    Args:
        budget: What bundles may cost.
        clock: Monotonic, for the rate.
    """

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self.budget = budget
        self._clock = clock
        self._meter = Meter()
        self._is_bundle = False
        self.bundle_bytes = 0
        """What came of bundles."""
        self.new_bytes = 0
        """How much of that was right, and not here before."""

    @contextmanager
    def of_bundle(self) -> Iterator[None]:
        """Say that what comes in this context belongs to a bundle, which a budget may end; documents and metadata always come."""
        self._is_bundle = True
        try:
            yield
        finally:
            self._is_bundle = False

    def came(self, size: int) -> None:
        """Take note of bytes.

        Raises:
            PutOffError: They belong to a bundle, and a limit is reached.
            StoreError: The ledger of the day cannot be written.
        """
        self._meter.add(size, now_s=self._clock.monotonic_s())
        self.bundle_bytes += size if self._is_bundle else 0
        self.budget.spend(size, is_binding=self._is_bundle)

    def bytes_per_s(self) -> float | None:
        """Return the rate of the last seconds; None while too little is known."""
        return self._meter.bytes_per_s(now_s=self._clock.monotonic_s())


@dataclass(frozen=True, slots=True, kw_only=True)
class RationedOrigin:
    """Where bundles come from, as far as the budget goes: no answer is asked for that would be larger. Fulfils ``Origin``.

    Args:
        origin: Where from.
        budget: How far.
    """

    origin: Origin
    budget: Budget

    def open(
        self, url: str, *, first_byte: int | None = None, last_byte: int | None = None
    ) -> AbstractContextManager[Stream]:
        """Request a file, or as much of it as there may be now.

        Raises:
            PutOffError: There may be nothing.
            FetchError: As ``Origin.open``.
        """
        allowance = self.budget.allowance()
        if allowance is None:
            return self.origin.open(url, first_byte=first_byte, last_byte=last_byte)
        first = first_byte or 0
        last = first + allowance - 1
        return self.origin.open(url, first_byte=first, last_byte=last if last_byte is None else min(last, last_byte))

    def read(self, url: str, *, max_bytes: int) -> bytes:
        """Fetch a whole small file, such as an index, which is not worth a wait."""
        return self.origin.read(url, max_bytes=max_bytes)
