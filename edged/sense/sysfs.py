"""Read what the kernel shows below ``/sys`` about temperatures and power. What it means is decided elsewhere in this package.

Reading an attribute asks the device behind it, which may take its time (a sensor on a slow bus): not for the event loop. What cannot be
read is as if it were not there, because drivers come and go while somebody looks.
"""

from pathlib import Path
from typing import Final

from edged.sense.power import SupplyText, plugged_in
from edged.sense.reading import Reading, unknown
from edged.sense.thermal import ZoneText, hottest

SYSFS: Final = Path("/sys")
MAX_ATTRIBUTE_CHARS: Final = 256
"""More than any attribute has that is read here."""


def read_hottest_celsius(root: Path = SYSFS) -> Reading[float]:
    """Read how warm the hottest thermal zone is, degrees Celsius.

    Args:
        root: Where sysfs is; another directory in tests.
    """
    if (reason := _why_unreadable(root)) is not None:
        return unknown(reason)
    zones = sorted((root / "class/thermal").glob("thermal_zone*"))
    return hottest([ZoneText(name=zone.name, temp=_attribute(zone, "temp")) for zone in zones])


def read_plugged_in(root: Path = SYSFS) -> Reading[bool]:
    """Read whether the device has power from outside.

    Args:
        root: Where sysfs is; another directory in tests.
    """
    if (reason := _why_unreadable(root)) is not None:
        return unknown(reason)
    supplies = sorted((root / "class/power_supply").glob("*"))
    return plugged_in([_supply(supply) for supply in supplies])


def _why_unreadable(root: Path) -> str | None:
    """Say why there is nothing to be read at all: a device without sysfs is not one without batteries."""
    try:
        next((root / "class").iterdir(), None)
    except OSError as exc:
        return f"{root / 'class'} cannot be read: {exc.strerror}"
    return None


def _supply(directory: Path) -> SupplyText:
    return SupplyText(
        name=directory.name,
        type=_attribute(directory, "type") or "",
        online=_attribute(directory, "online") or "",
        status=_attribute(directory, "status") or "",
        present=_attribute(directory, "present") or "",
        scope=_attribute(directory, "scope") or "",
    )


def _attribute(directory: Path, name: str) -> str | None:
    try:
        with (directory / name).open(encoding="ascii", errors="replace") as file:
            return file.read(MAX_ATTRIBUTE_CHARS).strip()
    except OSError:
        return None
