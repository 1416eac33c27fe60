"""Where the kernel shows its sensors, and which attributes of each kind of device are read. Pure.

The names are those of the kernel's documentation: Documentation/ABI/testing/sysfs-class-thermal, sysfs-class-hwmon, sysfs-class-devfreq,
sysfs-class-power, sysfs-class-powercap, sysfs-devices-system-cpu, and Documentation/accel for accelerators.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edged.sense.snapshot import FamilyName

_ASKS_EACH_RAIL: Final = "ina3221"
"""Measures currents and voltages instead of powers, of three rails (Documentation/hwmon/ina3221.rst)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Devices of one kind, in one directory."""

    directory: str
    """Below sysfs."""
    device: re.Pattern[str]
    """What their names look like."""
    fixed: re.Pattern[str]
    """Attributes that do not change, or hardly ever: they are read again every few minutes."""
    live: re.Pattern[str]
    nested: tuple[str, ...] = ()
    """Directories of the device that have attributes, too."""
    asleep: str = ""
    """The attribute that tells whether reading the others would wake the device."""
    repeats: str = ""
    """What the real path has of a device that only says again what one of another family says."""
    at_most: int
    """More devices than this are not read. Of processors, which may be hundreds, each says what happened to its whole package, too."""


_NONE: Final = r"(?!)"
_ANY: Final = r"[^.].*"
_COUNTS: Final = r"thermal_throttle/(core|package)_throttle_count"


def _family(
    directory: str,
    device: str,
    *,
    fixed: str = _NONE,
    live: str = _NONE,
    nested: tuple[str, ...] = (),
    asleep: str = "",
    repeats: str = "",
    at_most: int = 32,
) -> Family:
    return Family(
        directory=directory,
        device=re.compile(device),
        fixed=re.compile(fixed),
        live=re.compile(live),
        nested=nested,
        asleep=asleep,
        repeats=repeats,
        at_most=at_most,
    )


def _accelerators(directory: str, device: str) -> Family:
    """Describe devices of which only their presence counts, and what drives them."""
    return _family(directory, device, fixed="device/uevent", nested=("device",))


FAMILIES: Final[Mapping[FamilyName, Family]] = {
    "zones": _family(
        "class/thermal",
        r"thermal_zone\d+",
        fixed=r"type|trip_point_\d+_(type|temp|hyst)",
        live="temp|mode",
        # Large systems on a chip have a zone for each core and each block of memory, about a hundred, and any may be the hottest.
        at_most=128,
    ),
    "coolers": _family("class/thermal", r"cooling_device\d+", fixed="type|max_state", live="cur_state", at_most=128),
    "monitors": _family(
        "class/hwmon",
        r"hwmon\d+",
        fixed=r"name|temp\d+_(label|max|crit|emergency)|in\d+_label|power\d+_label",
        live=r"temp\d+_(input|fault)|power\d+_(input|average)|in0_lcrit_alarm",
        asleep="device/power/runtime_status",
        repeats="/thermal_zone",
    ),
    "clocks": _family(
        "devices/system/cpu/cpufreq",
        r"policy\d+",
        fixed="cpuinfo_max_freq",
        live="scaling_cur_freq|scaling_max_freq|bios_limit",
    ),
    "device_clocks": _family("class/devfreq", _ANY, fixed="name|available_frequencies", live="cur_freq|max_freq"),
    "processors": _family(
        "devices/system/cpu",
        r"cpu\d+",
        fixed="topology/physical_package_id",
        live=_COUNTS,
        nested=("thermal_throttle", "topology"),
    ),
    "firmware": _family("devices/platform/soc", "soc:firmware", live="get_throttled"),
    "supplies": _family(
        "class/power_supply",
        _ANY,
        fixed="scope|energy_full|charge_full",
        live="type|online|status|present|capacity|energy_now|charge_now|power_now|current_now|voltage_now",
    ),
    "power_caps": _family(
        "class/powercap", r"intel-rapl:\d+(:\d+)?", fixed="name|max_energy_range_uj", live="energy_uj"
    ),
    "render_nodes": _accelerators("class/drm", r"renderD\d+"),
    "compute_nodes": _accelerators("class/accel", r"accel\d+"),
    "edge_processors": _accelerators("class/apex", r"apex_\d+"),
    "nvidia": _family("bus/pci/drivers/nvidia", r"[0-9a-f]{4,}:.*"),
}
PROC_FILES: Final = ("pressure/cpu", "pressure/memory", "pressure/io", "meminfo", "loadavg")
ONLINE_PROCESSORS: Final = "devices/system/cpu/online"


def more_live(fixed: Mapping[str, str]) -> re.Pattern[str] | None:
    """Return what else is read of a hardware monitor of this kind: of others the same attributes are many, slow and of no use here."""
    return re.compile(r"in[123]_input|curr[123]_input") if fixed.get("name") == _ASKS_EACH_RAIL else None
