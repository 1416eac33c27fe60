"""The kernel's cpufreq in memory, as hil/test_frequency.py sees a real driver behave.

What it shows is the lowest of what was written and of what the kernel itself holds back, rounded down to a frequency of the hardware's.
"""

from collections.abc import Sequence

from edged.frequency.caps import Processors

STEPS = (600_000, 1_200_000, 1_800_000, 2_400_000)


class MadeUpKernel:
    """A device with one policy per name, each with the frequencies of ``STEPS``, in kHz."""

    def __init__(self, *names: str) -> None:
        self._written = dict.fromkeys(names, STEPS[-1])
        self._held = dict.fromkeys(names, STEPS[-1])
        self.refusing: set[str] = set()
        self.offline: set[str] = set()

    def read(self) -> Sequence[Processors]:
        """Read all policies."""
        is_cooled = min(self._held.values()) < STEPS[-1]
        return [
            Processors(name=name, least=STEPS[0], most=STEPS[-1], limit=self.shown(name), is_cooled=is_cooled)
            for name in self._written
            if name not in self.offline
        ]

    def set_limit(self, name: str, limit: int) -> int | None:
        """Take a limit, unless it is to refuse it."""
        if name in self.refusing:
            return None
        self._written[name] = limit
        return self.shown(name)

    def hold(self, name: str, limit: int) -> None:
        """Hold a policy back, as the kernel's own cooling does."""
        self._held[name] = limit

    def shown(self, name: str = "policy0") -> int:
        """Return what is shown as ``scaling_max_freq``."""
        limit = min(self._written[name], self._held[name])
        return max((step for step in STEPS if step <= limit), default=STEPS[0])
