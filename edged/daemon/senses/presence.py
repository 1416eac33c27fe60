"""Whether somebody uses the device, as edged-presence says (``edged.presence.report``): the daemon itself has no bus to ask logind on."""

from dataclasses import dataclass
from pathlib import Path

from edged.clock import Clock
from edged.errors import EdgedError
from edged.presence.report import STALE_AFTER_S, read_report
from edged.sense.assemble import Sensor
from edged.sense.reading import Reading, known, unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Asked anew each time: the report is a small file on a tmpfs.

    Attributes:
        path: Of the report.
        clock: Monotonic, as that of the report.
    """

    path: Path
    clock: Clock

    def idle_s(self, asked_s: float) -> float:
        """Return for how many seconds nobody has wanted anything: neither of a model nor, as far as is known, of the device.

        Args:
            asked_s: For how long nobody has asked a model.
        """
        person = self.read()
        return asked_s if person is None or person.value is None else min(asked_s, person.value)

    def sensors(self) -> tuple[Sensor, ...]:
        """Return what is known, for people; nothing where nobody looks."""
        person = self.read()
        if person is None:
            return ()
        return (Sensor(name="edged-presence", quantity="idle", value=person, unit="s", note="since a person was seen"),)

    def read(self) -> Reading[float] | None:
        """Return for how long nobody was seen at the device, in seconds; None where nobody looks."""
        try:
            report = read_report(self.path)
        except (EdgedError, OSError) as exc:
            return unknown(f"what edged-presence says cannot be read: {exc}")
        if report is None:
            return None
        age_s = self.clock.monotonic_s() - report.looked_s
        if age_s < 0:
            return unknown("what edged-presence says is from before this machine was started")
        if age_s > STALE_AFTER_S:
            return unknown(f"edged-presence has said nothing for {age_s:.0f} s")
        if report.idle_s is None:
            return unknown(report.reason)
        return known(report.idle_s + age_s if report.idle_s else 0.0)
