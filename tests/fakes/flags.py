"""Feature flags that a test sets."""

from edged.ops.flags import FlagValue


class FakeFlags:
    """Fulfils ``FlagsSource``."""

    def __init__(self, **flags: FlagValue) -> None:
        self.flags: dict[str, FlagValue] = flags
