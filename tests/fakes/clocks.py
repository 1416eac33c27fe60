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
