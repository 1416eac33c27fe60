"""What a device knows of itself without a sensor: how long it was idle, its clock, its network, its flags and labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from edged.clock import Clock
from edged.daemon.senses.network import Network
from edged.daemon.senses.wall_clock import judge_clock, local_minute
from edged.ops.flags import FlagValue
from edged.sense.assemble import Sensor
from edged.sense.context import Context
from edged.sense.reading import known, unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Where all of this is asked."""

    clock: Clock
    idle_s: Callable[[], float]
    """Seconds in which nobody wanted anything."""
    trusted_unix_s: Callable[[], float]
    """The best known time, never before the build of this package or the newest signed time."""
    network: Callable[[], Network]
    """Read on the event loop: the gate's report is a small file on a tmpfs."""
    flags: Callable[[], Mapping[str, FlagValue]]
    regulatory: Callable[[], str]
    """The name of the mode that the administrator set."""
    labels: Mapping[str, str]
    sensors: Callable[[], Sequence[Sensor]] = tuple
    """What of this people may want to see beside the sensors."""

    def complete(self, seen: Context) -> Context:
        """Add it to what the sensors say."""
        time = judge_clock(system_s=self.clock.unix_s(), trusted_s=self.trusted_unix_s())
        network = self.network()
        return replace(
            seen,
            # Whole seconds are all that anybody asks for, and a context is news only when something in it is another.
            idle_s=known(float(int(self.idle_s()))),
            link=network.link,
            metered=network.metered,
            round_trip_s=network.round_trip_s,
            minute_of_day=unknown(time.reason) if time.value is None else known(local_minute(time.value)),
            clock_trusted=known(time.value is not None),
            regulatory=self.regulatory(),
            flags=self.flags(),
            labels=self.labels,
        )
