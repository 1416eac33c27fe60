"""A device that knows of itself what a test says."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edged.sense.context import Context, Link
from edged.sense.reading import known

if TYPE_CHECKING:
    from edged.sense.assemble import Sensor


class FakeContexts:
    """Fulfils ``edged.daemon.decisions.seams.Contexts`` and ``edged.api.ports.ContextSource``."""

    def __init__(self, **readings: Any) -> None:
        self.current = Context(**readings)
        self.sensors: tuple[Sensor, ...] = ()
        self._listeners: list[Callable[[Context], None]] = []

    def on_change(self, told: Callable[[Context], None]) -> None:
        self._listeners.append(told)

    def set(self, **readings: Any) -> None:
        """Have the next context, which differs from this one in some readings, and tell of it."""
        self.current = replace(self.current, **readings, serial=self.current.serial + 1)
        for told in self._listeners:
            told(self.current)

    def become(self, **values: object) -> None:
        """Have readings be known: ``become(thermal=Level.SERIOUS)``."""
        self.set(**{name: known(value) for name, value in values.items()})


def connected_device() -> FakeContexts:
    """Return a device that knows of a network, and of nothing else."""
    return FakeContexts(link=known(Link.WIFI))
