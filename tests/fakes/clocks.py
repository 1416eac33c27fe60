"""A clock that only moves when a test moves it."""


class ManualClock:
    """Both clocks of ``edged.clock.Clock``, in step."""

    def __init__(self, *, unix_s: float = 1_800_000_000.0) -> None:
        self._now_s = 1000.0
        self._unix_offset_s = unix_s - self._now_s

    def monotonic_s(self) -> float:
        return self._now_s

    def unix_s(self) -> float:
        return self._now_s + self._unix_offset_s

    def advance(self, seconds: float) -> None:
        self._now_s += seconds

    def jump(self, seconds: float) -> None:
        """Have somebody set the wall clock, forward or back; the other one goes on."""
        self._unix_offset_s += seconds


class Later:
    """A clock, and what is to be called when; the test lets time pass."""

    def __init__(self):
        self.clock = ManualClock()
        self._due = []

    def __call__(self, delay_s, call):
        self._due.append((self.clock.monotonic_s() + delay_s, call))

    def advance(self, seconds):
        self.clock.advance(seconds)
        for due in [due for due in self._due if due[0] <= self.clock.monotonic_s()]:
            self._due.remove(due)
            due[1]()
